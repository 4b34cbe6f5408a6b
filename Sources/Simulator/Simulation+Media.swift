internal import Protocol

// Faults of devices and of what is durable on them.
extension Simulation {
  /// A flush is about to complete: whether it fails instead. The process stops at once, as it must: nothing says what of
  /// the writes is on the medium, now or after another flush.
  mutating func flushFails(_ node: NodeIndex) -> Bool {
    guard world.runPhase == .safety, world.plan.flushFailure > 0,
      world.chance(.medium, perMillion: world.plan.flushFailure), affords([node])
    else { return false }
    world.count(.flushFailed, node)
    world.note("flush failed", node)
    crash(node)
    return true
  }

  /// Whether this process may be damaged: so many stay sound that the others can learn from them.
  func affordsDamage(_ node: NodeIndex) -> Bool {
    var most = world.plan.maximumDown
    if world.profile != .unlimited { most = min(most, UInt64((world.nodeCount - 1) / 2)) }
    return UInt64(world.damaged.union([node]).count) <= most
  }

  mutating func nemesisMedium() {
    let node = drawTarget(.medium)
    guard affordsDamage(node) else { return }
    if world.states[node.index] != .down {
      // What a living process has in memory it does not read again.
      guard affords([node]) else { return }
      crash(node)
    }
    damage(node)
  }

  /// Damages what a process has on its disk while it runs on. It does not read these bytes again, unless it looks for damage:
  /// that it does so before another copy is lost is what is tried here.
  mutating func nemesisAtRest() {
    let node = drawTarget(.medium)
    let kinds = MediumFault.allCases.filter { world.plan.has($0) && $0.mayBeLatent }
    guard !kinds.isEmpty, world.states[node.index] == .up, system.isSound(node),
      affordsDamage(node), affords([node])
    else { return }
    let files = system.vouched(node, world).filter { $0.count > 0 }
    guard !files.isEmpty else { return }
    let fault = kinds[Int(world.draw(.medium, below: UInt64(kinds.count)))]
    let file = files[Int(world.draw(.medium, below: UInt64(files.count)))]
    guard let what = world.disks[node.index].damageAtRest(fault, file, &world.streams) else {
      return
    }
    becameDamaged(node)
    world.latent.insert(node)
    world.count(.damagedAtRest, node)
    world.note("disk, while it runs: \(file.name): \(what)", node)
    mixHead(Event(.nemesis, node: node, flags: NemesisKind.atRest.rawValue))
    world.digest.mix(UInt64(fault.rawValue))
  }

  /// Somebody else's files fill the disk of one process, or of all. Nobody is disturbed by that as by a crash: whoever runs
  /// goes on, with what it has put by.
  mutating func nemesisDiskFull() {
    let isEverywhere = world.chance(.space, perMillion: world.plan.diskFullEverywhere)
    let victims = isEverywhere ? world.nodes : [drawTarget(.space)]
    let span = world.plan.diskFullSpan / 2 + world.draw(.space, below: world.plan.diskFullSpan + 1)
    for node in victims where world.disks[node.index].capacity == nil {
      let left = world.draw(.space, below: world.plan.diskFullLeft + 1)
      world.disks[node.index].fill(leaving: Int(left))
      world.count(.diskFilled, node)
      world.note("disk full, but for \(left) bytes, for \(span) us", node)
      world.queue.push(Event(.spaceFreed, node: node), at: world.now + span * 1_000)
    }
  }

  mutating func freeSpace(_ node: NodeIndex) {
    guard world.disks[node.index].capacity != nil else { return }
    world.disks[node.index].freeSpace()
    world.note("disk has space again", node)
  }

  /// Corrupts the state of a running process, and nothing tells it.
  mutating func nemesisStateFlip() {
    let node = drawTarget(.memory)
    guard world.states[node.index] == .up, affordsDamage(node), affords([node]) else { return }
    world.activity = .performing
    let isCorrupted = system.corruptState(node, &world)
    world.activity = .idle
    guard isCorrupted else { return }
    world.damaged.insert(node)
    world.count(.stateFlipped, node)
    world.note("a bit of its state is flipped", node)
  }

  /// A process has just crashed.
  mutating func damageAtCrash(_ node: NodeIndex) {
    let strikes = world.chance(.medium, perMillion: world.plan.mediumAtCrash)
    guard world.runPhase == .safety, affordsDamage(node) else {
      world.disks[node.index].past.settle()
      return
    }
    if !world.disks[node.index].past.lies.isEmpty {
      let lost = world.disks[node.index].loseLies(
        system.vouched(node, world), &world.streams)
      world.count(.flushLied, node, by: lost.writes)
      world.count(.fenceLied, node, by: lost.lines)
      if lost.writes > 0 {
        becameDamaged(node)
        world.note("lost \(lost.writes) writes of flushes that had completed", node)
      }
      if lost.lines > 0 {
        becameDamaged(node)
        world.note("lost \(lost.lines) lines that a fence had covered", node)
      }
    }
    if strikes { damage(node) }
  }

  /// Damages what is durable of a process that is down, in one place or several.
  private mutating func damage(_ node: NodeIndex) {
    let kinds = MediumFault.allCases.filter(world.plan.has)
    guard !kinds.isEmpty else { return }
    repeat {
      let files = system.vouched(node, world).filter { $0.count > 0 }
      guard !files.isEmpty else { return }
      let fault = kinds[Int(world.draw(.medium, below: UInt64(kinds.count)))]
      let checkpoints = files.filter { $0.isCheckpoint }
      let prefersCheckpoint = world.draw(.medium, below: 3) == 2 && !checkpoints.isEmpty
      let targets = prefersCheckpoint ? checkpoints : files
      strike(node, fault, targets[Int(world.draw(.medium, below: UInt64(targets.count)))])
    } while world.chance(.medium, perMillion: world.plan.mediumAgain)
  }

  private mutating func strike(_ node: NodeIndex, _ fault: MediumFault, _ file: VouchedFile) {
    let what: String?
    if fault == .diskWiped {
      world.activity = .performing
      system.replaceDisk(node, &world)
      world.activity = .idle
      what = "wiped, and begun anew"
    } else {
      what = world.disks[node.index].damage(fault, file, &world.streams)
    }
    guard let what else { return }
    becameDamaged(node)
    world.count(fault.kind, node)
    if file.isCheckpoint { world.count(.checkpointDamaged, node) }
    world.note(fault == .diskWiped ? "disk: \(what)" : "disk: \(file.name): \(what)", node)
    mixHead(Event(.nemesis, node: node, flags: NemesisKind.medium.rawValue))
    world.digest.mix(UInt64(fault.rawValue))
  }

  private mutating func becameDamaged(_ node: NodeIndex) {
    world.damaged.insert(node)
    world.scarred.insert(node)
  }
}
