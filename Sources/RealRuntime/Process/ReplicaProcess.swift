internal import Glibc
public import Logging
public import Protocol
internal import Synchronization

/// A replica as a process of its own: configuration, log, certificates, admin endpoint and signals around a `ReplicaNode`.
///
/// What `rsl serve` runs, for programs that replicate a state machine of their own:
///
///     try await ReplicaProcess.run(machine: MyMachine()) { () throws(ConfigurationError) in
///       try NodeConfiguration.load(file: "node.yaml", environment: [:], flags: [])
///     }
public enum ReplicaProcess {
  /// Why the process ends otherwise than it was asked to.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Int32, Sendable {
      /// A configuration, a file or an address; the replica did not run.
      case environment = 1
      /// The replica ran and cannot go on.
      case crash = 5
    }

    public var kind: Kind
    public var description: String

    /// The status that the process exits with, as `rsl` does.
    public var exitStatus: Int32 { kind.rawValue }

    init(_ kind: Kind, _ description: String) {
      self.kind = kind
      self.description = description
    }
  }

  /// A replica that runs, for what serves beside it.
  public struct Running: Sendable {
    public var node: ReplicaNode
    /// The node's certificates; nil where no port speaks TLS.
    public var credentials: TLSCredentials?
    public var logger: Logger

    public var configuration: NodeConfiguration { node.configuration }
  }

  /// Ends what serves beside the replica.
  public typealias Ending = @Sendable () async -> Void

  /// Runs one replica until SIGTERM or SIGINT, or until it cannot go on. SIGHUP loads anew (`NodeReload`).
  ///
  /// Asked to stop, it ends what serves beside it, hands leadership over, makes durable what was written, and returns.
  /// - Parameters:
  ///   - metrics: what the program counts through swift-metrics, if that is its backend: scraped at `/metrics` behind the
  ///     replica's own.
  ///   - beside: starts what serves beside the replica, a gateway say, and returns what ends it.
  ///   - load: loads the configuration, at the start and for each SIGHUP.
  public static func run(
    machine: some StateMachine & Sendable, metrics: PrometheusRegistry? = nil,
    beside: (Running) async throws -> Ending = { _ in {} },
    loading load: @escaping @Sendable () throws(ConfigurationError) -> LoadedConfiguration
  ) async throws(Failure) {
    let loaded: LoadedConfiguration
    do throws(ConfigurationError) { loaded = try load() } catch {
      throw Failure(.environment, "\(error)")
    }
    let configuration = loaded.configuration
    let output = LogOutput(configuration.logging)
    var logger = output.logger("rsl")
    logger[metadataKey: "replica"] = "\(configuration.replica)"
    for warning in loaded.warnings { logger.warning("\(warning)") }
    let running: Running
    do {
      let credentials = configuration.needsCertificate ? try TLSCredentials(configuration) : nil
      let node = try ReplicaNode.start(
        configuration: configuration, machine: machine, logger: logger, credentials: credentials,
        log: output)
      running = Running(node: node, credentials: credentials, logger: logger)
    } catch {
      throw Failure(.environment, "\(error)")
    }
    let admin: AdminServer?
    let ending: Ending
    do {
      admin = try await startAdmin(running, metrics)
      ending = try await beside(running)
    } catch {
      running.node.stop()
      try? await running.node.ended()
      throw Failure(.environment, "\(error)")
    }
    let reload = NodeReload(
      running: configuration, log: output, credentials: running.credentials, load: load)
    let signals = handlers(running, reload, ending)
    defer { withExtendedLifetime(signals) {} }
    do {
      try await running.node.ended()
    } catch {
      throw Failure(.crash, "\(error)")
    }
    await admin?.stop()
  }

  private static func startAdmin(
    _ running: Running, _ metrics: PrometheusRegistry?
  ) async throws -> AdminServer? {
    guard let endpoint = running.configuration.listen.admin else { return nil }
    do {
      return try await AdminServer.start(
        at: endpoint, backend: running.node, registry: metrics,
        credentials: running.configuration.tls.admin == .mutual ? running.credentials : nil)
    } catch {
      throw Failure(.environment, "listen.admin \(endpoint): \(error)")
    }
  }

  private static func handlers(
    _ running: Running, _ reload: NodeReload, _ ending: @escaping Ending
  ) -> [SignalHandler] {
    let stopping = Stopping()
    return [
      SignalHandler([SIGTERM, SIGINT]) {
        guard stopping.begin() else { return }
        Task {
          await ending()
          running.node.stop()
        }
      },
      SignalHandler([SIGHUP]) {
        let (outcome, logger) = (reload.perform(), running.logger)
        for line in outcome.done { logger.info("reloaded", metadata: ["what": "\(line)"]) }
        for line in outcome.problems {
          logger.warning("not reloaded", metadata: ["what": "\(line)"])
        }
      },
    ]
  }

  /// Signals may come twice; stopping is done once.
  private final class Stopping: Sendable {
    private let hasBegun = Atomic<Bool>(false)
    func begin() -> Bool { !hasBegun.exchange(true, ordering: .relaxed) }
  }
}
