public import Protocol

/// The simulated world around the nodes: time, network, disks, clocks, processes, and the faults in
/// them.
///
/// A tenant sees nothing else. Every method is deterministic in the run's seed (and tape); none
/// allocates per call in the steady state.
public struct World<Message> {
  /// What the framework is doing with the tenant. Effects may not leave from inside a pure step.
  enum Activity: UInt8 { case idle, stepping, performing }

  /// Where a process is in its life.
  public enum ProcessState: UInt8, Sendable { case down, up, paused }

  /// The two parts of a run.
  public enum RunPhase: UInt8, Sendable { case safety, liveness }

  public let seed: UInt64
  public let profile: FaultProfile
  public let plan: FaultPlan
  /// Processes are the endpoints `0..<nodeCount`: they crash, pause, and have disks.
  public let nodeCount: Int
  /// Processes and clients. Clients are `nodeCount..<endpointCount`: network, clock and timers, but
  /// no disk and no crash.
  public let endpointCount: Int

  /// Simulated nanoseconds since the run began. Tenants give nodes `localTime` instead.
  public internal(set) var now: UInt64 = 0
  public internal(set) var runPhase = RunPhase.safety
  /// The healed endpoints of the liveness phase: no fault among them any more.
  public internal(set) var core = NodeSet()
  public internal(set) var faults: FaultTable
  public internal(set) var trace: TraceLog
  public internal(set) var violation: Violation?

  var streams: RandomStreams
  var queue = EventQueue()
  var store = MessageStore<Message>()
  var digest: TraceDigest
  var activity = Activity.idle
  var stopRequested = false

  // Per endpoint.
  var clocks: [LocalClock]
  var timers: [[TimerEntry]]
  var timerGeneration: UInt32 = 0
  /// The tenant's current phase of each endpoint, kept by the framework after each input.
  var phases: [Int]

  // Per process.
  public internal(set) var states: [ProcessState]
  var disks: [SimulatedDisk]
  var diskQueues: [FlushQueue]
  var boots: [UInt32]
  var armed: NodeSet = []
  /// Processes that are paused behind the effects of their next step.
  var drowsy: NodeSet = []
  var storms: [UInt8]
  /// Inputs that arrived while their process was paused.
  var held: [[Event]]
  var pauseGeneration: [UInt32]
  /// Processes whose medium was damaged, until they run soundly again.
  public internal(set) var damaged: NodeSet = []
  /// Of the damaged ones: those that were damaged while they ran, and have not read everything since.
  var latent: NodeSet = []
  /// Processes whose medium was ever damaged.
  public internal(set) var scarred: NodeSet = []
  /// Processes that end by themselves, or at a fence, among the effects of the present step.
  var quitting: NodeSet = []
  /// Of these: those that died at a fence. What survives of their disks is decided.
  var fallen: NodeSet = []

  // Network.
  var linkBase: [UInt64]
  var linkExtra: [UInt64]
  var cuts: LinkCuts
  var anyCut = false
  var disturbances: [Disturbance] = []
  var disturbanceCount: UInt32 = 0
  var replayRing: [(message: Message, from: NodeIndex, to: NodeIndex, bytes: Int)] = []
  var replayNext = 0
  public internal(set) var packets = PacketCounts()

  init(_ configuration: SimulationConfiguration, seed: UInt64, phaseNames: [String]) {
    self.seed = seed
    profile = configuration.profile
    nodeCount = configuration.nodes
    endpointCount = configuration.nodes + configuration.clients
    precondition(nodeCount > 0 && endpointCount <= NodeSet.capacity, "1 to 64 endpoints")
    var streams = RandomStreams(seed: seed, tape: configuration.tape)
    var plan = FaultPlan.draw(profile, nodes: nodeCount, from: &streams)
    if !configuration.storesInMemory { plan.memoryNodes = 0 }
    configuration.adjustPlan?(&plan)
    self.plan = plan
    faults = FaultTable(phaseNames: phaseNames)
    trace = TraceLog(configuration.trace, endpoints: endpointCount)
    digest = TraceDigest(checkpoints: configuration.checkpoints)

    clocks = []
    for _ in 0..<endpointCount {
      let offset = TimeSpan.microseconds(streams.draw(.clock, below: plan.clockOffset + 1))
      let drift = Int64(streams.draw(.clock, below: 2 * plan.clockDrift + 1))
      // 0 is the quiet answer: 0, 1, -1, 2, -2 …
      let rate = drift % 2 == 1 ? (drift + 1) / 2 : -drift / 2
      clocks.append(LocalClock(offset: offset, rate: rate))
    }
    timers = Array(repeating: [], count: endpointCount)
    phases = Array(repeating: 0, count: endpointCount)
    states = Array(repeating: .down, count: nodeCount)
    disks = (0..<nodeCount).map {
      SimulatedDisk(plan.medium(of: $0), keepsReplaced: plan.mayGoStale)
    }
    diskQueues = Array(repeating: FlushQueue(), count: nodeCount)
    boots = Array(repeating: 0, count: nodeCount)
    storms = Array(repeating: 0, count: nodeCount)
    held = Array(repeating: [], count: nodeCount)
    pauseGeneration = Array(repeating: 0, count: nodeCount)

    linkBase = []
    for _ in 0..<endpointCount * endpointCount {
      let spread = streams.draw(.network, below: plan.delaySpread + 1)
      linkBase.append((plan.delayBase + spread) * 1_000)
    }
    linkExtra = Array(repeating: 0, count: endpointCount * endpointCount)
    cuts = LinkCuts(endpoints: endpointCount)
    self.streams = streams
  }

  // MARK: For the tenant

  /// All processes.
  public var nodes: NodeSet { NodeSet(first: nodeCount) }
  /// All processes and clients.
  public var endpoints: NodeSet { NodeSet(first: endpointCount) }
  public func isProcess(_ node: NodeIndex) -> Bool { node.index < nodeCount }
  /// Running and not paused. Clients always are.
  public func isUp(_ node: NodeIndex) -> Bool {
    node.index >= nodeCount || states[node.index] == .up && !fallen.contains(node)
  }
  /// How often a process has started; clients: 0.
  public func boots(of node: NodeIndex) -> UInt32 { isProcess(node) ? boots[node.index] : 0 }

  /// What `node`'s own monotonic clock shows.
  public func localTime(_ node: NodeIndex) -> Instant { clocks[node.index].reading(at: now) }

  /// Simulated time since the run began. For workloads and checkers, never for nodes.
  public var simulatedTime: TimeSpan { TimeSpan(nanoseconds: now) }

  /// A decision below `bound` from one of the named streams; 0 should be the quiet answer.
  public mutating func draw(_ stream: RandomStream, below bound: UInt64) -> UInt64 {
    streams.draw(stream, below: bound)
  }
  /// True with a probability of `perMillion` in a million.
  public mutating func chance(_ stream: RandomStream, perMillion: UInt64) -> Bool {
    streams.chance(stream, perMillion: perMillion)
  }
  /// A value of `range`, its lower end being the quiet one.
  public mutating func draw(_ stream: RandomStream, in range: ClosedRange<UInt64>) -> UInt64 {
    streams.draw(stream, in: range)
  }

  /// Calls the tenant's `external(token)` after `span` of simulated time: arrivals of the workload,
  /// and the like.
  public mutating func schedule(after span: TimeSpan, token: UInt64) {
    queue.push(Event(.external, word: token), at: now &+ span.nanoseconds)
  }

  /// Reports a broken property: the run stops at this step. The first report counts.
  public mutating func report(_ violation: Violation) {
    guard self.violation == nil else { return }
    self.violation = violation
    note("VIOLATION \(violation.checker): \(violation.sentence)", violation.nodes.first)
  }

  /// The process ends here, by its own decision: no further effect of the present step is performed. It starts again as after
  /// a crash.
  public mutating func quit(_ node: NodeIndex) { quitting.insert(node) }

  /// The process has to get over something: until the tenant calls it sound it counts as damaged.
  /// - Parameter disk: what is on its disk is, or will be, part of the trouble.
  mutating func distrust(_ node: NodeIndex, disk: Bool) {
    damaged.insert(node)
    if disk { scarred.insert(node) }
  }

  /// Ends the run after this step without judging it, `finish` included (for bounded tests and
  /// scenarios).
  public mutating func stop() { stopRequested = true }

  /// Adds a line to the trace; `text` is only evaluated when there is one.
  @inline(__always)
  public mutating func note(_ text: @autoclosure () -> String, _ node: NodeIndex? = nil) {
    if trace.isOn { trace.add(text(), node: node, time: now) }
  }

  /// Mixes a word of the tenant's choice into the digest.
  public mutating func mixDigest(_ word: UInt64) { digest.mix(word) }

  // MARK: For the framework

  mutating func count(_ fault: FaultKind, _ node: NodeIndex, by amount: UInt64 = 1) {
    if amount > 0 { faults.count(fault, phase: phases[node.index], by: amount) }
  }

  @inline(__always)
  func assertMayAct(_ node: NodeIndex) {
    precondition(
      activity != .stepping || node.index >= nodeCount,
      "an effect left from inside a step: return it, and act in perform(effect:)")
    precondition(fallen.isEmpty || !fallen.contains(node), "an effect left after death at a fence")
  }
}

/// What became of packets, faults or not.
public struct PacketCounts: Equatable, Sendable {
  public var sent: UInt64 = 0
  public var delivered: UInt64 = 0
  /// Arrived at a process that was down.
  public var undeliverable: UInt64 = 0
  /// Corrupted, and refused by the codec.
  public var rejected: UInt64 = 0
}
