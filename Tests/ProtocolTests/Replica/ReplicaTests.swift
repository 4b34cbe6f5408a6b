import Testing

@testable import Protocol

@Suite struct ReplicaTests {
  @Test func refusesWhatItCannotBe() {
    #expect(throws: Replica.Invalid.notAVoter(ReplicaID(9), epoch: Epoch(1))) {
      try Replica(id: ReplicaID(9), configuration: configuration(3), options: .init(), seed: 1)
    }
    var durable = DurableState.empty
    durable.apply(.accepted(Slot(65), ballot(1), value(1)))
    #expect(throws: Replica.Invalid.logTooLarge(slot: Slot(65), lastSlot: Slot(64))) {
      try Replica(
        id: ReplicaID(1), configuration: configuration(3), options: Cluster.options(),
        durable: durable, seed: 1)
    }
  }

  /// A replica that missed a reconfiguration must not vote in a configuration its journal knows to be over.
  @Test func refusesAConfigurationThatIsOver() throws {
    func start(_ own: ConfigurationSpan, _ recorded: [ConfigurationSpan]) throws -> Replica {
      var durable = DurableState.empty
      for span in recorded { durable.begin(span) }
      return try Replica(
        id: ReplicaID(1),
        configuration: Configuration(
          epoch: own.epoch, firstSlot: own.firstSlot, lastSlot: own.lastSlot,
          voters: [Member(id: ReplicaID(1))]), options: Cluster.options(), durable: durable, seed: 1
      )
    }
    let one = ConfigurationSpan(epoch: Epoch(1))
    let two = ConfigurationSpan(epoch: Epoch(2), firstSlot: Slot(10))
    for recorded in [[], [one], [one, two], [two]] {
      #expect(try start(two, recorded).configuration.span == two)
    }
    #expect(throws: Replica.Invalid.configurationIsOver(one, recorded: two)) {
      try start(one, [one, two])
    }
    let other = ConfigurationSpan(epoch: Epoch(2), firstSlot: Slot(11))
    #expect(throws: Replica.Invalid.configurationIsOver(other, recorded: two)) {
      try start(other, [two])
    }
  }

  @Test func everyRecordCarriesTheEpoch() throws {
    var replica = try Replica(
      id: ReplicaID(1),
      configuration: Configuration(epoch: Epoch(7), voters: [Member(id: ReplicaID(1))]),
      options: Cluster.options(), seed: 1)
    var records: [JournalRecord] = []
    var now: UInt64 = 0
    func step(_ event: Event) {
      var effects = EffectBuffer()
      now += 10_000
      replica.step(event, now: at(now), into: &effects)
      for case .persist(let record) in effects.all { records.append(record) }
    }
    step(.started)
    step(.deadlineReached)
    step(.persisted(upTo: position(1)))
    step(.commandReceived(command(1)))
    step(.deadlineReached)
    #expect(records.contains { if case .promised = $0.fact { true } else { false } })
    #expect(records.contains { if case .accepted = $0.fact { true } else { false } })
    #expect(records.allSatisfy { $0.epoch == Epoch(7) })
  }

  @Test func goesOnFromWhatIsDurable() throws {
    var durable = DurableState(snapshot: SnapshotInfo(slot: Slot(4), length: 9, digest: 1))
    for fact in [
      JournalFact.accepted(Slot(5), ballot(2, 2), value(5)),
      .accepted(Slot(6), ballot(2, 2), value(6)), .chosenUpTo(Slot(5)), .learned(Slot(8), value(8)),
      .promised(ballot(7, 3)),
    ] { durable.apply(fact) }
    var replica = try Replica(
      id: ReplicaID(1), configuration: configuration(3), options: Cluster.options(),
      durable: durable, seed: 1)
    #expect(replica.acceptor.promised == ballot(7, 3))
    #expect(replica.window.chosenUpTo == Slot(5) && replica.window.appliedUpTo == Slot(4))
    #expect(!replica.window[Slot(6)].isChosen && replica.window[Slot(8)].isChosen)
    var effects = EffectBuffer()
    replica.step(.started, now: at(0), into: &effects)
    #expect(effects[0] == .apply(Slot(5), value(5)))
    #expect(replica.contracts.violation == nil)
  }

  @Test func aClockThatGoesBackwardsStandsStill() {
    let cluster = Cluster(3).elect(1)
    let before = cluster.now
    cluster.now = at(1)
    cluster.read(2, .local(atLeast: Slot(1)))
    #expect(cluster[2].reads.localDeadline == before + cluster.options.localReadTimeout)
  }

  /// Restarted from any durable prefix of its records, a replica keeps every promise and vote that left it.
  @Test(arguments: 0..<20 as Range<UInt64>) func neverForgetsWhatItSaid(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let cluster = Cluster(3)
    cluster.durableAtOnce = [2, 3]
    var (promised, votes) = (Ballot.zero, [Slot: (Ballot, Value)]())
    var proposed: [Slot: Value] = [:]
    for round in 1..<60 as Range<UInt64> {
      let b = ballot(round, 2 + UInt32(random.next(below: 2)))
      let from = b.proposer.rawValue
      if random.next(below: 3) == 0 {
        cluster.send(from: from, to: 1, .prepare(Prepare(ballot: b, firstSlot: Slot(1))))
      }
      for _ in 0..<random.next(below: 4) {
        let slot = Slot(1 + random.next(below: 20))
        // One value a slot, as if it had been chosen early: so that any accept is one a correct proposer may send.
        let v = proposed[slot] ?? value(random.next(below: 1 << 20))
        proposed[slot] = v
        cluster.send(
          from: from, to: 1, .accept(Accept(ballot: b, slot: slot, value: v, chosenUpTo: .zero)))
      }
      cluster.persist(1, Int(random.next(below: 4)))
      for envelope in cluster.network where envelope.from == ReplicaID(1) {
        switch envelope.message {
        case .promise(let m): promised = max(promised, m.ballot)
        case .accepted(let m):
          promised = max(promised, m.ballot)
          for n in m.firstSlot.rawValue...m.lastSlot.rawValue {
            votes[Slot(n)] = (m.ballot, proposed[Slot(n)]!)
          }
        default: break
        }
      }
      cluster.network = []
      if random.next(below: 5) == 0 { cluster.restart(1) }
      #expect(cluster[1].acceptor.promised >= promised)
      for (slot, vote) in votes {
        let entry = cluster[1].window[slot]
        #expect(entry.ballot >= vote.0 && entry.value.isSame(as: vote.1), "slot \(slot)")
      }
    }
    #expect(!votes.isEmpty)
  }

  /// Loss, reordering, slow journals, crashes and pauses at random; then everything heals, and the cluster goes on.
  @Test(arguments: 0..<40 as Range<UInt64>) func agreesUnderFaults(_ seed: UInt64) throws {
    var random = SeededRandom(seed: 1_000 + seed)
    var options = Cluster.options(
      lease: seed % 2 == 0 ? nil : LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 100))
    options.snapshotChunkBytes = 256
    let n = [3, 3, 5, 2][Int(seed % 4)] as UInt32
    let cluster = Cluster(n, options: options)
    let loss = random.next(below: 30)
    var draws = SeededRandom(seed: seed)
    for _ in 0..<400 {
      cluster.durableAtOnce = Set(cluster.ids.filter { _ in random.next(below: 4) != 0 })
      cluster.links = { _ in draws.next(below: 100) >= loss }
      let id = 1 + UInt32(random.next(below: UInt64(n)))
      switch random.next(below: 12) {
      case 0...3: for id in cluster.ids { cluster.command(id) }
      case 4: cluster.read(id, random.next(below: 2) == 0 ? .quorum : .lease)
      case 5: cluster.restart(id)
      case 6: cluster.persist(id, Int(random.next(below: 3)))
      case 7 where random.next(below: 3) == 0:
        cluster.step(
          id, .transferRequested(to: ReplicaID(1 + UInt32(random.next(below: UInt64(n))))))
      case 8 where !cluster.network.isEmpty:
        // The last shall be first.
        cluster.network.reverse()
      case 9 where random.next(below: 4) == 0:
        cluster.partition([id], Set(cluster.ids).subtracting([id]))
        cluster.run(1_500)
      case 10: cluster.advance(random.next(below: 300))
      default: cluster.run(random.next(below: 150))
      }
      if random.next(below: 2) == 0 { cluster.deliver() }
    }
    cluster.heal()
    cluster.durableAtOnce = Set(cluster.ids)
    for id in cluster.ids { cluster.persist(id) }
    cluster.run(8_000)
    let leader = try #require(cluster.leader)
    cluster.command(leader)
    cluster.run(1_000)
    for id in cluster.ids { #expect(cluster.state(id) == cluster.state(leader), "replica \(id)") }
    #expect(!cluster.log.isEmpty && cluster.state(leader).count == cluster.log.count)
  }
}
