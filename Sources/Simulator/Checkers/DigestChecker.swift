internal import Protocol

/// Replicas that have applied the same slots are in the same state, however they got there.
struct DigestChecker: Sendable {
  private var digests = SlotTable<UInt64?>(empty: nil)

  /// `node`'s application has this digest after `slot`.
  mutating func reached(_ node: NodeIndex, _ slot: Slot, _ digest: UInt64) -> String? {
    guard slot > .zero else { return nil }
    guard let known = digests[slot] else {
      digests[slot] = digest
      return nil
    }
    return known == digest
      ? nil : "\(node) is in another state after slot \(slot) than a replica before it"
  }
}
