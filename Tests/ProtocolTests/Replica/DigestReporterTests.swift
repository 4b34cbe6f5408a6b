import Testing

@testable import Protocol

/// Reports on their way into the log.
@Suite struct DigestReporterTests {
  static func cluster(_ count: UInt32 = 3, period: Int = 16) -> Cluster {
    var options = Cluster.options()
    options.digestPeriod = period
    return Cluster(count, options: options)
  }

  private func fill(_ cluster: Cluster, _ slots: Int) {
    for _ in 0..<slots {
      cluster.command(1)
      cluster.settle()
    }
    cluster.run(400)
  }

  @Test func everyDigestIsReportedOnceAndAgreed() {
    let cluster = Self.cluster().elect(1)
    fill(cluster, 40)
    #expect(cluster.reports.count == 6)
    for id in cluster.ids {
      #expect(cluster.nodes[id]!.table.agreedSlot == Slot(32))
      #expect(cluster.nodes[id]!.watch.agreements == 2)
      #expect(cluster[id].digests.outstanding == nil && cluster[id].deadlines[.digest] == .never)
      #expect(cluster[id].contracts.evaluations(of: .reportDigestPreIsUnreported) > 0)
    }
    #expect(cluster[1].contracts.evaluations(of: .enterReportPreLeads) == 6)
    #expect(cluster[1].contracts.evaluations(of: .enterReportPostOncePerBallot) == 6)
  }

  @Test func withoutAPeriodNothingIsReported() {
    let cluster = Self.cluster(period: 0).elect(1)
    fill(cluster, 40)
    #expect(cluster.reports.isEmpty)
    cluster.send(from: 2, to: 1, .stateDigest(StateDigest(slot: Slot(8), digest: 1)))
    #expect(cluster.effects(1).isEmpty)
  }

  @Test func aLostReportIsRepeatedAndTheSameIsEnteredOnce() {
    let cluster = Self.cluster().elect(1)
    var isLost = true
    cluster.links = { envelope in
      if case .stateDigest = envelope.message {
        !(isLost && envelope.from == ReplicaID(3))
      } else {
        true
      }
    }
    fill(cluster, 16)
    #expect(cluster.nodes[1]!.table.reportedUpTo(by: ReplicaID(3)) == .zero)
    #expect(cluster[3].digests.outstanding != nil)
    isLost = false
    cluster.run(700)
    #expect(cluster.nodes[1]!.table.reportedUpTo(by: ReplicaID(3)) == Slot(16))
    #expect(cluster[3].contracts.count(of: .digestReportRepeated) > 0)
    let count = cluster.reports.count
    let digest = StateDigest(slot: Slot(16), digest: 1)
    for _ in 0..<3 { cluster.send(from: 3, to: 1, .stateDigest(digest)) }
    #expect(cluster.reports.count == count)
  }

  /// A report that a leader took with it is reported again to the next one.
  @Test func reportsOutliveTheirLeader() {
    let cluster = Self.cluster().elect(1)
    for _ in 0..<16 {
      cluster.command(1)
      cluster.settle()
    }
    let cut = Self.cluster().elect(1)
    cut.links = { if case .stateDigest = $0.message { false } else { true } }
    fill(cut, 16)
    #expect(cut[2].digests.outstanding != nil && cut[3].digests.outstanding != nil)
    cut.crash(1)
    cut.heal()
    cut.run(5_000)
    #expect(cut.leader != nil)
    for id in [2, 3] as [UInt32] {
      #expect(cut.nodes[id]!.table.agreedSlot == Slot(16), "replica \(id)")
    }
  }

  /// A leader that hands over takes no reports, any more than commands.
  @Test func nothingIsEnteredDuringATransfer() {
    let cluster = Self.cluster().elect(1)
    cluster.partition([3], [1, 2])
    fill(cluster, 3)
    cluster.step(1, .transferRequested(to: ReplicaID(3)))
    cluster.send(from: 2, to: 1, .stateDigest(StateDigest(slot: Slot(1), digest: 1)))
    #expect(cluster.reports.isEmpty)
  }

  /// No period may be so short that reports alone make the next one pass.
  @Test func aPeriodThatFeedsItselfIsRefused() {
    var options = Cluster.options()
    options.digestPeriod = 5
    #expect(throws: Replica.Invalid.self) {
      _ = try Replica(
        id: ReplicaID(1), configuration: configuration(3), options: options, seed: 1)
    }
    options.digestPeriod = 6
    #expect(throws: Never.self) {
      _ = try Replica(
        id: ReplicaID(1), configuration: configuration(3), options: options, seed: 1)
    }
    options.digestPeriod = -1
    #expect(throws: ReplicaOptions.Invalid.self) { try options.validate() }
  }

  /// With the queue full of clients' commands there is still room for a report.
  @Test func reportsHaveRoomInAFullQueue() {
    var options = Cluster.options()
    options.batchCommandsMax = 1
    options.queuedBatchesMax = 1
    var batcher = Batcher(options)
    var recorder = ContractRecorder()
    func command(_ n: UInt64) -> CommandRef {
      CommandRef(
        session: SessionID(1), sequence: SequenceNumber(n),
        bytes: BytesRef(position: n * 32, length: 32), checksum: 1)
    }
    #expect(batcher.add(command(1), now: .zero, &recorder) == .added)
    #expect(batcher.add(command(2), now: .zero, &recorder) == .added)
    #expect(batcher.add(command(3), now: .zero, &recorder) == .overloaded)
    #expect(batcher.add(command(4), isReport: true, now: .zero, &recorder) == .added)
    #expect(batcher.add(command(5), now: .zero, &recorder) == .overloaded)
    #expect(recorder.violation == nil)
  }

  // MARK: Snapshots for peers

  private static func fetches(_ cluster: Cluster, _ times: Int) -> Int {
    let before = cluster.sent.count
    for _ in 0..<times {
      cluster.send(from: 3, to: 1, .fetch(Fetch(firstSlot: Slot(1), limit: 8)))
    }
    return cluster.sent[before...].count {
      if case .snapshotOffer = $0.message { true } else { false }
    }
  }

  /// Without a digest that vouches for it a snapshot waits; but not for ever, because the peer that asks may be the one whose
  /// report is missing.
  @Test func aSnapshotThatNothingVouchesForIsHeldBackForAWhile() {
    let cluster = Self.cluster().elect(1)
    cluster.links = { if case .stateDigest = $0.message { false } else { true } }
    fill(cluster, 40)
    #expect(cluster[1].snapshot.slot > .zero && cluster[1].window.truncatedUpTo > .zero)
    #expect(Self.fetches(cluster, DigestReporter.heldBackMax) == 0)
    #expect(cluster[1].contracts.count(of: .snapshotHeldBack) == UInt64(DigestReporter.heldBackMax))
    #expect(Self.fetches(cluster, 3) == 3)
    // It has caught up: the next time it waits again.
    cluster.send(
      from: 3, to: 1, .fetch(Fetch(firstSlot: cluster[1].window.truncatedUpTo.next, limit: 8)))
    #expect(Self.fetches(cluster, 1) == 0)
  }

  @Test func aSnapshotThatADigestVouchesForIsOfferedAtOnce() {
    let cluster = Self.cluster().elect(1)
    fill(cluster, 60)
    let vouched = cluster.nodes[1]!.watch.vouchedUpTo
    #expect(cluster[1].snapshot.slot > .zero && vouched >= cluster[1].snapshot.slot)
    #expect(Self.fetches(cluster, 1) == 1)
  }
}
