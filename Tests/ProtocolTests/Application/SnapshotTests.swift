import Protocol
import Testing

@Suite struct SnapshotTests {
  static let limits = SessionTable.Limits(sessionsMax: 3, outstandingMax: 2, replyLengthMax: 12)

  /// Three sessions in another order of use than of birth; replies kept, forgotten, too long; commands of many lengths.
  static func sample() -> Application<LogMachine> {
    var app = Application(machine: LogMachine(), limits: limits)
    let dead = app.register(1)
    _ = app.applyOne(operation(dead, 1))
    let a = app.register(2)
    let b = app.register(3)
    let c = app.register(4)
    _ = app.applyOne(operation(b, 1, "b1"))
    _ = app.applyOne(operation(a, 1, "long enough to be dropped"))
    _ = app.applyOne(operation(a, 2, "a2"))
    _ = app.applyOne(operation(b, 2, acknowledged: 1, "b2"))
    _ = try! app.applyNext([])
    _ = c
    return app
  }

  @Test func everyChunkSizeGivesTheSameBytesAndTheSameState() throws {
    let app = Self.sample()
    let whole = app.snapshotBytes()
    for chunk in 1...whole.count + 1 {
      #expect(app.snapshotBytes(chunk: chunk) == whole, "chunks of \(chunk)")
      let restored = try app.restored(from: whole, chunk: chunk)
      #expect(restored.digest == app.digest)
      #expect(restored.machine == app.machine)
      #expect(restored.appliedUpTo == app.appliedUpTo)
      #expect(restored.snapshotBytes() == whole)
    }
  }

  @Test func chunksAreAsLongAsAskedButTheLast() {
    let app = Self.sample()
    var source = app.snapshot()
    var lengths: [Int] = []
    while true {
      var chunk: [UInt8] = []
      let more = source.chunk(limit: 64, into: &chunk)
      #expect(more == !chunk.isEmpty)
      guard more else { break }
      lengths.append(chunk.count)
    }
    #expect(lengths.dropLast().allSatisfy { $0 == 64 })
    #expect(UInt64(lengths.reduce(0, +)) == source.offset)
    #expect(source.slot == app.appliedUpTo)
  }

  @Test func restoredReplicaGoesOnLikeTheOther() throws {
    var app = Self.sample()
    var restored = try app.restored(from: app.snapshotBytes())
    // a: slot 4; b: slot 5; c: slot 6, the least recently used.
    let (a, b, c) = (SessionID(3 << 16), SessionID(4 << 16), SessionID(5 << 16))
    for command in [
      operation(a, 1), operation(a, 2, "a2"), operation(b, 1), operation(b, 2), operation(b, 3),
      registration(9), operation(c, 1), operation(a, 3), registration(4), registration(2),
    ] {
      #expect(app.applyOne(command) == restored.applyOne(command))
      #expect(app.digest == restored.digest)
    }
    #expect(app.snapshotBytes() == restored.snapshotBytes())
    #expect(!app.sessions.contains(c))
  }

  @Test func sourceIsFrozenWhileTheApplicationGoesOn() {
    var app = Self.sample()
    let whole = app.snapshotBytes()
    var source = app.snapshot()
    var bytes: [UInt8] = []
    while source.chunk(limit: 7, into: &bytes) { _ = app.register(UInt64(bytes.count) + 100) }
    #expect(bytes == whole)
  }

  @Test func emptyApplicationRoundTrips() throws {
    let app = Application(machine: LogMachine(), limits: Self.limits)
    #expect(try app.restored(from: app.snapshotBytes()).digest == app.digest)
  }

  @Test func everyTruncationIsATypedError() {
    let app = Self.sample()
    let whole = app.snapshotBytes()
    for length in 0..<whole.count {
      #expect(throws: SnapshotInvalid.length, "\(length) bytes") {
        try app.restored(from: Array(whole[..<length]))
      }
    }
    #expect(throws: SnapshotInvalid.length) { try app.restored(from: whole + [0]) }
  }

  @Test func everyFlippedBitIsATypedError() {
    let app = Self.sample()
    let whole = app.snapshotBytes()
    for bit in 0..<whole.count * 8 {
      var damaged = whole
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: SnapshotInvalid.self, "bit \(bit)") {
        try app.restored(from: damaged, chunk: 1 + bit % 50)
      }
    }
  }

  /// Edits that the checksum does not catch, because it is computed anew: what a faulty or hostile peer can send.
  @Test(arguments: 1...200)
  func forgedSnapshotIsAStateOrATypedError(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let app = Self.sample()
    let whole = app.snapshotBytes()
    for _ in 0..<50 {
      var forged = whole
      for _ in 0...random.next(below: 3) {
        let at = Int(random.next(below: UInt64(whole.count - 24)))
        switch random.next(below: 3) {
        case 0: forged[at] = UInt8(random.next(below: 256))
        case 1: forged[at] ^= 1 << UInt8(random.next(below: 8))
        default: forged[at] = [0, 1, 0x7F, 0x80, 0xFF][Int(random.next(below: 5))]
        }
      }
      let checksum = CRC32C.checksum(Array(forged[..<(whole.count - 24)]))
      forged.set(checksum, at: whole.count - 8)
      if let restored = try? app.restored(from: forged) {
        #expect(restored.digest == app.digest && forged == whole)
      }
    }
  }

  @Test func garbageIsATypedErrorWhateverFollows() {
    var random = SeededRandom(seed: 5)
    let app = Application(machine: LogMachine(), limits: Self.limits)
    for _ in 0..<500 {
      let bytes = (0..<random.next(below: 200)).map { _ in UInt8(random.next(below: 256)) }
      #expect(throws: SnapshotInvalid.self) {
        try app.restored(from: bytes, chunk: 1 + Int(random.next(below: 30)))
      }
    }
  }

  @Test func failedRestorerStaysFailed() {
    let app = Self.sample()
    var restorer = app.restorer()
    let bad = [UInt8](repeating: 9, count: 48)
    let good = app.snapshotBytes()
    #expect(throws: SnapshotInvalid.header) { try restorer.take(bad.span.bytes) }
    #expect(throws: SnapshotInvalid.header) { try restorer.take(good.span.bytes) }
    #expect(throws: SnapshotInvalid.header) { try restorer.finish() }
  }

  @Test func otherLimitsAreRefused() {
    let bytes = Self.sample().snapshotBytes()
    for limits in [
      SessionTable.Limits(sessionsMax: 4, outstandingMax: 2, replyLengthMax: 12),
      SessionTable.Limits(sessionsMax: 3, outstandingMax: 3, replyLengthMax: 12),
      SessionTable.Limits(sessionsMax: 3, outstandingMax: 2, replyLengthMax: 13),
    ] {
      let app = Application(machine: LogMachine(), limits: limits)
      #expect(throws: SnapshotInvalid.sessions) { try app.restored(from: bytes) }
    }
  }

  @Test func theMachinesOwnRefusalComesThrough() {
    struct Picky: StateMachine {
      var digest: UInt64 { 0 }
      mutating func apply(_: RawSpan, slot: Slot, reply: inout ReplyWriter) {}
      func query(_: RawSpan, reply: inout ReplyWriter) {}
      func snapshotChunk(at: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? { nil }
      mutating func beginRestore() {}
      mutating func restoreChunk(_: RawSpan) throws(SnapshotInvalid) { throw .machine(42) }
      mutating func finishRestore() throws(SnapshotInvalid) {}
    }
    let app = Application(machine: Picky())
    let bytes = app.snapshotBytes()
    #expect(throws: SnapshotInvalid.machine(42)) { try app.restored(from: bytes) }
  }

  @Test func digestTellsStatesApart() {
    var random = SeededRandom(seed: 1)
    var seen: [UInt64: [UInt8]] = [:]
    var app = Application(machine: LogMachine(), limits: Self.limits)
    var session = app.register(1)
    for i in 0..<400 as Range<UInt64> {
      switch random.next(below: 4) {
      case 0: session = app.register(1_000 + i)
      case 1: _ = app.applyOne(operation(session, 1 + random.next(below: 3)))
      default:
        let next = (app.sessions.lastApplied(of: session)?.rawValue ?? 0) + 1
        _ = app.applyOne(operation(session, next, acknowledged: random.next(below: next)))
      }
      let bytes = app.snapshotBytes()
      #expect(seen[app.digest] == nil || seen[app.digest] == bytes)
      seen[app.digest] = bytes
    }
    #expect(seen.count == 400)
  }
}
