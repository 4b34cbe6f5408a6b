import Protocol
import Testing

@testable import Simulator

/// What a damaged replica has forgotten, it must know that it may have, and until it is cured it says nothing that counts.
@Suite struct SuspicionCheckerTests {
  private let node = NodeIndex(0)
  private let other = NodeIndex(1)
  private let low = Ballot(round: 1, proposer: ReplicaID(2))
  private let high = Ballot(round: 2, proposer: ReplicaID(2))

  private func value(_ digest: UInt64) -> Value {
    Value(bytes: BytesRef(position: 0, length: 64), count: 1, digest: digest)
  }

  /// A checker of a replica with a durable promise and durable votes in slots 1 to 4.
  private var checker: DurabilityChecker {
    var checker = DurabilityChecker(replicas: 3)
    for slot in 1...4 as ClosedRange<UInt64> {
      #expect(checker.durable(node, .accepted(Slot(slot), high, value(slot))) == nil)
    }
    return checker
  }

  /// What recovery finds of it: votes of the low ballot in these slots, a promise, and no doubt.
  private func found(_ slots: ClosedRange<UInt64>, promised: Ballot) -> DurableState {
    var state = DurableState.empty
    for slot in slots {
      state.apply(JournalRecord(.accepted(Slot(slot), low, value(slot)), epoch: Epoch(1)))
    }
    state.apply(JournalRecord(.promised(promised), epoch: Epoch(1)))
    return state
  }

  /// An empty journal with both doubts, as an operator makes it.
  private var wiped: DurableState { RecoveredJournal.wiped.durable }

  @Test func whatIsForgottenWithoutADoubtIsFound() {
    var lostVotes = checker
    #expect(
      lostVotes.recoveredDamaged(node, found(1...4, promised: high))?.contains("vote") == true)
    var lostPromise = checker
    #expect(
      lostPromise.recoveredDamaged(node, found(1...4, promised: low))?.contains("promise") == true)
    var lostSnapshot = checker
    let info = SnapshotInfo(slot: Slot(9), length: 1, digest: 1)
    #expect(lostSnapshot.durable(node, .snapshot(info)) == nil)
    var state = DurableState(snapshot: SnapshotInfo(slot: Slot(5), length: 1, digest: 1))
    state.apply(JournalRecord(.promised(high), epoch: Epoch(1)))
    #expect(lostSnapshot.recoveredDamaged(node, state)?.contains("snapshot") == true)
    // A snapshot that covers every vote is as good as the votes.
    var covered = checker
    #expect(covered.recoveredDamaged(node, state) == nil)
    #expect(covered.suspects.isEmpty)
  }

  @Test func whatADoubtCoversMayBeForgotten() {
    var checker = checker
    #expect(checker.recoveredDamaged(node, wiped) == nil)
    #expect(checker.suspects == [node])
    // And it stays forgotten: what it finds next time is measured by what it has now.
    #expect(checker.recoveredDamaged(node, wiped) == nil)
  }

  @Test func aSuspectHasNoVoice() {
    var checker = checker
    #expect(checker.recoveredDamaged(node, wiped) == nil)
    let promise = Message.promise(
      Promise(
        ballot: high, firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero, lastSlot: .zero))
    let accepted = Message.accepted(Accepted(ballot: high, firstSlot: Slot(1), lastSlot: Slot(1)))
    let confirmation = Message.heartbeatReply(
      HeartbeatReply(ballot: high, round: 1, chosenUpTo: .zero))
    for message in [promise, accepted, confirmation] {
      #expect(checker.suspectSent(node, message) != nil)
      #expect(checker.suspectSent(other, message) == nil)
    }
    #expect(checker.suspectSent(node, .inquiry(Inquiry(nonce: 7))) == nil)
    #expect(checker.durable(node, .cured(high, .zero)) == nil)
    #expect(checker.suspectSent(node, accepted) == nil)
    #expect(checker.durable(node, .cured(high, .zero)) != nil)
  }

  @Test func aCureBelowAPromiseThatSomebodyStandsByIsFound() {
    let prepare = Message.prepare(Prepare(ballot: high, firstSlot: Slot(1), releasedLease: .zero))
    var standing = checker
    #expect(standing.durable(other, .promised(high)) == nil)
    #expect(standing.sent(other, prepare) == nil)
    #expect(standing.recoveredDamaged(node, wiped) == nil)
    #expect(standing.durable(node, .cured(low, .zero)) != nil)
    // Nobody counts it any more: the candidate has begun another life.
    var over = checker
    #expect(over.recoveredDamaged(node, wiped) == nil)
    #expect(over.durable(node, .cured(low, .zero)) == nil)
  }

  /// A lost vote speaks for a value that somebody applies, who was told of it in time, and makes none chosen by itself.
  @Test func aLostVoteCountsForThoseWhoWereTold() {
    let nodes = (0..<3).map { NodeIndex($0) }
    var told = AgreementChecker(replicas: 3)
    #expect(told.voted(nodes[0], Slot(1), low, value(1)) == nil)
    told.lost(nodes[0])
    #expect(told.voted(nodes[1], Slot(1), low, value(1)) == nil)
    #expect(told.applied(nodes[1], Slot(1), value(1)) == nil)
    #expect(told.applied(nodes[2], Slot(1), value(2)) != nil)

    var untold = AgreementChecker(replicas: 3)
    #expect(untold.voted(nodes[0], Slot(1), low, value(1)) == nil)
    untold.lost(nodes[0])
    #expect(untold.voted(nodes[1], Slot(1), low, value(1)) == nil)
    for node in nodes { #expect(untold.voted(node, Slot(1), high, value(2)) == nil) }
    #expect(untold.applied(nodes[2], Slot(1), value(2)) == nil)
    #expect(untold.applied(nodes[1], Slot(1), value(1)) != nil)
  }
}
