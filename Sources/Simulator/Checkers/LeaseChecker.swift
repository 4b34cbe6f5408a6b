internal import Protocol

// A lease excludes: while a leader may answer reads without asking, nobody leads a later ballot. Looked at directly rather
// than through a read that comes out stale, which needs a client at each side in the same few milliseconds.
extension PaxosSystem {
  /// `node` begins to lead `ballot`: who still holds the lease of an earlier one.
  func leaseViolation(
    _ node: NodeIndex, leads ballot: Ballot, _ world: borrowing World<PaxosMessage>
  ) -> String? {
    guard replicaOptions.lease != nil else { return nil }
    let nodes = nodes.span  // A call on an element of the array copies the node.
    for n in nodes.indices where n != node.index && nodes[n].isRunning {
      let other = NodeIndex(n)
      let held = nodes[n].replica.proposer.ballot
      if held < ballot && nodes[n].replica.holdsLease(now: world.localTime(other)) {
        return "\(node) leads ballot \(ballot) while \(other) still holds the lease of \(held)"
      }
    }
    return nil
  }

  /// `node` has made a step: who leads a later ballot while this node may answer reads without asking.
  ///
  /// Mutating, as all that is asked at every step, so that a call copies neither the system nor the world.
  mutating func leaseViolation(
    holding node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> String? {
    let nodes = nodes.span
    guard replicaOptions.lease != nil, nodes[node.index].replica.role == .leader,
      nodes[node.index].replica.holdsLease(now: world.localTime(node))
    else { return nil }
    let held = nodes[node.index].replica.proposer.ballot
    for n in nodes.indices where n != node.index && nodes[n].isRunning {
      if nodes[n].replica.leads && nodes[n].replica.proposer.ballot > held {
        return "\(node) holds the lease of \(held), but \(NodeIndex(n)) leads"
          + " \(nodes[n].replica.proposer.ballot)"
      }
    }
    return nil
  }
}
