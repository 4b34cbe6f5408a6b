internal import Protocol

/// A scenario's replica as far as digests go: what its host keeps of them.
struct ScenarioDigests {
  var table = DigestTable()
  var watch = DigestWatch(period: 0, own: ReplicaID(0))
  /// What the replica was told.
  var told = DigestStanding.none
  /// Reports that lie in the log buffer and that the replica has not been told of.
  var entered: [CommandRef] = []
  var contracts = ContractRecorder()
}

// Digests: taken, entered into the log, compared.
extension ScenarioWorld {
  /// A life begins: with nothing applied, or from a snapshot.
  mutating func beginDigests(_ node: Int) {
    nodes[node].digests = ScenarioDigests()
    nodes[node].digests.watch = DigestWatch(
      period: UInt64(options.digestPeriod), own: nodes[node].id)
    guard let snapshot = tables.last(where: { $0.slot == nodes[node].applied }) else { return }
    nodes[node].digests.table = snapshot.table
  }

  /// Puts a report behind everything in the log buffer.
  mutating func enter(_ report: DigestReport, of node: Int) {
    var bytes: [UInt8] = []
    report.encode(into: &bytes)
    let command = report.reference(to: bytes.span.bytes, position: bufferEnd)
    bufferEnd = command.bytes.end
    text.name(command, "\(report.replica)@\(report.slot)")
    reports.append((command.bytes.position, report))
    nodes[node].digests.entered.append(command)
  }

  /// Folds the reports of a value that was applied in, and takes a digest if one is due; false when the replica finds that it
  /// has diverged.
  mutating func applyDigests(_ slot: Slot, _ value: Value, at node: Int) -> Bool {
    guard options.digestPeriod > 0 else { return true }
    for (position, report) in reports
    where (value.bytes.position..<value.bytes.end).contains(position) {
      var digests = nodes[node].digests
      let outcome = digests.table.take(report, in: slot, &digests.contracts)
      digests.watch.saw(outcome, of: report, &digests.contracts)
      nodes[node].digests = digests
    }
    if nodes[node].digests.watch.isDue(slot) {
      nodes[node].digests.watch.took(nodes[node].state, at: slot)
    }
    return nodes[node].digests.watch.divergence == nil
  }

  /// What the replica is to be told next.
  mutating func nextDigestEvent(_ node: Int) -> Protocol.Event? {
    guard options.digestPeriod > 0, nodes[node].replica != nil else { return nil }
    if !nodes[node].digests.entered.isEmpty {
      return .reportEntered(nodes[node].digests.entered.removeFirst())
    }
    let standing = nodes[node].digests.watch.standing(nodes[node].digests.table)
    guard standing != nodes[node].digests.told else { return nil }
    nodes[node].digests.told = standing
    return .digestsChanged(standing)
  }

  /// A replica's state is not that of the others: it ends, and its snapshots with it.
  mutating func quarantine(_ node: Int, _ lines: inout [String]) {
    guard let divergence = nodes[node].digests.watch.divergence else { return }
    lines.append(
      "diverged at slot \(divergence.slot): \(text.hexadecimal(divergence.own)) here,"
        + " \(text.hexadecimal(divergence.agreed)) agreed; ends")
    nodes[node].isSnapshotGone = nodes[node].snapshot.slot > .zero
    crash(node, surviving: 0, isQuiet: true)
  }
}
