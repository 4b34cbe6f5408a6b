import Testing

@testable import Protocol

@Suite struct SlotWindowTests {
  @Test func anEmptyWindowHoldsTheSlotsAboveItsTruncationPoint() {
    let window = SlotWindow(capacity: 8, truncatedUpTo: Slot(5))
    #expect(!window.contains(Slot(5)) && window.contains(Slot(6)))
    #expect(window.contains(Slot(13)) && !window.contains(Slot(14)))
    #expect(window.lastSlot == Slot(13))
    #expect(window.chosenUpTo == Slot(5) && window.appliedUpTo == Slot(5))
    #expect(window[Slot(6)] == .unused && window[Slot(5)] == .unused && window[Slot(99)] == .unused)
    #expect(window.isChosen(Slot(5)) && !window.isChosen(Slot(6)))
  }

  @Test func aVoteIsNotChosenUntilItIsMarked() {
    var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    window.vote(Slot(1), ballot: ballot(2), value: value(1), position: position(7))
    #expect(window[Slot(1)].isUsed && !window[Slot(1)].isChosen)
    #expect(window[Slot(1)].position == position(7) && window[Slot(1)].ballot == ballot(2))
    #expect(window.advanceChosen() == false)
    window.markChosen(Slot(1))
    #expect(window.advanceChosen() == true)
    #expect(window.chosenUpTo == Slot(1))
  }

  @Test func chosenStopsAtAGapAndPassesWhenItCloses() {
    var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    for n in [1, 3, 4] as [UInt64] { window.learn(Slot(n), value: value(n), position: .zero) }
    #expect(window.advanceChosen() && window.chosenUpTo == Slot(1))
    #expect(window.advanceChosen() == false)
    window.learn(Slot(2), value: value(2), position: .zero)
    #expect(window.advanceChosen() && window.chosenUpTo == Slot(4))
    #expect(window.highestUsed == Slot(4))
  }

  @Test func aVoteInAChosenSlotLeavesItChosen() {
    var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    window.learn(Slot(2), value: value(2), position: .zero)
    window.vote(Slot(2), ballot: ballot(4), value: value(2), position: position(3))
    #expect(window[Slot(2)].isChosen && window[Slot(2)].ballot == ballot(4))
  }

  @Test func learningReplacesALostVote() {
    var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    window.vote(Slot(1), ballot: ballot(4), value: value(1), position: position(1))
    window.learn(Slot(1), value: value(2), position: position(2))
    #expect(
      window[Slot(1)]
        == SlotEntry(
          ballot: .zero, value: value(2), position: position(2), isUsed: true, isChosen: true))
  }

  @Test func theRingReusesTruncatedPlacesWithoutTheirContent() {
    var w = window(capacity: 8, chosen: 8)
    #expect(!w.contains(Slot(9)))
    w.truncate(upTo: Slot(3))
    #expect(w.contains(Slot(11)) && !w.contains(Slot(12)))
    for n in [9, 10, 11] as [UInt64] { #expect(w[Slot(n)] == .unused) }
    #expect(w[Slot(3)] == .unused && w[Slot(4)].isChosen)
    #expect(!w.advanceChosen() && w.chosenUpTo == Slot(8))
    w.truncate(upTo: Slot(2))
    #expect(w.truncatedUpTo == Slot(3))
  }

  @Test func aJumpKeepsWhatLiesAboveIt() {
    var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    window.vote(Slot(6), ballot: ballot(1), value: value(6), position: position(1))
    window.learn(Slot(5), value: value(5), position: position(2))
    window.vote(Slot(2), ballot: ballot(1), value: value(2), position: position(3))
    window.jump(to: Slot(4))
    #expect(window.truncatedUpTo == Slot(4) && window.appliedUpTo == Slot(4))
    #expect(window.chosenUpTo == Slot(5), "slot 5 was learned before")
    #expect(window[Slot(6)].ballot == ballot(1) && !window[Slot(6)].isChosen)
    #expect(window[Slot(2)] == .unused && window[Slot(10)] == .unused)
  }

  @Test(arguments: [8, 9, 100, 1 << 40] as [UInt64]) func aJumpBeyondTheWindowEmptiesIt(
    _ to: UInt64
  ) {
    var w = window(capacity: 8, chosen: 5)
    w.jump(to: Slot(to))
    for n in 1...8 as ClosedRange<UInt64> { #expect(w[Slot(to + n)] == .unused) }
    #expect(w.chosenUpTo == Slot(to) && w.highestUsed == Slot(to) && w.lastSlot == Slot(to + 8))
  }

  @Test func theLastSlotsDoNotWrap() {
    let window = SlotWindow(capacity: 8, truncatedUpTo: Slot(.max - 2))
    #expect(window.contains(Slot(.max)) && window.lastSlot == .last)
    #expect(Slot(.max) + 3 == .last && Slot(3) - Slot(7) == 0 && Slot.zero.previous == .zero)
  }

  /// Against a dictionary: any sequence of valid operations.
  @Test func agreesWithADictionary() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<300 {
      var window = SlotWindow(capacity: 8, truncatedUpTo: .zero)
      var model: [UInt64: (Value, Bool)] = [:]
      var (truncated, chosen, applied) = (0 as UInt64, 0 as UInt64, 0 as UInt64)
      for step in 0..<120 as Range<UInt64> {
        let slot = truncated + 1 + random.next(below: 8)
        switch random.next(below: 7) {
        case 0 where model[slot]?.1 != true:
          window.vote(Slot(slot), ballot: ballot(step + 1), value: value(step), position: .zero)
          model[slot] = (value(step), false)
        case 1 where model[slot]?.1 != true:
          window.learn(Slot(slot), value: value(step), position: .zero)
          model[slot] = (value(step), true)
        case 2 where model[slot] != nil:
          window.markChosen(Slot(slot))
          model[slot]!.1 = true
        case 3:
          let before = chosen
          while model[chosen + 1]?.1 == true { chosen += 1 }
          #expect(window.advanceChosen() == (chosen > before))
        case 4 where applied < chosen:
          window.advanceApplied()
          applied += 1
        case 5 where applied > truncated:
          truncated += 1 + random.next(below: applied - truncated)
          window.truncate(upTo: Slot(truncated))
          model = model.filter { $0.key > truncated }
        case 6 where random.next(below: 8) == 0:
          applied += 1 + random.next(below: 12)
          window.jump(to: Slot(applied))
          truncated = applied
          chosen = max(chosen, applied)
          model = model.filter { $0.key > truncated }
          while model[chosen + 1]?.1 == true { chosen += 1 }
        default: break
        }
        #expect(window.truncatedUpTo == Slot(truncated) && window.chosenUpTo == Slot(chosen))
        #expect(window.appliedUpTo == Slot(applied))
        for n in truncated...(truncated + 10) {
          let entry = window[Slot(n)]
          #expect(entry.isUsed == (model[n] != nil) && entry.isChosen == (model[n]?.1 ?? false))
          if let (value, _) = model[n] { #expect(entry.value == value) }
          #expect(window.isChosen(Slot(n)) == (n <= chosen || model[n]?.1 == true))
        }
      }
    }
  }
}
