import Protocol
import Testing

@Suite struct ClientMessageTests {
  static let id = RequestID(session: SessionID(0x0102_0304_0506_0708), sequence: SequenceNumber(9))
  static let reply: [UInt8] = [1, 2, 3]

  struct Example: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var bytes: [UInt8]
    var message: ClientMessage
  }

  static let examples: [Example] = {
    var examples: [Example] = []
    func add(_ name: String, _ message: ClientMessage, _ encode: (inout [UInt8]) -> Void) {
      var bytes: [UInt8] = []
      encode(&bytes)
      examples.append(Example(testDescription: name, bytes: bytes, message: message))
    }
    let command = operation(SessionID(3), 1)
    add("request", .request(command: 8..<8 + command.count)) {
      ClientMessage.encodeRequest(command: command.span.bytes, into: &$0)
    }
    for mode in [.quorum, .lease, .local(atLeast: .zero), .local(atLeast: .last)] as [ReadMode] {
      add("read \(mode)", .read(id, mode, query: 32..<35)) {
        ClientMessage.encodeRead(id, mode, query: reply.span.bytes, into: &$0)
      }
    }
    add("read response", .response(id, .read(appliedUpTo: Slot(77), reply: 32..<35))) {
      ClientMessage.encodeReadResponse(
        id, appliedUpTo: Slot(77), reply: reply.span.bytes, into: &$0)
    }
    for rejection in [
      .notLeader(leader: nil), .notLeader(leader: ReplicaID(0)),
      .notLeader(leader: ReplicaID(.max)),
      .overloaded, .transferring(to: ReplicaID(4)), .tooLarge(limit: 1 << 20),
      .notApplied(appliedUpTo: Slot(5)), .leasesDisabled, .noRoom,
    ] as [Rejection] {
      add("\(rejection)", .response(id, .rejected(rejection))) {
        ClientMessage.encodeRejection(id, rejection, into: &$0)
      }
    }
    return examples
  }()

  @Test(arguments: examples)
  func decodesWhatWasEncoded(_ example: Example) throws {
    #expect(try ClientMessage(example.bytes.span.bytes) == example.message)
  }

  @Test func everyOutcomeSurvivesTheWay() throws {
    var app = Application(
      machine: LogMachine(), limits: .init(sessionsMax: 2, outstandingMax: 1, replyLengthMax: 99))
    var replies = ReplyBuffer()
    let session = SessionID(1 << 16)
    let batch =
      registration(4) + operation(session, 1) + operation(session, 3) + operation(session, 2)
      + operation(session, 1) + operation(SessionID(99), 1)
    try app.apply(Slot(1), batch.span.bytes, into: &replies)
    let outcomes: [CommandOutcome] = [
      .registered(session), .applied(slot: Slot(1)), .outOfOrder(expected: SequenceNumber(2)),
      .applied(slot: Slot(1)), .forgotten, .expired,
    ]
    #expect(replies.replies.map(\.outcome) == outcomes)
    for reply in replies.replies {
      var bytes: [UInt8] = []
      ClientMessage.encodeResponse(reply, in: replies, into: &bytes)
      guard
        case .response(reply.request, .command(reply.outcome, let range)) = try ClientMessage(
          bytes.span.bytes)
      else {
        Issue.record("\(reply) came back as something else")
        continue
      }
      #expect(Array(bytes[range]) == Array(replies.bytes[reply.bytes]))
    }
  }

  @Test(arguments: examples)
  func truncatedHeadIsATypedError(_ example: Example) {
    let head = if case .request = example.message { 8 } else { 32 }
    for length in 0..<head {
      let cut = Array(example.bytes[..<length])
      #expect(throws: DecodeError.self) { try ClientMessage(cut.span.bytes) }
    }
  }

  /// Whatever the bytes are: an error, or a message that encodes to the same bytes.
  @Test(arguments: 1...40)
  func oneEncodingForEachMessage(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    for _ in 0..<500 {
      var bytes = Self.examples[Int(random.next(below: UInt64(Self.examples.count)))].bytes
      for _ in 0...random.next(below: 3) {
        bytes[Int(random.next(below: UInt64(bytes.count)))] = UInt8(random.next(below: 30))
      }
      if random.next(below: 4) == 0 { bytes.removeLast(Int(random.next(below: 4))) }
      guard let message = try? ClientMessage(bytes.span.bytes) else { continue }
      var again: [UInt8] = []
      switch message {
      case .request(let command):
        let part = Array(bytes[command])
        ClientMessage.encodeRequest(command: part.span.bytes, into: &again)
      case .read(let id, let mode, let query):
        let part = Array(bytes[query])
        ClientMessage.encodeRead(id, mode, query: part.span.bytes, into: &again)
      case .response(let id, .read(let slot, let reply)):
        let part = Array(bytes[reply])
        ClientMessage.encodeReadResponse(
          id, appliedUpTo: slot, reply: part.span.bytes, into: &again)
      case .response(let id, .rejected(let rejection)):
        ClientMessage.encodeRejection(id, rejection, into: &again)
      case .response(_, .command): continue
      }
      #expect(again == bytes)
    }
  }
}
