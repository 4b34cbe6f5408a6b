/// Builds frames at the end of a buffer the caller owns: begin, append messages, finish.
///
/// One frame holds everything that goes to one peer in one turn of the loop. Payloads are copied in, or, where the host
/// gathers, only counted and checksummed where they lie (`appendFixed`).
public struct FrameWriter: Sendable {
  public let kind: FrameKind
  public let lengthMax: Int
  /// How many messages the frame has so far.
  public private(set) var count: UInt32 = 0
  /// How many bytes the frame has so far: header, fixed parts and payloads, wherever they lie.
  public private(set) var length = 0
  private var start = 0
  private var checksum: UInt32 = 0
  /// Up to here the buffer's bytes are in `checksum`.
  private var checked = 0

  public init(kind: FrameKind, lengthMax: Int = FrameParser.lengthMaxDefault) {
    precondition(lengthMax > FrameHeader.length && lengthMax <= Int(UInt32.max))
    self.kind = kind
    self.lengthMax = lengthMax
  }

  /// Begins a frame at the end of `out`.
  public mutating func begin(_ route: FrameRoute, into out: inout [UInt8]) {
    precondition(length == 0, "the frame before is not finished")
    start = out.count
    out.extend(by: FrameHeader.length) { out in
      out.put(FrameHeader.magic)
      out.put(FrameHeader.version)
      out.put(kind.rawValue)
      out.put(UInt16(FrameHeader.length))
      out.put(UInt32(0))  // the total length, known at the end
      out.put(UInt32(0))  // flags: none in this version
      out.put(route.cluster.rawValue)
      out.put(route.ring.rawValue)
      out.put(route.sender.rawValue)
      out.put(route.receiver.rawValue)
      out.put(route.senderIncarnation.rawValue)
      out.put(route.receiverIncarnation.rawValue)
      out.putZeroes(12)  // count and the two checksums, known at the end
    }
    count = 0
    length = FrameHeader.length
    checksum = 0
    checked = out.count
  }

  /// Whether a frame that is not empty yet takes `bytes` more bytes. A message longer than any frame is the caller's
  /// fault: payloads are bounded below `lengthMax` by configuration.
  public func hasRoom(for bytes: Int) -> Bool { length + bytes <= lengthMax && count < .max }

  /// Appends a message and a copy of its payload.
  public mutating func append(
    _ message: Message, epoch: Epoch, payload: RawSpan, into out: inout [UInt8]
  ) {
    let before = out.count
    MessageCodec.encode(message, epoch: epoch, payload: payload, into: &out)
    noteAppended(out.count - before)
  }

  /// Appends a message without its payload: the host sends `payload` from where it lies, between the bytes before and
  /// after the place returned (an offset in `out`).
  public mutating func appendFixed(
    _ message: Message, epoch: Epoch, payload: RawSpan, into out: inout [UInt8]
  ) -> Int {
    precondition(payload.byteCount == Int(message.payload.length), "payload is not the message's")
    MessageCodec.encodeFixed(message, epoch: epoch, into: &out)
    let place = out.count
    check(out, upTo: place)
    checksum = CRC32C.checksum(payload, seed: checksum)
    out.putZeroes(MessageCodec.padding(payload.byteCount))
    noteAppended(MessageCodec.encodedLength(of: message))
    return place
  }

  /// Appends a message that is encoded already and is the frame's only one (`Hello`).
  public mutating func append(encoded: RawSpan, into out: inout [UInt8]) {
    out.extend(by: encoded.byteCount) { $0.put(encoded) }
    noteAppended(encoded.byteCount)
  }

  /// Fills in what is known only now. Without a message the beginning is taken back and nothing is sent.
  public mutating func finish(into out: inout [UInt8]) {
    precondition(length > 0, "no frame was begun")
    defer { length = 0 }
    guard count > 0 else {
      out.removeLast(FrameHeader.length)
      return
    }
    check(out, upTo: out.count)
    out.set(UInt32(length), at: start + 8)
    out.set(count, at: start + 44)
    out.set(checksum, at: start + 48)
    let header = out.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[start..<start + 52]))
    }
    out.set(header, at: start + 52)
  }

  mutating func noteAppended(_ bytes: Int) {
    precondition(length > 0 && hasRoom(for: bytes), "the frame is not begun or too long")
    length += bytes
    count += 1
  }

  private mutating func check(_ out: [UInt8], upTo end: Int) {
    checksum = out.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[checked..<end]), seed: checksum)
    }
    checked = end
  }
}
