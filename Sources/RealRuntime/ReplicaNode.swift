import Glibc
public import Logging
public import Protocol
import Synchronization

/// One replica in this process: a user's state machine, replicated.
///
///     let node = try ReplicaNode.start(configuration: configuration, machine: MyMachine())
///     ...
///     node.stop()
///     try await node.ended()
///
/// The replica runs on a thread of its own from `start` until `stop`, or until it cannot go on; clients reach it through
/// its client port (`RSLClient`). Shape of the embedding API: etcd's `embed`, openraft's `Raft`.
public final class ReplicaNode: Sendable {
  public let configuration: NodeConfiguration
  let mailbox: Mailbox<HostRequest>
  let stages: StageBoard
  let bridge: TLSBridge?
  /// Whose level is changed by operators; nil: the replica's logger's.
  let log: LogOutput?
  let startedAt = MonotonicClock.now()
  private let end = Mutex(End())

  private struct End {
    var result: Result<Void, any Error>?
    var waiting: [CheckedContinuation<Void, any Error>] = []
  }

  /// Recovers the replica from its directory, opens its ports and begins to run it.
  ///
  /// Throws what is wrong with the configuration (`ConfigurationError`), the directory (`DataDirectory.Failure`), its journal
  /// or the addresses.
  /// - Parameters:
  ///   - credentials: for TLS, which can be exchanged while the node runs; nil: those that the configuration names.
  ///   - log: where the lines of `logger` go, if operators are to change the level of all of them.
  public static func start(
    configuration: NodeConfiguration, machine: some StateMachine & Sendable,
    logger: Logger = Logger(label: "rsl"), credentials: TLSCredentials? = nil,
    log: LogOutput? = nil
  ) throws -> ReplicaNode {
    try start(
      configuration: configuration, machine: machine, logger: logger, credentials: credentials,
      log: log, reader: .system)
  }

  /// - Parameters:
  ///   - reader: of what the directory holds.
  ///   - seed: another one in each life.
  static func start(
    configuration: NodeConfiguration, machine: some StateMachine & Sendable, logger: Logger,
    credentials: TLSCredentials? = nil, log: LogOutput? = nil, reader: FileReader,
    seed: UInt64 = .random(in: 0 ... .max)
  ) throws -> ReplicaNode {
    let problems = configuration.problems()
    guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    let lock = try DataDirectory.open(
      configuration.dataDirectory, cluster: configuration.cluster, replica: configuration.replica,
      reader: reader)
    if let flaw = lock.repaired {
      logger.warning(
        "\(flaw): written anew", metadata: ["directory": "\(configuration.dataDirectory)"])
    }
    let application = ApplicationBox(machine, limits: configuration.sessions)
    let stages = StageBoard()
    let bridge = try bridge(configuration, credentials, logger)
    let host = try ReplicaHost(
      configuration: configuration, application: application, logger: logger, stages: stages,
      bridge: bridge, seed: seed, reader: reader)
    let node = ReplicaNode(
      configuration: configuration, mailbox: host.mailbox, stages: stages, bridge: bridge, log: log)
    let running = Running(host, lock)
    try startThread(name: "rsl-loop") { node.ended(running.run()) }
    return node
  }

  /// The host on its way to the thread that runs it, and what must be given back before anybody is told that it ended:
  /// ports, files, and the lock of the directory.
  private final class Running: @unchecked Sendable {
    // Touched by the starting thread until the other begins, and by that one alone from then on.
    private var host: ReplicaHost?
    private var lock: DataDirectory.Lock?

    init(_ host: ReplicaHost, _ lock: DataDirectory.Lock) {
      self.host = host
      self.lock = lock
    }

    func run() -> Result<Void, any Error> {
      guard let host = host.take() else { return .success(()) }
      let result = Result<Void, any Error> { try host.run() }
      for request in host.mailbox.close() {
        switch request {
        case .status(let answer): answer(nil)
        case .trace(let answer): answer(nil)
        default: break
        }
      }
      host.closeSockets()
      // Files are renamed and removed beside the loop, and the next one to have the lock shall not meet that. After a failure
      // it may be the disk that never answers.
      if case .success = result { host.worker.finish() }
      // From here on nobody publishes.
      host.stages.end()
      lock = nil
      return result
    }
  }

  /// What ends TLS, when any port speaks it.
  private static func bridge(
    _ configuration: NodeConfiguration, _ credentials: TLSCredentials?, _ logger: Logger
  ) throws -> TLSBridge? {
    guard configuration.tls.isEnabled || configuration.tls.clients != .plaintext else { return nil }
    return TLSBridge(
      credentials: try credentials ?? TLSCredentials(configuration),
      ledger: RefusalLedger(logger: logger),
      handshakeDeadline: configuration.limits.handshakeDeadline,
      connectionsMax: configuration.limits.connections,
      memberSilenceMax: configuration.memberSilenceMax)
  }

  private init(
    configuration: NodeConfiguration, mailbox: Mailbox<HostRequest>, stages: StageBoard,
    bridge: TLSBridge?, log: LogOutput?
  ) {
    self.log = log
    self.configuration = configuration
    self.mailbox = mailbox
    self.stages = stages
    self.bridge = bridge
  }

  /// Hands leadership over, makes durable what was written, and ends.
  public func stop() { mailbox.post(.stop) }

  /// Hands leadership to `target`, nil: to anybody; does nothing when this replica does not lead.
  public func handOver(to target: ReplicaID? = nil) { mailbox.post(.transfer(to: target)) }

  /// What the replica is doing now; nil when it has ended.
  public func status() async -> HostStatus? {
    await withCheckedContinuation { continuation in
      let isTaken = mailbox.post(.status { continuation.resume(returning: $0) })
      if !isTaken { continuation.resume(returning: nil) }
    }
  }

  /// Waits until the replica has ended; throws why it could not go on.
  public func ended() async throws {
    try await withCheckedThrowingContinuation { continuation in
      let result = end.withLock { end in
        if end.result == nil { end.waiting.append(continuation) }
        return end.result
      }
      if let result { continuation.resume(with: result) }
    }
  }

  private func ended(_ result: Result<Void, any Error>) {
    let waiting = end.withLock { end in
      end.result = result
      defer { end.waiting = [] }
      return end.waiting
    }
    for continuation in waiting { continuation.resume(with: result) }
  }
}
