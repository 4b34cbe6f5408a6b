import Testing

@testable import Protocol

@Suite struct ReplicaLearningTests {
  /// Chooses `count` slots while replica 3 of three hears nothing.
  func behind(_ count: Int, options: ReplicaOptions = Cluster.options()) -> Cluster {
    let cluster = Cluster(3, options: options).elect(1)
    cluster.run(200)
    cluster.partition([3], [1, 2])
    for _ in 0..<count {
      cluster.command(1)
      cluster.settle()
    }
    cluster.run(200)
    #expect(cluster.state(1).count == count && cluster.state(3).isEmpty)
    return cluster
  }

  func count(_ cluster: Cluster, _ fits: (Message) -> Bool) -> Int {
    cluster.sent.count { fits($0.message) }
  }

  func isChunk(_ message: Message) -> Bool {
    if case .snapshotChunk = message { true } else { false }
  }

  // MARK: Slots

  @Test func aStragglerFetchesSlots() {
    let cluster = behind(20)
    cluster.heal()
    cluster.run(400)
    #expect(cluster.state(3) == cluster.state(1))
    #expect(cluster[3].contracts.count(of: .slotsFetched) >= 3, "eight slots at a time")
    #expect(cluster[3].contracts.count(of: .snapshotInstalled) == 0)
  }

  @Test func mereReorderingIsNotFetched() {
    let cluster = Cluster(3).elect(1)
    cluster.run(200)
    cluster.command(1)
    cluster.command(1)
    // The second Accept and the heartbeat with the watermark overtake the first.
    cluster.deliver { if case .accept(let m) = $0.message { m.slot != Slot(1) } else { true } }
    cluster.settle()
    cluster.run(300)
    #expect(cluster.state(3).count == 2)
    #expect(count(cluster) { if case .fetch = $0 { true } else { false } } == 0)
  }

  @Test func lostAnswersAreAskedForAgainOfAnotherPeer() {
    let cluster = behind(20)
    cluster.heal()
    cluster.links = { if case .learn = $0.message { $0.from != ReplicaID(1) } else { true } }
    cluster.run(2_000)
    #expect(cluster.state(3) == cluster.state(1))
  }

  @Test func aWatermarkTellsNothingAboutAnOlderBallotsVote() {
    let cluster = Cluster(3).elect(1)
    let lost = value(5)
    cluster.send(from: 1, to: 3, .accept(accept(1, ballot(1, 1), lost)))
    cluster.send(
      from: 2, to: 3, .heartbeat(Heartbeat(ballot: ballot(7, 2), round: 1, chosenUpTo: Slot(1))))
    #expect(cluster.state(3).isEmpty, "the vote at an older ballot may have lost")
    cluster.send(
      from: 2, to: 3, .learn(Learn(slot: Slot(1), value: value(99), chosenUpTo: Slot(1))))
    #expect(!cluster[3].window[Slot(1)].value.isSame(as: lost))
    #expect(cluster.state(3) == [value(99).digest])
    cluster.restart(3)
    cluster.send(
      from: 2, to: 3, .heartbeat(Heartbeat(ballot: ballot(7, 2), round: 2, chosenUpTo: Slot(1))))
    #expect(cluster.state(3) == [value(99).digest], "what was learned is durable")
  }

  @Test func aFetchIsAnsweredUpToWhatIsChosen() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<5 { cluster.command(1) }
    cluster.run(200)
    func learns(_ first: UInt64, _ limit: UInt32) -> [UInt64] {
      cluster.send(from: 3, to: 2, .fetch(Fetch(firstSlot: Slot(first), limit: limit)))
      return cluster.effects(2).compactMap {
        if case .send(_, .learn(let m)) = $0 { m.slot.rawValue } else { nil }
      }
    }
    #expect(learns(2, 2) == [2, 3])
    #expect(learns(4, .max) == [4, 5])
    #expect(learns(6, 9) == [])
  }

  // MARK: Snapshots

  @Test func aStragglerBehindTheTruncationPointTakesASnapshot() {
    var options = Cluster.options()
    options.snapshotChunkBytes = 64
    let cluster = behind(90, options: options)
    #expect(cluster[1].window.truncatedUpTo > .zero)
    let promised = cluster[3].acceptor.promised
    cluster.heal()
    cluster.run(1_500)
    #expect(cluster.state(3) == cluster.state(1))
    #expect(cluster[3].contracts.count(of: .snapshotInstalled) == 1)
    #expect(count(cluster, isChunk) == 16, "1,000 bytes in chunks of 64, none twice")
    #expect(cluster[3].acceptor.promised >= promised)
    #expect(cluster.durable(3).snapshot == cluster[3].snapshot)
    cluster.restart(3)
    #expect(cluster.state(3).count >= Int(cluster[3].snapshot.slot.rawValue))
    cluster.run(1_000)
    #expect(cluster.state(3) == cluster.state(1))
  }

  @Test func aTransferGoesOnWhereALostChunkStoppedIt() {
    var options = Cluster.options()
    options.snapshotChunkBytes = 64
    let cluster = behind(90, options: options)
    cluster.heal()
    var chunks = 0
    cluster.links = { envelope in
      guard case .snapshotChunk = envelope.message else { return true }
      chunks += 1
      return chunks % 5 != 0
    }
    cluster.run(3_000)
    #expect(cluster.state(3) == cluster.state(1))
    #expect(chunks >= 19 && chunks <= 21, "\(chunks): only the lost ones again")
  }

  @Test func aTransferGoesOnFromAnotherPeerWithTheSameSnapshot() {
    var options = Cluster.options()
    options.snapshotChunkBytes = 64
    let cluster = behind(90, options: options)
    #expect(cluster[1].snapshot == cluster[2].snapshot)
    cluster.heal()
    var (chunks, source) = (0, UInt32(0))
    cluster.links = { envelope in
      guard case .snapshotChunk = envelope.message else { return true }
      chunks += 1
      if chunks == 5 { source = envelope.from.rawValue }
      return chunks < 5 || envelope.from.rawValue != source
    }
    cluster.run(4_000)
    #expect(cluster.state(3) == cluster.state(1))
    #expect(cluster[3].contracts.count(of: .snapshotTransferResumed) > 0)
    let offsets = cluster.sent.compactMap { envelope -> UInt64? in
      if case .snapshotChunk(let m) = envelope.message { m.offset } else { nil }
    }
    #expect(offsets.count(where: { $0 == 0 }) == 1, "no chunk that was stored came again")
  }

  @Test func lossDoesNotStartATransferOverWhenPeersHoldDifferentSnapshots() {
    var options = Cluster.options()
    options.snapshotChunkBytes = 64
    let cluster = behind(90, options: options)
    // 2 takes one of its own; from now on the two differ.
    let other = cluster.snapshot(of: 2)
    cluster.step(2, .snapshotTaken(other))
    #expect(cluster[1].snapshot != cluster[2].snapshot)
    cluster.heal()
    var random = SeededRandom(seed: 12)
    cluster.links = { envelope in
      guard case .snapshotChunk = envelope.message else { return true }
      return random.next(below: 4) != 0
    }
    cluster.run(12_000)
    #expect(cluster.state(3) == cluster.state(1))
    let first = cluster.sent.count { envelope in
      if case .snapshotChunk(let m) = envelope.message { m.offset == 0 } else { false }
    }
    #expect(first <= 4, "\(first) transfers begun")
  }

  @Test func aSnapshotThatDoesNotMatchItsDigestIsRefused() {
    let cluster = behind(90)
    cluster.heal()
    cluster.snapshotsAreIntact = false
    cluster.run(500)
    #expect(cluster.state(3).isEmpty && cluster[3].contracts.count(of: .snapshotRefused) > 0)
    #expect(cluster[3].snapshot == .none && cluster.durable(3).snapshot == .none)
    cluster.snapshotsAreIntact = true
    cluster.run(1_500)
    #expect(cluster.state(3) == cluster.state(1))
  }

  /// One peer's snapshot has gone bad: the next one's is taken.
  @Test func arefusedSnapshotIsNextAskedOfAnotherPeer() {
    let cluster = behind(90)
    let other = cluster.snapshot(of: 2)
    cluster.step(2, .snapshotTaken(other))
    let rotten = cluster[1].snapshot
    // 1 leads and is ahead of 2 in the eyes of 3.
    cluster.heal()
    cluster.badSnapshots = [rotten]
    cluster.send(
      from: 1, to: 3,
      .heartbeat(
        Heartbeat(ballot: cluster[1].proposer.ballot, round: 999, chosenUpTo: Slot(91))))
    cluster.network = []
    cluster.run(3_000)
    #expect(cluster[3].contracts.count(of: .snapshotRefused) >= 1)
    #expect(cluster.state(3) == cluster.state(1))
  }

  @Test func aSnapshotThatCameTooLateChangesNothing() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<5 { cluster.command(1) }
    cluster.run(200)
    let info = SnapshotInfo(slot: Slot(3), length: 10, digest: 1)
    cluster.step(2, .snapshotStored(info, isValid: true))
    #expect(cluster[2].snapshot == .none && cluster.state(2).count == 5)
  }

  @Test func whatWasVotedForAboveASnapshotSurvivesItsInstall() {
    let cluster = behind(90)
    let leader = cluster[1].proposer.ballot
    cluster.send(
      from: 1, to: 3,
      .accept(Accept(ballot: leader, slot: Slot(60), value: value(60), chosenUpTo: .zero)))
    cluster.send(from: 2, to: 3, .prepare(Prepare(ballot: ballot(30, 2), firstSlot: Slot(1))))
    cluster.step(3, .snapshotStored(cluster.prefix(of: 1, 50), isValid: true))
    #expect(cluster[3].window[Slot(60)].ballot == leader)
    #expect(cluster[3].acceptor.promised == ballot(30, 2))
    #expect(cluster.durable(3).promised == ballot(30, 2))
    #expect(cluster.durable(3).entries.map(\.slot) == [Slot(60)])
    #expect(cluster[3].window.truncatedUpTo == Slot(50) && cluster.state(3).count == 50)
  }

  @Test func aNewLeaderFirstLearnsWhatAPromiserHasTruncated() {
    let cluster = behind(40)
    cluster.crash(2)
    cluster.heal()
    // 1 keeps slots from 29 on; 3 has none of the 40 and stands by a request, so no pre-vote warns it.
    let own = cluster[1].proposer.ballot
    cluster.send(from: 1, to: 3, .heartbeat(Heartbeat(ballot: own, round: 999, chosenUpTo: .zero)))
    cluster.network = []
    cluster.send(from: 1, to: 3, .standForElection(StandForElection(ballot: own)))
    cluster.run(3_000)
    #expect(cluster.leader != nil)
    cluster.run(1_000)
    #expect(cluster.state(3) == cluster.state(1) && cluster.state(3).count >= 40)
    #expect(cluster[3].contracts.count(of: .leaderMustLearnFirst) == 1)
  }

  @Test func aSnapshotIsTakenAfterItsIntervalAndTruncatesAllButItsTail() {
    let cluster = Cluster(1).elect(1)
    cluster.snapshotsAtOnce = false
    for _ in 0..<40 { cluster.command(1) }
    let asked = SnapshotInfo(slot: Slot(32), length: 1_000, digest: 5)
    #expect(cluster[1].snapshotBeingTaken == Slot(32))
    cluster.step(1, .snapshotTaken(asked))
    #expect(cluster[1].snapshot == asked && cluster[1].window.truncatedUpTo == Slot(28))
    #expect(cluster[1].snapshotBeingTaken == .zero)
    cluster.step(1, .snapshotTaken(SnapshotInfo(slot: Slot(20), length: 1, digest: 1)))
    #expect(cluster[1].snapshot == asked, "an older one does not replace it")
  }

  /// Of long values fewer slots are kept below a snapshot: the log buffer is measured in bytes.
  @Test func theTailOfASnapshotIsBoundedInBytesToo() {
    var options = Cluster.options()
    options.snapshotBytes = 400
    let cluster = Cluster(1, options: options).elect(1)
    cluster.snapshotsAtOnce = false
    for _ in 0..<3 { cluster.command(1, length: 150) }
    #expect(cluster[1].snapshotBeingTaken == Slot(3), "450 bytes since the last one")
    cluster.step(1, .snapshotTaken(SnapshotInfo(slot: Slot(3), length: 1_000, digest: 5)))
    // Two of them fit, and the tail is four slots.
    #expect(cluster[1].window.truncatedUpTo == Slot(1))
    // As many as the tail has, where they are short.
    for _ in 0..<30 { cluster.command(1, length: 16) }
    let next = cluster[1].snapshotBeingTaken
    #expect(next > Slot(20))
    cluster.step(1, .snapshotTaken(SnapshotInfo(slot: next, length: 1_000, digest: 5)))
    #expect(cluster[1].window.truncatedUpTo.rawValue == next.rawValue - 4)
  }

  @Test func aFullLogWaitsForItsSnapshot() {
    let cluster = Cluster(1).elect(1)
    cluster.snapshotsAtOnce = false
    for _ in 0..<80 { cluster.command(1) }
    #expect(cluster.state(1).count == 64)
    cluster.step(1, .snapshotTaken(SnapshotInfo(slot: Slot(32), length: 1_000, digest: 5)))
    #expect(cluster.state(1).count > 64)
    #expect(cluster.log.values.reduce(0) { $0 + $1.count } == 80)
  }
}
