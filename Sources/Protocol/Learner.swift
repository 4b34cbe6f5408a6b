/// The learner: turns the leader's chosen watermark into slots known to be chosen here.
///
/// The watermark says that slots are chosen, not with what: it tells the value only where this replica voted at the very
/// ballot of the leader that sent it. Any other vote may have lost, and its slot is fetched (the fault of counting copies
/// of an older ballot: PySyncObj #169).
public struct Learner: Equatable, Sendable {
  /// The ballot whose watermark is remembered.
  public private(set) var ballot = Ballot.zero
  public private(set) var watermark = Slot.zero

  public init() {}

  /// The leader of `ballot` knows everything up to `watermark` to be chosen. True when the chosen prefix grew.
  public mutating func observe(
    _ newWatermark: Slot, at newBallot: Ballot, window: inout SlotWindow,
    _ contracts: inout ContractRecorder
  ) -> Bool {
    let oldChosen = window.chosenUpTo
    var slot = window.chosenUpTo.next
    if newBallot > ballot {
      ballot = newBallot
      watermark = newWatermark
    } else if newBallot == ballot && newWatermark > watermark {
      // What lies at or below the old watermark was marked when it came, or when its vote came.
      slot = max(slot, watermark.next)
      watermark = newWatermark
    } else {
      return false
    }
    while slot <= watermark && slot <= window.highestUsed {
      mark(slot, window: &window, &contracts)
      slot = slot.next
    }
    let advanced = window.advanceChosen()
    contracts.ensure(.learnerPostChosenNeverRegresses, window.chosenUpTo >= oldChosen)
    contracts.ensure(
      .learnerPostWatermarkBoundsTheUnlearned,
      window.chosenUpTo <= watermark || window.chosenUpTo == oldChosen
        || window[window.chosenUpTo].isChosen)
    return advanced
  }

  /// This replica has just voted at `ballot` in `slot`; the watermark may have come first.
  public mutating func voted(
    _ slot: Slot, at ballot: Ballot, window: inout SlotWindow, _ contracts: inout ContractRecorder
  ) -> Bool {
    guard ballot == self.ballot, slot <= watermark else { return false }
    contracts.mark(.watermarkBeforeVote)
    mark(slot, window: &window, &contracts)
    return window.advanceChosen()
  }

  private func mark(
    _ slot: Slot, window: inout SlotWindow, _ contracts: inout ContractRecorder
  ) {
    let entry = window[slot]
    guard entry.isUsed, !entry.isChosen, entry.ballot == ballot else { return }
    contracts.ensure(.learnerPostMarksOnlyVotesOfTheBallot, entry.ballot == ballot)
    window.markChosen(slot)
  }
}

extension Learner {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.ballot(&ballot)
    try coder.word(&watermark)
  }
}
