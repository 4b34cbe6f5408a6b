internal import Protocol

/// Agreement: per slot one value, decided by a quorum of durable votes at one ballot before anybody applies it.
///
/// Built on what reached the disks, not on what replicas say: a vote counts here when its record is durable. So it sees a
/// vote that was answered before it was safe, a ballot used twice, a quorum that was none.
struct AgreementChecker: Sendable {
  private struct Candidate: Sendable {
    var ballot: Ballot
    var value: Value
    var voters: UInt64
  }

  private struct Entry: Sendable {
    var candidates: [Candidate] = []
    var chosen: Value?
    var applied: Value?
  }

  private var slots = SlotTable(empty: Entry())
  private let quorum: Int

  init(replicas: Int) { quorum = replicas / 2 + 1 }

  /// A proposer sent an Accept.
  mutating func proposed(_ accept: Accept) -> String? {
    for candidate in slots[accept.slot].candidates where candidate.ballot == accept.ballot {
      if candidate.value.isSame(as: accept.value) { return nil }
      return "slot \(accept.slot) was proposed twice at ballot \(accept.ballot) with different values"
    }
    slots[accept.slot].candidates.append(
      Candidate(ballot: accept.ballot, value: accept.value, voters: 0))
    return nil
  }

  /// A vote of `node` is durable.
  mutating func voted(
    _ node: NodeIndex, _ slot: Slot, _ ballot: Ballot, _ value: Value
  ) -> String? {
    if let problem = proposed(Accept(ballot: ballot, slot: slot, value: value, chosenUpTo: .zero)) {
      return problem
    }
    let entry = slots[slot]
    for i in entry.candidates.indices where entry.candidates[i].ballot == ballot {
      let voters = entry.candidates[i].voters | 1 << UInt64(node.index)
      slots[slot].candidates[i].voters = voters
      guard voters.nonzeroBitCount >= quorum else { continue }
      if let chosen = entry.chosen, !chosen.isSame(as: value) {
        return "slot \(slot) was chosen twice with different values, the second at ballot \(ballot)"
      }
      slots[slot].chosen = value
    }
    return nil
  }

  /// `node` applies `value` as the content of `slot`.
  mutating func applied(_ node: NodeIndex, _ slot: Slot, _ value: Value) -> String? {
    let entry = slots[slot]
    guard let chosen = entry.chosen else {
      return "\(node) applied slot \(slot) before a quorum's votes for it were durable"
    }
    if !chosen.isSame(as: value) {
      return "\(node) applied another value in slot \(slot) than the one that was chosen"
    }
    if let applied = entry.applied, !applied.isSame(as: value) {
      return "\(node) applied another value in slot \(slot) than a replica before it"
    }
    if entry.applied == nil { slots[slot].applied = value }
    return nil
  }

  /// The highest slot that any replica has applied.
  var appliedUpTo: Slot {
    var slot = slots.last
    while slot > .zero && slots[slot].applied == nil { slot = slot.previous }
    return slot
  }
}
