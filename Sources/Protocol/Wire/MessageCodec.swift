/// What a decoder writes into the `BytesRef` of a message's payload.
public enum PayloadPlacement: Hashable, Sendable {
  /// The bytes stay where they were received; the buffer's first byte is at this position of the log buffer.
  case inPlace(origin: UInt64)
  /// The host will copy the payload to this position.
  case at(UInt64)

  func reference(to payload: Range<Int>) -> BytesRef {
    // An empty payload lies nowhere, so that equal messages have equal handles.
    guard !payload.isEmpty else { return .empty }
    let length = UInt32(truncatingIfNeeded: payload.count)
    switch self {
    case .inPlace(let origin):
      return BytesRef(position: origin &+ UInt64(payload.lowerBound), length: length)
    case .at(let position): return BytesRef(position: position, length: length)
    }
  }
}

/// A message as it came, and where in the decoded bytes its payload lies.
public struct DecodedMessage: Hashable, Sendable {
  public var envelope: Envelope
  /// In bytes, from the beginning of the decoded buffer.
  public var payload: Range<Int>
}

/// Messages as bytes: docs/wire-format.md, "Messages".
///
/// A message is its fixed part (a head of 16 bytes, then fields by kind; a multiple of 8 bytes) with its payload right
/// behind, filled up with zeroes to a multiple of 8. Every message has exactly one encoding. Sender and receiver are
/// the frame's business. Decoding is total: any bytes give a message or a `DecodeError`.
public enum MessageCodec {
  /// Tag, three zero bytes, payload length u32, epoch u64.
  public static let headLength = 16

  /// The kinds, in the order of `Message`. A tag keeps its meaning for ever.
  enum Tag: UInt8, CaseIterable {
    case prepare = 1
    case promise
    case report
    case accept
    case accepted
    case rejected
    case heartbeat
    case heartbeatReply
    case preVote
    case preVoteReply
    case standForElection
    case fetch
    case learn
    case snapshotOffer
    case snapshotFetch
    case snapshotChunk
    case inquiry
    case standing
    case stateDigest

    var fieldsLength: Int {
      switch self {
      case .inquiry: 8
      case .standForElection, .fetch, .stateDigest: 16
      case .preVote, .snapshotOffer: 24
      case .accepted, .rejected, .heartbeat, .heartbeatReply, .learn, .snapshotFetch,
        .snapshotChunk:
        32
      case .prepare, .accept, .preVoteReply: 40
      case .promise, .report, .standing: 48
      }
    }

    var hasPayload: Bool {
      switch self {
      case .report, .accept, .learn, .snapshotChunk: true
      case .prepare, .promise, .accepted, .rejected, .heartbeat, .heartbeatReply, .preVote,
        .preVoteReply, .standForElection, .fetch, .snapshotOffer, .snapshotFetch, .inquiry,
        .standing, .stateDigest:
        false
      }
    }
  }

  /// How many zero bytes follow a payload of this many bytes.
  @inlinable static func padding(_ length: Int) -> Int { -length & 7 }

  /// How many bytes the message has before its payload.
  public static func fixedLength(of message: Message) -> Int {
    headLength + tag(of: message).fieldsLength
  }

  /// How many bytes the message has with its payload and what fills that up.
  public static func encodedLength(of message: Message) -> Int {
    let payload = Int(message.payload.length)
    return fixedLength(of: message) + payload + padding(payload)
  }

  /// Appends the fixed part. What must follow is the payload and its padding.
  public static func encodeFixed(_ message: Message, epoch: Epoch, into out: inout [UInt8]) {
    let tag = tag(of: message)
    out.extend(by: headLength + tag.fieldsLength) { out in
      out.put(tag.rawValue)
      out.putZeroes(3)
      out.put(message.payload.length)
      out.put(epoch.rawValue)
      encodeFields(message, into: &out)
    }
  }

  /// Appends the whole message. `payload` holds the bytes `message.payload` stands for.
  public static func encode(
    _ message: Message, epoch: Epoch, payload: RawSpan, into out: inout [UInt8]
  ) {
    precondition(payload.byteCount == Int(message.payload.length), "payload is not the message's")
    encodeFixed(message, epoch: epoch, into: &out)
    guard payload.byteCount > 0 else { return }
    let padding = padding(payload.byteCount)
    out.extend(by: payload.byteCount + padding) { out in
      out.put(payload)
      out.putZeroes(padding)
    }
  }

  /// Decodes the message at the reader's offset and moves behind it, payload and padding included.
  public static func decode(
    _ reader: inout ByteReader, from: ReplicaID, to: ReplicaID, placing placement: PayloadPlacement
  ) throws(DecodeError) -> DecodedMessage {
    let begin = reader.offset
    guard let tag = Tag(rawValue: try reader.u8()) else {
      throw DecodeError(.unknownTag, at: begin)
    }
    try reader.zeroes(3)
    let length = try reader.u32()
    guard length == 0 || tag.hasPayload else { throw DecodeError(.length, at: begin + 4) }
    let epoch = Epoch(try reader.u64())
    guard reader.remaining >= tag.fieldsLength else {
      throw DecodeError(.truncated, at: reader.offset)
    }
    let fields = reader.offset
    let payload = fields + tag.fieldsLength..<fields + tag.fieldsLength + Int(length)
    let message = try decodeFields(tag, &reader, payload: placement.reference(to: payload), length)
    assert(reader.offset == payload.lowerBound, "fields and their length disagree")
    _ = try reader.skip(payload.count)
    try reader.zeroes(padding(payload.count))
    return DecodedMessage(
      envelope: Envelope(from: from, to: to, epoch: epoch, message: message), payload: payload)
  }

  static func tag(of message: Message) -> Tag {
    switch message {
    case .prepare: .prepare
    case .promise: .promise
    case .report: .report
    case .accept: .accept
    case .accepted: .accepted
    case .rejected: .rejected
    case .heartbeat: .heartbeat
    case .heartbeatReply: .heartbeatReply
    case .preVote: .preVote
    case .preVoteReply: .preVoteReply
    case .standForElection: .standForElection
    case .fetch: .fetch
    case .learn: .learn
    case .snapshotOffer: .snapshotOffer
    case .snapshotFetch: .snapshotFetch
    case .snapshotChunk: .snapshotChunk
    case .inquiry: .inquiry
    case .standing: .standing
    case .stateDigest: .stateDigest
    }
  }
}
