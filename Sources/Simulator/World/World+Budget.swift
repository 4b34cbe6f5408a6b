// The fault budget.
extension World {
  /// Processes that are down, paused, about to crash, on the losing side of a partition, or not yet over the damage of their
  /// medium.
  var disturbed: NodeSet {
    var set = armed.union(drowsy).union(damaged).union(fallen)
    for n in 0..<nodeCount where states[n] != .up || storms[n] > 0 { set.insert(NodeIndex(n)) }
    for disturbance in disturbances { set = set.union(disturbance.victims) }
    return set
  }

  /// Whether the fault budget leaves room for disturbing `victims` as well.
  func affords(_ victims: NodeSet) -> Bool {
    UInt64(disturbed.union(victims).count) <= plan.maximumDown
  }
}
