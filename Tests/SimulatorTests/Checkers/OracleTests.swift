import Protocol
import Testing

@testable import Simulator

/// The oracles of the Paxos tenant on small histories: each must object to the wrong one and let the right one pass.
@Suite struct OracleTests {
  private let nodes = (0..<3).map { NodeIndex($0) }
  private let low = Ballot(round: 1, proposer: ReplicaID(1))
  private let high = Ballot(round: 2, proposer: ReplicaID(2))

  private func value(_ digest: UInt64) -> Value {
    Value(bytes: BytesRef(position: 0, length: 64), count: 1, digest: digest)
  }

  // MARK: Agreement

  @Test func aValueIsChosenByAQuorumOfDurableVotesAndOnlyThenApplied() {
    var checker = AgreementChecker(replicas: 3)
    #expect(checker.voted(nodes[0], Slot(1), low, value(1)) == nil)
    #expect(checker.applied(nodes[0], Slot(1), value(1)) != nil)
    // The same voter again is no second vote.
    #expect(checker.voted(nodes[0], Slot(1), low, value(1)) == nil)
    #expect(checker.applied(nodes[0], Slot(1), value(1)) != nil)
    #expect(checker.voted(nodes[1], Slot(1), low, value(1)) == nil)
    #expect(checker.applied(nodes[0], Slot(1), value(1)) == nil)
    #expect(checker.applied(nodes[1], Slot(1), value(2)) != nil)
    #expect(checker.appliedUpTo == Slot(1))
  }

  @Test func oneBallotProposesOneValueInASlot() {
    var checker = AgreementChecker(replicas: 3)
    let first = Accept(ballot: low, slot: Slot(4), value: value(1), chosenUpTo: .zero)
    let second = Accept(ballot: low, slot: Slot(4), value: value(2), chosenUpTo: .zero)
    #expect(checker.proposed(first) == nil)
    #expect(checker.proposed(first) == nil)
    #expect(checker.proposed(second) != nil)
    #expect(checker.voted(nodes[0], Slot(4), low, value(2)) != nil)
  }

  @Test func twoBallotsNeverChooseTwoValues() {
    var checker = AgreementChecker(replicas: 3)
    for node in nodes[..<2] { #expect(checker.voted(node, Slot(1), low, value(1)) == nil) }
    #expect(checker.voted(nodes[2], Slot(1), high, value(2)) == nil)
    #expect(checker.voted(nodes[1], Slot(1), high, value(2)) != nil)
    // Choosing the same value again is what a new leader does.
    var other = AgreementChecker(replicas: 3)
    for node in nodes[..<2] { #expect(other.voted(node, Slot(1), low, value(1)) == nil) }
    for node in nodes[1...] { #expect(other.voted(node, Slot(1), high, value(1)) == nil) }
  }

  // MARK: Leaders

  @Test func aBallotIsLedByItsProposerInOneLife() {
    var checker = LeaderChecker()
    #expect(checker.led(low, nodes[0], boot: 1) == nil)
    #expect(checker.led(low, nodes[0], boot: 1) == nil)
    #expect(checker.led(low, nodes[0], boot: 2) != nil)
    #expect(checker.led(high, nodes[0], boot: 2) != nil)
    #expect(checker.led(high, nodes[1], boot: 1) == nil)
    #expect(checker.leaderships == 2)
  }

  // MARK: Durability

  @Test func whatWasDurableIsRecovered() {
    var checker = DurabilityChecker(replicas: 3)
    #expect(checker.durable(nodes[0], .promised(high)) == nil)
    #expect(checker.durable(nodes[0], .accepted(Slot(1), high, value(1))) == nil)
    var whole = DurableState.empty
    whole.apply(JournalRecord(.accepted(Slot(1), high, value(1)), epoch: Epoch(1)))
    #expect(checker.recovered(nodes[0], whole) == nil)

    var withoutVote = DurableState.empty
    withoutVote.apply(JournalRecord(.promised(high), epoch: Epoch(1)))
    #expect(checker.recovered(nodes[0], withoutVote) != nil)
    #expect(checker.recovered(nodes[0], .empty) != nil)
    // A slot that was learned, or that a snapshot covers, needs no vote.
    var learned = withoutVote
    learned.apply(JournalRecord(.learned(Slot(1), value(1)), epoch: Epoch(1)))
    #expect(checker.recovered(nodes[0], learned) == nil)
    var covered = withoutVote
    covered.apply(
      JournalRecord(.snapshot(SnapshotInfo(slot: Slot(1), length: 1, digest: 1)), epoch: Epoch(1)))
    #expect(checker.recovered(nodes[0], covered) == nil)
  }

  @Test func acknowledgedSlotsAreThereAtTheEnd() {
    var checker = DurabilityChecker(replicas: 3)
    checker.acknowledged(Slot(7))
    checker.acknowledged(Slot(5))
    #expect(checker.finish(nodes[0], appliedUpTo: Slot(6)) != nil)
    #expect(checker.finish(nodes[0], appliedUpTo: Slot(7)) == nil)
  }

  // MARK: Digests

  @Test func replicasAtTheSameSlotAreInTheSameState() {
    var checker = DigestChecker()
    #expect(checker.reached(nodes[0], Slot(3), 42) == nil)
    #expect(checker.reached(nodes[1], Slot(3), 42) == nil)
    #expect(checker.reached(nodes[1], Slot(4), 43) == nil)
    #expect(checker.reached(nodes[2], Slot(3), 43) != nil)
    #expect(checker.reached(nodes[2], .zero, 1) == nil)
  }

  // MARK: Exactly once

  private func reply(_ session: UInt64, _ sequence: UInt64, _ slot: UInt64) -> CommandReply {
    CommandReply(
      request: RequestID(session: SessionID(session), sequence: SequenceNumber(sequence)),
      outcome: .applied(slot: Slot(slot)), bytes: 0..<0)
  }

  @Test func commandsOfASessionArePerformedOnceAndInOrder() {
    var checker = ExactlyOnceChecker()
    #expect(checker.applied(Slot(1), [reply(9, 1, 1), reply(9, 2, 1), reply(9, 1, 1)]) == nil)
    // An answer from an earlier slot is a repetition, not a performance.
    #expect(checker.applied(Slot(2), [reply(9, 2, 1), reply(9, 3, 2)]) == nil)
    var again = checker
    #expect(again.applied(Slot(3), [reply(9, 3, 3)]) != nil)
    var gap = checker
    #expect(gap.applied(Slot(3), [reply(9, 5, 3)]) != nil)
    var late = checker
    #expect(late.applied(Slot(3), [reply(8, 2, 3)]) != nil)
  }

  // MARK: Linearizability by slots

  private func put(_ key: UInt32, _ argument: UInt64) -> RegisterMachine.Request {
    RegisterMachine.Request(.put, key: key, argument: argument)
  }

  private func written(_ old: UInt64, _ slot: UInt64) -> RegisterMachine.Answer {
    RegisterMachine.Answer(value: old, status: .written, slot: Slot(slot))
  }

  @Test func answersAreThoseOfAReplayOfTheLog() {
    var checker = LinearizabilityChecker(keys: 2)
    checker.performed(Slot(1), [put(0, 5)])
    checker.performed(Slot(2), [put(0, 6)])
    #expect(checker.commandReturned(put(0, 6), slot: Slot(2), written(5, 2), floor: 0) == nil)
    var wrong = checker
    #expect(wrong.commandReturned(put(0, 5), slot: Slot(1), written(1, 1), floor: 0) != nil)
    // Acknowledged from a slot where it is not.
    #expect(wrong.commandReturned(put(0, 6), slot: Slot(1), written(5, 1), floor: 0) != nil)
  }

  @Test func nothingIsOrderedBeforeWhatHadReturned() {
    var checker = LinearizabilityChecker(keys: 2)
    checker.performed(Slot(1), [put(0, 5)])
    checker.performed(Slot(2), [put(0, 6)])
    #expect(checker.commandReturned(put(0, 6), slot: Slot(2), written(5, 2), floor: 0) == nil)
    let floor = checker.returnedUpTo
    #expect(checker.commandReturned(put(0, 5), slot: Slot(1), written(0, 1), floor: floor) != nil)
    // A read that was called later must see slot 2; one that was under way need not.
    #expect(checker.readReturned(key: 0, value: 5, slot: Slot(1), floor: floor) != nil)
    #expect(checker.readReturned(key: 0, value: 6, slot: Slot(2), floor: floor) == nil)
    #expect(checker.readReturned(key: 0, value: 5, slot: Slot(1), floor: 0) == nil)
    #expect(checker.readReturned(key: 0, value: 5, slot: Slot(2), floor: floor) != nil)
  }

  // MARK: Reads

  @Test func aLocalReadIsNotOlderThanWhatItsClientHasSeen() {
    var checker = ReadChecker(clients: 2)
    checker.saw(0, Slot(5))
    #expect(checker.floor(0) == Slot(5))
    #expect(checker.floor(1) == .zero)
    #expect(checker.read(0, atLeast: Slot(5), servedAt: Slot(4)) != nil)
    #expect(checker.read(0, atLeast: Slot(5), servedAt: Slot(8)) == nil)
    #expect(checker.floor(0) == Slot(8))
  }

  @Test func aReadIsNotConfirmedByALeaderThatWasTakenOverBefore() {
    let request = RequestID(session: SessionID(1), sequence: SequenceNumber(1))
    var checker = ReadChecker(clients: 1)
    checker.arrived(request, nodes[0], led: high)
    #expect(checker.served(request, nodes[0], at: low) != nil)
    #expect(checker.served(request, nodes[0], at: high) == nil)
    // It came before the later leader was elected, so it may have been confirmed in time.
    var early = ReadChecker(clients: 1)
    early.arrived(request, nodes[0], led: low)
    early.arrived(request, nodes[0], led: high)
    #expect(early.served(request, nodes[0], at: low) == nil)
  }
}
