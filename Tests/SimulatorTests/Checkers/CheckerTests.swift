import Protocol
import Testing

@testable import Simulator

/// What the checkers of the Paxos tenant must see, and what they must let pass.
@Suite struct CheckerTests {
  private let node = NodeIndex(0)
  private let low = Ballot(round: 1, proposer: ReplicaID(1))
  private let high = Ballot(round: 2, proposer: ReplicaID(2))

  private func value(_ digest: UInt64) -> Value {
    Value(bytes: BytesRef(position: 0, length: 64), count: 1, digest: digest)
  }

  // MARK: What leaves must be durable

  @Test func aVowMayLeaveOnlyWhenItIsOnDisk() {
    var checker = DurabilityChecker(replicas: 3)
    let promise = Message.promise(
      Promise(
        ballot: high, firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
        lastSlot: .zero))
    let prepare = Message.prepare(Prepare(ballot: high, firstSlot: Slot(1)))
    let accept = Message.accept(
      Accept(ballot: high, slot: Slot(1), value: .noop, chosenUpTo: .zero))
    for message in [promise, prepare, accept] { #expect(checker.sent(node, message) != nil) }
    #expect(checker.durable(node, .promised(high)) == nil)
    for message in [promise, prepare, accept] { #expect(checker.sent(node, message) == nil) }
  }

  @Test func anAcceptedStandsForDurableVotesInAllOfItsSlots() {
    var checker = DurabilityChecker(replicas: 3)
    let accepted = Message.accepted(Accepted(ballot: high, firstSlot: Slot(1), lastSlot: Slot(2)))
    #expect(checker.durable(node, .accepted(Slot(1), high, value(1))) == nil)
    #expect(checker.durable(node, .accepted(Slot(2), low, value(1))) == nil)
    #expect(checker.sent(node, accepted) != nil)
    #expect(checker.durable(node, .accepted(Slot(2), high, value(1))) == nil)
    #expect(checker.sent(node, accepted) == nil)
    // Learning what was chosen does not make the vote undone.
    #expect(checker.durable(node, .learned(Slot(2), value(2))) == nil)
    #expect(checker.sent(node, accepted) == nil)
  }

  @Test func aPromiseTellsEveryVote() {
    var checker = DurabilityChecker(replicas: 3)
    #expect(checker.durable(node, .accepted(Slot(3), low, value(1))) == nil)
    #expect(checker.durable(node, .promised(high)) == nil)
    func promise(upTo slot: UInt64) -> String? {
      checker.sent(
        node,
        .promise(
          Promise(
            ballot: high, firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
            lastSlot: Slot(slot))))
    }
    #expect(promise(upTo: 2) != nil)
    #expect(promise(upTo: 3) == nil)
    func report(_ voted: Ballot, isChosen: Bool = false) -> String? {
      checker.sent(
        node,
        .report(
          Report(
            ballot: high, slot: Slot(3), votedBallot: voted, value: value(1), isChosen: isChosen)))
    }
    #expect(report(.zero) != nil)
    #expect(report(low) == nil)
    #expect(report(.zero, isChosen: true) == nil)
  }

  // MARK: Operations

  @Test func anOperationIsPerformedAtMostOnce() {
    var checker = OperationChecker()
    #expect(checker.performed(1, Slot(4)) == nil)
    #expect(checker.performed(2, Slot(4)) == nil)
    #expect(checker.performed(1, Slot(9)) != nil)
  }

  @Test func aRefusedOperationIsNeverPerformed() {
    var early = OperationChecker()
    #expect(early.refused(7) == nil)
    #expect(early.performed(7, Slot(1)) != nil)
    var late = OperationChecker()
    #expect(late.performed(7, Slot(1)) == nil)
    #expect(late.refused(7) != nil)
  }

  // MARK: Leaders

  @Test func aHealedCoreKeepsItsLeader() {
    var checker = LeaderChecker()
    func ballot(_ round: UInt64) -> Ballot { Ballot(round: round, proposer: ReplicaID(1)) }
    for round in 1...50 { #expect(checker.led(ballot(UInt64(round)), node, boot: 1) == nil) }
    #expect(checker.finish() == nil)
    checker.healed()
    for round in 51...56 { _ = checker.led(ballot(UInt64(round)), node, boot: 1) }
    #expect(checker.leadershipsHealed == 6 && checker.finish() == nil)
    _ = checker.led(ballot(57), node, boot: 1)
    #expect(checker.finish() != nil)
  }
}
