// Client messages in frames: docs/wire-format.md, "Client frames". A client message does not say where it ends, so each
// has a head of 8 bytes in front, and begins and ends at a multiple of 8: a command lies aligned where it is received.

extension ReplicaID {
  /// Who a client is in a frame's route: nobody. No replica has this identity.
  public static let client = ReplicaID(0)
}

extension FrameRoute {
  /// From a client to the replica asked.
  public static func request(
    cluster: ClusterID, ring: RingID, to replica: ReplicaID
  ) -> FrameRoute {
    FrameRoute(
      cluster: cluster, ring: ring, sender: .client, receiver: replica,
      senderIncarnation: Incarnation(0))
  }

  /// From a replica to whichever client is at the other end of the connection.
  public static func response(
    cluster: ClusterID, ring: RingID, from replica: ReplicaID, _ incarnation: Incarnation
  ) -> FrameRoute {
    FrameRoute(
      cluster: cluster, ring: ring, sender: replica, receiver: .client,
      senderIncarnation: incarnation)
  }
}

/// The client messages of a frame, one after the other.
public struct ClientMessages: Sendable {
  /// How many bytes lie before each message.
  public static let headLength = 8

  private var offset: Int
  private let end: Int
  private var left: UInt32

  /// Over what `FrameParser` gave.
  public init(_ header: FrameHeader, body: Range<Int>) {
    offset = max(0, body.lowerBound)
    end = body.upperBound
    left = header.count
  }

  /// Where the next message lies in `bytes`, the buffer the frame was found in; nil behind the last. What is there is for
  /// `ClientMessage(_:)` to say. Total: any bytes give ranges within the body or an error, which ends the connection.
  public mutating func next(in bytes: RawSpan) throws(DecodeError) -> Range<Int>? {
    let begin = offset
    guard end <= bytes.byteCount else { throw DecodeError(.truncated, at: bytes.byteCount) }
    guard left > 0 else {
      guard begin == end else { throw DecodeError(.trailing, at: begin) }
      return nil
    }
    guard end &- begin >= Self.headLength else { throw DecodeError(.truncated, at: begin) }
    let head = UInt64(
      littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: begin, as: UInt64.self))
    guard head >> 32 == 0 else { throw DecodeError(.reservedNotZero, at: begin &+ 4) }
    let length = Int(head)
    guard length >= ClientMessage.requestHeaderLength else { throw DecodeError(.length, at: begin) }
    let first = begin &+ Self.headLength
    let next = first &+ (length &+ 7) & ~7
    guard next <= end else { throw DecodeError(.truncated, at: first) }
    if length & 7 != 0 {
      // The last word holds the message's end in its low bytes and the padding above.
      let word = UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: next &- 8, as: UInt64.self))
      guard word >> UInt64((length & 7) &* 8) == 0 else {
        throw DecodeError(.reservedNotZero, at: first &+ length)
      }
    }
    offset = next
    left &-= 1
    return first..<first &+ length
  }
}

extension FrameWriter {
  /// How many bytes a client message of `length` bytes takes in a frame.
  public static func encodedLength(ofClientMessage length: Int) -> Int {
    ClientMessages.headLength + (length + 7) & ~7
  }

  /// The longest client's message that a frame of `lengthMax` holds, in bytes.
  public var clientMessageMax: Int {
    (lengthMax - FrameHeader.length - ClientMessages.headLength) & ~7
  }

  /// Appends an encoded `ClientMessage`.
  public mutating func append(clientMessage message: RawSpan, into out: inout [UInt8]) {
    append(clientMessageOf: message.byteCount, into: &out) { $0.put(message) }
  }

  /// Appends the answer to one command of an applied slot; `replies` is the buffer it is in.
  public mutating func append(
    _ reply: CommandReply, in replies: ReplyBuffer, into out: inout [UInt8]
  ) {
    let length = ClientMessage.responseHeaderLength + reply.bytes.count
    append(clientMessageOf: length, into: &out) {
      ClientMessage.put(reply, in: replies, &$0)
    }
  }

  @inline(__always)
  private mutating func append(
    clientMessageOf length: Int, into out: inout [UInt8], _ body: (inout ByteWriter) -> Void
  ) {
    let encoded = Self.encodedLength(ofClientMessage: length)
    out.extend(by: encoded) { out in
      out.put(UInt64(length))
      body(&out)
      out.putZeroes(-length & 7)
    }
    noteAppended(encoded)
  }
}

extension FrameScreen {
  /// Nil when a client's frame may pass: of this cluster, for this replica, from somebody who claims to be no replica.
  public func clientRefusal(of route: FrameRoute) -> FrameRefusal? {
    guard route.cluster == cluster else { return .wrongCluster(route.cluster) }
    guard route.receiver == replica else { return .wrongReceiver(route.receiver) }
    guard route.sender == .client, route.senderIncarnation == Incarnation(0) else {
      return .notAClient(route.sender)
    }
    guard
      route.receiverIncarnation == Incarnation(0) || route.receiverIncarnation == incarnation
    else { return .otherLifeOfReceiver(route.receiverIncarnation, current: incarnation) }
    return nil
  }
}

/// What stands between the network and a client: only frames of its cluster, from the replica at the other end.
public struct ClientFrameScreen: Hashable, Sendable {
  public var cluster: ClusterID
  /// Whom the connection leads to.
  public var replica: ReplicaID

  public init(cluster: ClusterID, replica: ReplicaID) {
    self.cluster = cluster
    self.replica = replica
  }

  /// Nil when the frame may pass.
  public func refusal(of route: FrameRoute) -> FrameRefusal? {
    guard route.cluster == cluster else { return .wrongCluster(route.cluster) }
    guard route.receiver == .client, route.receiverIncarnation == Incarnation(0) else {
      return .wrongReceiver(route.receiver)
    }
    guard route.sender == replica else { return .wrongSender(route.sender) }
    return nil
  }
}
