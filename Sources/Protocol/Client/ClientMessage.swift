/// What a client and a replica say to each other. Ranges point into the bytes the message was decoded from, so a
/// command's bytes can be received into their final place and only pointed at.
///
/// Encoded, little endian: tag u8, code u8, two zero bytes, extra u32; then, by tag,
///
///     request     command to the end (it begins at byte 8, aligned as the message is)
///     read        session, sequence, atLeast u64, query to the end; the code is the mode
///     response    session, sequence, word u64, reply to the end; the code says what the answer is
public enum ClientMessage: Hashable, Sendable {
  /// Put this encoded command into the log. Answered with the command's session and sequence.
  case request(command: Range<Int>)
  case read(RequestID, ReadMode, query: Range<Int>)
  case response(RequestID, ClientResponse)
}

/// A replica's answer to one request.
public enum ClientResponse: Hashable, Sendable {
  /// The command's slot was applied.
  case command(CommandOutcome, reply: Range<Int>)
  /// The read's answer from the state after `appliedUpTo`.
  case read(appliedUpTo: Slot, reply: Range<Int>)
  case rejected(Rejection)
}

// The layout. Every field that a tag or code does not use is zero, so every message has exactly one encoding.
private enum Tag: UInt8 {
  case request = 1
  case read = 2
  case response = 3
}

private enum ModeCode: UInt8 {
  case quorum = 1
  case lease = 2
  case local = 3
}

private enum ResponseCode: UInt8 {
  case applied = 1
  case forgotten = 2
  case registered = 3
  case outOfOrder = 4
  case expired = 5
  case read = 6
  case notLeader = 16
  case notLeaderHint = 17
  case overloaded = 18
  case transferring = 19
  case tooLarge = 21
  case notApplied = 22
  case leasesDisabled = 23
  case noRoom = 24

  var hasReply: Bool { self == .applied || self == .read }
  var hasWord: Bool {
    switch self {
    case .applied, .registered, .outOfOrder, .read, .notApplied: true
    default: false
    }
  }
  var hasExtra: Bool { self == .notLeaderHint || self == .transferring || self == .tooLarge }
}

extension ClientMessage {
  /// How many bytes lie before a request's command.
  public static let requestHeaderLength = 8
  /// How many bytes lie before a read's query or a response's reply.
  public static let responseHeaderLength = 32

  /// Appends a request; `command` is an encoded `Command`.
  public static func encodeRequest(command: RawSpan, into bytes: inout [UInt8]) {
    beginRequest(into: &bytes)
    command.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  /// Appends what comes before a request's command.
  static func beginRequest(into bytes: inout [UInt8]) { head(.request, 0, 0, &bytes) }

  public static func encodeRead(
    _ id: RequestID, _ mode: ReadMode, query: RawSpan, into bytes: inout [UInt8]
  ) {
    let (code, word): (ModeCode, UInt64) =
      switch mode {
      case .quorum: (.quorum, 0)
      case .lease: (.lease, 0)
      case .local(let atLeast): (.local, atLeast.rawValue)
      }
    head(.read, code.rawValue, 0, &bytes)
    bytes.extend(by: 24) { bytes in
      bytes.put(id.session.rawValue)
      bytes.put(id.sequence.rawValue)
      bytes.put(word)
    }
    query.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  /// Appends the answer to one command of an applied slot; `replies` is the buffer it is in.
  public static func encodeResponse(
    _ reply: CommandReply, in replies: ReplyBuffer, into bytes: inout [UInt8]
  ) {
    bytes.extend(by: responseHeaderLength + reply.bytes.count) { put(reply, in: replies, &$0) }
  }

  /// Writes the answer to one command.
  static func put(_ reply: CommandReply, in replies: ReplyBuffer, _ bytes: inout ByteWriter) {
    let (code, word): (ResponseCode, UInt64) =
      switch reply.outcome {
      case .applied(let slot): (.applied, slot.rawValue)
      case .forgotten: (.forgotten, 0)
      case .registered(let session): (.registered, session.rawValue)
      case .outOfOrder(let expected): (.outOfOrder, expected.rawValue)
      case .expired: (.expired, 0)
      }
    putResponse(code, 0, reply.request, word, &bytes)
    bytes.put(replies.bytes.span.bytes.extracting(reply.bytes))
  }

  /// Appends the answer to a read, given from the state after `appliedUpTo`.
  public static func encodeReadResponse(
    _ id: RequestID, appliedUpTo: Slot, reply: RawSpan, into bytes: inout [UInt8]
  ) {
    response(.read, 0, id, appliedUpTo.rawValue, &bytes)
    reply.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  public static func encodeRejection(
    _ id: RequestID, _ rejection: Rejection, into bytes: inout [UInt8]
  ) {
    switch rejection {
    case .notLeader(nil): response(.notLeader, 0, id, 0, &bytes)
    case .notLeader(let leader?): response(.notLeaderHint, leader.rawValue, id, 0, &bytes)
    case .overloaded: response(.overloaded, 0, id, 0, &bytes)
    case .transferring(let to): response(.transferring, to.rawValue, id, 0, &bytes)
    case .tooLarge(let limit): response(.tooLarge, limit, id, 0, &bytes)
    case .notApplied(let slot): response(.notApplied, 0, id, slot.rawValue, &bytes)
    case .leasesDisabled: response(.leasesDisabled, 0, id, 0, &bytes)
    case .noRoom: response(.noRoom, 0, id, 0, &bytes)
    }
  }

  private static func head(_ tag: Tag, _ code: UInt8, _ extra: UInt32, _ bytes: inout [UInt8]) {
    bytes.extend(by: requestHeaderLength) { put(tag, code, extra, &$0) }
  }

  private static func put(_ tag: Tag, _ code: UInt8, _ extra: UInt32, _ bytes: inout ByteWriter) {
    bytes.put(UInt32(tag.rawValue) | UInt32(code) << 8)  // Then two zero bytes.
    bytes.put(extra)
  }

  private static func response(
    _ code: ResponseCode, _ extra: UInt32, _ id: RequestID, _ word: UInt64, _ bytes: inout [UInt8]
  ) {
    bytes.extend(by: responseHeaderLength) { putResponse(code, extra, id, word, &$0) }
  }

  private static func putResponse(
    _ code: ResponseCode, _ extra: UInt32, _ id: RequestID, _ word: UInt64,
    _ bytes: inout ByteWriter
  ) {
    put(.response, code.rawValue, extra, &bytes)
    bytes.put(id.session.rawValue)
    bytes.put(id.sequence.rawValue)
    bytes.put(word)
  }
}

extension ClientMessage {
  /// Decodes one message that fills `bytes`. Total: any bytes give a message or an error. A request's command is not
  /// looked into; `CommandRef(verifying:position:)` does that.
  public init(_ bytes: RawSpan) throws(DecodeError) {
    self = try bytes.withUnsafeBytes { (raw) throws(DecodeError) in
      var reader = ByteReader(raw)
      return try ClientMessage(from: &reader)
    }
  }

  private init(from reader: inout ByteReader) throws(DecodeError) {
    guard let tag = Tag(rawValue: try reader.u8()) else { throw DecodeError(.unknownTag, at: 0) }
    let code = try reader.u8()
    try reader.zeroes(2)
    let extra = try reader.u32()
    switch tag {
    case .request:
      guard code == 0, extra == 0 else { throw DecodeError(.reservedNotZero, at: 1) }
      self = .request(command: try reader.skip(reader.remaining))
    case .read:
      guard extra == 0 else { throw DecodeError(.reservedNotZero, at: 4) }
      self = try Self.read(code, &reader)
    case .response:
      self = try Self.response(code, extra, &reader)
    }
  }

  private static func read(
    _ code: UInt8, _ reader: inout ByteReader
  ) throws(DecodeError) -> ClientMessage {
    guard let code = ModeCode(rawValue: code) else { throw DecodeError(.unknownTag, at: 1) }
    let id = try requestID(&reader)
    let atLeast = try reader.u64()
    let query = try reader.skip(reader.remaining)
    guard code == .local || atLeast == 0 else { throw DecodeError(.contradiction, at: 24) }
    return switch code {
    case .quorum: .read(id, .quorum, query: query)
    case .lease: .read(id, .lease, query: query)
    case .local: .read(id, .local(atLeast: Slot(atLeast)), query: query)
    }
  }

  private static func response(
    _ code: UInt8, _ extra: UInt32, _ reader: inout ByteReader
  ) throws(DecodeError) -> ClientMessage {
    guard let code = ResponseCode(rawValue: code) else { throw DecodeError(.unknownTag, at: 1) }
    let id = try requestID(&reader)
    let word = try reader.u64()
    let reply = try reader.skip(reader.remaining)
    guard code.hasExtra || extra == 0 else { throw DecodeError(.contradiction, at: 4) }
    guard code.hasWord || word == 0 else { throw DecodeError(.contradiction, at: 24) }
    guard code.hasReply || reply.isEmpty else {
      throw DecodeError(.trailing, at: reply.lowerBound)
    }
    let response: ClientResponse =
      switch code {
      case .applied: .command(.applied(slot: Slot(word)), reply: reply)
      case .forgotten: .command(.forgotten, reply: reply)
      case .registered: .command(.registered(SessionID(word)), reply: reply)
      case .outOfOrder: .command(.outOfOrder(expected: SequenceNumber(word)), reply: reply)
      case .expired: .command(.expired, reply: reply)
      case .read: .read(appliedUpTo: Slot(word), reply: reply)
      case .notLeader: .rejected(.notLeader(leader: nil))
      case .notLeaderHint: .rejected(.notLeader(leader: ReplicaID(extra)))
      case .overloaded: .rejected(.overloaded)
      case .transferring: .rejected(.transferring(to: ReplicaID(extra)))
      case .tooLarge: .rejected(.tooLarge(limit: extra))
      case .notApplied: .rejected(.notApplied(appliedUpTo: Slot(word)))
      case .leasesDisabled: .rejected(.leasesDisabled)
      case .noRoom: .rejected(.noRoom)
      }
    return .response(id, response)
  }

  private static func requestID(_ reader: inout ByteReader) throws(DecodeError) -> RequestID {
    let session = try reader.u64()
    return RequestID(session: SessionID(session), sequence: SequenceNumber(try reader.u64()))
  }
}
