import Testing

@testable import Protocol

@Suite struct ReplicaElectionTests {
  @Test(arguments: [1, 2, 3, 4, 5, 7] as [UInt32]) func aFreshClusterElectsOneLeader(
    _ n: UInt32
  ) throws {
    let cluster = Cluster(n)
    cluster.run(4_000)
    let leader = try #require(cluster.leader)
    for id in cluster.ids {
      #expect(cluster[id].leader == ReplicaID(leader))
      #expect(cluster[id].role == (id == leader ? .leader : .follower))
    }
    let ballot = cluster[leader].proposer.ballot
    cluster.run(5_000)
    #expect(cluster[leader].proposer.ballot == ballot, "a healthy leader stays")
  }

  @Test func aSingleReplicaNeedsItsJournalOnly() {
    let cluster = Cluster(1)
    cluster.durableAtOnce = []
    cluster.stand(1)
    #expect(cluster[1].role == .candidate)
    cluster.persist(1)
    #expect(cluster[1].role == .leader)
    cluster.command(1)
    #expect(cluster.state(1).isEmpty)
    cluster.persist(1)
    #expect(cluster.state(1).count == 1 && cluster.sent.isEmpty)
  }

  @Test func thePrepareWaitsForTheOwnPromise() {
    let cluster = Cluster(3)
    cluster.durableAtOnce = [2, 3]
    cluster.stand(1)
    cluster.settle()
    #expect(cluster[1].role == .candidate)
    #expect(!cluster.sent.contains { if case .prepare = $0.message { true } else { false } })
    cluster.persist(1)
    cluster.settle()
    #expect(cluster[1].role == .leader)
  }

  @Test func aPromiseWaitsForItsRecord() {
    let cluster = Cluster(3)
    cluster.durableAtOnce = [1]
    cluster.partition([3], [1, 2])
    cluster.stand(1)
    cluster.settle()
    #expect(cluster[1].role == .candidate && cluster[2].acceptor.promised == ballot(1))
    cluster.fire(1)
    cluster.advance(200)
    cluster.fire(1)
    cluster.settle()
    #expect(cluster[1].role == .candidate, "a repeated Prepare does not set the promise free")
    cluster.persist(2)
    cluster.settle()
    #expect(cluster[1].role == .leader)
  }

  @Test func aReplicaBehindABrokenLinkDoesNotUnseatTheLeader() {
    let cluster = Cluster(3).elect(1)
    cluster.partition([3], [1, 2])
    cluster.run(5_000)
    let ballot = cluster[1].proposer.ballot
    #expect(cluster[3].role == .preCandidate && cluster[3].acceptor.promised == ballot)
    cluster.heal()
    cluster.run(3_000)
    #expect(cluster.leader == 1 && cluster[1].proposer.ballot == ballot)
    #expect(cluster[3].role == .follower)
  }

  @Test func aLeaderWithoutItsQuorumStepsDown() {
    let cluster = Cluster(3).elect(1)
    let read = cluster.read(1, .quorum)
    cluster.network = []
    cluster.partition([1], [2, 3])
    cluster.run(600)
    #expect(!cluster[1].leads && cluster[1].contracts.count(of: .checkQuorumFailed) == 1)
    #expect(cluster.refusal(read) == .notLeader(leader: nil))
    #expect(cluster.refusal(cluster.command(1)) == .notLeader(leader: nil))
  }

  @Test func aLeaderWhoseJournalStandsStillStepsDown() {
    let cluster = Cluster(3).elect(1)
    cluster.durableAtOnce = [2, 3]
    cluster.run(1_000)
    #expect(cluster.leader == 1, "nothing waits for the journal")
    cluster.command(1)
    cluster.run(1_900)
    #expect(cluster[1].role == .leader)
    cluster.run(300)
    #expect(cluster[1].role != .leader && cluster[1].contracts.count(of: .journalStalled) == 1)
    cluster.run(3_000)
    #expect(cluster.leader == 2 || cluster.leader == 3)
  }

  @Test func readsDoNotKeepALeaderWhoseJournalStandsStill() {
    let cluster = Cluster(3).elect(1)
    cluster.durableAtOnce = [2, 3]
    cluster.command(1)
    for _ in 0..<60 where cluster[1].leads {
      cluster.read(1, .quorum)
      cluster.run(50)
    }
    #expect(!cluster[1].leads && cluster[1].contracts.count(of: .journalStalled) == 1)
  }

  @Test func slowButSteadyJournalsDoNotCostTheLead() {
    let cluster = Cluster(3).elect(1)
    cluster.durableAtOnce = [2, 3]
    for _ in 0..<8 {
      cluster.command(1)
      cluster.run(900)
      cluster.persist(1, 1)
      #expect(cluster.leader == 1)
    }
  }

  @Test func aVetoKeepsAReplicaFromStanding() {
    let cluster = Cluster(3)
    for id in [1, 2] as [UInt32] { cluster.step(id, .leadershipPermitted(false)) }
    cluster.run(6_000)
    #expect(cluster.leader == 3)
    #expect(cluster[1].contracts.count(of: .leadershipVetoed) > 0)
  }

  @Test func aVetoHandsTheLeadOver() throws {
    let cluster = Cluster(3).elect(1)
    cluster.run(300)
    cluster.step(1, .leadershipPermitted(false))
    cluster.run(300)
    let next = try #require(cluster.leader)
    #expect(next != 1)
    cluster.run(5_000)
    #expect(cluster[1].role == .follower && cluster.leader == next)
  }

  @Test func aVetoedLeaderWithoutASuccessorStepsDown() {
    let alone = Cluster(1).elect(1)
    alone.step(1, .leadershipPermitted(false))
    #expect(alone[1].role == .follower)
    alone.run(3_000)
    #expect(alone[1].role == .follower)
    alone.step(1, .leadershipPermitted(true))
    alone.run(3_000)
    #expect(alone[1].role == .leader)
  }

  @Test(arguments: 1...8) func higherRanksStandLater(_ seed: Int) {
    var options = Cluster.options()
    options.priorityDelay = .milliseconds(1_000)
    let members = (1...3).map { Member(id: ReplicaID($0), priorityRank: $0 == 2 ? 0 : 1) }
    let cluster = Cluster(3, options: options, members: members)
    for _ in 0..<seed { cluster.restart(2) }
    cluster.run(2_000)
    #expect(cluster.leader == 2)
  }

  @Test func aCandidateClimbsOverAPromiseItMet() {
    let cluster = Cluster(3)
    cluster.send(from: 3, to: 2, .prepare(Prepare(ballot: ballot(40, 3), firstSlot: Slot(1))))
    cluster.network = []
    cluster.crash(3)
    cluster.run(4_000)
    #expect(cluster.leader != nil)
    #expect(cluster[cluster.leader!].proposer.ballot > ballot(40, 3))
  }

  @Test func aLostPrepareOrPromiseIsMadeGood() {
    let cluster = Cluster(3)
    var random = SeededRandom(seed: 4)
    cluster.links = { envelope in
      switch envelope.message {
      case .prepare, .promise, .preVoteReply: return random.next(below: 3) == 0
      default: return true
      }
    }
    cluster.run(6_000)
    #expect(cluster.leader != nil)
  }

  @Test func aHigherPrepareUnseatsALeader() {
    let cluster = Cluster(3).elect(1)
    cluster.send(from: 2, to: 1, .prepare(Prepare(ballot: ballot(9, 2), firstSlot: Slot(1))))
    #expect(cluster[1].role == .follower && cluster[1].acceptor.promised == ballot(9, 2))
    #expect(cluster.refusal(cluster.command(1)) == .notLeader(leader: nil))
  }

  @Test func aRejectionUnseatsALeaderOnlyForItsBallot() {
    let cluster = Cluster(3).elect(1)
    let own = cluster[1].proposer.ballot
    cluster.send(from: 2, to: 1, .rejected(Rejected(ballot: ballot(0, 1), promised: ballot(9, 2))))
    cluster.send(from: 2, to: 1, .rejected(Rejected(ballot: own, promised: own)))
    #expect(cluster[1].role == .leader)
    cluster.send(from: 2, to: 1, .rejected(Rejected(ballot: own, promised: ballot(9, 2))))
    #expect(cluster[1].role == .follower && cluster[1].contracts.count(of: .ballotOvertaken) == 1)
  }

  // MARK: Transfer

  @Test func theLeadIsTransferredWithoutAPreVote() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<3 { cluster.command(1) }
    cluster.settle()
    cluster.run(200)
    let preVotes = cluster.sent.count { if case .preVote = $0.message { true } else { false } }
    cluster.step(1, .transferRequested(to: ReplicaID(3)))
    cluster.settle()
    #expect(cluster.leader == 3 && cluster[1].role == .follower)
    #expect(
      preVotes == cluster.sent.count { if case .preVote = $0.message { true } else { false } })
    #expect(cluster[3].contracts.count(of: .transferAccepted) == 1)
  }

  @Test func aTransferWaitsForWhatIsInFlightAndForItsTarget() {
    let cluster = Cluster(3).elect(1)
    cluster.run(200)
    cluster.partition([1], [2, 3])
    cluster.command(1)
    cluster.settle()
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    #expect(cluster.refusal(cluster.command(1)) == .transferring(to: ReplicaID(2)))
    #expect(
      !cluster.sent.contains { if case .standForElection = $0.message { true } else { false } })
    cluster.heal()
    cluster.run(450)
    #expect(cluster.leader == 2 && cluster.state(2).count == 1)
  }

  @Test func anExpiredTransferLeavesTheLeaderAndMayBeTriedAgain() {
    let cluster = Cluster(3).elect(1)
    cluster.run(200)
    cluster.crash(3)
    cluster.step(1, .transferRequested(to: ReplicaID(3)))
    cluster.run(600)
    #expect(cluster.leader == 1 && cluster[1].contracts.count(of: .transferExpired) == 1)
    let after = cluster.command(1)
    #expect(cluster.refusal(after) == nil)
    cluster.run(200)
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    cluster.run(300)
    #expect(cluster.leader == 2)
  }

  @Test func whoIsNotAskedByItsLeaderDoesNotStand() {
    let cluster = Cluster(3).elect(1)
    let own = cluster[1].proposer.ballot
    cluster.send(from: 1, to: 2, .standForElection(StandForElection(ballot: ballot(9, 1))))
    cluster.send(from: 3, to: 2, .standForElection(StandForElection(ballot: ballot(1, 3))))
    #expect(cluster[2].role == .follower)
    cluster.step(2, .leadershipPermitted(false))
    cluster.send(from: 1, to: 2, .standForElection(StandForElection(ballot: own)))
    #expect(cluster[2].role == .follower, "vetoed")
    cluster.step(2, .leadershipPermitted(true))
    cluster.send(from: 1, to: 2, .standForElection(StandForElection(ballot: own)))
    #expect(cluster[2].role == .candidate)
  }

  @Test func aTransferToNobodyChangesNothing() {
    let cluster = Cluster(3).elect(1)
    for target in [1, 9] as [UInt32] { cluster.step(1, .transferRequested(to: ReplicaID(target))) }
    cluster.step(2, .transferRequested(to: ReplicaID(3)))
    cluster.run(500)
    #expect(cluster.leader == 1)
    #expect(cluster.refusal(cluster.command(1)) == nil)
  }
}
