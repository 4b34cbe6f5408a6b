internal import Protocol

/// Agreement: per slot one value, decided by a quorum of durable votes at one ballot before anybody applies it.
///
/// Built on what reached the disks, not on what replicas say: a vote counts here when its record is durable. So it sees a
/// vote that was answered before it was safe, a ballot used twice, a quorum that was none.
struct AgreementChecker: Sendable {
  private struct Candidate: Sendable {
    var ballot: Ballot
    var value: Value
    var voters: UInt64 = 0
    /// Whose votes were durable once and are lost to damage: who was told of them may still count them, so they speak for a
    /// value that is applied, and do not make one chosen that nobody knows of.
    var lost: UInt64 = 0
    /// The slot's next candidate; -1 at the end.
    var next: Int32 = -1
  }

  private struct Entry: Sendable {
    /// The slot's first candidate; -1 for none.
    var first: Int32 = -1
    var chosen: Value?
    var applied: Value?
  }

  private var slots = SlotTable(empty: Entry())
  /// Of all slots: an array for each slot would be an allocation for each slot.
  private var candidates: [Candidate] = []
  private let quorum: Int

  init(replicas: Int) { quorum = replicas / 2 + 1 }

  /// A proposer sent an Accept.
  mutating func proposed(_ accept: Accept) -> String? {
    let candidate = candidates[find(accept.slot, accept.ballot, accept.value)]
    return candidate.value.isSame(as: accept.value)
      ? nil
      : "slot \(accept.slot) was proposed twice at ballot \(accept.ballot) with different values"
  }

  /// A vote of `node` is durable.
  mutating func voted(
    _ node: NodeIndex, _ slot: Slot, _ ballot: Ballot, _ value: Value
  ) -> String? {
    let place = find(slot, ballot, value)
    guard candidates[place].value.isSame(as: value) else {
      return "slot \(slot) was proposed twice at ballot \(ballot) with different values"
    }
    candidates[place].voters |= 1 << UInt64(node.index)
    candidates[place].lost &= ~(1 << UInt64(node.index))
    guard candidates[place].voters.nonzeroBitCount >= quorum else { return nil }
    if let chosen = slots[slot].chosen, !chosen.isSame(as: value) {
      return "slot \(slot) was chosen twice with different values, the second at ballot \(ballot)"
    }
    slots[slot].chosen = value
    return nil
  }

  /// `node` may have lost any of its votes.
  mutating func lost(_ node: NodeIndex) {
    let bit = UInt64(1) << UInt64(node.index)
    for i in candidates.indices where candidates[i].voters & bit != 0 {
      candidates[i].voters &= ~bit
      candidates[i].lost |= bit
    }
  }

  /// The value of the slot that a quorum has voted for, if votes count that were lost since.
  private func chosenWithLostVotes(_ slot: Slot, _ value: Value) -> Value? {
    var place = Int(slots[slot].first)
    while place >= 0 {
      let candidate = candidates[place]
      if candidate.lost != 0, candidate.value.isSame(as: value),
        (candidate.voters | candidate.lost).nonzeroBitCount >= quorum
      {
        return value
      }
      place = Int(candidate.next)
    }
    return nil
  }

  /// The place of the slot's candidate of this ballot, which is `value` when there was none before.
  private mutating func find(_ slot: Slot, _ ballot: Ballot, _ value: Value) -> Int {
    var last = -1
    var place = Int(slots[slot].first)
    while place >= 0 {
      if candidates[place].ballot == ballot { return place }
      last = place
      place = Int(candidates[place].next)
    }
    place = candidates.count
    candidates.append(Candidate(ballot: ballot, value: value))
    if last < 0 { slots[slot].first = Int32(place) } else { candidates[last].next = Int32(place) }
    return place
  }

  /// `node` applies `value` as the content of `slot`.
  mutating func applied(_ node: NodeIndex, _ slot: Slot, _ value: Value) -> String? {
    let entry = slots[slot]
    guard let chosen = entry.chosen ?? chosenWithLostVotes(slot, value) else {
      return "\(node) applied slot \(slot) before a quorum's votes for it were durable"
    }
    if !chosen.isSame(as: value) {
      return "\(node) applied another value in slot \(slot) than the one that was chosen"
    }
    if let applied = entry.applied, !applied.isSame(as: value) {
      return "\(node) applied another value in slot \(slot) than a replica before it"
    }
    if entry.applied == nil {
      slots[slot].chosen = chosen
      slots[slot].applied = value
    }
    return nil
  }

  /// The highest slot that any replica has applied.
  var appliedUpTo: Slot {
    var slot = slots.last
    while slot > .zero && slots[slot].applied == nil { slot = slot.previous }
    return slot
  }
}
