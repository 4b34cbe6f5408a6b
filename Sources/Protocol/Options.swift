/// Leader leases: the leader answers reads without a round while a quorum has vowed not to promise anybody else.
public struct LeaseOptions: Hashable, Sendable {
  /// How long a follower vows, on its own clock, from each heartbeat.
  public var duration: TimeSpan
  /// How far any clock's rate may be off, in parts per million. A clock that drifts more makes lease reads stale.
  public var driftBoundPPM: UInt64

  public init(duration: TimeSpan, driftBoundPPM: UInt64) {
    self.duration = duration
    self.driftBoundPPM = driftBoundPPM
  }

  /// How long the leader may rely on a vow, on its own clock, from the moment it sent the heartbeat.
  ///
  /// With rates within 1 ± ε the follower's clock advances at most (1+ε)/(1-ε) times as far as the leader's.
  public var leaderDuration: TimeSpan {
    let million: UInt64 = 1_000_000
    let product = duration.nanoseconds.multipliedFullWidth(by: million - driftBoundPPM)
    return TimeSpan(nanoseconds: (million + driftBoundPPM).dividingFullWidth(product).quotient)
  }
}

/// Every bound of a replica and the relations between them. The same on all replicas of a ring.
public struct ReplicaOptions: Hashable, Sendable {
  // Log
  /// How many slots may be in flight: proposed and not yet known to be chosen.
  public var windowSlots = 64
  /// How many slots a replica keeps in memory; a power of two.
  public var logSlots = 4_096
  public static let logSlotsMax = 1 << 24

  // Batches
  public var batchCommandsMax: UInt32 = 256
  public var batchBytesMax: UInt32 = 1 << 20
  /// How long the leader waits for company for a command when the pipeline has room. Zero: it does not wait.
  public var batchDelay = TimeSpan.zero
  /// How many full batches may wait for the pipeline; beyond, commands are refused as overload.
  public var queuedBatchesMax = 16

  // Election
  /// Without a sign of the leader for this long (and up to `electionJitter` more) a follower stands.
  public var electionTimeout = TimeSpan.milliseconds(500)
  public var electionJitter = TimeSpan.milliseconds(500)
  /// Each step of a member's priority rank waits this much longer.
  public var priorityDelay = TimeSpan.milliseconds(250)
  public var heartbeatInterval = TimeSpan.milliseconds(100)
  /// A leader whose own journal makes nothing durable for this long, with records waiting, steps down.
  public var journalStallMax = TimeSpan.seconds(2)

  // Repair
  /// After this long without a quorum's votes an Accept is sent again to those that have not answered.
  public var retransmitInterval = TimeSpan.milliseconds(100)
  /// A gap in the chosen log may be mere reordering; only after this long is it fetched.
  public var catchUpDelay = TimeSpan.milliseconds(50)
  public var catchUpRetry = TimeSpan.milliseconds(200)
  public var catchUpSlots: UInt32 = 64

  // Snapshots
  /// After this many applied slots since the last one a snapshot is taken.
  public var snapshotInterval = 2_048
  /// Or after this many bytes of applied values, whichever comes first: it bounds what the log buffer must hold.
  public var snapshotBytes: UInt64 = .max
  /// This many slots below a snapshot stay in memory for peers that are a little behind, as long as their values take no more
  /// than `snapshotBytes`.
  public var snapshotTailSlots = 256
  public var snapshotChunkBytes: UInt32 = 64 << 10

  // Digests
  /// After every slot that is a multiple of this the replicas compare the digests of their states; 0: never. At least twice
  /// the number of voters, because their reports take slots themselves.
  public var digestPeriod = 0

  // Reads
  public var readsMax = 1_024
  /// A local read whose slot was not applied in this time is refused.
  public var localReadTimeout = TimeSpan.milliseconds(500)
  /// nil: no leases.
  public var lease: LeaseOptions?

  public init() {}

  /// A bound that cannot be, or two bounds that contradict each other; says which and what to do.
  public struct Invalid: Error, Equatable, CustomStringConvertible {
    public var description: String

    /// With more reports than slots between them the log would fill by itself.
    init(digestPeriod: Int, voters: Int) {
      description =
        "digestPeriod is \(digestPeriod); it must be 0 or at least twice the number of voters"
        + " (2 x \(voters))"
    }

    init(description: String) { self.description = description }
  }

  /// Checks every bound and relation; call it before handing options to a replica.
  public func validate() throws(Invalid) {
    // The message is only made for an option that is wrong: a simulation validates at every restart.
    func check(_ holds: Bool, _ message: @autoclosure () -> String) throws(Invalid) {
      if !holds { throw Invalid(description: message()) }
    }
    try check(windowSlots >= 1, "windowSlots is \(windowSlots); it must be at least 1")
    try check(
      logSlots > 0 && logSlots & (logSlots - 1) == 0 && logSlots <= Self.logSlotsMax,
      "logSlots is \(logSlots); it must be a power of two and at most \(Self.logSlotsMax)")
    try check(snapshotBytes >= 1, "snapshotBytes must be at least 1")
    try check(
      snapshotInterval >= 1 && snapshotTailSlots >= 0,
      "snapshotInterval must be at least 1 and snapshotTailSlots at least 0")
    // Each by itself first, lest their sum overflow.
    try check(
      max(windowSlots, max(snapshotInterval, snapshotTailSlots)) <= logSlots,
      "windowSlots, snapshotInterval and snapshotTailSlots must each be at most logSlots")
    try check(
      snapshotInterval + snapshotTailSlots + 2 * windowSlots <= logSlots,
      "logSlots (\(logSlots)) must hold snapshotInterval (\(snapshotInterval)), snapshotTailSlots"
        + " (\(snapshotTailSlots)) and two windows (2 x \(windowSlots)); raise logSlots")
    try check(batchCommandsMax >= 1, "batchCommandsMax must be at least 1")
    try check(batchBytesMax >= 64, "batchBytesMax is \(batchBytesMax); it must be at least 64")
    try check(queuedBatchesMax >= 1, "queuedBatchesMax must be at least 1")
    try check(catchUpSlots >= 1, "catchUpSlots must be at least 1")
    try check(snapshotChunkBytes >= 64, "snapshotChunkBytes must be at least 64")
    try check(digestPeriod >= 0, "digestPeriod is \(digestPeriod); it must not be below 0")
    try check(readsMax >= 1, "readsMax must be at least 1")
    try check(
      heartbeatInterval > .zero && heartbeatInterval <= electionTimeout / 2,
      "electionTimeout must be at least twice heartbeatInterval, and that above zero")
    try check(electionJitter > .zero, "electionJitter must be above zero, or elections may tie")
    try check(
      retransmitInterval > .zero && catchUpRetry > .zero,
      "retransmitInterval and catchUpRetry must be above zero")
    if let lease {
      try check(
        lease.driftBoundPPM < 500_000,
        "lease.driftBoundPPM is \(lease.driftBoundPPM); it must be below 500,000")
      try check(
        lease.duration > heartbeatInterval * 2 && lease.duration <= electionTimeout,
        "lease.duration must lie above two heartbeat intervals and not above electionTimeout")
    }
  }
}
