import Testing

@testable import Protocol

@Suite struct LearnerTests {
  var learner = Learner()
  var slots = SlotWindow(capacity: 16, truncatedUpTo: .zero)
  var contracts = ContractRecorder()

  mutating func vote(_ slot: UInt64, _ b: Ballot) -> Bool {
    slots.vote(Slot(slot), ballot: b, value: value(slot), position: .zero)
    return learner.voted(Slot(slot), at: b, window: &slots, &contracts)
  }

  mutating func observe(_ watermark: UInt64, _ b: Ballot) -> Bool {
    learner.observe(Slot(watermark), at: b, window: &slots, &contracts)
  }

  @Test mutating func aWatermarkAfterTheVotes() {
    for n in 1...3 as ClosedRange<UInt64> { #expect(!vote(n, ballot(1))) }
    #expect(observe(2, ballot(1)))
    #expect(slots.chosenUpTo == Slot(2) && !slots[Slot(3)].isChosen)
    #expect(!observe(2, ballot(1)))
    #expect(observe(3, ballot(1)))
  }

  @Test mutating func aWatermarkBeforeTheVotes() {
    #expect(!observe(2, ballot(1)))
    #expect(!vote(2, ballot(1)), "slot 1 is missing")
    #expect(vote(1, ballot(1)) && slots.chosenUpTo == Slot(2))
    #expect(!vote(3, ballot(1)))
    #expect(contracts.count(of: .watermarkBeforeVote) == 2)
  }

  @Test mutating func votesOfAnOlderBallotAreNotChosen() {
    _ = vote(1, ballot(1))
    _ = vote(2, ballot(2))
    #expect(!observe(2, ballot(2)))
    #expect(!slots[Slot(1)].isChosen && slots[Slot(2)].isChosen)
    #expect(slots.chosenUpTo == .zero)
    #expect(vote(1, ballot(2)), "the new leader proposed it again")
    #expect(slots.chosenUpTo == Slot(2))
  }

  @Test mutating func votesOfANewerBallotAreNotChosenByAnOlderWatermark() {
    _ = vote(1, ballot(3))
    #expect(!observe(1, ballot(2)))
    #expect(!slots[Slot(1)].isChosen)
  }

  @Test mutating func anOlderBallotsWatermarkIsForgotten() {
    #expect(!observe(5, ballot(3)))
    #expect(!observe(9, ballot(2)))
    #expect(learner.ballot == ballot(3) && learner.watermark == Slot(5))
    #expect(!vote(1, ballot(2)) && !slots[Slot(1)].isChosen)
  }

  @Test mutating func aNewBallotBeginsWithItsOwnWatermark() {
    #expect(!observe(5, ballot(3)))
    #expect(!observe(1, ballot(4)))
    #expect(!vote(2, ballot(4)), "the watermark of 5 was another ballot's")
    #expect(vote(1, ballot(4)) && slots.chosenUpTo == Slot(1))
  }

  @Test mutating func aWatermarkThatFallsSaysNothing() {
    #expect(!observe(5, ballot(3)))
    #expect(!observe(4, ballot(3)))
    #expect(learner.watermark == Slot(5))
  }

  @Test mutating func theWindowsEndAndTheLastSlotAreNoTrap() {
    _ = vote(16, ballot(1))
    #expect(!observe(.max, ballot(1)))
    #expect(slots[Slot(16)].isChosen)
    #expect(contracts.violation == nil)
  }
}
