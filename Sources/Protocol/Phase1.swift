/// Phase 1 of one ballot over the whole window: who promised, what they voted, and what must be proposed again.
///
/// The rule of value choice is per slot: the chosen value if anybody knows it, else the value voted for at the highest
/// ballot among a quorum, else a no-op when a later slot was voted in (IronRSL `Proposer`, its no-op filling; "Paxos Made
/// Simple" §3). Slots below a promiser's truncation point cannot be settled this way: they were chosen, and the proposer
/// must learn them before it proposes anything.
public struct Phase1: Equatable, Sendable {
  /// The best that is known about one slot.
  public struct Recovered: Equatable, Sendable {
    public var votedBallot: Ballot
    public var value: Value
    public var isChosen: Bool

    public static let nothing = Recovered(votedBallot: .zero, value: .noop, isChosen: false)
  }

  private struct Head: Equatable, Sendable {
    var isReceived = false
    var chosenUpTo = Slot.zero
    var truncatedUpTo = Slot.zero
    var lastSlot = Slot.zero
    /// Every report up to here has come.
    var reportedUpTo = Slot.zero
  }

  public enum Result: Equatable, Sendable {
    case incomplete
    /// A quorum has promised and reported everything.
    case quorum
    /// The acceptor is further ahead than this replica can store: learn first, stand later.
    case farBehind(chosenUpTo: Slot)
  }

  public let ballot: Ballot
  public let firstSlot: Slot
  /// Voters whose promise and reports are complete.
  public private(set) var promised = VoterSet()
  /// The highest slot anybody of the quorum has voted in or knows to be chosen.
  public private(set) var lastSlot: Slot
  /// What the proposer must learn before it proposes: the highest truncation point of the quorum.
  public private(set) var truncatedUpTo = Slot.zero

  private let quorum: Quorum
  private let capacity: Int
  private let words: Int
  private var heads: [Head]
  private var seen: [UInt64]
  private var slots: [Recovered]

  /// - Parameter capacity: how many slots from `firstSlot` on this replica can store.
  public init(ballot: Ballot, firstSlot: Slot, quorum: Quorum, capacity: Int) {
    self.ballot = ballot
    self.firstSlot = firstSlot
    self.quorum = quorum
    self.capacity = capacity
    words = (capacity + 63) / 64
    lastSlot = firstSlot.previous
    heads = Array(repeating: Head(), count: quorum.voters)
    seen = Array(repeating: 0, count: quorum.voters * words)
    slots = Array(repeating: .nothing, count: capacity)
  }

  /// The head of a promise from the voter with this index.
  public mutating func process1b(
    _ promise: Promise, from voter: Int, _ contracts: inout ContractRecorder
  ) -> Result {
    contracts.require(.process1bPreBallotIsOurs, promise.ballot == ballot)
    contracts.require(.process1bPreVoterIsAMember, voter >= 0 && voter < quorum.voters)
    guard promise.firstSlot == firstSlot, !promised.contains(voter) else { return .incomplete }
    guard fits(promise.lastSlot), fits(promise.truncatedUpTo) else {
      return .farBehind(chosenUpTo: promise.chosenUpTo)
    }
    // Answers may overtake each other; what the acceptor knew once, it knows.
    let before = heads[voter]
    heads[voter] = Head(
      isReceived: true, chosenUpTo: max(before.chosenUpTo, promise.chosenUpTo),
      truncatedUpTo: max(before.truncatedUpTo, promise.truncatedUpTo),
      lastSlot: max(before.lastSlot, promise.lastSlot), reportedUpTo: before.reportedUpTo)
    return complete(voter, &contracts)
  }

  /// One slot's report from the voter with this index.
  public mutating func process1b(
    _ report: Report, from voter: Int, _ contracts: inout ContractRecorder
  ) -> Result {
    contracts.require(.process1bPreBallotIsOurs, report.ballot == ballot)
    contracts.require(.process1bPreReportedVoteIsOlder, report.votedBallot < ballot)
    guard !promised.contains(voter), report.slot >= firstSlot, fits(report.slot) else {
      return .incomplete
    }
    let i = report.slot - firstSlot
    seen[voter * words + i / 64] |= 1 << UInt64(i % 64)
    merge(report, at: i, &contracts)
    return complete(voter, &contracts)
  }

  private mutating func merge(_ report: Report, at i: Int, _ contracts: inout ContractRecorder) {
    let old = slots[i]
    if report.isChosen || (!old.isChosen && report.votedBallot > old.votedBallot) {
      slots[i] = Recovered(
        votedBallot: report.votedBallot, value: report.value, isChosen: report.isChosen)
    }
    contracts.ensure(
      .process1bPostHighestVoteWins,
      slots[i].isChosen || slots[i].votedBallot == max(old.votedBallot, report.votedBallot))
    contracts.ensure(
      .process1bPostChosenReportsAgree,
      !old.isChosen || !report.isChosen || old.value.isSame(as: report.value))
    contracts.ensure(
      .process1bPostOneValuePerBallot,
      old.isChosen || report.isChosen || report.votedBallot == .zero
        || report.votedBallot != old.votedBallot || old.value.isSame(as: report.value))
  }

  private mutating func complete(_ voter: Int, _ contracts: inout ContractRecorder) -> Result {
    let head = heads[voter]
    guard head.isReceived, hasAllReports(of: voter) else { return .incomplete }
    let before = promised
    promised.insert(voter)
    lastSlot = max(lastSlot, max(head.lastSlot, head.chosenUpTo))
    truncatedUpTo = max(truncatedUpTo, head.truncatedUpTo)
    contracts.ensure(.process1bPostPromisesOnlyGrow, promised.count == before.count + 1)
    contracts.ensure(
      .process1bPostCoversTheVoter,
      lastSlot >= head.lastSlot && truncatedUpTo >= head.truncatedUpTo)
    return quorum.isReached(by: promised) ? .quorum : .incomplete
  }

  /// Looks from where it stopped before: asked after every report, it costs a step a report in all.
  private mutating func hasAllReports(of voter: Int) -> Bool {
    let head = heads[voter]
    var slot = max(max(firstSlot, head.truncatedUpTo.next), head.reportedUpTo.next)
    while slot <= head.lastSlot {
      let i = slot - firstSlot
      if seen[voter * words + i / 64] & (1 << UInt64(i % 64)) == 0 { return false }
      heads[voter].reportedUpTo = slot
      slot = slot.next
    }
    return true
  }

  private func fits(_ slot: Slot) -> Bool {
    slot < firstSlot || slot - firstSlot < capacity
  }

  /// Calls `body` with every value that was reported.
  func forEachValue(_ body: (Value) -> Void) {
    for slot in slots { body(slot.value) }
  }

  /// What the quorum's reports say about a slot; nothing for one that none of them knows.
  public func recovered(_ slot: Slot) -> Recovered {
    guard slot >= firstSlot, slot - firstSlot < capacity else { return .nothing }
    return slots[slot - firstSlot]
  }
}

extension Phase1 {
  /// What `init` is given besides the quorum, to make the same phase 1 anew.
  struct Shape {
    var ballot = Ballot.zero
    var firstSlot = Slot.zero
    var capacity = 0

    mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
      try coder.ballot(&ballot)
      try coder.word(&firstSlot)
      try coder.count(&capacity)
    }
  }

  var shape: Shape { Shape(ballot: ballot, firstSlot: firstSlot, capacity: capacity) }

  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.voters(&promised, of: quorum)
    try coder.word(&lastSlot, from: firstSlot)
    try coder.check(lastSlot < firstSlot || lastSlot - firstSlot < capacity)
    try coder.word(&truncatedUpTo)
    let (firstSlot, capacity) = (firstSlot, capacity)
    try coder.each(&heads) { coder, head throws(DecodeError) in
      try coder.bool(&head.isReceived)
      try coder.word(&head.chosenUpTo)
      try coder.word(&head.truncatedUpTo)
      try coder.word(&head.lastSlot)
      try coder.check(head.lastSlot < firstSlot || head.lastSlot - firstSlot < capacity)
      try coder.word(&head.reportedUpTo)
    }
    try coder.sparse(&seen, 0) { coder, bits throws(DecodeError) in try coder.raw(&bits) }
    var end: UInt64 = 0
    try coder.sparse(&slots, .nothing) { coder, slot throws(DecodeError) in
      try coder.ballot(&slot.votedBallot)
      try coder.value(&slot.value, end: &end)
      try coder.bool(&slot.isChosen)
    }
  }
}
