/// How a run is set up, besides its seed.
public struct SimulationConfiguration: Sendable {
  /// Processes: endpoints `0..<nodes`.
  public var nodes: Int
  /// Clients: endpoints `nodes..<nodes + clients`.
  public var clients: Int
  public var profile: FaultProfile
  /// The tenant stores to files where they lie in persistent memory; otherwise there is none.
  public var storesInMemory = false
  /// Changes the drawn fault plan: to leave a fault out, to script a test. Not part of the seed.
  public var adjustPlan: (@Sendable (inout FaultPlan) -> Void)?
  public var tape: TapeMode
  public var trace: TraceOptions
  public var checkpoints: TraceDigest.CheckpointRule
  /// A run with more events than this is a livelock. 0: no limit.
  public var eventLimit: UInt64

  public init(
    nodes: Int, clients: Int = 0, profile: FaultProfile = .swarm, tape: TapeMode = .off,
    trace: TraceOptions = .off, checkpoints: TraceDigest.CheckpointRule = .none,
    eventLimit: UInt64 = 100_000_000, adjustPlan: (@Sendable (inout FaultPlan) -> Void)? = nil
  ) {
    self.nodes = nodes
    self.clients = clients
    self.profile = profile
    self.adjustPlan = adjustPlan
    self.tape = tape
    self.trace = trace
    self.checkpoints = checkpoints
    self.eventLimit = eventLimit
  }
}

/// How a run ended. `crash` is for whoever runs simulations in other processes: a trap leaves no
/// result behind.
public enum RunOutcome: String, CaseIterable, Sendable {
  case passed, safety, liveness, crash
}

/// Everything one run says about itself.
public struct RunResult<Report> {
  public var seed: UInt64
  public var profile: FaultProfile
  public var plan: FaultPlan
  public var outcome: RunOutcome
  public var violation: Violation?
  /// Why a run without progress still passed.
  public var excuse: LivenessExcuse?
  /// The rolling digest with its checkpoints; `digest.value` is the run's fingerprint.
  public var digest: TraceDigest
  /// Inputs into nodes, starts included.
  public var steps: UInt64
  /// Effects performed.
  public var effects: UInt64
  /// Events of the queue handled, nemesis and stale ones included.
  public var events: UInt64
  public var simulatedNanoseconds: UInt64
  /// Of these, before the liveness phase.
  public var safetyNanoseconds: UInt64
  public var core: NodeSet
  public var faults: FaultTable
  public var packets: PacketCounts
  public var tape: DecisionTape?
  public var trace: TraceLog
  public var report: Report
}

extension RunResult: Sendable where Report: Sendable {}
