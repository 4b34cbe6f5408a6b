import Protocol
import Testing

/// A client with its clock and everything it asked for, decoded.
struct ClientRig {
  enum Sent: Hashable {
    case registration(nonce: UInt64)
    case operation(session: SessionID, sequence: UInt64, acknowledged: UInt64, payload: String)
    case read(RequestID, ReadMode, query: String)
  }

  struct Sending: Hashable {
    var to: ReplicaID
    var sent: Sent
  }

  struct Completion: Hashable {
    var tag: UInt64
    var result: ClientResult
    var reply: String
  }

  var client: ClientSession
  var now = Instant.zero
  var deadline = Instant.never
  /// Since it was last taken.
  var sendings: [Sending] = []
  var completions: [Completion] = []
  var nextTag: UInt64 = 1

  init(
    replicas: UInt32 = 3, windowMax: Int = 4, queueMax: Int = 4, searchMax: TimeSpan? = nil,
    seed: UInt64 = 1
  ) {
    client = ClientSession(
      options: ClientOptions(
        replicas: (1...replicas).map { ReplicaID($0) }, windowMax: windowMax, queueMax: queueMax,
        readsMax: 2, payloadMax: 64, retryMin: .milliseconds(100), retryMax: .milliseconds(800),
        backoffMin: .milliseconds(10), backoffMax: .milliseconds(80), searchMax: searchMax),
      seed: seed)
  }

  mutating func step(_ event: ClientEvent, _ bytes: [UInt8] = []) {
    var effects = ClientEffects()
    client.step(event, bytes: bytes.span.bytes, now: now, into: &effects)
    #expect(client.contracts.violation == nil)
    for effect in effects.effects {
      switch effect {
      case .send(let to, let range):
        sendings.append(Sending(to: to, sent: Self.decode(Array(effects.bytes[range]))))
      case .complete(let tag, let result):
        let range: Range<Int>? =
          switch result {
          case .applied(_, let reply), .read(_, let reply): reply
          default: nil
          }
        let reply = range.map { String(decoding: effects.bytes[$0], as: UTF8.self) } ?? ""
        completions.append(Completion(tag: tag, result: result, reply: reply))
      case .setDeadline(let instant): deadline = instant
      case .sessionChanged: break
      }
    }
  }

  static func decode(_ bytes: [UInt8]) -> Sent {
    switch try? ClientMessage(bytes.span.bytes) {
    case .request(let range)?:
      let part = Array(bytes[range])
      guard let command = try? Command(at: 0, of: part.span.bytes), command.end == part.count else {
        fatalError("the client sent a malformed command")
      }
      if command.kind == .registration { return .registration(nonce: command.session.rawValue) }
      return .operation(
        session: command.session, sequence: command.sequence.rawValue,
        acknowledged: command.acknowledgedUpTo.rawValue,
        payload: String(decoding: part[command.payload], as: UTF8.self))
    case .read(let id, let mode, let query)?:
      return .read(id, mode, query: String(decoding: bytes[query], as: UTF8.self))
    case .response?, nil: fatalError("the client sent what is no request")
    }
  }

  mutating func takeSendings() -> [Sending] {
    defer { sendings = [] }
    return sendings
  }

  mutating func takeCompletions() -> [Completion] {
    defer { completions = [] }
    return completions
  }

  /// Submits a command with this payload; answers its tag.
  @discardableResult
  mutating func submit(_ payload: String, within span: TimeSpan = .seconds(10)) -> UInt64 {
    defer { nextTag += 1 }
    step(.commandSubmitted(tag: nextTag, deadline: now + span), Array(payload.utf8))
    return nextTag
  }

  @discardableResult
  mutating func read(_ mode: ReadMode, within span: TimeSpan = .seconds(10)) -> UInt64 {
    defer { nextTag += 1 }
    step(.readSubmitted(tag: nextTag, mode, deadline: now + span), Array("q".utf8))
    return nextTag
  }

  /// Lets time pass until `until`, with every deadline on the way.
  mutating func pass(_ span: TimeSpan) {
    let end = now + span
    while deadline <= end {
      now = max(now, deadline)
      step(.deadlineReached)
    }
    now = end
  }

  /// Lets time pass until the client wakes by itself.
  mutating func wake() {
    now = max(now, deadline)
    step(.deadlineReached)
  }

  mutating func answer(
    from: ReplicaID, _ session: SessionID, _ sequence: UInt64, _ outcome: CommandOutcome,
    reply: String = ""
  ) {
    let (code, word): (UInt8, UInt64) =
      switch outcome {
      case .applied(let slot): (1, slot.rawValue)
      case .forgotten: (2, 0)
      case .registered(let session): (3, session.rawValue)
      case .outOfOrder(let expected): (4, expected.rawValue)
      case .expired: (5, 0)
      }
    var bytes: [UInt8] = [3, code, 0, 0, 0, 0, 0, 0]
    bytes.put(session.rawValue)
    bytes.put(sequence)
    bytes.put(word)
    step(.messageReceived(from: from), bytes + Array(reply.utf8))
  }

  mutating func reject(
    from: ReplicaID, _ session: SessionID, _ sequence: UInt64, _ rejection: Rejection
  ) {
    var bytes: [UInt8] = []
    ClientMessage.encodeRejection(
      RequestID(session: session, sequence: SequenceNumber(sequence)), rejection, into: &bytes)
    step(.messageReceived(from: from), bytes)
  }

  mutating func answerRead(
    from: ReplicaID, _ id: RequestID, appliedUpTo: UInt64, reply: String = "r"
  ) {
    var bytes: [UInt8] = []
    let replyBytes = Array(reply.utf8)
    ClientMessage.encodeReadResponse(
      id, appliedUpTo: Slot(appliedUpTo), reply: replyBytes.span.bytes, into: &bytes)
    step(.messageReceived(from: from), bytes)
  }

  static let session = SessionID(7 << 16)

  /// A rig whose client has a session and has sent `commands`, whose sendings are taken; answers the leader it believes in.
  static func opened(
    _ commands: String..., windowMax: Int = 4, queueMax: Int = 4, replicas: UInt32 = 3,
    within span: TimeSpan = .seconds(10)
  ) -> (ClientRig, leader: ReplicaID) {
    var rig = ClientRig(replicas: replicas, windowMax: windowMax, queueMax: queueMax)
    for command in commands { rig.submit(command, within: span) }
    let registration = rig.takeSendings()
    guard registration.count == 1, case .registration(let nonce) = registration[0].sent else {
      fatalError("the first command does not register")
    }
    rig.answer(from: registration[0].to, SessionID(nonce), 0, .registered(session))
    return (rig, registration[0].to)
  }

  func operation(
    _ sequence: UInt64, _ payload: String, acknowledged: UInt64 = 0, to: ReplicaID,
    session: SessionID = session
  ) -> Sending {
    Sending(
      to: to,
      sent: .operation(
        session: session, sequence: sequence, acknowledged: acknowledged, payload: payload))
  }
}
