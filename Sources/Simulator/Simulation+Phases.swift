internal import Protocol

// The two phases of a run, and its end.
extension Simulation {
  /// After each event: is the run over?
  @inline(__always)
  mutating func settle() {
    if world.violation != nil || world.stopRequested || events >= eventLimit
      || system.isDone(&world)
    {
      settleSlowly()
    }
  }

  @inline(never)
  private mutating func settleSlowly() {
    if outcome != nil { return }
    if let violation = world.violation {
      end(violation.kind == .safety ? .safety : .liveness)
    } else if world.stopRequested {
      end(.passed)
    } else if events >= eventLimit {
      world.report(
        Violation(
          kind: .liveness, checker: "progress.eventLimit",
          sentence: "the run did not end within \(eventLimit) events"))
      end(.liveness)
    } else if world.runPhase == .safety {
      endSafety()
    } else {
      finish()
    }
  }

  /// The safety phase is over: heal a core and demand progress, or, beyond the budget, just end.
  mutating func endSafety() {
    guard world.profile != .unlimited else { return finish() }
    safetyNanoseconds = world.now
    if world.chance(.partition, perMillion: world.plan.lastPartition) { nemesisPartition() }
    let core =
      world.profile == .calm ? world.nodes : system.chooseCore(&world).intersection(world.nodes)
    world.core = core.union(world.endpoints.subtracting(world.nodes))
    world.runPhase = .liveness
    world.armed = []
    world.drowsy = []
    for n in 0..<world.nodeCount { world.storms[n] = 0 }
    world.note("liveness phase, core \(core)")
    mixHead(Event(.endOfSafety))
    world.digest.mix(core.bits)
    world.recomputeLinks()
    for node in world.nodes.subtracting(core)
    where world.chance(.core, perMillion: world.plan.outsiderLost) {
      crash(node)
    }
    for node in core {
      thaw(node)
      freeSpace(node)
      world.unstall(node)
    }
    for node in core {
      revive(node)
      if world.violation != nil { return }
    }
    world.activity = .performing
    system.beginLiveness(&world, core: core)
    world.activity = .idle
    world.queue.push(
      Event(.endOfLiveness), at: world.now + world.plan.livenessBound * 1_000)
  }

  /// The bound has passed without the workload being done.
  mutating func endLiveness() {
    guard world.violation == nil, !system.isDone(&world) else { return }
    if let excuse = system.livenessExcuse(world) {
      self.excuse = excuse
      world.note("excused: \(excuse.name), \(excuse.witness)", excuse.nodes.first)
      return finish()
    }
    world.report(
      Violation(
        kind: .liveness, checker: "progress",
        sentence: "the core \(world.core) made no full progress within "
          + "\(world.plan.livenessBound / 1_000) ms after it was healed",
        nodes: Array(world.core)))
  }

  private mutating func finish() {
    world.activity = .performing
    system.finish(&world)
    world.activity = .idle
    guard let violation = world.violation else { return end(.passed) }
    end(violation.kind == .safety ? .safety : .liveness)
  }

  private mutating func end(_ outcome: RunOutcome) { self.outcome = outcome }
}
