internal import Protocol

/// Reads are never older than promised: local ones not below their slot, a client's never below what it has seen.
struct ReadChecker: Sendable {
  private var seen: [Slot]

  init(clients: Int) { seen = Array(repeating: .zero, count: clients) }

  /// What `client` has seen when it asks.
  func floor(_ client: Int) -> Slot { seen[client] }

  /// `client` learned of something that happened in `slot`.
  mutating func saw(_ client: Int, _ slot: Slot) { seen[client] = max(seen[client], slot) }

  /// `client` got the answer to a local read that had to know at least `floor`.
  mutating func read(_ client: Int, atLeast floor: Slot, servedAt slot: Slot) -> String? {
    saw(client, slot)
    return slot < floor
      ? "a local read that had to know slot \(floor) was served from slot \(slot)" : nil
  }
}
