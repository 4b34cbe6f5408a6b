internal import Protocol

/// The kinds of scheduled trouble. Each has its own rhythm in the plan.
enum NemesisKind: UInt8, CaseIterable {
  case crash, powerFailure, pause, partition, slowLink, clockStep, clockFreeze, medium, stateFlip
  case atRest, diskFull

  func interval(_ plan: FaultPlan) -> UInt64 {
    switch self {
    case .crash: plan.crashInterval
    case .powerFailure: plan.powerFailureInterval
    case .pause: plan.pauseInterval
    case .partition: plan.partitionInterval
    case .slowLink: plan.slowLinkInterval
    case .clockStep: plan.clockStepInterval
    case .clockFreeze: plan.clockFreezeInterval
    case .medium: plan.mediumInterval
    case .atRest: plan.atRestInterval
    case .diskFull: plan.diskFullInterval
    case .stateFlip: plan.stateFlipInterval
    }
  }

  var stream: RandomStream {
    switch self {
    case .crash, .powerFailure, .pause: .process
    case .partition, .slowLink: .partition
    case .clockStep, .clockFreeze: .clock
    case .medium, .atRest: .medium
    case .stateFlip: .memory
    case .diskFull: .space
    }
  }
}

extension Simulation {
  mutating func scheduleNemesis(_ kind: NemesisKind) {
    let interval = kind.interval(world.plan)
    guard interval > 0 else { return }
    let delay = interval / 2 + world.draw(kind.stream, below: interval + 1)
    world.queue.push(Event(.nemesis, flags: kind.rawValue), at: world.now + delay * 1_000 + 1)
  }

  mutating func nemesis(_ event: Event) {
    guard world.runPhase == .safety, let kind = NemesisKind(rawValue: event.flags) else { return }
    scheduleNemesis(kind)
    // Zeroing this one decision takes the whole fault out of a tape and leaves the rhythm of the
    // others alone.
    guard world.draw(kind.stream, below: 16) != 0 else { return }
    mixHead(event)
    world.digest.mix(UInt64(event.flags))
    switch kind {
    case .crash: nemesisCrash()
    case .powerFailure: nemesisPowerFailure()
    case .pause: nemesisPause()
    case .partition: nemesisPartition()
    case .slowLink: nemesisSlowLink()
    case .clockStep: nemesisClockStep()
    case .clockFreeze: nemesisClockFreeze()
    case .medium: nemesisMedium()
    case .atRest: nemesisAtRest()
    case .diskFull: nemesisDiskFull()
    case .stateFlip: nemesisStateFlip()
    }
  }

  // MARK: Budget

  /// Whether the fault budget leaves room for disturbing `victims` as well.
  func affords(_ victims: NodeSet) -> Bool { world.affords(victims) }

  /// A running process that the budget lets us disturb.
  private mutating func drawVictim(_ stream: RandomStream) -> NodeIndex? {
    let node = drawTarget(stream)
    guard world.states[node.index] == .up, affords([node]) else { return nil }
    return node
  }

  /// Any process, or one of those in a phase that is drawn first: of many processes most do the same, and the few that do
  /// something else, such as leading, are worth as much.
  mutating func drawTarget(_ stream: RandomStream) -> NodeIndex {
    guard world.chance(stream, perMillion: world.plan.aimAtPhases) else {
      return NodeIndex(Int(world.draw(stream, below: UInt64(world.nodeCount))))
    }
    var present: UInt64 = 0
    for node in world.nodes { present |= 1 << UInt64(world.phases[node.index]) }
    var rank = world.draw(stream, below: UInt64(present.nonzeroBitCount))
    var phase = 0
    while (present >> UInt64(phase)) & 1 == 0 || rank > 0 {
      if (present >> UInt64(phase)) & 1 == 1 { rank -= 1 }
      phase += 1
    }
    var candidates = NodeSet()
    for node in world.nodes where world.phases[node.index] == phase { candidates.insert(node) }
    return candidates.element(at: Int(world.draw(stream, below: UInt64(candidates.count))))
  }

  // MARK: Processes

  private mutating func nemesisCrash() {
    guard let node = drawVictim(.process) else { return }
    if world.chance(.process, perMillion: world.plan.restartStorm) {
      world.storms[node.index] = UInt8(2 + world.draw(.process, below: 4))
    }
    if world.chance(.process, perMillion: world.plan.crashBetweenEffects) {
      world.armed.insert(node)
    } else {
      crash(node)
    }
  }

  /// Everything down at once. Outside the budget: what a quorum made durable must survive it.
  private mutating func nemesisPowerFailure() {
    world.faults.count(.powerFailed, phase: system.clusterPhase(world))
    world.note("power failure")
    for node in world.nodes where world.states[node.index] != .down { crash(node) }
  }

  private mutating func nemesisPause() {
    guard let node = drawVictim(.process) else { return }
    if world.chance(.process, perMillion: world.plan.pauseAfterEffects) {
      world.drowsy.insert(node)
    } else {
      pause(node)
    }
  }

  // MARK: Links

  mutating func nemesisPartition() {
    let shapes = PartitionShape.allCases.filter {
      (world.plan.partitionShapes >> UInt64($0.rawValue)) & 1 == 1
    }
    guard !shapes.isEmpty, world.nodeCount > 1 else { return }
    let shape = shapes[Int(world.draw(.partition, below: UInt64(shapes.count)))]
    let order = drawOrder()
    let size = 1 + Int(world.draw(.partition, below: UInt64(order.count - 1)))
    let outward = world.draw(.partition, below: 2) == 1
    let victims: NodeSet
    switch shape {
    case .split:
      let first = order.prefix(size)
      victims = NodeSet(first.count * 2 <= order.count ? first : order.dropFirst(size))
    // Partial ones leave some majority connected in most sizes: they count as one process.
    case .isolated, .oneWay, .ring, .bridge, .chained: victims = [order[0]]
    }
    guard affords(victims) else { return }
    var cuts = LinkCuts.of(
      shape, order: order, cut: size, outward: outward, endpoints: world.endpointCount)
    if shape == .isolated || shape == .split {
      cutClients(&cuts, from: victims)
    }
    let stability = world.plan.partitionStability
    let span = stability / 2 + world.draw(.partition, below: stability + 1)
    world.faults.count(shape.fault, phase: system.clusterPhase(world))
    world.note("partition \(shape) \(order.map { $0.rawValue }) for \(span) us")
    world.disturb(cuts: cuts, victims: victims, healAfter: span * 1_000)
  }

  /// Clients take sides in a partition too: with neither (0), with the victims (1), with the others
  /// (2).
  private mutating func cutClients(_ cuts: inout LinkCuts, from victims: NodeSet) {
    for client in world.endpoints.subtracting(world.nodes) {
      switch world.draw(.partition, below: 3) {
      case 1: cuts.cut(between: [client], and: world.nodes.subtracting(victims))
      case 2: cuts.cut(between: [client], and: victims)
      default: break
      }
    }
  }

  /// A permutation of the processes; the first is the odd one out.
  private mutating func drawOrder() -> [NodeIndex] {
    var order = Array(world.nodes)
    order.swapAt(0, drawTarget(.partition).index)
    for i in stride(from: order.count - 1, to: 1, by: -1) {
      order.swapAt(i, 1 + Int(world.draw(.partition, below: UInt64(i))))
    }
    return order
  }

  private mutating func nemesisSlowLink() {
    let count = UInt64(world.endpointCount)
    guard count > 1 else { return }
    let from = world.draw(.partition, below: count)
    let to = (from + 1 + world.draw(.partition, below: count - 1)) % count
    let extra = world.draw(.partition, in: 1...max(1, world.plan.slowLinkDelay))
    let stability = world.plan.slowLinkStability
    let span = stability / 2 + world.draw(.partition, below: stability + 1)
    let sender = NodeIndex(Int(from))
    world.count(.linkSlowed, sender)
    world.note("slow link to n\(to): +\(extra) us for \(span) us", sender)
    world.disturb(
      cuts: nil, slow: (sender, NodeIndex(Int(to)), extra * 1_000), healAfter: span * 1_000)
  }

  // MARK: Clocks

  private mutating func nemesisClockStep() {
    let node = NodeIndex(Int(world.draw(.clock, below: UInt64(world.nodeCount))))
    let span = world.draw(.clock, in: 1...max(1, world.plan.clockStepMaximum))
    world.count(.clockStepped, node)
    world.note("clock steps \(span) us", node)
    world.clocks[node.index].step(by: .microseconds(span), at: world.now)
    world.requeueTimers(of: node)
  }

  private mutating func nemesisClockFreeze() {
    let node = NodeIndex(Int(world.draw(.clock, below: UInt64(world.nodeCount))))
    let span = 1 + world.draw(.clock, below: world.plan.clockFreezeMaximum)
    guard !world.clocks[node.index].isFrozen else { return }
    world.count(.clockFrozen, node)
    world.note("clock stands still for \(span) us", node)
    world.clocks[node.index].freeze(at: world.now)
    world.queue.push(Event(.thaw, node: node), at: world.now + span * 1_000)
  }

  mutating func thaw(_ node: NodeIndex) {
    guard world.clocks[node.index].isFrozen else { return }
    world.clocks[node.index].thaw(at: world.now)
    world.requeueTimers(of: node)
  }
}
