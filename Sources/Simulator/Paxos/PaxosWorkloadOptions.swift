internal import Protocol

/// How a run's cluster and its clients are set up: drawn per seed, before the world exists, from a generator of its own.
struct PaxosWorkloadOptions: Sendable {
  var clients = 3
  var operations = 200
  /// What a run had time for is enough; false when so many operations were asked for.
  var mayDropSurplus = true
  /// Commands a client keeps in flight.
  var window = 4
  /// Operations a client has begun and not ended.
  var lanes = 2
  /// Pause between an operation's end and the next one's call, at most, in microseconds.
  var think: UInt64 = 20_000
  var retry = TimeSpan.milliseconds(200)
  /// Deadline of an operation.
  var deadline = TimeSpan.seconds(5)
  /// Of a hundred operations so many are reads outside the log.
  var readPercent: UInt64 = 30
  /// Clients differ: the first only writes, the second only reads, the others do both.
  var isSplit = false
  /// What replicas keep of sessions.
  var sessions = SessionTable.Limits(sessionsMax: 24, outstandingMax: 8, replyLengthMax: 64)
  /// How often the operator interferes, in microseconds; 0: never.
  var operatorInterval: UInt64 = 0
  var segmentLength = 4_096

  /// Of a hundred operations of this client so many are reads outside the log.
  func readPercent(of client: Int) -> UInt64 {
    guard isSplit && clients > 1 && client < 2 else { return readPercent }
    return client == 0 ? 0 : 100
  }
}

/// Everything about a run that is drawn before its world is made.
struct PaxosSetup: Sendable {
  var replicas: Int
  var members: [Member]
  var replica: ReplicaOptions
  var workload: PaxosWorkloadOptions
  var seed: UInt64
  /// Of the only configuration there is; nothing may rest on its being 1.
  var epoch: Epoch
  /// Leases are wanted; whether they may be is up to the clocks of the plan.
  var wantsLeases: Bool
  var leaseTrouble: LeaseTrouble

  init(seed: UInt64, _ options: PaxosOptions) {
    var state = seed ^ 0x5041_584F_5300_0001
    var random = SeededRandom(seed: SeededRandom.splitMix(&state))
    let isCalm = options.profile == .calm
    let drawn = Self.pick([3, 3, 3, 3, 3, 5, 5, 5, 7, 4, 2, 1], &random)
    replicas = options.replicas ?? (isCalm ? 3 : drawn)
    wantsLeases = random.next(below: 2) == 0
    leaseTrouble = Self.pick(LeaseTrouble.allCases, &random)
    replica = Self.drawReplica(&random)
    if wantsLeases && leaseTrouble == .duels {
      replica.electionJitter = TimeSpan(nanoseconds: replica.electionTimeout.nanoseconds / 32)
    }
    workload = Self.drawWorkload(&random)
    if isCalm {
      replica = ReplicaOptions()
      workload = PaxosWorkloadOptions()
    }
    if let commands = options.commands {
      workload.operations = commands
      workload.mayDropSurplus = false
    }
    if !isCalm { replica.digestPeriod = Self.drawDigestPeriod(seed, replicas: replicas) }
    if let fixed = options.replicaOptions { replica = fixed }
    members = (1...max(1, replicas)).map {
      Member(
        id: ReplicaID(UInt32($0)),
        priorityRank: isCalm ? 0 : UInt8(Self.pick([0, 0, 0, 1, 2], &random)))
    }
    self.seed = random.next()
    epoch = Epoch(isCalm ? 1 : Self.pick([1, 1, 2, 1 << 40], &random))
  }

  private static func pick<T>(_ choices: [T], _ random: inout SeededRandom) -> T {
    choices[Int(random.next(below: UInt64(choices.count)))]
  }

  /// From a generator of its own, so that nothing else of a seed's run depends on it. Reports take slots themselves, hence
  /// not too few.
  private static func drawDigestPeriod(_ seed: UInt64, replicas: Int) -> Int {
    var state = seed ^ 0x5041_584F_5300_0002
    var random = SeededRandom(seed: SeededRandom.splitMix(&state))
    return max(2 * replicas, pick([8, 16, 16, 32, 64], &random)) * pick([1, 1, 0], &random)
  }

  private static func drawReplica(_ random: inout SeededRandom) -> ReplicaOptions {
    var o = ReplicaOptions()
    o.windowSlots = pick([1, 2, 4, 8, 8, 16, 32], &random)
    o.snapshotInterval = pick([2, 4, 8, 16, 32, 64, 256], &random)
    o.snapshotTailSlots = pick([0, 0, 2, 8, 32], &random)
    o.logSlots = 1
    while o.logSlots < o.snapshotInterval + o.snapshotTailSlots + 2 * o.windowSlots {
      o.logSlots *= 2
    }
    o.logSlots *= pick([1, 1, 2], &random)
    o.batchCommandsMax = pick([1, 2, 8, 64], &random)
    o.batchBytesMax = pick([160, 1_024, 1 << 16], &random)
    o.batchDelay = pick([.zero, .zero, .microseconds(300), .milliseconds(3)], &random)
    o.queuedBatchesMax = pick([1, 2, 16], &random)
    let timeout = UInt64(pick([80, 150, 300], &random))
    o.electionTimeout = .milliseconds(timeout)
    // With little jitter candidates meet, and stand right when a lease ends.
    o.electionJitter = .milliseconds(timeout / UInt64(pick([1, 1, 8, 32], &random)))
    o.priorityDelay = .milliseconds(timeout / 2)
    o.heartbeatInterval = .milliseconds(timeout / UInt64(pick([3, 5, 8], &random)))
    o.journalStallMax = .milliseconds(timeout * UInt64(pick([1, 4], &random)))
    o.retransmitInterval = .milliseconds(timeout / UInt64(pick([2, 5, 10], &random)))
    o.catchUpDelay = .milliseconds(UInt64(pick([2, 10, 30], &random)))
    o.catchUpRetry = .milliseconds(UInt64(pick([20, 60], &random)))
    o.catchUpSlots = pick([1, 8, 64], &random)
    o.snapshotChunkBytes = pick([64, 256, 1_024, 4_096], &random)
    o.readsMax = pick([1, 4, 64], &random)
    o.localReadTimeout = .milliseconds(timeout)
    return o
  }

  private static func drawWorkload(_ random: inout SeededRandom) -> PaxosWorkloadOptions {
    var w = PaxosWorkloadOptions()
    w.clients = pick([1, 2, 3, 4], &random)
    w.operations = pick([40, 100, 200, 300, 1_000], &random)
    w.window = pick([1, 4, 8], &random)
    w.lanes = pick([1, 2, 6, 12], &random)
    w.think = pick([0, 2_000, 20_000, 100_000], &random)
    // What the clients can do in 20 seconds, if they only think.
    if w.think > 0 {
      w.operations = min(w.operations, w.clients * w.lanes * Int(40_000_000 / w.think))
    }
    w.retry = .milliseconds(UInt64(pick([50, 200], &random)))
    w.deadline = .milliseconds(UInt64(pick([500, 2_000, 20_000], &random)))
    w.readPercent = pick([0, 20, 50, 80], &random)
    w.isSplit = random.next(below: 3) == 0
    w.operatorInterval = pick([0, 100_000, 500_000], &random)
    w.segmentLength = pick([512, 1_024, 4_096, 65_536], &random)
    // Replies take 24 bytes: in some runs none is kept, in some no more than a client has in flight. With fewer sessions
    // than clients they evict each other all the time.
    w.sessions = SessionTable.Limits(
      sessionsMax: pick([max(1, w.clients - 1), w.clients, w.clients + 1, 24], &random),
      outstandingMax: pick([w.window, 8, 8], &random), replyLengthMax: pick([16, 64, 64], &random))
    return w
  }
}
