import Protocol
import Simulator
import Testing

@Suite struct RegisterMachineTests {
  typealias Request = RegisterMachine.Request
  typealias Answer = RegisterMachine.Answer

  /// One command in a slot of its own, past the sessions.
  static func run(
    _ machine: inout Application<RegisterMachine>, _ session: SessionID, _ sequence: UInt64,
    _ payload: [UInt8]
  ) throws -> Answer? {
    var command: [UInt8] = []
    Command.encode(
      session: session, sequence: SequenceNumber(sequence), acknowledgedUpTo: SequenceNumber(0),
      payload: payload.span.bytes, into: &command)
    var replies = ReplyBuffer()
    try machine.apply(machine.appliedUpTo.next, command.span.bytes, into: &replies)
    let reply = Array(replies.bytes[replies.replies[0].bytes])
    return Answer(reply.span.bytes)
  }

  static func opened(registers: Int = 64) throws -> (Application<RegisterMachine>, SessionID) {
    var app = Application(machine: RegisterMachine(registers: registers))
    var command: [UInt8] = []
    Command.encodeRegistration(nonce: 1, into: &command)
    var replies = ReplyBuffer()
    try app.apply(Slot(1), command.span.bytes, into: &replies)
    return (app, SessionID(1 << 16))
  }

  @Test func operationsDoWhatTheySay() throws {
    var (app, session) = try Self.opened()
    let steps: [(Request, UInt64, Answer.Status)] = [
      (Request(.get, key: 3), 0, .read),
      (Request(.put, key: 3, argument: 10), 0, .written),
      (Request(.put, key: 63, argument: 1), 0, .written),
      (Request(.fetchAndAdd, key: 3, argument: 5), 10, .written),
      (Request(.compareAndSet, key: 3, argument: 99, expected: 10), 15, .notEqual),
      (Request(.compareAndSet, key: 3, argument: 99, expected: 15), 15, .written),
      (Request(.get, key: 3), 99, .read),
      (Request(.fetchAndAdd, key: 3, argument: .max), 99, .written),
      (Request(.get, key: 3), 98, .read),
      (Request(.get, key: 64), 0, .malformed),
      (Request(.put, key: .max, argument: 1), 0, .malformed),
    ]
    for (i, (request, value, status)) in steps.enumerated() {
      var payload: [UInt8] = []
      request.encode(into: &payload)
      let answer = try Self.run(&app, session, UInt64(i + 1), payload)
      #expect(answer == Answer(value: value, status: status, slot: Slot(UInt64(i) + 2)))
    }
    var query: [UInt8] = []
    Request(.get, key: 3).encode(into: &query)
    var replies = ReplyBuffer()
    let range = app.query(query.span.bytes, into: &replies)
    let reply = Array(replies.bytes[range])
    #expect(Answer(reply.span.bytes) == Answer(value: 98, status: .read, slot: app.appliedUpTo))
  }

  @Test func malformedCommandsAndQueriesChangeNothing() throws {
    var (app, session) = try Self.opened()
    var good: [UInt8] = []
    Request(.put, key: 3, argument: 10).encode(into: &good)
    var unknown = good
    unknown[0] = 9
    var reserved = good
    reserved[2] = 1
    let registers = app.machine.registers
    for (i, payload) in [[], [1], unknown, reserved, good + [0]].enumerated() {
      let answer = try Self.run(&app, session, UInt64(i + 1), payload)
      #expect(answer?.status == .malformed)
      #expect(app.machine.registers == registers)
    }
    var replies = ReplyBuffer()
    let range = app.query(good.span.bytes, into: &replies)
    let reply = Array(replies.bytes[range])
    #expect(Answer(reply.span.bytes)?.status == .malformed)
  }

  @Test(arguments: [1, 2, 63, 64, 65, 8192, 8193, 20_000])
  func snapshotRoundTrip(registers: Int) throws {
    var (app, session) = try Self.opened(registers: registers)
    var random = SeededRandom(seed: UInt64(registers))
    for i in 1...50 as ClosedRange<UInt64> {
      var payload: [UInt8] = []
      Request(.put, key: UInt32(random.next(below: UInt64(registers))), argument: random.next())
        .encode(into: &payload)
      _ = try Self.run(&app, session, i, payload)
    }
    var bytes: [UInt8] = []
    var source = app.snapshot()
    while source.chunk(limit: 1000, into: &bytes) {}
    var restorer = app.restorer()
    try restorer.take(bytes.span.bytes)
    let restored = try restorer.finish()
    #expect(restored.machine.registers == app.machine.registers)
    #expect(restored.digest == app.digest)
    // A machine of another size refuses it.
    let other = Application(machine: RegisterMachine(registers: registers + 1))
    var refusing = other.restorer()
    #expect(throws: SnapshotInvalid.machine(RegisterMachine.Refusal.registers)) {
      try refusing.take(bytes.span.bytes)
    }
  }

  @Test func restoreRefusesMissingAndSurplusRegisters() {
    let header = withUnsafeBytes(of: (UInt64(4).littleEndian, UInt64(9).littleEndian)) { Array($0) }
    for (pieces, isWhole) in [
      ([32], true), ([16, 16], true), ([16], false), ([40], false), ([31], false),
    ] {
      var machine = RegisterMachine(registers: 4)
      machine.beginRestore()
      var failed = false
      do {
        try machine.restoreChunk(header.span.bytes)
        for length in pieces {
          let piece = [UInt8](repeating: 1, count: length)
          try machine.restoreChunk(piece.span.bytes)
        }
        try machine.finishRestore()
      } catch { failed = true }
      #expect(failed == !isWhole, "\(pieces)")
    }
  }

  @Test func digestDependsOnTheStateNotOnTheWayThere() throws {
    func digest(_ requests: [Request]) throws -> UInt64 {
      var (app, session) = try Self.opened()
      for (i, request) in requests.enumerated() {
        var payload: [UInt8] = []
        request.encode(into: &payload)
        _ = try Self.run(&app, session, UInt64(i + 1), payload)
      }
      return app.machine.digest
    }
    let a = try digest([Request(.put, key: 1, argument: 5), Request(.put, key: 2, argument: 6)])
    let b = try digest([
      Request(.put, key: 2, argument: 6), Request(.fetchAndAdd, key: 1, argument: 5),
    ])
    let c = try digest([Request(.put, key: 1, argument: 6), Request(.put, key: 2, argument: 5)])
    #expect(a == b)
    #expect(a != c)
  }
}
