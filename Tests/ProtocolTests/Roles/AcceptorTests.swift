import Testing

@testable import Protocol

@Suite struct AcceptorTests {
  var acceptor = Acceptor(promised: ballot(3))
  var slots = window(chosen: 2, truncated: 1)
  var contracts = ContractRecorder()

  mutating func vote(
    _ slot: UInt64, _ b: Ballot, _ v: Value, at p: UInt64 = 1
  ) -> Acceptor.Process2aResult {
    acceptor.process2a(accept(slot, b, v), at: position(p), window: &slots, &contracts)
  }

  mutating func prepare(_ b: Ballot, at p: UInt64 = 1) -> Acceptor.Process1aResult {
    acceptor.process1a(Prepare(ballot: b, firstSlot: Slot(1)), at: position(p), &contracts)
  }

  // MARK: 1a

  @Test mutating func aHigherBallotIsPromised() {
    #expect(prepare(ballot(3, 2), at: 9) == .promise)
    #expect(acceptor.promised == ballot(3, 2) && acceptor.promisePosition == position(9))
    #expect(contracts.violation == nil)
  }

  @Test mutating func thePromisedBallotIsAnsweredAgainFromItsRecord() {
    #expect(prepare(ballot(4), at: 9) == .promise)
    #expect(prepare(ballot(4), at: 12) == .repeated(position(9)))
    #expect(acceptor.promisePosition == position(9))
  }

  @Test mutating func aPromiseOfAFormerLifeIsDurable() {
    #expect(prepare(ballot(3), at: 12) == .repeated(.zero))
  }

  @Test mutating func aLowerBallotIsRejected() {
    #expect(prepare(ballot(2, 9)) == .reject(promised: ballot(3)))
    #expect(acceptor == Acceptor(promised: ballot(3)))
  }

  @Test mutating func aVoteMakesTheSamePrepareARepetition() {
    #expect(vote(3, ballot(5), value(3), at: 4) == .vote)
    #expect(prepare(ballot(5), at: 6) == .repeated(position(4)))
  }

  // MARK: 2a

  @Test(arguments: [ballot(3), ballot(3, 2), ballot(9)])
  mutating func atOrAboveThePromiseIsAVote(_ b: Ballot) {
    #expect(vote(3, b, value(7), at: 8) == .vote)
    #expect(acceptor.promised == b)
    #expect(
      slots[Slot(3)]
        == SlotEntry(
          ballot: b, value: value(7), position: position(8), isUsed: true, isChosen: false))
    #expect(contracts.violation == nil)
  }

  @Test mutating func belowThePromiseIsRejected() {
    #expect(vote(3, ballot(2), value(7)) == .reject(promised: ballot(3)))
    #expect(slots[Slot(3)] == .unused)
  }

  @Test mutating func theSameVoteIsRepeatedFromItsRecord() {
    #expect(vote(3, ballot(3), value(7), at: 8) == .vote)
    #expect(vote(3, ballot(3), value(7, at: 4_096), at: 9) == .repeated(position(8)))
    #expect(slots[Slot(3)].position == position(8))
    #expect(contracts.violation == nil)
  }

  @Test mutating func anotherValueAtTheSameBallotIsAConflictAndNeverAnOverwrite() {
    #expect(vote(3, ballot(3), value(7)) == .vote)
    let before = (acceptor, slots)
    #expect(vote(3, ballot(3), value(8)) == .conflict)
    #expect((acceptor, slots) == before)
    #expect(contracts.violation == .process2aPostNoConflict)
  }

  @Test mutating func aHigherBallotReplacesAVoteThatIsNotChosen() {
    #expect(vote(3, ballot(3), value(7), at: 1) == .vote)
    #expect(vote(3, ballot(4), value(8), at: 2) == .vote)
    #expect(slots[Slot(3)].value == value(8) && slots[Slot(3)].ballot == ballot(4))
    #expect(contracts.violation == nil)
  }

  @Test mutating func aChosenSlotTakesItsOwnValueAgainAndNoOther() {
    #expect(vote(2, ballot(4), value(2), at: 5) == .vote)
    #expect(slots[Slot(2)].isChosen && slots[Slot(2)].ballot == ballot(4))
    #expect(contracts.violation == nil)
    #expect(vote(2, ballot(5), value(9)) == .conflict)
    #expect(slots[Slot(2)].value == value(2) && acceptor.promised == ballot(4))
    #expect(contracts.violation == .process2aPostNoConflict)
  }

  @Test mutating func anOldLeadersAcceptForASlotThatWasLearnedIsLateAndNoConflict() {
    slots.learn(Slot(3), value: value(7), position: .zero)
    #expect(vote(3, ballot(4), value(8)) == .truncated)
    #expect(slots[Slot(3)].value.isSame(as: value(7)))
    #expect(contracts.violation == nil)
  }

  @Test mutating func belowTheTruncationPointThereIsNoVote() {
    #expect(vote(1, ballot(5), value(1)) == .truncated)
    #expect(acceptor.promised == ballot(3))
  }

  @Test mutating func theWindowsEndIsTheLastSlotThatTakesAVote() {
    #expect(vote(18, ballot(3), value(1)) == .beyondWindow)
    #expect(vote(17, ballot(3), value(1)) == .vote)
  }

  @Test mutating func beyondTheWindowDoesNotRaiseThePromise() {
    #expect(vote(18, ballot(7), value(1)) == .beyondWindow)
    #expect(acceptor.promised == ballot(3))
  }

  @Test mutating func rejectionComesBeforeEverythingElse() {
    #expect(vote(1, ballot(1), value(9)) == .reject(promised: ballot(3)))
    #expect(vote(99, ballot(1), value(9)) == .reject(promised: ballot(3)))
  }

  @Test mutating func aNoopIsAVoteLikeAnyOther() {
    #expect(vote(3, ballot(3), .noop) == .vote)
    #expect(vote(3, ballot(3), .noop) == .repeated(position(1)))
    #expect(vote(3, ballot(3), value(4)) == .conflict)
  }
}
