internal import Protocol

/// What is known of states that were corrupted on purpose: who has one, and whether its replica finds out in time.
///
/// A corrupted state spreads by snapshots. As long as a majority of the voters is sound, every verdict must be right, and must
/// come as soon as the log allows it. When no majority is, nobody inside can tell who is right, and nothing is judged any
/// more (`isLost`).
struct DivergenceChecker: Sendable {
  let replicas: Int
  let period: UInt64
  /// Whose state is not what the log makes of it.
  private(set) var tainted: NodeSet = []
  /// A majority of the voters had such a state at some time.
  private(set) var isLost = false
  /// How many states were corrupted, found to be, and taken over from corrupted peers.
  private(set) var planted: UInt64 = 0
  private(set) var found: UInt64 = 0
  private(set) var infected: UInt64 = 0
  /// By node: the last slot before its state was corrupted, in this life of it.
  private var since: [Slot]
  /// No digest at or below this slot need have been reported in peace.
  private var unrestUpTo = Slot.zero

  init(replicas: Int, period: Int) {
    self.replicas = replicas
    self.period = UInt64(period)
    since = Array(repeating: .zero, count: replicas)
  }

  private var majority: Int { Quorum(voters: replicas).size }

  func isTainted(_ node: NodeIndex) -> Bool { tainted.contains(node) }

  /// Whether the sound members of a healed core are enough to convict the others.
  func canConvict(_ core: NodeSet) -> Bool {
    period > 0 && !isLost
      && core.intersection(NodeSet(first: replicas)).subtracting(tainted).count >= majority
  }

  /// A running replica's state was corrupted.
  mutating func corrupted(_ node: NodeIndex, after slot: Slot) {
    planted &+= 1
    taint(node, since: slot)
  }

  /// A replica has another state: none, its own snapshot's or a peer's.
  mutating func restored(_ node: NodeIndex, to slot: Slot, isTainted: Bool) {
    guard isTainted else { return tainted.remove(node) }
    if !tainted.contains(node) { infected &+= 1 }
    taint(node, since: slot)
  }

  private mutating func taint(_ node: NodeIndex, since slot: Slot) {
    tainted.insert(node)
    since[node.index] = slot
    if tainted.count >= majority { isLost = true }
  }

  /// Leaders change, processes come back: reports of slots up to here may have been lost on the way.
  mutating func unrest(upTo slot: Slot) { unrestUpTo = max(unrestUpTo, slot) }

  /// A replica has applied a slot, and the digest of `agreed` is the last one agreed there.
  /// - Parameter appliedByAll: what every member of a healed core that can convict has applied; nil before there is one.
  mutating func applied(
    _ node: NodeIndex, _ slot: Slot, agreed: Slot, wasAgreed: Slot, verdict: Divergence?,
    appliedByAll: Slot?
  ) -> String? {
    if let verdict {
      defer { found &+= 1 }
      return isLost || tainted.contains(node)
        ? nil : "\(node) is sound and was found to have diverged: \(verdict)"
    }
    guard tainted.contains(node), !isLost else { return nil }
    if agreed > wasAgreed, agreed > since[node.index] {
      return
        "\(node) has diverged before slot \(agreed), which is agreed in slot \(slot), and goes on"
    }
    // Two digests are taken after the state went wrong, and there is a period's time to agree on the second.
    let base = max(since[node.index], unrestUpTo).rawValue / max(period, 1)
    if let appliedByAll, appliedByAll.rawValue >= (base + 3) * period {
      return
        "\(node) has diverged since slot \(since[node.index]) and has not found it when all had applied slot \(appliedByAll)"
    }
    return nil
  }
}
