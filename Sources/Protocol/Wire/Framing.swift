/// What the body of a frame holds.
public enum FrameKind: UInt8, Hashable, Sendable, CaseIterable {
  /// The first frame of a connection, from either side: one `Hello`.
  case hello = 1
  /// `Message`s between replicas.
  case peer = 2
  /// Messages between a client and a replica.
  case client = 3
  /// From one replica's host to another's: one `HostNotice`.
  case notice = 4
}

/// Where a frame comes from and goes to.
public struct FrameRoute: Hashable, Sendable {
  public var cluster: ClusterID
  public var ring: RingID
  public var sender: ReplicaID
  public var receiver: ReplicaID
  public var senderIncarnation: Incarnation
  /// The life of the receiver this is meant for; 0 when the sender does not know it.
  public var receiverIncarnation: Incarnation

  public init(
    cluster: ClusterID, ring: RingID, sender: ReplicaID, receiver: ReplicaID,
    senderIncarnation: Incarnation, receiverIncarnation: Incarnation = Incarnation(0)
  ) {
    self.cluster = cluster
    self.ring = ring
    self.sender = sender
    self.receiver = receiver
    self.senderIncarnation = senderIncarnation
    self.receiverIncarnation = receiverIncarnation
  }
}

/// A frame's header, checked. Layout: docs/wire-format.md, "Frames".
public struct FrameHeader: Hashable, Sendable {
  public var kind: FrameKind
  public var route: FrameRoute
  /// How many messages the body holds; at least one.
  public var count: UInt32

  public init(kind: FrameKind, route: FrameRoute, count: UInt32) {
    self.kind = kind
    self.route = route
    self.count = count
  }

  public static let length = 56
  /// "RSLF" in order of bytes.
  static let magic: UInt32 = 0x464C_5352
  public static let version: UInt8 = 1
}

/// Why received bytes are not a frame. Where the next frame begins is unknown then: the connection must be dropped.
public enum FrameError: Error, Hashable, Sendable {
  case notAFrame
  case unsupportedVersion(UInt8)
  case headerChecksum
  case unknownKind(UInt8)
  /// Flags or a header length that this version does not know.
  case unsupportedHeader
  /// The declared length is above what this side accepts. Nothing was allocated for it.
  case tooLong(declared: UInt32, limit: Int)
  /// Shorter than its own header, or more messages than bytes.
  case impossibleLength(declared: UInt32)
  case bodyChecksum
}

/// What the parser made of the bytes received so far.
public enum FrameParse: Hashable, Sendable {
  /// Not yet a frame; it will be when this many bytes are there. Before the header is complete, the header's length.
  case needsMore(total: Int)
  /// A whole, checked frame. The next one begins where the body ends; offsets count from the buffer's first byte.
  case frame(FrameHeader, body: Range<Int>)
}

/// Cuts a stream of bytes into frames.
///
/// Without state of its own: it is shown what is in the receive buffer, at any moment and in any pieces, and gives the
/// same frames. Errors are final for the connection.
public struct FrameParser: Hashable, Sendable {
  /// The longest frame accepted, in bytes, header included.
  public let lengthMax: Int

  public static let lengthMaxDefault = 16 << 20

  public init(lengthMax: Int = lengthMaxDefault) {
    precondition(lengthMax >= FrameHeader.length && lengthMax <= Int(UInt32.max))
    self.lengthMax = lengthMax
  }

  /// Looks for a frame at `begin`, which is clamped to the bytes.
  public func next(in bytes: RawSpan, from begin: Int = 0) throws(FrameError) -> FrameParse {
    let begin = min(max(0, begin), bytes.byteCount)
    let there = bytes.byteCount - begin
    return try bytes.withUnsafeBytes { buffer throws(FrameError) in
      // What is there must already look like a frame: a stranger is not waited for.
      for i in 0..<min(4, there)
      where buffer[begin + i] != UInt8(truncatingIfNeeded: FrameHeader.magic >> UInt32(8 * i)) {
        throw .notAFrame
      }
      if there > 4, buffer[begin + 4] != FrameHeader.version {
        throw .unsupportedVersion(buffer[begin + 4])
      }
      guard there >= FrameHeader.length else { return .needsMore(total: FrameHeader.length) }
      let frame = UnsafeRawBufferPointer(rebasing: buffer[begin...])
      let (header, total, bodyChecksum) = try parseHeader(frame)
      guard there >= total else { return .needsMore(total: total) }
      let body = UnsafeRawBufferPointer(rebasing: frame[FrameHeader.length..<total])
      guard CRC32C.checksum(body) == bodyChecksum else { throw .bodyChecksum }
      return .frame(header, body: begin + FrameHeader.length..<begin + total)
    }
  }

  /// `frame` has at least a header's bytes.
  private func parseHeader(
    _ frame: UnsafeRawBufferPointer
  ) throws(FrameError) -> (FrameHeader, total: Int, bodyChecksum: UInt32) {
    func u16(_ at: Int) -> UInt16 {
      UInt16(littleEndian: frame.loadUnaligned(fromByteOffset: at, as: UInt16.self))
    }
    func u32(_ at: Int) -> UInt32 {
      UInt32(littleEndian: frame.loadUnaligned(fromByteOffset: at, as: UInt32.self))
    }
    func u64(_ at: Int) -> UInt64 {
      UInt64(littleEndian: frame.loadUnaligned(fromByteOffset: at, as: UInt64.self))
    }
    // The header has a checksum of its own, checked first: with a damaged length one would wait for a body that never
    // comes, for as long as heartbeats take to fill it.
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: frame[..<52])) == u32(52) else {
      throw .headerChecksum
    }
    guard let kind = FrameKind(rawValue: frame[5]) else { throw .unknownKind(frame[5]) }
    guard u16(6) == UInt16(FrameHeader.length), u32(12) == 0 else { throw .unsupportedHeader }
    let declared = u32(8)
    guard declared <= UInt32(lengthMax) else {
      throw .tooLong(declared: declared, limit: lengthMax)
    }
    let total = Int(declared)
    let count = u32(44)
    guard count >= 1, Int(count) <= total - FrameHeader.length else {
      throw .impossibleLength(declared: declared)
    }
    let route = FrameRoute(
      cluster: ClusterID(u64(16)), ring: RingID(u32(24)), sender: ReplicaID(u32(28)),
      receiver: ReplicaID(u32(32)), senderIncarnation: Incarnation(u32(36)),
      receiverIncarnation: Incarnation(u32(40)))
    return (FrameHeader(kind: kind, route: route, count: count), total, u32(48))
  }
}

/// The messages of a peer frame, one after the other.
public struct FrameMessages: Sendable {
  public let header: FrameHeader
  private var offset: Int
  private let end: Int
  private var left: UInt32

  /// Over what `FrameParser` gave.
  public init(_ header: FrameHeader, body: Range<Int>) {
    self.header = header
    offset = body.lowerBound
    end = body.upperBound
    left = header.count
  }

  /// The next message in `bytes`, the buffer the frame was found in; nil behind the last.
  public mutating func next(
    in bytes: RawSpan, placing placement: PayloadPlacement
  ) throws(DecodeError) -> DecodedMessage? {
    let (decoded, offset) = try bytes.withUnsafeBytes {
      buffer throws(DecodeError) -> (DecodedMessage?, Int) in try decode(buffer, placement)
    }
    self.offset = offset
    if decoded != nil { left -= 1 }
    return decoded
  }

  private func decode(
    _ buffer: UnsafeRawBufferPointer, _ placement: PayloadPlacement
  ) throws(DecodeError) -> (DecodedMessage?, offset: Int) {
    var reader = ByteReader(buffer, in: offset..<end)
    guard left > 0 else {
      try reader.finish()
      return (nil, offset)
    }
    let decoded = try MessageCodec.decode(
      &reader, from: header.route.sender, to: header.route.receiver, placing: placement)
    return (decoded, reader.offset)
  }
}
