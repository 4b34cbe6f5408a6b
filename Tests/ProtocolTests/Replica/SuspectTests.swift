import Testing

@testable import Protocol

/// A replica that lost part of its journal: it has no voice until nothing lost can matter. The cluster's own checks (one
/// value for each slot, no contract violated) run along in every test.
@Suite struct SuspectTests {
  static func doubt(_ isPromiseLost: Bool, _ slot: UInt64?) -> JournalDoubt {
    JournalDoubt(isPromiseLost: isPromiseLost, slotsUpTo: slot.map { Slot($0) })
  }

  /// What is left of replica `id`'s journal: the promise and nothing else, or not even that.
  private func remains(_ cluster: Cluster, _ id: UInt32, _ doubt: JournalDoubt) -> DurableState {
    var state = DurableState()
    state.begin(cluster.configuration.span)
    if !doubt.isPromiseLost { state.apply(.promised(cluster.durable(id).promised)) }
    state.doubt = doubt
    return state
  }

  private func wrote(_ cluster: Cluster, _ count: Int, _ leader: UInt32 = 1) {
    for _ in 0..<count {
      cluster.command(leader)
      cluster.settle()
    }
    cluster.run(200)
  }

  /// What a replica said, from some message on.
  private func voice(_ cluster: Cluster, _ id: UInt32, since start: Int) -> [Message] {
    cluster.sent[start...].filter { $0.from.rawValue == id }.map(\.message).filter {
      switch $0 {
      case .promise, .report, .accepted, .heartbeatReply, .prepare, .preVote: true
      case .preVoteReply(let reply): reply.isGranted
      default: false
      }
    }
  }

  @Test(arguments: [doubt(false, nil), doubt(true, nil), doubt(false, 6), doubt(true, 6)])
  func isCuredByItsPeers(doubt: JournalDoubt) throws {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 6)
    let start = cluster.sent.count
    cluster.restart(3, from: remains(cluster, 3, doubt))
    #expect(cluster[3].suspicion != nil)
    wrote(cluster, 3)
    // Silent until the record of its cure was durable, and a voter from then on.
    cluster.run(1_000)
    #expect(cluster[3].suspicion == nil && cluster[3].snapshot.slot >= Slot(6))
    #expect(cluster[3].acceptor.promised == cluster[1].acceptor.promised)
    #expect(cluster.durable(3).doubt == nil)
    #expect(!voice(cluster, 3, since: start).isEmpty)
    // Without the second replica its vote is needed.
    cluster.crash(2)
    wrote(cluster, 2)
    #expect(cluster[1].window.chosenUpTo == cluster[3].window.chosenUpTo)
    #expect(cluster.state(3) == cluster.state(1) && cluster.state(1).count >= 11)
  }

  @Test func hasNoVoiceBefore() throws {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 6)
    cluster.durableAtOnce = [1, 2]
    let start = cluster.sent.count
    cluster.restart(3, from: remains(cluster, 3, Self.doubt(true, nil)))
    wrote(cluster, 3)
    // The leader goes, another one stands: the suspect's promise is asked for, and its confirmation.
    cluster.stand(2)
    cluster.settle()
    cluster.run(3_000)
    #expect(cluster[3].suspicion != nil)
    #expect(voice(cluster, 3, since: start) == [])
    #expect(cluster.sent[start...].contains { $0.to == ReplicaID(3) && isPrepare($0.message) })
    // It has written its cure; until that is durable it stays silent, and a crash leaves it a suspect.
    #expect(cluster.pending(3).contains { if case .cured = $0.fact { true } else { false } })
    let left = remains(cluster, 3, Self.doubt(true, nil))
    cluster.restart(3, from: left)
    #expect(cluster[3].suspicion != nil)
    cluster.durableAtOnce = [1, 2, 3]
    cluster.run(1_000)
    #expect(cluster[3].suspicion == nil)
    #expect(cluster[3].contracts.count(of: .suspectCured) == 1)
  }

  private func isPrepare(_ message: Message) -> Bool {
    if case .prepare = message { true } else { false }
  }

  /// A candidate outside of any majority may hold the lost promise: all others must have answered.
  @Test func aLostPromiseNeedsEverybody() {
    let cluster = Cluster(5).elect(1)
    wrote(cluster, 4)
    cluster.crash(5)
    cluster.restart(4, from: remains(cluster, 4, Self.doubt(true, nil)))
    cluster.run(2_000)
    #expect(cluster[4].suspicion != nil)
    #expect(cluster[4].suspicionText?.contains("no answer from r5") == true)
    cluster.restart(5)
    // It had promised itself more than the others know of.
    cluster.run(2_000)
    #expect(cluster[4].suspicion == nil)
    // With the promise known, a leader's word is enough.
    wrote(cluster, 1, cluster.leader ?? 1)
    cluster.crash(5)
    cluster.restart(4, from: remains(cluster, 4, Self.doubt(false, nil)))
    cluster.run(2_000)
    #expect(cluster[4].suspicion == nil)
  }

  /// The lost promise was given to a candidate that nobody else has heard of.
  @Test func theLostPromiseIsFoundAtItsCandidate() {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 3)
    // Replica 2 stands, and only 3 hears it.
    cluster.partition([1], [2, 3])
    cluster.stand(2)
    cluster.settle()
    let high = cluster[2].acceptor.promised
    #expect(high > cluster[1].acceptor.promised)
    cluster.heal()
    cluster.restart(3, from: remains(cluster, 3, Self.doubt(true, nil)))
    cluster.run(3_000)
    #expect(cluster[3].suspicion == nil)
    #expect(cluster[3].acceptor.promised >= high)
  }

  @Test func twoSuspectsOfThreeSayWhatIsMissing() {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 3)
    cluster.restart(2, from: remains(cluster, 2, Self.doubt(false, nil)))
    cluster.restart(3, from: remains(cluster, 3, Self.doubt(false, nil)))
    cluster.restart(1)
    cluster.run(5_000)
    #expect(cluster[2].suspicion != nil && cluster[3].suspicion != nil)
    #expect(cluster[2].suspicionText?.contains("suspects themselves: r3") == true)
    #expect(cluster.leader == nil)
  }

  /// Chosen by the votes of the leader and the suspect alone, and the third never heard of it.
  @Test func aLostVoteThatDecidedIsNotMissed() {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 2)
    cluster.partition([2], [1, 3])
    cluster.command(1)
    cluster.settle()
    let slot = cluster[1].window.chosenUpTo
    cluster.heal()
    cluster.network = []
    cluster.crash(1)
    cluster.restart(3, from: remains(cluster, 3, Self.doubt(false, nil)))
    // Two of three are up, and may not choose anything: the suspect was half of a quorum.
    cluster.run(4_000)
    #expect(cluster.leader == nil && cluster[2].window.chosenUpTo < slot)
    cluster.restart(1)
    cluster.run(4_000)
    #expect(cluster[3].suspicion == nil)
    #expect(cluster[2].window.chosenUpTo >= slot && cluster[3].window.chosenUpTo >= slot)
  }

  /// Both lost everything, and three sound ones are in every quorum that either of them was part of.
  @Test func twoSuspectsOfFiveAreCuredAtOnce() {
    let cluster = Cluster(5).elect(1)
    wrote(cluster, 6)
    cluster.crash(4)
    cluster.restart(5, from: remains(cluster, 5, Self.doubt(true, nil)))
    cluster.run(1_000)
    #expect(cluster[5].suspicionText?.contains("no answer from r4") == true)
    cluster.restart(4, from: remains(cluster, 4, Self.doubt(true, nil)))
    cluster.run(2_000)
    for id in [4, 5] as [UInt32] {
      #expect(cluster[id].suspicion == nil && cluster[id].snapshot.slot >= Slot(6))
      #expect(cluster[id].acceptor.promised >= cluster[1].acceptor.promised)
    }
    // Their votes decide again.
    cluster.crash(2)
    cluster.crash(3)
    wrote(cluster, 2)
    #expect(cluster.state(4) == cluster.state(1) && cluster.state(1).count >= 8)
  }

  /// Three could have chosen a value or led without either of the sound two.
  @Test func threeSuspectsOfFiveWaitForASoundOne() {
    let cluster = Cluster(5).elect(1)
    wrote(cluster, 6)
    for id in [3, 4, 5] as [UInt32] {
      cluster.restart(id, from: remains(cluster, id, Self.doubt(true, nil)))
    }
    cluster.run(4_000)
    for id in [3, 4, 5] as [UInt32] {
      let text = cluster[id].suspicionText ?? "sound"
      #expect(text.contains("3 sound members") && text.contains("suspects themselves"), "\(text)")
    }
    #expect(cluster.leader == nil)
  }

  private func isInquiry(_ envelope: Envelope, to: Set<UInt32>) -> Bool {
    if case .inquiry = envelope.message { to.contains(envelope.to.rawValue) } else { false }
  }

  private func isStanding(_ envelope: Envelope) -> Bool {
    if case .standing = envelope.message { true } else { false }
  }

  private func isAccept(_ envelope: Envelope, to: UInt32) -> Bool {
    if case .accept = envelope.message { envelope.to.rawValue == to } else { false }
  }

  /// One sound replica answers before it votes, the leader after it has counted that vote and the lost one and has died
  /// without a vote of its own: each of the two answers is true, and neither knows of the slot.
  @Test func anAnswerFromBeforeTheVoteDoesNotCount() {
    let cluster = Cluster(3).elect(1)
    wrote(cluster, 2)
    cluster.durableAtOnce = [2, 3]
    cluster.command(1)
    let slot = cluster[1].window.chosenUpTo.next
    cluster.deliver { isAccept($0, to: 3) }
    cluster.deliver { $0.from == ReplicaID(3) }
    #expect(cluster.durable(3).entries.last?.slot == slot && cluster[1].window.chosenUpTo < slot)
    cluster.restart(3, from: remains(cluster, 3, Self.doubt(true, nil)))
    cluster.deliver { isInquiry($0, to: [2]) }
    cluster.deliver { isStanding($0) }
    cluster.deliver { isAccept($0, to: 2) }
    cluster.deliver { $0.from == ReplicaID(2) }
    #expect(cluster[1].window.chosenUpTo == slot)
    cluster.network.removeAll { $0.from == ReplicaID(1) }
    cluster.restart(1)
    cluster.durableAtOnce = [1, 2, 3]
    cluster.partition([2], [1, 3])
    cluster.deliver { isInquiry($0, to: [1]) }
    cluster.deliver { isStanding($0) }
    // Together they would choose something else.
    cluster.run(4_000)
    #expect(cluster[3].suspicion != nil && cluster.leader == nil)
    cluster.heal()
    cluster.run(4_000)
    #expect(cluster[3].suspicion == nil && cluster[3].snapshot.slot >= slot)
    #expect(cluster.state(3) == cluster.state(2) && cluster.state(1) == cluster.state(2))
  }

  /// The same with a promise: its candidate is led to by a promise given after the answer, and dies before its own.
  @Test func anAnswerFromBeforeThePromiseDoesNotCount() {
    let cluster = Cluster(5).elect(1)
    wrote(cluster, 2)
    cluster.stand(4)
    while !cluster.network.contains(where: { isPrepare($0.message) }) { cluster.deliver() }
    cluster.network.removeAll { !isPrepare($0.message) }
    cluster.deliver { $0.to == ReplicaID(5) }
    cluster.deliver { $0.from == ReplicaID(5) }
    let high = cluster[4].acceptor.promised
    #expect(cluster.durable(5).promised == high && cluster[3].acceptor.promised < high)
    cluster.restart(5, from: remains(cluster, 5, Self.doubt(true, nil)))
    cluster.deliver { isInquiry($0, to: [1, 2, 3]) }
    cluster.deliver { isStanding($0) }
    cluster.deliver { isPrepare($0.message) && $0.to == ReplicaID(3) }
    cluster.deliver { $0.from == ReplicaID(3) }
    #expect(cluster[4].leads, "the lost promise was counted")
    cluster.network.removeAll { !isInquiry($0, to: [4]) }
    cluster.restart(4, from: remains(cluster, 4, Self.doubt(true, nil)))
    cluster.links = { $0.to != ReplicaID(3) && $0.from != ReplicaID(3) }
    cluster.run(2_000)
    #expect(cluster[5].suspicion != nil, "only replica 3 knows the promise")
    cluster.heal()
    cluster.run(4_000)
    #expect(cluster[5].suspicion == nil && cluster[5].acceptor.promised >= high)
  }

  @Test func answersOfAnotherLifeDoNotCount() {
    var suspicion = Suspicion(Self.doubt(false, nil), voters: 3, own: 2)
    func say(
      _ nonce: UInt64, _ voter: Int, _ slot: UInt64, _ promised: Ballot,
      leads: Bool = false, isSound: Bool = true
    ) {
      suspicion.take(
        Standing(
          nonce: nonce, isSound: isSound, promised: promised, leading: leads ? promised : .zero,
          lastSlot: Slot(slot)), from: voter)
    }
    say(7, 0, 4, ballot(3), leads: true)
    #expect(suspicion.bound(promised: ballot(3)) == nil)
    suspicion.nonce = 8
    say(7, 0, 4, ballot(3), leads: true)
    #expect(suspicion.bound(promised: ballot(3)) == nil)
    suspicion.nonce = 7
    say(7, 0, 4, ballot(3), leads: true)
    #expect(suspicion.bound(promised: ballot(3)) == Slot(4))
    // A leader below the own promise has not heard of everything.
    #expect(suspicion.bound(promised: ballot(4)) == nil && !suspicion.isTimeToAskAgain)
    say(7, 1, 0, .zero, isSound: false)
    #expect(suspicion.unanswered().suspects == [1] && suspicion.isTimeToAskAgain)
    say(7, 1, 6, ballot(9))
    #expect(suspicion.bound(promised: ballot(4)) == nil, "everybody is asked twice")
    suspicion.askAgain(nonce: 11)
    say(7, 0, 5, ballot(3))
    #expect(suspicion.unanswered().silent == [0, 1])
    say(11, 0, 5, ballot(3))
    #expect(suspicion.bound(promised: ballot(4)) == nil)
    say(11, 1, 5, ballot(3))
    #expect(suspicion.bound(promised: ballot(4)) == Slot(6), "of both answers the higher one")
  }

  @Test func aloneItDoesNotStart() throws {
    var state = DurableState()
    state.doubt = Self.doubt(false, 3)
    #expect(throws: Replica.Invalid.nobodyToLearnFrom(Self.doubt(false, 3))) {
      _ = try Replica(
        id: ReplicaID(1), configuration: configuration(1), options: Cluster.options(),
        durable: state, seed: 1)
    }
  }
}
