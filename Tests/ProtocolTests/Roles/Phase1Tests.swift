import Testing

@testable import Protocol

@Suite struct Phase1Tests {
  let ours = ballot(9)
  var contracts = ContractRecorder()

  func phase1(voters: Int = 3, first: UInt64 = 5, capacity: Int = 8) -> Phase1 {
    Phase1(
      ballot: ours, firstSlot: Slot(first), quorum: Quorum(voters: voters), capacity: capacity)
  }

  func promise(
    chosen: UInt64 = 4, truncated: UInt64 = 0, last: UInt64? = nil, first: UInt64 = 5
  ) -> Promise {
    Promise(
      ballot: ours, firstSlot: Slot(first), chosenUpTo: Slot(chosen),
      truncatedUpTo: Slot(truncated), lastSlot: Slot(last ?? chosen))
  }

  func report(_ slot: UInt64, _ voted: Ballot, _ v: Value, chosen: Bool = false) -> Report {
    Report(ballot: ours, slot: Slot(slot), votedBallot: voted, value: v, isChosen: chosen)
  }

  @Test mutating func aQuorumOfEmptyPromisesLeavesNothingToSettle() {
    var p = phase1()
    #expect(p.process1b(promise(), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(promise(), from: 0, &contracts) == .incomplete, "counts once")
    #expect(p.process1b(promise(), from: 2, &contracts) == .quorum)
    #expect(p.lastSlot == Slot(4) && p.promised == voterSet(0, 2))
  }

  /// What two voters of three report about one slot, and what must be proposed there.
  struct Choice: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var reports: [(Ballot, Value, Bool)]
    var value: Value
    var isChosen = false
    var votedBallot: Ballot
  }

  static let choices: [Choice] = [
    .init(
      testDescription: "nobody voted",
      reports: [(.zero, .noop, false), (.zero, .noop, false)], value: .noop, votedBallot: .zero),
    .init(
      testDescription: "one voted", reports: [(ballot(3), value(1), false), (.zero, .noop, false)],
      value: value(1), votedBallot: ballot(3)),
    .init(
      testDescription: "the higher ballot, first",
      reports: [(ballot(4), value(2), false), (ballot(3), value(1), false)], value: value(2),
      votedBallot: ballot(4)),
    .init(
      testDescription: "the higher ballot, last",
      reports: [(ballot(3), value(1), false), (ballot(3, 2), value(2), false)], value: value(2),
      votedBallot: ballot(3, 2)),
    .init(
      testDescription: "the same ballot",
      reports: [(ballot(3), value(1), false), (ballot(3), value(1, at: 0), false)],
      value: value(1), votedBallot: ballot(3)),
    .init(
      testDescription: "chosen beats a higher ballot's vote that came before",
      reports: [(ballot(8), value(1), false), (ballot(2), value(1), true)], value: value(1),
      isChosen: true, votedBallot: ballot(2)),
    .init(
      testDescription: "chosen without a vote beats a vote that comes after",
      reports: [(.zero, value(3), true), (ballot(8), value(1), false)], value: value(3),
      isChosen: true, votedBallot: .zero),
    .init(
      testDescription: "a no-op voted for beats an older value",
      reports: [(ballot(5), .noop, false), (ballot(3), value(1), false)], value: .noop,
      votedBallot: ballot(5)),
  ]

  @Test(arguments: choices) mutating func choosesTheValue(_ choice: Choice) {
    var p = phase1()
    var result = Phase1.Result.incomplete
    for (voter, report) in choice.reports.enumerated() {
      #expect(p.process1b(promise(last: 6), from: voter, &contracts) == .incomplete)
      _ = p.process1b(self.report(5, report.0, report.1, chosen: report.2), from: voter, &contracts)
      result = p.process1b(self.report(6, .zero, .noop), from: voter, &contracts)
    }
    #expect(result == .quorum)
    let recovered = p.recovered(Slot(5))
    #expect(recovered.value.isSame(as: choice.value) && recovered.isChosen == choice.isChosen)
    #expect(recovered.votedBallot == choice.votedBallot)
    #expect(p.recovered(Slot(6)) == .nothing && p.lastSlot == Slot(6))
    #expect(contracts.violation == nil)
  }

  @Test mutating func reportsMayComeBeforeTheHead() {
    var p = phase1(voters: 1)
    #expect(p.process1b(report(6, ballot(2), value(6)), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(5, ballot(2), value(5)), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(promise(last: 6), from: 0, &contracts) == .quorum)
  }

  @Test mutating func aLostReportIsMadeGoodByALaterAnswer() {
    var p = phase1(voters: 1)
    #expect(p.process1b(promise(last: 7), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(5, ballot(2), value(5)), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(7, ballot(2), value(7)), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(7, ballot(2), value(7)), from: 0, &contracts) == .incomplete)
    // The answer to the repeated Prepare, of which another part is lost.
    #expect(p.process1b(promise(last: 7), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(6, ballot(3), value(6)), from: 0, &contracts) == .quorum)
    #expect(p.recovered(Slot(5)).value == value(5) && p.recovered(Slot(6)).value == value(6))
  }

  @Test mutating func everyReportIsAwaited() {
    for missing in 5...12 as ClosedRange<UInt64> {
      var p = phase1(voters: 1)
      #expect(p.process1b(promise(last: 12), from: 0, &contracts) == .incomplete)
      for slot in 5...12 as ClosedRange<UInt64> where slot != missing {
        #expect(p.process1b(report(slot, .zero, .noop), from: 0, &contracts) == .incomplete)
      }
      #expect(p.process1b(report(missing, .zero, .noop), from: 0, &contracts) == .quorum)
    }
  }

  @Test mutating func noReportsAreAwaitedBelowTheTruncationPoint() {
    var p = phase1(voters: 1)
    #expect(p.process1b(promise(chosen: 8, truncated: 7), from: 0, &contracts) == .incomplete)
    #expect(
      p.process1b(report(8, ballot(1), value(8), chosen: true), from: 0, &contracts) == .quorum)
    #expect(p.truncatedUpTo == Slot(7) && p.lastSlot == Slot(8))
  }

  /// The later answer came first: slots it has truncated are not taken for reported when the earlier one comes.
  @Test mutating func answersMayOvertakeEachOther() {
    var p = phase1(voters: 1)
    #expect(
      p.process1b(promise(chosen: 9, truncated: 6, last: 9), from: 0, &contracts) == .incomplete)
    let seven = report(7, ballot(1), value(7), chosen: true)
    #expect(p.process1b(seven, from: 0, &contracts) == .incomplete)
    #expect(
      p.process1b(promise(chosen: 9, truncated: 4, last: 9), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(8, ballot(1), value(8)), from: 0, &contracts) == .incomplete)
    #expect(p.process1b(report(9, ballot(1), value(9)), from: 0, &contracts) == .quorum)
    #expect(p.truncatedUpTo == Slot(6), "5 and 6 were never reported, so they must be learned")
  }

  @Test mutating func theHighestTruncationPointOfTheQuorumCounts() {
    var p = phase1(voters: 5)
    _ = p.process1b(promise(chosen: 6, truncated: 6), from: 0, &contracts)
    _ = p.process1b(promise(chosen: 9, truncated: 9), from: 1, &contracts)
    #expect(p.process1b(promise(), from: 2, &contracts) == .quorum)
    #expect(p.truncatedUpTo == Slot(9) && p.lastSlot == Slot(9))
  }

  @Test(arguments: [(12, false), (13, true), (.max, true)] as [(UInt64, Bool)])
  mutating func whatCannotBeStoredIsFarBehind(_ last: UInt64, _ isFar: Bool) {
    var p = phase1()
    let result = p.process1b(promise(chosen: 12, last: last), from: 0, &contracts)
    #expect(result == (isFar ? .farBehind(chosenUpTo: Slot(12)) : .incomplete))
    var q = phase1()
    let truncated = promise(chosen: last, truncated: last, last: 12)
    #expect((q.process1b(truncated, from: 0, &contracts) != .incomplete) == isFar)
    #expect(p.promised.count == 0 || !isFar)
  }

  @Test mutating func aVoterWithIncompleteReportsExtendsNothing() {
    var p = phase1()
    _ = p.process1b(promise(last: 12), from: 1, &contracts)
    _ = p.process1b(promise(), from: 0, &contracts)
    #expect(p.lastSlot == Slot(4))
    #expect(p.process1b(promise(), from: 2, &contracts) == .quorum)
    #expect(p.lastSlot == Slot(4) && p.promised == voterSet(0, 2))
  }

  @Test mutating func reportsOutsideTheRangeAreLeftOut() {
    var p = phase1(voters: 1)
    for slot in [1, 4, 13, .max] as [UInt64] {
      #expect(p.process1b(report(slot, ballot(1), value(1)), from: 0, &contracts) == .incomplete)
      #expect(p.recovered(Slot(slot)) == .nothing)
    }
    #expect(p.process1b(promise(), from: 0, &contracts) == .quorum)
  }

  @Test mutating func anotherPreparesAnswerDoesNotCount() {
    var p = phase1(voters: 1)
    #expect(p.process1b(promise(first: 3), from: 0, &contracts) == .incomplete)
    #expect(p.promised.count == 0)
  }

  @Test mutating func worksAcrossTheWordsOfItsBitSet() {
    var p = phase1(voters: 3, first: 1, capacity: 130)
    let promise = promise(chosen: 0, last: 130, first: 1)
    for voter in [2, 1] {
      #expect(p.process1b(promise, from: voter, &contracts) == .incomplete)
      for slot in 1...129 as ClosedRange<UInt64> {
        #expect(
          p.process1b(report(slot, ballot(1), value(slot)), from: voter, &contracts) == .incomplete)
      }
      let last = p.process1b(report(130, ballot(1), value(130)), from: voter, &contracts)
      #expect(last == (voter == 1 ? .quorum : .incomplete))
    }
    for slot in 1...130 as ClosedRange<UInt64> {
      #expect(p.recovered(Slot(slot)).value == value(slot))
    }
  }
}
