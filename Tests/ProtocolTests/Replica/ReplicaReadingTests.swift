import Testing

@testable import Protocol

@Suite struct ReplicaReadingTests {
  static let lease = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 10_000)

  func isHeartbeat(_ e: Envelope) -> Bool { if case .heartbeat = e.message { true } else { false } }
  func isHeartbeatReply(_ e: Envelope) -> Bool {
    if case .heartbeatReply = e.message { true } else { false }
  }

  // MARK: Quorum reads

  @Test func aQuorumReadWaitsForARoundSentAfterIt() {
    let cluster = Cluster(3).elect(1)
    let first = cluster.read(1, .quorum)
    cluster.deliver()
    #expect(!cluster.isServed(first), "the heartbeats have been delivered, not their answers")
    // This one comes while the round of the first is out.
    let second = cluster.read(1, .quorum)
    cluster.deliver(where: isHeartbeatReply)
    #expect(cluster.isServed(first) && !cluster.isServed(second))
    cluster.settle()
    #expect(cluster.isServed(second))
  }

  @Test func readsShareARound() {
    let cluster = Cluster(3).elect(1)
    _ = cluster.read(1, .quorum)
    let heartbeats = cluster.sent.count(where: isHeartbeat)
    let reads = (0..<10).map { _ in cluster.read(1, .quorum) }
    #expect(cluster.sent.count(where: isHeartbeat) == heartbeats)
    cluster.settle()
    #expect(reads.allSatisfy(cluster.isServed))
    #expect(cluster.sent.count(where: isHeartbeat) == heartbeats + 2)
  }

  @Test func aLostRoundIsMadeGoodByTheNextHeartbeat() {
    let cluster = Cluster(3).elect(1)
    let read = cluster.read(1, .quorum)
    cluster.network = []
    cluster.run(50)
    #expect(!cluster.isServed(read))
    cluster.run(100)
    #expect(cluster.isServed(read))
  }

  @Test func aSingleReplicaConfirmsItself() {
    let cluster = Cluster(1).elect(1)
    #expect(cluster.isServed(cluster.read(1, .quorum)))
  }

  /// etcd #7331: what the former leader had chosen, the new one may not know yet.
  @Test func aNewLeaderServesNothingBeforeItHasSettledTheFormerBallots() {
    let cluster = Cluster(3).elect(1)
    cluster.command(1)
    // Chosen and applied at 1; the others voted and do not know.
    cluster.deliver()
    cluster.deliver()
    #expect(cluster.state(1).count == 1 && cluster.state(2).isEmpty)
    cluster.network = []
    cluster.crash(1)
    cluster.durableAtOnce = [3]
    cluster.stand(2)
    for _ in 0..<20 where cluster[2].role != .recoveringLeader {
      cluster.settle()
      if cluster[2].role == .candidate { cluster.persist(2, 1) }
    }
    // Only now is a quorum's vote withheld: 2's own is not durable, 3's does not get through.
    #expect(cluster[2].role == .recoveringLeader && cluster[2].proposer.recoveredUpTo == Slot(1))
    cluster.links = { if case .accepted = $0.message { false } else { true } }
    let read = cluster.read(2, .quorum)
    cluster.settle()
    #expect(cluster[2].rounds.confirmed > 1 && !cluster.isServed(read))
    cluster.heal()
    cluster.persist(2)
    cluster.run(300)
    #expect(cluster.isServed(read))
    #expect(cluster.served.first { $0.id == read }?.appliedUpTo == Slot(1))
  }

  @Test func aDeposedLeaderNeverServes() {
    let cluster = Cluster(3).elect(1)
    cluster.partition([1], [2, 3])
    cluster.elect(2)
    cluster.command(2)
    cluster.settle()
    #expect(cluster[1].role == .leader, "it does not know")
    let read = cluster.read(1, .quorum)
    cluster.settle()
    #expect(!cluster.isServed(read))
    cluster.heal()
    cluster.run(300)
    #expect(!cluster.isServed(read))
    #expect(cluster.refusal(read) != nil)
  }

  @Test func readsAreBounded() {
    var options = Cluster.options()
    options.readsMax = 2
    let cluster = Cluster(3, options: options).elect(1)
    let reads = (0..<3).map { _ in cluster.read(1, .quorum) }
    #expect(cluster.refusal(reads[2]) == .overloaded)
    cluster.settle()
    #expect(cluster.isServed(reads[0]) && cluster.isServed(reads[1]) && !cluster.isServed(reads[2]))
  }

  @Test func aFollowerNamesTheLeader() {
    let cluster = Cluster(3).elect(1)
    #expect(cluster.refusal(cluster.read(2, .quorum)) == .notLeader(leader: ReplicaID(1)))
  }

  // MARK: Lease reads

  @Test func withoutLeasesALeaseReadIsRefused() {
    let cluster = Cluster(3).elect(1)
    #expect(cluster.refusal(cluster.read(1, .lease)) == .leasesDisabled)
  }

  @Test func aLeaseReadIsServedAtOnceAsLongAsTheLeaseRuns() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    let sentAt = cluster.now
    let duration = Self.lease.leaderDuration
    cluster.links = { _ in false }
    cluster.now = sentAt + duration + .zero
    let late = cluster.read(1, .lease)
    #expect(!cluster.isServed(late), "exactly at its end the lease is over")

    let other = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    other.now = Instant(nanoseconds: (other.now + duration).rawValue - 1)
    #expect(other.isServed(other.read(1, .lease)))
  }

  @Test func withoutALeaseTheReadAsksTheQuorum() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.advance(399)
    let read = cluster.read(1, .lease)
    #expect(!cluster.isServed(read))
    cluster.settle()
    #expect(cluster.isServed(read))
  }

  @Test func theLeaseCountsFromTheSendingOfTheConfirmedRound() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    let base = cluster.now
    cluster.advance(100)
    cluster.fire(1)
    cluster.deliver()
    // The answers are slow; the lease still counts from when the heartbeat left.
    cluster.advance(250)
    cluster.settle()
    cluster.now = base + .milliseconds(100) + Self.lease.leaderDuration
    #expect(!cluster.isServed(cluster.read(1, .lease)))
  }

  @Test func nobodyIsElectedWhileALeaseRuns() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    let heard = cluster.now
    cluster.crash(1)
    cluster.now = heard + .milliseconds(399)
    cluster.send(from: 3, to: 2, .prepare(Prepare(ballot: ballot(9, 3), firstSlot: Slot(1))))
    #expect(cluster[2].acceptor.promised == ballot(1, 1))
    #expect(cluster[2].contracts.count(of: .leaseRefusedPrepare) == 1)
    cluster.now = heard + .milliseconds(400)
    cluster.send(from: 3, to: 2, .prepare(Prepare(ballot: ballot(9, 3), firstSlot: Slot(1))))
    #expect(cluster[2].acceptor.promised == ballot(9, 3))
  }

  @Test func aTransferReleasesTheLeaseForGood() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.run(200)
    #expect(cluster.isServed(cluster.read(1, .lease)))
    cluster.links = { if case .standForElection = $0.message { false } else { true } }
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    let during = cluster.read(1, .lease)
    #expect(!cluster.isServed(during), "asks the quorum")
    cluster.run(700)
    #expect(cluster.leader == 1 && cluster.isServed(during))
    let after = cluster.read(1, .lease)
    #expect(!cluster.isServed(after), "the request to stand may still be on its way")
    cluster.settle()
    #expect(cluster.isServed(after))
  }

  @Test func aTransferNeedNotWaitForTheVows() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.run(200)
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    cluster.settle()
    #expect(cluster.leader == 2)
    #expect(!cluster.isServed(cluster.read(1, .lease)))
  }

  @Test func aReplayedRequestToStandDoesNotBreakALaterLease() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.run(200)
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    cluster.settle()
    cluster.run(200)
    cluster.step(2, .transferRequested(to: ReplicaID(3)))
    cluster.settle()
    #expect(cluster.leader == 3)
    cluster.run(300)
    let old = cluster.sent.filter {
      switch $0.message {
      case .standForElection, .heartbeat: $0.message != cluster.sent.last?.message
      default: false
      }
    }
    .filter { $0.from != ReplicaID(3) }
    let before = cluster[3].proposer.ballot
    for envelope in old { cluster.step(envelope.to.rawValue, .messageReceived(envelope)) }
    cluster.settle()
    #expect(cluster.leader == 3 && cluster[3].proposer.ballot == before)
    #expect(cluster.isServed(cluster.read(3, .lease)))
  }

  /// The own promise counts in the quorum, so the own vow must be asked as well.
  @Test func whoVowedToALaterLeaderDoesNotStandForAnEarlierOne() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.advance(450)
    let late = Heartbeat(ballot: ballot(1, 1), round: 1, chosenUpTo: .zero)
    cluster.send(
      from: 3, to: 2, .heartbeat(Heartbeat(ballot: ballot(5, 3), round: 1, chosenUpTo: .zero)))
    cluster.send(from: 1, to: 2, .heartbeat(late))
    cluster.send(from: 1, to: 2, .standForElection(StandForElection(ballot: ballot(1, 1))))
    #expect(cluster[2].role == .follower && cluster[2].acceptor.promised == ballot(1, 1))
  }

  @Test func aRestartedFollowerKeepsTheVowItForgot() {
    let cluster = Cluster(3, options: Cluster.options(lease: Self.lease)).elect(1)
    cluster.run(300)
    cluster.restart(2)
    cluster.send(from: 3, to: 2, .prepare(Prepare(ballot: ballot(9, 3), firstSlot: Slot(1))))
    #expect(cluster[2].acceptor.promised == ballot(1, 1))
  }

  // MARK: Local reads

  @Test func aLocalReadIsServedAnywhereOnceItsSlotIsApplied() {
    let cluster = Cluster(3).elect(1)
    #expect(cluster.isServed(cluster.read(2, .local(atLeast: .zero))))
    let read = cluster.read(2, .local(atLeast: Slot(1)))
    #expect(!cluster.isServed(read))
    cluster.command(1)
    cluster.run(200)
    #expect(cluster.isServed(read))
    #expect(cluster.served.last { $0.id == read }?.by == 2)
  }

  @Test func aLocalReadThatWaitsTooLongIsRefused() {
    let cluster = Cluster(3).elect(1)
    let read = cluster.read(2, .local(atLeast: Slot(3)))
    cluster.run(400)
    #expect(cluster.refusal(read) == nil)
    cluster.run(200)
    #expect(cluster.refusal(read) == .notApplied(appliedUpTo: .zero))
  }

  @Test func localReadsSurviveAChangeOfTheLeader() {
    let cluster = Cluster(3).elect(1)
    let read = cluster.read(1, .local(atLeast: Slot(1)))
    cluster.send(from: 2, to: 1, .prepare(Prepare(ballot: ballot(9, 2), firstSlot: Slot(1))))
    #expect(cluster.refusal(read) == nil && !cluster[1].leads)
  }

  @Test func localReadsAreBounded() {
    var options = Cluster.options()
    options.readsMax = 1
    let cluster = Cluster(3, options: options).elect(1)
    _ = cluster.read(2, .local(atLeast: Slot(1)))
    #expect(cluster.refusal(cluster.read(2, .local(atLeast: Slot(1)))) == .overloaded)
  }
}
