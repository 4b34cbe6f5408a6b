import Testing

@testable import Protocol

@Suite struct ReplicaLeadingTests {
  @Test func commandsFlowThroughAPipeline() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<5 { cluster.command(1) }
    let accepts = cluster.network.count { if case .accept = $0.message { true } else { false } }
    #expect(accepts == 10, "five, to two peers each")
    #expect(cluster[1].proposer.slotsInFlight(cluster[1].window) == 5)
    cluster.run(300)
    for id in cluster.ids { #expect(cluster.state(id).count == 5) }
    #expect(cluster.state(1) == cluster.state(2) && cluster.state(1) == cluster.state(3))
  }

  @Test func commandsThatComeWhileThePipelineIsFullShareAValue() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<20 { cluster.command(1) }
    #expect(cluster[1].proposer.slotsInFlight(cluster[1].window) == 8)
    #expect(cluster[1].batcher.commands == 12)
    cluster.run(300)
    #expect(cluster.log.count == 9 && cluster.log[Slot(9)]?.count == 12)
  }

  @Test func aFullQueueRefuses() {
    var options = Cluster.options()
    options.batchCommandsMax = 1
    options.queuedBatchesMax = 3
    let cluster = Cluster(3, options: options).elect(1)
    let requests = (0..<14).map { _ in cluster.command(1) }
    // Eight in flight, one batch open, three waiting.
    #expect(requests.prefix(12).allSatisfy { cluster.refusal($0) == nil })
    #expect(cluster.refusal(requests[12]) == .overloaded)
    cluster.settle()
    #expect(cluster.state(1).count == 12)
    #expect(cluster.refusal(cluster.command(1)) == nil)
  }

  @Test func whatNoBatchCanHoldIsRefused() {
    let cluster = Cluster(3).elect(1)
    let request = cluster.command(1, length: (1 << 20) + 1)
    #expect(cluster.refusal(request) == .tooLarge(limit: 1 << 20))
    #expect(cluster.refusal(cluster.command(1, length: 1 << 20)) == nil)
  }

  @Test func followersNameTheLeader() {
    let cluster = Cluster(3).elect(1)
    #expect(cluster.refusal(cluster.command(3)) == .notLeader(leader: ReplicaID(1)))
    #expect(Cluster(3).refused.isEmpty)
    let fresh = Cluster(3)
    #expect(fresh.refusal(fresh.command(3)) == .notLeader(leader: nil))
  }

  @Test func anAcceptLeavesBeforeTheOwnVoteIsDurableAndItsVoteCountsAfter() {
    let cluster = Cluster(3).elect(1)
    cluster.durableAtOnce = [2]
    cluster.command(1)
    cluster.settle()
    #expect(cluster.state(1).isEmpty, "only 2's vote is durable")
    cluster.persist(1)
    #expect(cluster.state(1).count == 1)
  }

  @Test func theOwnVoteIsNotNeededForAQuorum() {
    let cluster = Cluster(3).elect(1)
    cluster.durableAtOnce = [2, 3]
    cluster.command(1)
    cluster.settle()
    #expect(cluster.state(1).count == 1 && !cluster.pending(1).isEmpty)
  }

  @Test func slotsMayBeChosenOutOfOrderAndAreAppliedInOrder() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<3 { cluster.command(1) }
    cluster.links = { if case .accept(let m) = $0.message { m.slot != Slot(1) } else { true } }
    cluster.settle()
    #expect(cluster.state(1).isEmpty && cluster[1].window[Slot(3)].isChosen)
    #expect(cluster[1].contracts.count(of: .chosenOutOfOrder) > 0)
    cluster.heal()
    cluster.run(300)
    #expect(cluster.state(1).count == 3)
    #expect(cluster[1].contracts.count(of: .acceptRetransmitted) > 0)
  }

  @Test func lostVotesAreAskedForAgain() {
    let cluster = Cluster(3).elect(1)
    cluster.links = { if case .accepted = $0.message { false } else { true } }
    cluster.command(1)
    cluster.run(250)
    #expect(cluster.state(1).isEmpty)
    cluster.heal()
    cluster.run(150)
    #expect(cluster.state(1).count == 1)
    #expect(cluster[2].contracts.count(of: .voteRepeated) > 0)
  }

  @Test func onlyWhoHasNotVotedIsSentAnAcceptAgain() {
    let cluster = Cluster(5).elect(1)
    cluster.links = { $0.to.rawValue < 3 }
    cluster.command(1)
    cluster.settle()
    let before = cluster.sent.count
    cluster.run(110)
    let again = cluster.sent[before...].compactMap { envelope -> UInt32? in
      if case .accept = envelope.message { envelope.to.rawValue } else { nil }
    }
    #expect(Set(again) == [3, 4, 5])
  }

  // MARK: Batch delay

  static func delayed() -> ReplicaOptions {
    var options = Cluster.options()
    options.batchDelay = .milliseconds(5)
    return options
  }

  @Test func aCommandWaitsForCompany() {
    let cluster = Cluster(3, options: Self.delayed()).elect(1)
    for _ in 0..<3 { cluster.command(1) }
    #expect(cluster[1].proposer.slotsInFlight(cluster[1].window) == 0)
    cluster.run(4)
    #expect(cluster.state(1).isEmpty)
    cluster.run(1)
    #expect(cluster.log[Slot(1)]?.count == 3)
  }

  /// A batch that is ripe while the pipeline is full waits for the pipeline, not for a timer that has come already.
  @Test func aRipeBatchBehindAFullPipelineDoesNotSpin() {
    var options = Self.delayed()
    options.batchCommandsMax = 1
    let cluster = Cluster(3, options: options).elect(1)
    cluster.links = { if case .accepted = $0.message { false } else { true } }
    for _ in 0..<12 { cluster.command(1) }
    #expect(cluster[1].proposer.slotsInFlight(cluster[1].window) == 8)
    for _ in 0..<3 {
      cluster.advance(20)
      cluster.fire(1)
      for case .setDeadline(let deadline) in cluster.effects(1) { #expect(deadline > cluster.now) }
    }
    cluster.heal()
    cluster.run(500)
    #expect(cluster.log.values.reduce(0) { $0 + $1.count } == 12)
  }

  // MARK: Fail-over

  @Test func aNewLeaderProposesOldVotesAgainAndFillsGaps() {
    let cluster = Cluster(5).elect(1)
    for _ in 0..<4 { cluster.command(1) }
    // Slot 1 reaches 2 and 3 and is chosen; slot 3 reaches 2 only; slots 2 and 4 reach nobody.
    cluster.links = { envelope in
      guard case .accept(let m) = envelope.message else { return true }
      return switch m.slot.rawValue {
      case 1: envelope.to.rawValue <= 3
      case 3: envelope.to.rawValue == 2
      default: false
      }
    }
    cluster.settle()
    #expect(cluster.state(1).count == 1)
    let third = cluster[1].window[Slot(3)].value
    cluster.crash(1)
    cluster.heal()
    cluster.elect(2)
    #expect(cluster.log.count == 3)
    #expect(cluster.log[Slot(2)]?.isNoop == true && cluster.log[Slot(3)]?.isSame(as: third) == true)
    #expect(cluster[2].contracts.count(of: .gapFilledWithNoop) == 1)
    #expect(cluster[2].contracts.count(of: .voteReproposed) == 2)
    cluster.restart(1)
    cluster.run(1_000)
    #expect(cluster.state(1) == cluster.state(2) && cluster.state(1).count == 3)
  }

  @Test func aValueThatMayHaveBeenChosenSurvivesEveryFailOver() {
    let cluster = Cluster(3).elect(1)
    cluster.command(1)
    cluster.links = { $0.to.rawValue != 3 }
    cluster.settle()
    #expect(cluster.state(1).count == 1, "chosen by 1 and 2, unknown to 3")
    let first = cluster.state(1)
    cluster.crash(1)
    cluster.heal()
    cluster.elect(3)
    #expect(cluster.state(3).count == 1 && cluster.state(3) == first)
  }

  @Test func aNewLeaderLearnsChosenSlotsFromItsPromises() {
    let cluster = Cluster(3).elect(1)
    cluster.links = { $0.to.rawValue != 3 }
    for _ in 0..<5 { cluster.command(1) }
    cluster.run(200)
    #expect(cluster.state(2).count == 5 && cluster.state(3).isEmpty)
    cluster.crash(1)
    cluster.heal()
    cluster.advance(1_000)
    cluster.elect(3)
    #expect(cluster.state(3) == cluster.state(2))
    #expect(cluster[3].contracts.count(of: .chosenReportLearned) == 5)
  }

  /// A long range of chosen reports is learned in a loop, not in as many nested calls.
  @Test func aLongRangeOfChosenReportsFitsTheStack() {
    var options = ReplicaOptions()
    options.windowSlots = 2_000
    options.logSlots = 8_192
    let cluster = Cluster(3, options: options).elect(1)
    cluster.links = { $0.to.rawValue != 3 }
    for _ in 0..<1_900 {
      cluster.command(1)
      cluster.settle()
    }
    cluster.run(200)
    #expect(cluster.state(2).count == 1_900)
    cluster.crash(1)
    cluster.heal()
    cluster.advance(1_000)
    cluster.elect(3)
    #expect(cluster.state(3).count == 1_900)
  }
}
