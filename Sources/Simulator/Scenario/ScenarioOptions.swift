internal import Protocol

// `cluster N key=value…`: makes the replicas and starts them.
extension ScenarioWorld {
  /// Small limits, so that they are reached in a few lines, and no jitter, so that times are round.
  static var smallOptions: ReplicaOptions {
    var options = ReplicaOptions()
    options.windowSlots = 4
    options.logSlots = 64
    options.snapshotInterval = 16
    options.snapshotTailSlots = 4
    options.snapshotChunkBytes = 64
    options.electionJitter = TimeSpan(nanoseconds: 1)
    return options
  }

  mutating func cluster(_ command: inout ScenarioCommand) throws(ScenarioError) {
    let size = try command.word("a number of replicas")
    guard let count = UInt32(size), count >= 1, count <= 9 else {
      throw command.error("cluster \(size): give a number of replicas from 1 to 9")
    }
    var options = Self.smallOptions
    try Self.read(&command, into: &options)
    let ranks = try Self.ranks(&command, count: Int(count))
    try command.finish()

    let voters = (1...count).map {
      Member(id: ReplicaID($0), priorityRank: ranks[Int($0) - 1])
    }
    let wasQuiet = (isQuiet, hidden)
    self = ScenarioWorld()
    (isQuiet, hidden) = wasQuiet
    self.options = options
    cut = Array(repeating: Array(repeating: false, count: Int(count)), count: Int(count))
    nodes = voters.map { ScenarioNode(id: $0.id) }
    do {
      configuration = try Configuration(voters: voters)
    } catch {
      throw command.error("\(error)")
    }
    for node in nodes.indices { try restart(node, command) }
  }

  /// Starts a replica; options that do not fit together are the command's error.
  mutating func restart(_ node: Int, _ command: ScenarioCommand) throws(ScenarioError) {
    guard let configuration else { return }
    do {
      try start(node, of: configuration)
    } catch .options(let invalid) {
      throw command.error(invalid.description)
    } catch {
      throw command.error("\(name(node)) cannot start: \(error)")
    }
  }

  private static func read(
    _ command: inout ScenarioCommand, into options: inout ReplicaOptions
  ) throws(ScenarioError) {
    try set(&command, "window", &options.windowSlots)
    try set(&command, "log", &options.logSlots)
    try set(&command, "snapshot", &options.snapshotInterval)
    try set(&command, "tail", &options.snapshotTailSlots)
    try set(&command, "chunk", &options.snapshotChunkBytes)
    try set(&command, "batch", &options.batchCommandsMax)
    try set(&command, "bytes", &options.batchBytesMax)
    try set(&command, "queue", &options.queuedBatchesMax)
    try set(&command, "fetch", &options.catchUpSlots)
    try set(&command, "digest", &options.digestPeriod)
    try set(&command, "reads", &options.readsMax)
    try set(&command, "delay", &options.batchDelay)
    try set(&command, "timeout", &options.electionTimeout)
    try set(&command, "jitter", &options.electionJitter)
    try set(&command, "priority-delay", &options.priorityDelay)
    try set(&command, "heartbeat", &options.heartbeatInterval)
    try set(&command, "stall", &options.journalStallMax)
    try set(&command, "retransmit", &options.retransmitInterval)
    try set(&command, "gap-delay", &options.catchUpDelay)
    try set(&command, "fetch-retry", &options.catchUpRetry)
    try set(&command, "local-read", &options.localReadTimeout)
    let drift = try command.number("drift")
    if let duration = try command.duration("lease") {
      options.lease = LeaseOptions(duration: duration, driftBoundPPM: drift ?? 0)
    } else if drift != nil {
      throw command.error("drift= means nothing without lease=")
    }
  }

  private static func set<T: FixedWidthInteger>(
    _ command: inout ScenarioCommand, _ key: String, _ option: inout T
  ) throws(ScenarioError) {
    guard let number = try command.number(key) else { return }
    guard let fitting = T(exactly: number) else {
      throw command.error("\(key)=\(number) is too large")
    }
    option = fitting
  }

  private static func set(
    _ command: inout ScenarioCommand, _ key: String, _ option: inout TimeSpan
  ) throws(ScenarioError) {
    if let span = try command.duration(key) { option = span }
  }

  /// `ranks=0,1,2`: each replica's priority rank, 0 for all when it is not given.
  private static func ranks(
    _ command: inout ScenarioCommand, count: Int
  ) throws(ScenarioError) -> [UInt8] {
    guard let value = command.setting("ranks") else { return Array(repeating: 0, count: count) }
    let ranks = value.split(separator: ",", omittingEmptySubsequences: false).compactMap {
      UInt8($0)
    }
    guard ranks.count == count else {
      throw command.error("ranks=\(value): give \(count) numbers, as in ranks=0,1,2")
    }
    return ranks
  }
}
