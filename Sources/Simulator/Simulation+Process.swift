internal import Protocol

// The life of processes: boot, crash, restart, pause.
extension Simulation {
  /// First boot of a process, or the start of a client.
  mutating func boot(_ node: NodeIndex) {
    guard world.isProcess(node) else { return begin(node) }
    // A crash before the first boot has scheduled a restart already.
    if world.states[node.index] == .down { begin(node) }
  }

  mutating func begin(_ node: NodeIndex) {
    let n = node.index
    if world.isProcess(node) {
      world.states[n] = .up
      world.boots[n] &+= 1
      if world.storms[n] > 0 {
        world.storms[n] -= 1
        world.armed.insert(node)
        world.count(.restartStorm, node)
      }
    }
    mixHead(Event(.boot, node: node))
    let boot = world.boots(of: node)
    world.digest.mix(UInt64(boot))
    world.note("start \(boot)", node)
    world.activity = .performing
    let count = system.start(node, &world)
    world.activity = .idle
    steps &+= 1
    drain(node, count)
  }

  /// Kills a process here and now, between two inputs or two effects, and draws when it comes back.
  mutating func crash(_ node: NodeIndex) {
    let n = node.index
    guard world.states[n] != .down else { return }
    mixHead(Event(.restart, node: node))
    world.count(.nodeCrashed, node)
    world.note("crash", node)
    world.states[n] = .down
    world.armed.remove(node)
    world.drowsy.remove(node)
    world.timers[n].removeAll(keepingCapacity: true)
    dropHeld(n)
    // Recovery reads everything.
    world.latent.remove(node)
    if world.fallen.contains(node) {
      // What survives was decided at the fence.
      world.fallen.remove(node)
    } else {
      world.crashDisk(node)
    }
    world.activity = .performing
    system.crash(node, &world)
    world.activity = .idle
    world.phases[n] = system.phase(of: node)
    damageAtCrash(node)
    let plan = world.plan
    let down =
      world.chance(.process, perMillion: plan.restartAtOnce)
      ? world.draw(.process, in: 0...plan.downMinimum)
      : world.draw(.process, in: plan.downMinimum...max(plan.downMinimum, plan.downMaximum))
    world.queue.push(
      Event(.restart, node: node, generation: world.boots[n]), at: world.now + down * 1_000)
  }

  /// Processes have ended by themselves, or at a fence. In a healed core somebody starts them again.
  @inline(never)
  mutating func endProcesses() {
    let quitting = world.quitting
    world.quitting = []
    guard world.violation == nil else { return }
    for node in quitting {
      crash(node)
      guard world.runPhase == .liveness, world.core.contains(node) else { continue }
      world.queue.push(Event(.boot, node: node), at: world.now + world.plan.downMinimum * 1_000)
    }
  }

  /// A node has entered another phase of its protocol. Phases that last a moment are met by what is tied to their door: a
  /// crash among the next effects, the end of the safety phase.
  @inline(never)
  mutating func phaseChanged(_ node: NodeIndex, to phase: Int) {
    world.phases[node.index] = phase
    guard world.runPhase == .safety, world.isProcess(node) else { return }
    // Not before a fiftieth of it has passed: everybody begins with changes of phase.
    if world.now >= world.plan.safetyDuration * 20,
      world.chance(.process, perMillion: world.plan.endOnPhaseChange)
    {
      world.queue.push(Event(.endOfSafety), at: world.now)
    }
    guard world.plan.crashOnPhaseChange > 0,
      world.states[node.index] == .up,
      world.chance(.process, perMillion: world.plan.crashOnPhaseChange), affords([node])
    else { return }
    world.armed.insert(node)
  }

  mutating func restart(_ event: Event) {
    let n = event.node.index
    // Outside the core nothing comes back in the liveness phase; inside, everything has already.
    guard world.runPhase == .safety, world.states[n] == .down, world.boots[n] == event.generation
    else { return }
    begin(event.node)
  }

  /// Starts a process of the core at once.
  mutating func revive(_ node: NodeIndex) {
    switch world.states[node.index] {
    case .down: begin(node)
    case .paused: unpause(node)
    case .up: break
    }
  }

  // MARK: Pauses

  /// Stops a process for as long as is drawn.
  mutating func pause(_ node: NodeIndex) {
    pause(node, forMicroseconds: 1 + world.draw(.process, below: world.plan.pauseMaximum))
  }

  /// Stops a process without killing it: its clock runs on, inputs wait.
  mutating func pause(_ node: NodeIndex, forMicroseconds span: UInt64) {
    let n = node.index
    guard world.states[n] == .up else { return }
    world.drowsy.remove(node)
    world.states[n] = .paused
    world.pauseGeneration[n] &+= 1
    world.count(.nodePaused, node)
    world.note("pause", node)
    world.queue.push(
      Event(.resume, node: node, generation: world.pauseGeneration[n]),
      at: world.now + span * 1_000)
  }

  mutating func resume(_ event: Event) {
    let n = event.node.index
    guard world.runPhase == .safety, world.states[n] == .paused,
      world.pauseGeneration[n] == event.generation
    else { return }
    unpause(event.node)
  }

  private mutating func unpause(_ node: NodeIndex) {
    let n = node.index
    world.states[n] = .up
    world.note("resume", node)
    mixHead(Event(.resume, node: node))
    // They keep their order and come before anything sent from now on.
    for event in world.held[n] { world.queue.push(event, at: world.now) }
    world.held[n].removeAll(keepingCapacity: true)
  }

  /// Keeps an input for a paused process; for one that is down there is nobody to keep it for.
  mutating func hold(_ event: Event) {
    guard world.states[event.node.index] == .paused else { return }
    world.held[event.node.index].append(event)
  }

  private mutating func dropHeld(_ n: Int) {
    for event in world.held[n] where event.kind == .message {
      _ = world.store.take(event.word)
      world.packets.undeliverable &+= 1
    }
    world.held[n].removeAll(keepingCapacity: true)
  }
}
