internal import Protocol

// The simulated host's part in finding diverged states: it carries digests between application and replica, and takes a
// diverged state out of service.
extension PaxosSystem {
  /// Timer of what the application has to say to its replica.
  static var digestToken: UInt64 { 1 }

  func watch(of node: NodeIndex) -> DigestWatch {
    DigestWatch(
      period: UInt64(replicaOptions.digestPeriod), own: PaxosNames.replica(node),
      isRepairing: nodes[node.index].hasDiverged)
  }

  /// The application is another one, or has applied a slot.
  mutating func watchDigests(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard replicaOptions.digestPeriod > 0, nodes[n].mustTellDigests() else { return }
    world.setTimer(node, at: world.localTime(node), token: Self.digestToken)
  }

  /// Encodes a report into the node's log buffer; the replica hears of it in a step of its own.
  mutating func enter(
    _ report: DigestReport, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    let start = arena.bytes.count
    report.encode(into: &arena.bytes)
    let place = arena.receive(start..<arena.bytes.count, into: &nodes[n].region)
    nodes[n].entered.append(
      report.reference(
        to: arena.bytes.span.bytes.extracting(arena.range(place)), position: place.position))
    world.setTimer(node, at: world.localTime(node), token: Self.digestToken)
  }

  /// One of the things that wait for the replica.
  mutating func stepDigests(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    let n = node.index
    effects.removeAll()
    guard nodes[n].isRunning else { return 0 }
    if !nodes[n].entered.isEmpty {
      let command = nodes[n].entered.removeFirst()
      defer { rearm(node, &world) }
      return step(node, .reportEntered(command), &world)
    }
    let standing = nodes[n].application.digestStanding
    guard standing != nodes[n].told else { return 0 }
    nodes[n].told = standing
    nodes[n].hasDiverged = nodes[n].application.watch.isRepairing
    return step(node, .digestsChanged(standing), &world)
  }

  private mutating func rearm(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard !nodes[n].entered.isEmpty || nodes[n].told != nodes[n].application.digestStanding else {
      return
    }
    world.setTimer(node, at: world.localTime(node), token: Self.digestToken)
  }

  // MARK: Diverged

  /// A slot was applied: whether the state may go on.
  mutating func checkDivergence(
    _ slot: Slot, wasAgreed: Slot, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let verdict = nodes[node.index].application.divergence
    world.check(
      "divergence",
      checkers.divergence.applied(
        node, slot, agreed: nodes[node.index].application.digests.agreedSlot, wasAgreed: wasAgreed,
        verdict: verdict, appliedByAll: appliedByAll(node, world)), [node])
    if let verdict { quarantine(verdict, node, &world) }
  }

  /// What every member of a healed core that can convict has applied; nil for who does not belong to one.
  private mutating func appliedByAll(
    _ node: NodeIndex, _ world: borrowing World<PaxosMessage>
  ) -> Slot? {
    guard world.runPhase == .liveness, checkers.divergence.isTainted(node),
      world.core.contains(node), checkers.divergence.canConvict(world.core)
    else { return nil }
    var (slot, furthest) = (Slot.last, Slot.zero)
    for member in world.core where member.index < nodes.count {
      let isRunning = nodes[member.index].isRunning
      let applied = isRunning ? nodes[member.index].application.appliedUpTo : .zero
      (slot, furthest) = (min(slot, applied), max(furthest, applied))
    }
    // Who is a period behind has other things to do than to report.
    if furthest - slot >= replicaOptions.digestPeriod {
      checkers.divergence.unrest(upTo: furthest)
    }
    return slot
  }

  /// Nothing leaves this process any more. Its snapshots are removed for good, as if they were damaged; then it ends, and its
  /// next life begins from its log, or as a suspect.
  private mutating func quarantine(
    _ verdict: Divergence, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    world.note("diverged: \(verdict)", node)
    collectCounters(of: node)
    nodes[n].isRunning = false
    nodes[n].hasDiverged = true
    var isSnapshotLost = false
    for name in world.disk(node).names where PaxosFiles.number(name, prefix: "snapshot-") != nil {
      isSnapshotLost = true
      world.delete(node, file: name)
    }
    world.distrust(node, disk: isSnapshotLost)
    // What else was on its way to the disk nobody waits for.
    nodes[n].flushes = [(world.flush(node), .quarantine)]
  }

  /// Flips a bit of the state that no command of the run reads or writes, so that everything but its digest stays right.
  public mutating func corruptState(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> Bool {
    let n = node.index
    guard replicaOptions.digestPeriod > 0, nodes[n].isRunning, !checkers.divergence.isTainted(node)
    else { return false }
    let unused = nodes[n].application.machine.registers.count - PaxosWorkload.keys
    let bit = world.draw(.memory, below: UInt64(unused * 64))
    nodes[n].application.corruptMachine {
      $0.corrupt(bit: UInt64(PaxosWorkload.keys * 64) + bit)
    }
    checkers.divergence.corrupted(node, after: nodes[n].application.appliedUpTo)
    return true
  }

  /// A state was restored, or a process begins without one.
  mutating func checkRestored(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let application = nodes[node.index].application
    let isTainted = application.machine.registers.dropFirst(PaxosWorkload.keys).contains { $0 != 0 }
    checkers.divergence.restored(node, to: application.appliedUpTo, isTainted: isTainted)
    if isTainted { world.distrust(node, disk: false) }
  }
}
