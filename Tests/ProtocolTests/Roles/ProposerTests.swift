import Testing

@testable import Protocol

@Suite struct ProposerTests {
  var contracts = ContractRecorder()
  let ours = ballot(9)

  /// A proposer of three voters that leads; `reports` are what voter 1 reported, from the slot after `slots`' chosen on.
  mutating func leading(
    window slots: SlotWindow, windowSlots: Int = 4, truncated: Slot = .zero,
    reports: [(Ballot, Value, Bool)] = []
  ) -> Proposer {
    var proposer = Proposer(quorum: Quorum(voters: 3), windowSlots: windowSlots)
    proposer.prepare(ours, window: slots, &contracts)
    let first = slots.chosenUpTo.next
    for (i, report) in reports.enumerated() {
      _ = proposer.process1b(
        Report(
          ballot: ours, slot: first + i, votedBallot: report.0, value: report.1,
          isChosen: report.2), from: 1, &contracts)
    }
    let last = max(first + reports.count, truncated.next).previous
    for voter in 0...1 {
      let result = proposer.process1b(
        Promise(
          ballot: ours, firstSlot: first, chosenUpTo: max(slots.chosenUpTo, truncated),
          truncatedUpTo: truncated, lastSlot: voter == 0 ? slots.chosenUpTo : last),
        from: voter, &contracts)
      #expect(result == (voter == 0 ? .incomplete : .quorum))
    }
    proposer.lead(window: slots, &contracts)
    return proposer
  }

  mutating func propose(
    _ proposer: inout Proposer, _ v: Value, _ slots: inout SlotWindow, now: Instant = at(0)
  ) -> Accept {
    let accept = proposer.propose(v, now: now, window: slots, &contracts)
    slots.vote(accept.slot, ballot: accept.ballot, value: accept.value, position: .zero)
    return accept
  }

  mutating func accepted(
    _ proposer: inout Proposer, _ first: UInt64, _ last: UInt64, from voter: Int,
    _ slots: inout SlotWindow
  ) -> Bool {
    proposer.process2b(
      Accepted(ballot: ours, firstSlot: Slot(first), lastSlot: Slot(last)), from: voter,
      window: &slots, &contracts)
  }

  @Test mutating func proposesNothingBeforeItLeads() {
    var proposer = Proposer(quorum: Quorum(voters: 3), windowSlots: 4)
    #expect(proposer.next(window: window(), &contracts) == .blocked)
    proposer.prepare(ours, window: window(), &contracts)
    #expect(proposer.phase == .preparing && proposer.next(window: window(), &contracts) == .blocked)
    #expect(proposer.slotsInFlight(window()) == 0)
  }

  @Test mutating func theWindowBoundsWhatIsInFlight() {
    var slots = window(chosen: 3)
    var proposer = leading(window: slots)
    for n in 4...7 as ClosedRange<UInt64> {
      #expect(proposer.next(window: slots, &contracts) == .free(Slot(n)))
      #expect(propose(&proposer, value(n), &slots).slot == Slot(n))
    }
    #expect(proposer.slotsInFlight(slots) == 4)
    #expect(proposer.next(window: slots, &contracts) == .blocked)
    #expect(accepted(&proposer, 5, 7, from: 0, &slots) == false)
    #expect(accepted(&proposer, 5, 7, from: 1, &slots))
    #expect(slots.advanceChosen() == false)
    #expect(proposer.next(window: slots, &contracts) == .blocked, "slot 4 holds the window")
    #expect(accepted(&proposer, 4, 4, from: 2, &slots) == false)
    #expect(accepted(&proposer, 4, 4, from: 1, &slots))
    #expect(slots.advanceChosen() && slots.chosenUpTo == Slot(7))
    #expect(proposer.next(window: slots, &contracts) == .free(Slot(8)))
    #expect(contracts.violation == nil)
  }

  @Test mutating func whatTheWindowOfTheLogCannotHoldIsNotProposed() {
    var slots = SlotWindow(capacity: 2, truncatedUpTo: .zero)
    var proposer = leading(window: slots)
    for n in 1...2 as ClosedRange<UInt64> { _ = propose(&proposer, value(n), &slots) }
    #expect(proposer.next(window: slots, &contracts) == .blocked)
  }

  @Test mutating func recoveredValuesComeBeforeNewOnesAndGapsBecomeNoops() {
    var slots = window()
    var proposer = leading(
      window: slots,
      reports: [
        (ballot(3), value(1), false), (.zero, .noop, false), (ballot(2), value(3), true),
        (ballot(1), value(4), false),
      ])
    #expect(proposer.recoveredUpTo == Slot(4))
    #expect(proposer.next(window: slots, &contracts) == .propose(Slot(1), value(1)))
    _ = propose(&proposer, value(1), &slots)
    #expect(proposer.next(window: slots, &contracts) == .propose(Slot(2), .noop))
    _ = propose(&proposer, .noop, &slots)
    #expect(proposer.next(window: slots, &contracts) == .learn(Slot(3), value(3)))
    slots.learn(Slot(3), value: value(3), position: .zero)
    #expect(proposer.next(window: slots, &contracts) == .propose(Slot(4), value(4)))
    _ = propose(&proposer, value(4), &slots)
    #expect(proposer.next(window: slots, &contracts) == .blocked, "four slots from slot 1 on")
    _ = accepted(&proposer, 1, 2, from: 0, &slots)
    #expect(accepted(&proposer, 1, 2, from: 2, &slots))
    #expect(slots.advanceChosen() && slots.chosenUpTo == Slot(3))
    #expect(proposer.next(window: slots, &contracts) == .free(Slot(5)))
    #expect(proposer.phase1 == nil, "its slots are proposed again")
    #expect(
      contracts.count(of: .gapFilledWithNoop) == 1 && contracts.count(of: .voteReproposed) == 2)
    #expect(contracts.violation == nil)
  }

  @Test mutating func learnsWhatAPromiserHasTruncatedBeforeItProposes() {
    var slots = window(chosen: 2)
    var proposer = leading(window: slots, truncated: Slot(6))
    #expect(proposer.mustLearnUpTo == Slot(6))
    #expect(proposer.next(window: slots, &contracts) == .blocked)
    slots.jump(to: Slot(5))
    #expect(proposer.next(window: slots, &contracts) == .blocked)
    slots.jump(to: Slot(6))
    #expect(proposer.next(window: slots, &contracts) == .free(Slot(7)))
    #expect(contracts.violation == nil)
  }

  @Test mutating func passesOverWhatBecameKnownMeanwhile() {
    var slots = window()
    var proposer = leading(window: slots, reports: [(ballot(1), value(1), false)])
    slots.learn(Slot(1), value: value(1), position: .zero)
    slots.learn(Slot(2), value: value(2), position: .zero)
    #expect(proposer.next(window: slots, &contracts) == .free(Slot(3)))
  }

  @Test mutating func aVoterCountsOnceInEachSlot() {
    var slots = window()
    var proposer = leading(window: slots)
    _ = propose(&proposer, value(1), &slots)
    #expect(!accepted(&proposer, 1, 1, from: 2, &slots))
    #expect(!accepted(&proposer, 1, 1, from: 2, &slots))
    #expect(accepted(&proposer, 1, 1, from: 1, &slots))
    #expect(!accepted(&proposer, 1, 1, from: 0, &slots), "news only once")
    #expect(contracts.violation == nil)
  }

  @Test mutating func aLaterLapStartsWithoutTheVotesOfTheFormer() {
    var slots = window(capacity: 16)
    var proposer = leading(window: slots, windowSlots: 2)
    for n in 1...9 as ClosedRange<UInt64> {
      _ = propose(&proposer, value(n), &slots)
      #expect(!accepted(&proposer, n, n, from: 0, &slots), "slot \(n)")
      #expect(accepted(&proposer, n, n, from: 1, &slots))
      _ = slots.advanceChosen()
    }
    #expect(contracts.violation == nil)
  }

  @Test mutating func givesItsBallotUp() {
    var slots = window()
    var proposer = leading(window: slots)
    _ = propose(&proposer, value(1), &slots)
    proposer.stepDown()
    #expect(proposer.phase == .idle && proposer.next(window: slots, &contracts) == .blocked)
    #expect(!accepted(&proposer, 1, 1, from: 0, &slots))
    #expect(!accepted(&proposer, 1, 1, from: 1, &slots))
    #expect(proposer.slotsInFlight(slots) == 0)
  }

  @Test mutating func answersToAnotherBallotAreNotPhaseOnes() {
    var proposer = Proposer(quorum: Quorum(voters: 1), windowSlots: 4)
    proposer.prepare(ours, window: window(), &contracts)
    let promise = Promise(
      ballot: ballot(8), firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
      lastSlot: .zero)
    #expect(proposer.process1b(promise, from: 0, &contracts) == .incomplete)
    #expect(proposer.phase1?.promised.count == 0)
    #expect(contracts.violation == nil)
  }

  @Test mutating func sendsAgainWhatIsOpenAndOldEnough() throws {
    var slots = window()
    var proposer = leading(window: slots)
    for n in 1...3 as ClosedRange<UInt64> {
      _ = propose(&proposer, value(n), &slots, now: at(n * 10))
    }
    _ = accepted(&proposer, 1, 2, from: 2, &slots)
    _ = accepted(&proposer, 2, 2, from: 0, &slots)
    let resent = proposer.nextToResend(
      from: Slot(1), sentBefore: at(20), now: at(100), window: slots)
    let first = try #require(resent)
    #expect(first.accept == accept(1, ours, value(1)) && first.voted == voterSet(2))
    #expect(
      proposer.nextToResend(from: Slot(2), sentBefore: at(20), now: at(100), window: slots) == nil,
      "slot 2 is chosen, slot 3 is young")
    #expect(
      proposer.nextToResend(from: Slot(1), sentBefore: at(20), now: at(100), window: slots) == nil,
      "slot 1 was sent just now")
    let third = proposer.nextToResend(
      from: Slot(1), sentBefore: at(30), now: at(100), window: slots)
    #expect(third?.accept.slot == Slot(3))
  }
}
