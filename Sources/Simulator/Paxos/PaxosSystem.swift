public import Protocol

/// What travels in the simulated cluster: messages of replicas, of clients as encoded bytes in the arena, and of hosts.
public enum PaxosMessage: Hashable, Sendable {
  case peer(Envelope)
  case client(BytesRef)
  /// From one replica's host to another's.
  case notice(HostNotice)
}

/// The first tenant of the simulator: a cluster of replicas with their hosts, its clients, and its checkers.
public struct PaxosSystem: SimulatedSystem, Sendable {
  public typealias Message = PaxosMessage
  public typealias Report = PaxosReport

  let configuration: Configuration
  let replicaOptions: ReplicaOptions
  var nodes: [PaxosNode]
  /// What their hosts know of room on disks; empty where no disk gets full.
  var rooms: [RoomState]
  var arena = ByteArena()
  var workload: PaxosWorkload
  var checkers: PaxosCheckers
  var tally: PaxosReport
  /// The waiting effects of the last step of a replica.
  var effects = EffectBuffer()
  /// The liveness phase does not end before.
  private var observedUntil: UInt64 = 0
  /// Reused: what applying one slot answers, and the commands that were performed there.
  var replies = ReplyBuffer()
  var performed: [RegisterMachine.Request] = []
  var performedIDs: [RequestID] = []

  init(
    configuration: Configuration, replicaOptions: ReplicaOptions, workload: PaxosWorkload,
    fillsDisks: Bool
  ) {
    self.configuration = configuration
    self.replicaOptions = replicaOptions
    self.workload = workload
    let replicas = configuration.voters.count
    nodes = configuration.voters.map {
      PaxosNode(Self.replica($0.id, configuration, replicaOptions), workload.options.sessions)
    }
    rooms = Array(
      repeating: RoomState(nodes: replicas), count: fillsDisks ? replicas : 0)
    checkers = PaxosCheckers(
      replicas: replicas, clients: workload.clients.count, keys: PaxosWorkload.keys,
      digestPeriod: replicaOptions.digestPeriod)
    tally = PaxosReport()
    tally.replicas = replicas
    tally.clients = workload.clients.count
  }

  /// A replica that has not begun to live; what is wrong with the options of a run shows here.
  private static func replica(
    _ id: ReplicaID, _ configuration: Configuration, _ options: ReplicaOptions
  ) -> Replica {
    do {
      return try Replica(id: id, configuration: configuration, options: options, seed: 0)
    } catch {
      preconditionFailure("the run's options are invalid: \(error)")
    }
  }

  // MARK: Phases

  public static var phaseNames: [String] {
    [
      "following", "electing", "recovering", "leading", "catching up", "installing", "suspect",
      "down", "client",
    ]
  }

  /// The activities of a replica in their order, and three more: a suspect's, whatever it does. A process whose first flush is
  /// under way still counts as down.
  public mutating func phase(of node: NodeIndex) -> Int {
    guard node.index < nodes.count else { return 8 }
    guard nodes[node.index].isRunning else { return 7 }
    let nodes = nodes.span
    return nodes[node.index].replica.isSuspect ? 6 : nodes[node.index].replica.activity.rawValue
  }

  public func clusterPhase(_ world: borrowing World<PaxosMessage>) -> Int {
    nodes.indices.contains { nodes[$0].isRunning && nodes[$0].replica.role == .leader } ? 3 : 1
  }

  // MARK: Life of a process

  public mutating func start(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    guard node.index < nodes.count else { return startClient(node, &world) }
    guard let recovered = recover(node, &world), openReserve(node, &world) else { return 0 }
    do throws(Replica.Invalid) {
      nodes[node.index].replica = try Replica(
        id: PaxosNames.replica(node), configuration: configuration, options: replicaOptions,
        durable: recovered, seed: world.draw(.tenant, below: .max))
    } catch {
      if case .nobodyToLearnFrom(let doubt) = error {
        world.note("does not start: \(doubt), and there is nobody else", node)
        return 0
      }
      world.check("recovery.replica", "\(node) cannot start: \(error)", [node])
      return 0
    }
    // The replica lives when its first segment is durable; until then nobody is listening.
    nodes[node.index].application.watch(watch(of: node))
    checkRestored(node, &world)
    checkers.divergence.unrest(upTo: checkers.agreement.appliedUpTo)
    beginSegment(node, &world)
    if flushJournal(node, &world) { armScrub(node, &world) }
    return 0
  }

  public mutating func crash(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    collectCounters(of: node)
    nodes[node.index].crash()
    crashRoom(node)
    effects.removeAll()
  }

  // MARK: Steps

  public mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<PaxosMessage>, _ world: inout World<PaxosMessage>
  ) -> Int {
    guard node.index < nodes.count else { return stepClient(node, input, &world) }
    switch input {
    case .message(_, .peer(let envelope)):
      guard hasRoom(for: envelope.message, node) else {
        tally.messagesWithoutRoom &+= 1
        effects.removeAll()
        return 0
      }
      return step(node, .messageReceived(envelope), &world)
    case .message(let from, .client(let bytes)):
      return receive(bytes, from: from, at: node, &world)
    case .message(let from, .notice(let notice)):
      return noticed(notice, from: from, node, &world)
    case .timer(Self.roomTimer):
      return watchRoom(node, &world)
    case .timer(Self.roomToken):
      return stepRoom(node, &world)
    case .timer(Self.scrubTimer):
      return scrub(node, &world)
    case .timer(Self.digestToken):
      return stepDigests(node, &world)
    case .timer:
      let count = step(node, .deadlineReached, &world)
      world.check("leaders.stalledJournal", journalStallViolation(node, &world), [node])
      world.check("leaders.recoveryBound", recoveryViolation(node, &world), [node])
      return count
    case .diskCompleted(let ticket):
      return diskCompleted(node, ticket, &world)
    }
  }

  /// One step of a replica. Its effects wait, and behind them the end of the turn, when the journal has something to do.
  mutating func step(
    _ node: NodeIndex, _ event: Protocol.Event, _ world: inout World<PaxosMessage>
  ) -> Int {
    effects.removeAll()
    guard nodes[node.index].isRunning else { return 0 }
    nodes[node.index].replica.step(event, now: world.localTime(node), into: &effects)
    tally.protocolSteps &+= 1
    world.check(nodes[node.index].replica.contracts.violation, node)
    world.check("leases.exclusive", leaseViolation(holding: node, &world), [node])
    return effects.count + (turnHasEnd(node) ? 1 : 0)
  }

  private mutating func turnHasEnd(_ node: NodeIndex) -> Bool {
    if needsRepair(node) || isRoomTurn(node) { return true }
    if nodes[node.index].isJournalFlushing { return false }
    if !nodes[node.index].staged.isEmpty { return true }
    for i in 0..<effects.count { if case .persist = effects[i] { return true } }
    return false
  }

  public mutating func perform(
    effect: Int, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard node.index < nodes.count else { return performClient(effect, node, &world) }
    // A diverged process does nothing more than wait for its end.
    guard nodes[node.index].isRunning else { return }
    if effect == effects.count {
      if needsRepair(node), !repairFiles(node, &world) { return }
      voidRetired(node, &world)
      endRoomTurn(node, &world)
      flushJournal(node, &world)
    } else {
      perform(effects[effect], node, &world)
    }
  }

  /// An event that comes from no node: the operator's. Performed whole.
  mutating func inject(
    _ event: Protocol.Event, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard world.isUp(node) else { return }
    let count = step(node, event, &world)
    for i in 0..<count where world.isUp(node) { perform(effect: i, node, &world) }
  }

  public mutating func external(_ token: UInt64, _ world: inout World<PaxosMessage>) {
    if token < PaxosWorkload.operatorToken {
      issue(Int(token), &world)
    } else if token >= Self.startToken {
      startAgain(NodeIndex(Int(token - Self.startToken)), &world)
    } else {
      operate(&world)
    }
  }

  // MARK: The end of a run

  /// A healed core is watched for at least so many election timeouts: its leader must stay, whatever those outside do.
  private static var observedTimeouts: UInt64 { 20 }

  public mutating func beginLiveness(_ world: inout World<PaxosMessage>, core: NodeSet) {
    workload.isOperatorActive = false
    checkers.leaders.healed()
    checkers.divergence.unrest(upTo: checkers.agreement.appliedUpTo)
    observedUntil = world.now + (replicaOptions.electionTimeout * Self.observedTimeouts).nanoseconds
    for node in core { permitLeading(true, node, &world) }
    guard world.profile == .swarm else { return }
    workload.dropSurplus()
    for c in workload.clients.indices { demandWrite(c, &world) }
  }

  public mutating func isDone(_ world: inout World<PaxosMessage>) -> Bool {
    guard workload.isFinished else { return false }
    guard world.runPhase == .liveness else { return true }
    guard hasCaughtUp(world.core) else { return false }
    if mustConvict(world.core) {
      // Digests are taken as slots go by, and only commands make slots go by. Who is behind is not chased.
      for c in workload.clients.indices { demandWrite(c, &world) }
      return false
    }
    return world.now >= observedUntil && isSettled(world.core) && isRoomy(world.core)
      && world.latent.intersection(world.core).isEmpty
  }

  /// Whether a running member of the core has diverged and is to find that.
  private mutating func mustConvict(_ core: NodeSet) -> Bool {
    let tainted = core.intersection(checkers.divergence.tainted)
    guard !tainted.isEmpty, checkers.divergence.canConvict(core) else { return false }
    return tainted.contains { nodes[$0.index].isRunning }
  }

  /// Whether the whole core has applied everything that anybody has.
  private mutating func hasCaughtUp(_ core: NodeSet) -> Bool {
    let target = checkers.agreement.appliedUpTo
    for node in core where node.index < nodes.count {
      guard nodes[node.index].isRunning else { return false }
      if nodes[node.index].replica.window.appliedUpTo < target { return false }
    }
    return true
  }

  /// Whoever was damaged has to get over it.
  private mutating func isSettled(_ core: NodeSet) -> Bool {
    !core.contains { $0.index < nodes.count && nodes[$0.index].replica.isSuspect }
  }

  public mutating func finish(_ world: inout World<PaxosMessage>) {
    for node in 0..<nodes.count { collectCounters(of: NodeIndex(node)) }
    for client in workload.clients { tally.add(client.session.contracts) }
    guard world.runPhase == .liveness, world.violation == nil else { return search(&world) }
    for node in world.core where node.index < nodes.count {
      guard nodes[node.index].isRunning else { continue }
      world.check(
        "durability.acknowledged",
        checkers.durability.finish(
          node, appliedUpTo: nodes[node.index].replica.window.appliedUpTo), [node])
    }
    if let problem = checkers.leaders.finish() {
      world.report(
        Violation(
          kind: .liveness, checker: "progress.stableLeader", sentence: problem,
          nodes: Array(world.core)))
    }
    search(&world)
  }

  private mutating func search(_ world: inout World<PaxosMessage>) {
    guard world.violation == nil, workload.shouldSearch(seed: world.seed) else { return }
    tally.isSearched = true
    world.check("linearizability.search", workload.search())
  }

  public func report(_ world: borrowing World<PaxosMessage>) -> PaxosReport {
    var report = tally
    report.slotsApplied = checkers.agreement.appliedUpTo.rawValue
    report.leaderships = UInt64(checkers.leaders.leaderships)
    report.leadershipsHealed = UInt64(checkers.leaders.leadershipsHealed)
    report.statesCorrupted = checkers.divergence.planted
    report.divergencesFound = checkers.divergence.found
    report.statesInfected = checkers.divergence.infected
    report.statesUnjudged = checkers.divergence.isLost ? 1 : 0
    return report
  }

  /// Adds a process's counters to the run's before it is gone.
  mutating func collectCounters(of node: NodeIndex) {
    guard nodes[node.index].isRunning else { return }
    tally.add(nodes[node.index].replica.contracts)
    tally.add(nodes[node.index].application.contracts)
    for (i, reason) in ScreenReason.allCases.enumerated() {
      tally.screened[i] &+= nodes[node.index].replica.screened[reason]
    }
  }
}

extension PaxosReport {
  /// Adds what a recorder has counted.
  mutating func add(_ recorder: ContractRecorder) {
    recorder.addCounts(contracts: &contracts, marks: &marks)
  }
}
