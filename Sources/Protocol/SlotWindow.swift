/// What a replica knows about one slot.
public struct SlotEntry: Equatable, Sendable {
  /// The ballot of the vote cast here; `.zero` when the value was learned without a vote.
  public var ballot: Ballot
  public var value: Value
  /// The journal position of the record that holds this entry.
  public var position: JournalPosition
  /// Whether the replica has voted here or learned the slot; an entry that is not used holds nothing.
  public var isUsed: Bool
  public var isChosen: Bool

  public static let unused = SlotEntry(
    ballot: .zero, value: .noop, position: .zero, isUsed: false, isChosen: false)
}

/// The part of the log that a replica keeps in memory, and its watermarks.
///
/// - Invariant: truncatedUpTo ≤ appliedUpTo ≤ chosenUpTo ≤ truncatedUpTo + capacity.
/// - Invariant: every slot of (truncatedUpTo, chosenUpTo] is used and chosen.
/// - Invariant: no slot above `highestUsed` is used.
public struct SlotWindow: Equatable, Sendable {
  /// Everything up to here is gone from memory; a snapshot covers it.
  public private(set) var truncatedUpTo: Slot
  /// Everything up to here is known to be chosen, without a gap.
  public private(set) var chosenUpTo: Slot
  /// Everything up to here has been handed to the application.
  public private(set) var appliedUpTo: Slot
  public private(set) var highestUsed: Slot
  public let capacity: Int

  private var entries: [SlotEntry]
  private let mask: UInt64

  /// An empty window above `truncatedUpTo`. `capacity` is a power of two.
  public init(capacity: Int, truncatedUpTo: Slot) {
    precondition(capacity > 0 && capacity & (capacity - 1) == 0, "capacity is a power of two")
    self.capacity = capacity
    mask = UInt64(capacity - 1)
    entries = Array(repeating: .unused, count: capacity)
    self.truncatedUpTo = truncatedUpTo
    chosenUpTo = truncatedUpTo
    appliedUpTo = truncatedUpTo
    highestUsed = truncatedUpTo
  }

  /// The highest slot the window has room for.
  public var lastSlot: Slot { truncatedUpTo + capacity }

  public func contains(_ slot: Slot) -> Bool {
    slot > truncatedUpTo && slot.rawValue - truncatedUpTo.rawValue <= UInt64(capacity)
  }

  /// The entry of a slot; unused for a slot outside the window.
  public subscript(slot: Slot) -> SlotEntry {
    contains(slot) ? entries[Int(slot.rawValue & mask)] : .unused
  }

  public func isChosen(_ slot: Slot) -> Bool {
    slot <= chosenUpTo || self[slot].isChosen
  }

  /// Records a vote. A slot that is known to be chosen stays so.
  public mutating func vote(
    _ slot: Slot, ballot: Ballot, value: Value, position: JournalPosition
  ) {
    precondition(contains(slot), "a vote outside the window")
    let i = Int(slot.rawValue & mask)
    entries[i].ballot = ballot
    entries[i].value = value
    entries[i].position = position
    entries[i].isUsed = true
    highestUsed = max(highestUsed, slot)
  }

  /// Records a value learned to be chosen; the vote it replaces, if any, no longer matters.
  public mutating func learn(_ slot: Slot, value: Value, position: JournalPosition) {
    precondition(contains(slot), "a learned slot outside the window")
    let i = Int(slot.rawValue & mask)
    entries[i] = SlotEntry(
      ballot: .zero, value: value, position: position, isUsed: true, isChosen: true)
    highestUsed = max(highestUsed, slot)
  }

  /// The vote in this slot turned out to be what was chosen.
  public mutating func markChosen(_ slot: Slot) {
    precondition(contains(slot), "a chosen slot outside the window")
    entries[Int(slot.rawValue & mask)].isChosen = true
  }

  /// Moves `chosenUpTo` over every chosen slot that follows it; true when it moved.
  public mutating func advanceChosen() -> Bool {
    let before = chosenUpTo
    var next = chosenUpTo.next
    while contains(next) && entries[Int(next.rawValue & mask)].isChosen {
      chosenUpTo = next
      next = next.next
    }
    return chosenUpTo > before
  }

  /// The next slot has been handed to the application.
  public mutating func advanceApplied() {
    precondition(appliedUpTo < chosenUpTo, "only chosen slots are applied")
    appliedUpTo = appliedUpTo.next
  }

  /// Forgets every slot up to `slot`, which must have been applied.
  public mutating func truncate(upTo slot: Slot) {
    precondition(slot <= appliedUpTo, "only applied slots are truncated")
    clear(upTo: slot)
  }

  /// Jumps to the state after `slot`, which a snapshot holds; what is known about later slots stays.
  public mutating func jump(to slot: Slot) {
    precondition(slot > appliedUpTo, "a snapshot never takes the application back")
    clear(upTo: slot)
    appliedUpTo = slot
    chosenUpTo = max(chosenUpTo, slot)
    highestUsed = max(highestUsed, slot)
    _ = advanceChosen()
  }

  private mutating func clear(upTo slot: Slot) {
    guard slot > truncatedUpTo else { return }
    if slot - truncatedUpTo >= capacity {
      for i in entries.indices { entries[i] = .unused }
    } else {
      var s = truncatedUpTo.next
      while s <= slot {
        entries[Int(s.rawValue & mask)] = .unused
        s = s.next
      }
    }
    truncatedUpTo = slot
  }
}

extension SlotWindow {
  /// Only slots that can be used are visited: what lies outside of them is unused.
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.word(&truncatedUpTo)
    try coder.word(&appliedUpTo, from: truncatedUpTo)
    try coder.word(&chosenUpTo, from: truncatedUpTo)
    try coder.word(&highestUsed, from: truncatedUpTo)
    try coder.check(
      truncatedUpTo <= appliedUpTo && appliedUpTo <= chosenUpTo && chosenUpTo <= highestUsed
        && highestUsed.rawValue - truncatedUpTo.rawValue <= UInt64(capacity))
    var last = SlotEntry.unused
    var end: UInt64 = 0
    var slot = truncatedUpTo
    while slot < highestUsed {
      slot = slot.next
      let i = Int(slot.rawValue & mask)
      var entry = entries[i]
      try entry.codeState(&coder, after: last, end: &end)
      try coder.check(slot > chosenUpTo || entry.isChosen)
      if coder.isDecoding { entries[i] = entry }
      if entry.isUsed { last = entry }
    }
  }
}

extension SlotEntry {
  /// Ballots and positions by what differs from the used entry before.
  fileprivate mutating func codeState(
    _ coder: inout some StateCoder, after last: SlotEntry, end: inout UInt64
  ) throws(DecodeError) {
    let (used, chosen, sameBallot): (UInt64, UInt64, UInt64) = (1, 2, 4)
    var flags = isUsed ? used : 0
    if isChosen { flags |= chosen }
    if isUsed && ballot == last.ballot { flags |= sameBallot }
    try coder.word(&flags)
    try coder.check(flags & used != 0 ? flags <= used | chosen | sameBallot : flags == 0)
    (isUsed, isChosen) = (flags & used != 0, flags & chosen != 0)
    guard isUsed else { return }
    if flags & sameBallot != 0 { ballot = last.ballot } else { try coder.ballot(&ballot) }
    try coder.word(&position, from: last.position)
    try coder.value(&value, end: &end)
  }
}
