internal import Protocol

// A leader that cannot do its work hands over. Agreement does not show it when one does not, and progress only when the run
// ends in the middle of it, so what a leader promises about itself is looked at each time its timer has fired.
extension PaxosSystem {
  /// Does `node` lead on although its journal stands still? A quorum of others can choose without its vote: the operator
  /// sees it, when the log is full.
  ///
  /// A replica looks at its journal once a heartbeat, hence the interval on top.
  mutating func journalStallViolation(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> String? {
    guard node.index < nodes.count, nodes[node.index].isRunning, nodes[node.index].replica.leads,
      nodes[node.index].isJournalFlushing
    else { return nil }
    let now = world.localTime(node)
    let stall = now - nodes[node.index].journalFlushIssued
    let interval = replicaOptions.heartbeatInterval
    guard stall > replicaOptions.journalStallMax + interval,
      now - nodes[node.index].ledSince > interval
    else { return nil }
    return
      "\(node) leads on although a flush of its journal has taken \(stall.nanoseconds / 1_000_000) ms so far;"
      + " journalStallMax is \(replicaOptions.journalStallMax.nanoseconds / 1_000_000) ms"
  }

  /// Has `node` tried for more than four election timeouts to settle what earlier ballots left? Everybody hears it
  /// meanwhile, and nobody else stands.
  mutating func recoveryViolation(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> String? {
    guard node.index < nodes.count, nodes[node.index].isRunning,
      nodes[node.index].replica.role == .recoveringLeader
    else { return nil }
    let span = world.localTime(node) - nodes[node.index].ledSince
    guard span > replicaOptions.electionTimeout * 4 else { return nil }
    return
      "\(node) has led for \(span.nanoseconds / 1_000_000) ms without settling what earlier ballots left"
  }
}
