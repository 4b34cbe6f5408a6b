import Protocol
import Testing

@Suite struct DurableStateTests {
  typealias Entry = DurableState.Entry

  static func entry(_ slot: UInt64, _ b: Ballot, _ v: Value, learned: Bool = false) -> Entry {
    Entry(slot: Slot(slot), epoch: Epoch(1), ballot: b, value: v, isLearned: learned)
  }

  static func info(_ slot: UInt64) -> SnapshotInfo {
    SnapshotInfo(slot: Slot(slot), length: 10, digest: slot)
  }

  struct Fold: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var records: [JournalFact]
    var promised = Ballot.zero
    var chosen = 0 as UInt64
    var snapshot = 0 as UInt64
    var entries: [Entry] = []
  }

  static let folds: [Fold] = [
    .init(testDescription: "nothing", records: []),
    .init(
      testDescription: "promises take the highest",
      records: [
        .promised(ballot(3)), .promised(ballot(7, 2)), .promised(ballot(5)),
      ], promised: ballot(7, 2)),
    .init(
      testDescription: "a vote implies its promise",
      records: [
        .promised(ballot(3)), .accepted(Slot(1), ballot(4), value(1)),
      ], promised: ballot(4), entries: [entry(1, ballot(4), value(1))]),
    .init(
      testDescription: "a promise above a vote stays",
      records: [
        .accepted(Slot(1), ballot(4), value(1)), .promised(ballot(6)),
      ], promised: ballot(6), entries: [entry(1, ballot(4), value(1))]),
    .init(
      testDescription: "a later vote replaces",
      records: [
        .accepted(Slot(1), ballot(4), value(1)), .accepted(Slot(1), ballot(5), value(2)),
      ], promised: ballot(5), entries: [entry(1, ballot(5), value(2))]),
    .init(
      testDescription: "slots are put in order",
      records: [
        .accepted(Slot(3), ballot(1), value(3)), .accepted(Slot(1), ballot(1), value(1)),
        .learned(Slot(2), value(2)),
      ], promised: ballot(1),
      entries: [
        entry(1, ballot(1), value(1)), entry(2, .zero, value(2), learned: true),
        entry(3, ballot(1), value(3)),
      ]),
    .init(
      testDescription: "learning replaces a lost vote",
      records: [
        .accepted(Slot(1), ballot(4), value(1)), .learned(Slot(1), value(2)),
      ], promised: ballot(4), entries: [entry(1, .zero, value(2), learned: true)]),
    .init(
      testDescription: "a vote in a learned slot leaves it learned",
      records: [
        .learned(Slot(1), value(2)), .accepted(Slot(1), ballot(9), value(2)),
      ], promised: ballot(9), entries: [entry(1, ballot(9), value(2), learned: true)]),
    .init(
      testDescription: "the watermark never falls",
      records: [
        .accepted(Slot(1), ballot(1), value(1)), .chosenUpTo(Slot(1)), .chosenUpTo(.zero),
      ], promised: ballot(1), chosen: 1, entries: [entry(1, ballot(1), value(1))]),
    .init(
      testDescription: "a snapshot removes what it covers and keeps the promise",
      records: [
        .accepted(Slot(1), ballot(6), value(1)), .accepted(Slot(2), ballot(6), value(2)),
        .accepted(Slot(3), ballot(6), value(3)), .snapshot(info(2)),
      ], promised: ballot(6), chosen: 2, snapshot: 2, entries: [entry(3, ballot(6), value(3))]),
    .init(
      testDescription: "records below the snapshot say nothing",
      records: [
        .snapshot(info(5)), .accepted(Slot(5), ballot(6), value(1)), .learned(Slot(4), value(4)),
      ], promised: ballot(6), chosen: 5, snapshot: 5),
    .init(
      testDescription: "an older snapshot does not come back",
      records: [
        .snapshot(info(5)), .snapshot(info(3)),
      ], chosen: 5, snapshot: 5),
    .init(
      testDescription: "a watermark above the snapshot stays",
      records: [
        .accepted(Slot(6), ballot(1), value(6)), .chosenUpTo(Slot(6)), .snapshot(info(5)),
      ], promised: ballot(1), chosen: 6, snapshot: 5, entries: [entry(6, ballot(1), value(6))]),
  ]

  @Test(arguments: folds) func foldsRecords(_ fold: Fold) {
    var state = DurableState.empty
    for fact in fold.records { state.apply(fact) }
    #expect(state.promised == fold.promised)
    #expect(state.chosenUpTo == Slot(fold.chosen))
    #expect(state.snapshot.slot == Slot(fold.snapshot))
    #expect(state.entries == fold.entries)
  }

  /// A promise belongs to the configuration in which it was given first, a vote to the one in which it was cast last.
  @Test func promisesAndVotesKnowTheirConfiguration() {
    var state = DurableState.empty
    #expect(state.promisedEpoch == Epoch(0) && state.configurations.isEmpty)
    func apply(_ epoch: UInt64, _ fact: JournalFact) {
      state.apply(JournalRecord(fact, epoch: Epoch(epoch)))
    }
    apply(1, .promised(ballot(3)))
    apply(2, .promised(ballot(3)))
    #expect(state.promisedEpoch == Epoch(1))
    apply(2, .accepted(Slot(1), ballot(4), value(1)))
    #expect(state.promisedEpoch == Epoch(2) && state.entries.map(\.epoch) == [Epoch(2)])
    apply(3, .promised(ballot(2)))
    #expect(state.promisedEpoch == Epoch(2))
    apply(3, .accepted(Slot(1), ballot(5), value(1)))
    apply(4, .learned(Slot(2), value(2)))
    #expect(state.entries.map(\.epoch) == [Epoch(3), Epoch(4)])
  }

  @Test func eachConfigurationEndsWhereTheNextBegins() {
    var state = DurableState.empty
    let one = ConfigurationSpan(epoch: Epoch(1))
    state.begin(one)
    state.begin(one)
    #expect(state.configurations == [one])
    let ended = ConfigurationSpan(epoch: Epoch(1), lastSlot: Slot(20))
    state.begin(ended)
    #expect(state.configurations == [ended])
    // Two epochs later, because this replica was not a member meanwhile.
    let three = ConfigurationSpan(epoch: Epoch(3), firstSlot: Slot(40))
    state.begin(three)
    #expect(state.configurations == [ended, three])
    state.begin(ConfigurationSpan(epoch: Epoch(4), firstSlot: Slot(50)))
    #expect(state.configurations[1].lastSlot == Slot(49))
  }

  @Test func beginsFromTheSnapshotOfTheStore() {
    let state = DurableState(snapshot: Self.info(7))
    #expect(state.chosenUpTo == Slot(7) && state.promised == .zero && state.entries.isEmpty)
  }

  /// Folding again from any snapshot record on gives the same slots, whatever came before it: segments may go.
  @Test func foldingIsIndependentOfOldSegments() {
    var random = SeededRandom(seed: 6)
    for _ in 0..<500 {
      var whole = DurableState.empty
      var tail = DurableState(snapshot: Self.info(4))
      whole.apply(.promised(ballot(40)))
      tail.apply(.promised(ballot(40)))
      for n in 0..<20 as Range<UInt64> { whole.apply(.learned(Slot(1 + n % 4), value(n))) }
      whole.apply(.snapshot(Self.info(4)))
      for _ in 0..<30 {
        let slot = Slot(1 + random.next(below: 12))
        let n = random.next(below: 40)
        let fact: JournalFact =
          switch random.next(below: 3) {
          case 0: .learned(slot, value(n))
          case 1: .accepted(slot, ballot(1 + n), value(n))
          default: .chosenUpTo(slot)
          }
        whole.apply(fact)
        tail.apply(fact)
      }
      #expect(whole == tail)
      #expect(whole.entries.map(\.slot) == whole.entries.map(\.slot).sorted())
      #expect(Set(whole.entries.map(\.slot)).count == whole.entries.count)
    }
  }
}
