import Protocol
import Testing

@Suite struct SessionTableTests {
  static let limits = SessionTable.Limits(sessionsMax: 2, outstandingMax: 3, replyLengthMax: 16)

  /// One command of the session under test, and what must come of it.
  struct Step: Sendable {
    var sequence: UInt64
    var acknowledged: UInt64 = 0
    var outcome: CommandOutcome
    /// The reply is the n-th command's.
    var reply: UInt64? = nil
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var steps: [Step]
  }

  /// The session is registered in slot 1, so the n-th step is slot n + 1.
  static let rows: [Row] = [
    Row(
      testDescription: "in order",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
      ]),
    Row(
      testDescription: "duplicate repeats the first reply and slot",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(4)), reply: 2),
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
      ]),
    Row(
      testDescription: "gap is not applied, before or after it closes",
      steps: [
        Step(sequence: 2, outcome: .outOfOrder(expected: SequenceNumber(1))),
        Step(sequence: .max, outcome: .outOfOrder(expected: SequenceNumber(1))),
        Step(sequence: 1, outcome: .applied(slot: Slot(4)), reply: 1),
        Step(sequence: 3, outcome: .outOfOrder(expected: SequenceNumber(2))),
        Step(sequence: 2, outcome: .applied(slot: Slot(6)), reply: 2),
      ]),
    Row(
      testDescription: "acknowledged replies are forgotten",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
        Step(sequence: 3, acknowledged: 1, outcome: .applied(slot: Slot(4)), reply: 3),
        Step(sequence: 1, outcome: .forgotten),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
      ]),
    Row(
      testDescription: "acknowledgements never go back",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, acknowledged: 1, outcome: .applied(slot: Slot(3)), reply: 2),
        Step(sequence: 3, acknowledged: 0, outcome: .applied(slot: Slot(4)), reply: 3),
        Step(sequence: 1, outcome: .forgotten),
      ]),
    Row(
      testDescription: "a duplicate's acknowledgement counts",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
        Step(sequence: 2, acknowledged: 1, outcome: .applied(slot: Slot(3)), reply: 2),
        Step(sequence: 1, outcome: .forgotten),
      ]),
    Row(
      testDescription: "a gap's acknowledgement does not",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 9, acknowledged: 8, outcome: .outOfOrder(expected: SequenceNumber(2))),
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(5)), reply: 2),
      ]),
    Row(
      testDescription: "more outstanding than allowed: the oldest reply goes",
      steps: [
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
        Step(sequence: 3, outcome: .applied(slot: Slot(4)), reply: 3),
        Step(sequence: 1, outcome: .applied(slot: Slot(2)), reply: 1),
        Step(sequence: 4, outcome: .applied(slot: Slot(6)), reply: 4),
        Step(sequence: 1, outcome: .forgotten),
        Step(sequence: 2, outcome: .applied(slot: Slot(3)), reply: 2),
      ]),
  ]

  @Test(arguments: rows)
  func sequence(_ row: Row) {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(7)
    for step in row.steps {
      let before = app.machine.applied.count
      let last = app.sessions.lastApplied(of: session)!
      let answer = app.applyOne(
        operation(session, step.sequence, acknowledged: step.acknowledged))
      #expect(answer.outcome == step.outcome)
      #expect(answer.reply == (step.reply.map { logReply($0) } ?? []))
      let isNew = step.outcome == .applied(slot: app.appliedUpTo)
      #expect(app.machine.applied.count == before + (isNew ? 1 : 0))
      #expect(app.sessions.lastApplied(of: session)!.rawValue == last.rawValue + (isNew ? 1 : 0))
    }
  }

  @Test func sessionIsNamedByItsPlaceInTheLog() throws {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let answers = try app.applyNext([registration(5), registration(6)])
    #expect(answers[0].outcome == .registered(SessionID(1 << 16)))
    #expect(answers[1].outcome == .registered(SessionID(1 << 16 | 1)))
    let later = try app.applyNext([operation(SessionID(1 << 16 | 1), 1), registration(7)])
    #expect(later[1].outcome == .registered(SessionID(2 << 16 | 1)))
  }

  @Test func registrationAgainGivesTheSameSessionUntilItIsUsed() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(5)
    #expect(app.register(5) == session)
    #expect(app.sessions.count == 1)
    _ = app.applyOne(operation(session, 1))
    // Whoever asks now is not the client that has the session.
    #expect(app.applyOne(registration(5)).outcome == .expired)
    #expect(app.applyOne(operation(session, 2)).outcome == .applied(slot: app.appliedUpTo))
  }

  @Test func unknownSessionIsExpired() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(5)
    #expect(app.applyOne(operation(SessionID(session.rawValue + 1), 1)).outcome == .expired)
    // The nonce is not a session.
    #expect(app.applyOne(operation(SessionID(5), 1)).outcome == .expired)
    #expect(app.machine.applied.isEmpty)
  }

  @Test func theLeastRecentlyUsedSessionIsEvictedAndStaysDead() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let a = app.register(1)
    let b = app.register(2)
    let first = operation(a, 1, "once")
    #expect(app.applyOne(first).outcome == .applied(slot: Slot(3)))
    let c = app.register(3)
    #expect(app.sessions.evictions == 1)
    #expect(app.sessions.contains(a) && app.sessions.contains(c) && !app.sessions.contains(b))
    #expect(app.applyOne(operation(b, 1)).outcome == .expired)
    _ = app.applyOne(operation(c, 1))
    _ = app.register(4)
    // The bug this avoids: a late copy of an evicted session's command opens a session and applies again.
    #expect(!app.sessions.contains(a))
    #expect(app.applyOne(first).outcome == .expired)
    #expect(app.machine.applied.filter { $0.payload == Array("once".utf8) }.count == 1)
    // The same nonce makes another session.
    #expect(app.register(1) != a)
    #expect(app.applyOne(first).outcome == .expired)
  }

  @Test func everyNamedUseCountsAsUse() {
    for use in 0..<4 {
      var app = Application(machine: LogMachine(), limits: Self.limits)
      let a = app.register(1)
      if use == 2 { _ = app.applyOne(operation(a, 1)) }
      let b = app.register(2)
      switch use {
      case 0: _ = app.register(1)
      case 1: _ = app.applyOne(operation(a, 1))
      case 2: _ = app.applyOne(operation(a, 1))
      default: _ = app.applyOne(operation(a, 7))
      }
      _ = app.register(3)
      #expect(app.sessions.contains(a), "use \(use)")
      #expect(!app.sessions.contains(b), "use \(use)")
    }
  }

  @Test func longReplyIsAnsweredOnceAndNotKept() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(1)
    let fits = operation(session, 1, "12345678")
    let long = operation(session, 2, "123456789")
    #expect(app.applyOne(fits).reply == logReply(1, "12345678"))
    #expect(
      app.applyOne(long)
        == Answer(outcome: .applied(slot: Slot(3)), reply: logReply(2, "123456789")))
    #expect(app.applyOne(fits).reply == logReply(1, "12345678"))
    #expect(app.applyOne(long) == Answer(outcome: .forgotten, reply: []))
    #expect(app.machine.applied.count == 2)
  }

  @Test func malformedBatchChangesNothing() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(1)
    let digest = app.digest
    let batch = operation(session, 1) + [1, 2, 3]
    var replies = ReplyBuffer()
    #expect(throws: CommandInvalid.truncated(at: 40)) {
      try app.apply(Slot(2), batch.span.bytes, into: &replies)
    }
    #expect(app.digest == digest && app.appliedUpTo == Slot(1) && replies.replies.isEmpty)
    #expect(app.applyOne(operation(session, 1)).outcome == .applied(slot: Slot(2)))
  }

  @Test func noopAdvancesTheSlotOnly() throws {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    #expect(try app.applyNext([]).isEmpty)
    #expect(app.appliedUpTo == Slot(1))
    #expect(app.machine.applied.isEmpty)
  }

  @Test func repliesOfOneBatchLieBehindOneAnother() throws {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(1)
    let answers = try app.applyNext([
      operation(session, 1, "a"), operation(session, 1, "a"), operation(session, 3, "c"),
      operation(session, 2, "b"),
    ])
    #expect(
      answers == [
        Answer(outcome: .applied(slot: Slot(2)), reply: logReply(1, "a")),
        Answer(outcome: .applied(slot: Slot(2)), reply: logReply(1, "a")),
        Answer(outcome: .outOfOrder(expected: SequenceNumber(2)), reply: []),
        Answer(outcome: .applied(slot: Slot(2)), reply: logReply(2, "b")),
      ])
  }

  @Test func queryReadsWithoutChanging() {
    var app = Application(machine: LogMachine(), limits: Self.limits)
    let session = app.register(1)
    _ = app.applyOne(operation(session, 1))
    let digest = app.digest
    var replies = ReplyBuffer()
    let question = Array("how many".utf8)
    let first = app.query(question.span.bytes, into: &replies)
    let second = app.query([UInt8]().span.bytes, into: &replies)
    #expect(Array(replies.bytes[first]) == logReply(1, "how many"))
    #expect(Array(replies.bytes[second]) == logReply(1, ""))
    #expect(app.digest == digest)
  }

  #if !os(iOS)
    @Test func slotsOutOfOrderStopTheReplica() async {
      await #expect(processExitsWith: .failure) {
        var app = Application(machine: LogMachine())
        var replies = ReplyBuffer()
        try app.apply(Slot(2), [UInt8]().span.bytes, into: &replies)
      }
    }
  #endif
}
