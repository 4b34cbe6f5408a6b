internal import Protocol

/// Reads are never older than promised: local ones not below their slot, a client's never below what it has seen.
struct ReadChecker: Sendable {
  private struct Arrival: Sendable {
    var request: RequestID
    var node: NodeIndex
    var led: Ballot
  }

  private var seen: [Slot]
  private var arrivals: [Arrival] = []

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

  // MARK: Confirmed reads

  /// A linearizable read came to `node` when `led` was the highest ballot led so far. Its first coming counts: what is
  /// answered later may have been confirmed then.
  mutating func arrived(_ request: RequestID, _ node: NodeIndex, led: Ballot) {
    guard !arrivals.contains(where: { $0.request == request && $0.node == node }) else { return }
    arrivals.append(Arrival(request: request, node: node, led: led))
  }

  /// `node`, which leads or led `ballot`, answers a read. Whoever leads a later ballot has a quorum's promises; had they
  /// been given before the read came, that quorum could not have confirmed this leader since.
  func served(_ request: RequestID, _ node: NodeIndex, at ballot: Ballot) -> String? {
    guard
      let arrival = arrivals.last(where: { $0.request == request && $0.node == node }),
      ballot < arrival.led
    else { return nil }
    return
      "\(node) answers a read as leader of \(ballot), but \(arrival.led) was led before the read came"
  }
}

extension ReadMode {
  var isLinearizable: Bool { if case .local = self { false } else { true } }
}
