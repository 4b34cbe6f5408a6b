public import Protocol

/// What a run of the Paxos tenant is made of, besides its seed and its faults.
public struct PaxosOptions: Sendable {
  public var profile = FaultProfile.swarm
  /// How many replicas; nil: drawn per seed, 3 mostly, 1 to 7.
  public var replicas: Int?
  /// How many commands and reads the clients issue together; nil: drawn per seed.
  public var commands: Int?
  /// The replicas' options; nil: drawn per seed, small on purpose, so that every limit is met.
  public var replicaOptions: ReplicaOptions?
  public var tape = TapeMode.off
  public var trace = TraceOptions.off
  public var checkpoints = TraceDigest.CheckpointRule.none
  /// Changes the drawn fault plan; not part of the seed.
  public var adjustPlan: (@Sendable (inout FaultPlan) -> Void)?

  public init() {}
}

/// What a run of the Paxos tenant adds to its result.
public struct PaxosReport: Equatable, Sendable {
  public var replicas = 0
  public var clients = 0
  /// Steps of replicas: events handed to `Replica.step`.
  public var protocolSteps: UInt64 = 0
  public var commandsAcknowledged: UInt64 = 0
  public var readsAnswered: UInt64 = 0
  /// Operations whose outcome the client never learned.
  public var operationsUnknown: UInt64 = 0
  public var operationsRefused: UInt64 = 0
  /// Writes begun in the liveness phase, one for each client, that were performed.
  public var demandsMet: UInt64 = 0
  public var slotsApplied: UInt64 = 0
  public var leaderships: UInt64 = 0
  /// Of these, in the liveness phase.
  public var leadershipsHealed: UInt64 = 0
  /// Evaluations of each contract, in the order of `Contract.allCases`, over all replicas and lives.
  public var contracts = [UInt64](repeating: 0, count: Contract.allCases.count)
  /// How often each mark was reached, in the order of `Mark.allCases`.
  public var marks = [UInt64](repeating: 0, count: Mark.allCases.count)
  /// Messages put aside before any role saw them, in the order of `ScreenReason.allCases`.
  public var screened = [UInt64](repeating: 0, count: ScreenReason.allCases.count)
  /// The search checker's second opinion was asked for in this run.
  public var isSearched = false
  /// States that a crash could have left and that were recovered to see whether they may be.
  public var crashImages: UInt64 = 0
  /// Groups of records that journals in persistent memory made durable.
  public var groupsStored: UInt64 = 0
  /// Files that were found damaged under a running replica, and were replaced by what it had in memory.
  public var filesRepaired: UInt64 = 0
  /// How often a host became short of room on its disk, what was refused and put aside for that, how often a leader handed over
  /// for it, and snapshots and starts that came to nothing.
  public var shortagesOfRoom: UInt64 = 0
  public var commandsWithoutRoom: UInt64 = 0
  public var messagesWithoutRoom: UInt64 = 0
  public var handoversForRoom: UInt64 = 0
  public var snapshotsWithoutRoom: UInt64 = 0
  public var startsWithoutRoom: UInt64 = 0
  /// States that were corrupted, verdicts of replicas that theirs is, and states taken over from a corrupted peer.
  public var statesCorrupted: UInt64 = 0
  public var divergencesFound: UInt64 = 0
  public var statesInfected: UInt64 = 0
  /// 1 for a run in which most voters had a corrupted state in the end, so that nobody could tell who is right.
  public var statesUnjudged: UInt64 = 0
}
