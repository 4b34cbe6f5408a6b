import Testing

@testable import Protocol

/// Reports of digests as commands, in batches, in the application and in its snapshots.
@Suite struct DigestTests {
  static func report(
    _ replica: UInt32, _ slot: UInt64, _ digest: UInt64, voters: UInt32 = 3, epoch: UInt64 = 1
  ) -> DigestReport {
    DigestReport(
      replica: ReplicaID(replica), epoch: Epoch(epoch), voters: voters, slot: Slot(slot),
      digest: digest)
  }

  static func bytes(_ report: DigestReport) -> [UInt8] {
    var bytes: [UInt8] = []
    report.encode(into: &bytes)
    return bytes
  }

  static func application(period: UInt64, own: UInt32 = 1) -> Application<LogMachine> {
    var app = Application(machine: LogMachine(), limits: SnapshotTests.limits)
    app.watch(DigestWatch(period: period, own: ReplicaID(own)))
    return app
  }

  // MARK: Commands

  @Test func aReportComesBackAsItWas() throws {
    let report = Self.report(7, 0x0102_0304_0506, 0x1122_3344_5566_7788, voters: 64, epoch: .max)
    let bytes = Self.bytes(report)
    #expect(bytes.count == DigestReport.encodedLength)
    let command = try Command(at: 0, of: bytes.span.bytes)
    #expect(command.kind == .digestReport && command.end == bytes.count)
    #expect(DigestReport(command, in: bytes.span.bytes) == report)
    #expect(
      hex(bytes)
        == "100000000300000007000000000000000605040302010000ffffffffffffffff"
        + "88776655443322114000000000000000")
  }

  /// One that speaks for a replica could convict another.
  @Test func aClientCannotReport() {
    let bytes = Self.bytes(Self.report(1, 8, 5))
    #expect(throws: CommandInvalid.field(at: 0)) {
      _ = try CommandRef(verifying: bytes.span.bytes, position: 0)
    }
  }

  @Test func reportsHaveOneLengthAndASlot() {
    var long = Self.bytes(Self.report(1, 8, 5))
    long[0] = 8
    #expect(throws: CommandInvalid.field(at: 0)) { _ = try Command(at: 0, of: long.span.bytes) }
    let none = Self.bytes(Self.report(1, 0, 5))
    #expect(throws: CommandInvalid.field(at: 0)) { _ = try Command(at: 0, of: none.span.bytes) }
  }

  @Test func theHandleIsThatOfItsBytes() throws {
    let report = Self.report(2, 16, 9)
    let bytes = Self.bytes(report)
    let reference = report.reference(to: bytes.span.bytes, position: 96)
    var value = Value(bytes: reference.bytes, count: 1, digest: 0)
    value.digest = Value.digest(0, adding: reference.checksum, length: reference.bytes.length)
    try value.verify(bytes.span.bytes)
  }

  // MARK: The application

  /// A batch of both has answers for the clients' commands, in their order, and for nothing else.
  @Test func reportsAreNotAnswered() throws {
    var app = Self.application(period: 0)
    let session = app.register(1)
    let answers = try app.applyNext([
      Self.bytes(Self.report(1, 1, 5)), operation(session, 1, "a"),
      Self.bytes(Self.report(2, 1, 5)), operation(session, 2, "b"),
    ])
    #expect(answers.count == 2)
    #expect(
      answers.map(\.reply) == [[1, 0, 0, 0, 0, 0, 0, 0, 0x61], [2, 0, 0, 0, 0, 0, 0, 0, 0x62]])
    #expect(app.digests.agreedSlot == Slot(1) && app.digests.agreedDigest == 5)
  }

  /// Two replicas, one of them wrong about a command: the majority's digest convicts it, and nobody else.
  @Test func theOddOneOutFindsOut() throws {
    var apps = (1...3).map { Self.application(period: 4, own: UInt32($0)) }
    for n in 1...4 as ClosedRange<UInt64> {
      for i in apps.indices {
        _ = try apps[i].applyNext([registration(n)])
      }
      if n == 2 { apps[1].corruptMachine { $0.corrupt() } }
    }
    let reports = apps.indices.map { i in
      let standing = apps[i].digestStanding
      #expect(standing.slot == Slot(4) && standing.reportedUpTo == .zero)
      return Self.bytes(Self.report(UInt32(i + 1), 4, standing.digest))
    }
    for i in apps.indices {
      _ = try apps[i].applyNext([reports[1]])
      _ = try apps[i].applyNext([reports[0]])
      #expect(apps[i].divergence == nil && apps[i].digestStanding.vouchedUpTo == .zero)
      _ = try apps[i].applyNext([reports[2]])
    }
    #expect(apps[0].divergence == nil && apps[2].divergence == nil)
    #expect(apps[0].digestStanding.vouchedUpTo == Slot(4))
    #expect(apps[0].digestStanding.reportedUpTo == Slot(4))
    let divergence = try #require(apps[1].divergence)
    #expect(divergence.slot == Slot(4) && divergence.agreed == apps[0].digests.agreedDigest)
    #expect(divergence.own != divergence.agreed)
  }

  @Test func aDivergedStateTakesNothingMore() throws {
    var app = Self.application(period: 1, own: 3)
    _ = try app.applyNext([])
    _ = try app.applyNext([Self.bytes(Self.report(1, 1, 5)), Self.bytes(Self.report(2, 1, 5))])
    #expect(app.divergence != nil)
    var replies = ReplyBuffer()
    try app.apply(Slot(3), [UInt8]().span.bytes, into: &replies)
    #expect(app.contracts.violation == .applyPreNotDiverged)
  }

  /// It says that it is whole again only when a majority says so.
  @Test func aRepairIsConfirmedByTheNextAgreement() throws {
    var app = Application(machine: LogMachine(), limits: SnapshotTests.limits)
    app.watch(DigestWatch(period: 2, own: ReplicaID(1), isRepairing: true))
    _ = try app.applyNext([])
    _ = try app.applyNext([])
    let digest = app.digest
    #expect(app.watch.isRepairing)
    _ = try app.applyNext([
      Self.bytes(Self.report(1, 2, digest)), Self.bytes(Self.report(2, 2, digest)),
    ])
    #expect(!app.watch.isRepairing && app.watch.agreements == 1)
    #expect(app.contracts.count(of: .divergenceRepaired) == 1)
  }

  /// Who does not know its own digest at the agreed slot, because it came behind that, says nothing.
  @Test func aStateRestoredBehindTheSlotIsNotCompared() throws {
    var app = Self.application(period: 4)
    for n in 1...5 as ClosedRange<UInt64> { _ = try app.applyNext([registration(n)]) }
    var restored = try app.restored(from: app.snapshotBytes())
    #expect(restored.watch.period == 4 && restored.digestStanding.slot == .zero)
    _ = try restored.applyNext([
      Self.bytes(Self.report(2, 4, 1)), Self.bytes(Self.report(3, 4, 1)),
    ])
    #expect(restored.digests.agreedSlot == Slot(4) && restored.divergence == nil)
    #expect(restored.digestStanding.vouchedUpTo == .zero)
  }

  /// A state restored at a slot that is due has its digest at once.
  @Test func aStateRestoredAtTheSlotIsCompared() throws {
    var app = Self.application(period: 4)
    for n in 1...4 as ClosedRange<UInt64> { _ = try app.applyNext([registration(n)]) }
    var restored = try app.restored(from: app.snapshotBytes())
    #expect(restored.digestStanding.slot == Slot(4))
    _ = try restored.applyNext([
      Self.bytes(Self.report(2, 4, 1)), Self.bytes(Self.report(3, 4, 1)),
    ])
    #expect(restored.divergence?.slot == Slot(4))
  }

  // MARK: Snapshots

  static func withReports() -> Application<LogMachine> {
    var app = SnapshotTests.sample()
    for (n, replica) in [2, 1, 3, 1, 1, 1, 1].enumerated() as EnumeratedSequence<[UInt32]> {
      _ = try! app.applyNext([bytes(report(replica, UInt64(n + 3), n < 3 ? 77 : UInt64(n)))])
    }
    return app
  }

  @Test func theTableIsPartOfTheSnapshot() throws {
    let app = Self.withReports()
    #expect(app.digests.entries.count == 6)
    let whole = app.snapshotBytes()
    for chunk in [1, 7, 64, whole.count] {
      let restored = try app.restored(from: whole, chunk: chunk)
      #expect(restored.digests == app.digests && restored.digest == app.digest)
      #expect(restored.snapshotBytes() == whole)
    }
    #expect(app.digest != SnapshotTests.sample().digest)
  }

  /// Every byte counts, and no damaged table gets in.
  @Test func aDamagedTableIsRefused() {
    let app = Self.withReports()
    let whole = app.snapshotBytes()
    for i in whole.indices {
      var damaged = whole
      damaged[i] ^= 0x10
      #expect(throws: SnapshotInvalid.self) { _ = try app.restored(from: damaged) }
    }
  }
}

extension LogMachine {
  mutating func corrupt() {
    var replies = ReplyWriter()
    apply([0xEE].span.bytes, slot: Slot(1), reply: &replies)
  }
}
