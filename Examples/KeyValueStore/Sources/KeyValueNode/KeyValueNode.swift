internal import CoreMetrics
internal import KeyValueMachine
internal import Logging
internal import NIOCore
internal import NIOPosix
internal import RESPServer
internal import RSLClient
public import RealRuntime

/// One node of a durable store: a replica, and in the same process a gateway through which Redis clients reach the cluster.
public enum KeyValueNode {
  /// Runs a node until it is asked to stop, or cannot go on; see `ReplicaProcess.run`. Once in a process, whose backend of
  /// swift-metrics it sets.
  public static func run(
    loading load: @escaping @Sendable () throws(ConfigurationError) -> LoadedConfiguration
  ) async throws(ReplicaProcess.Failure) {
    let metrics = PrometheusRegistry()
    MetricsSystem.bootstrap(metrics)
    try await ReplicaProcess.run(
      machine: KeyValueStore(), metrics: metrics, beside: startGateway, loading: load)
  }

  private struct Refused: Error, CustomStringConvertible {
    var description: String
  }

  /// Opens the gateway; what is returned ends it: no more clients, what was taken is answered, then connections close.
  private static func startGateway(
    _ running: ReplicaProcess.Running
  ) async throws -> ReplicaProcess.Ending {
    let configuration = running.configuration
    if let refusal = NodeSettings.refusal(of: configuration) { throw Refused(description: refusal) }
    let client = ClientConfiguration(memberOf: configuration, credentials: running.credentials)
    let (endpoint, timeout) = (
      configuration[NodeSettings.listen], configuration[NodeSettings.timeout]
    )
    let group = MultiThreadedEventLoopGroup(numberOfThreads: configuration[NodeSettings.threads])
    let gateway: Gateway
    do {
      gateway = try await Gateway.start(
        GatewayConfiguration(
          host: endpoint.address, port: Int(endpoint.port),
          clientsMax: configuration[NodeSettings.clientsMax]),
        on: group
      ) { eventLoop, completed in
        ClusterSubmitter(
          on: eventLoop, configuration: client, timeout: timeout, completed: completed)
      }
    } catch {
      try? await group.shutdownGracefully()
      throw Refused(description: "resp.listen \(endpoint): \(error)")
    }
    let served = SocketEndpoint(address: endpoint.address, port: UInt16(gateway.port))
    let logger = running.logger
    logger.info("serving Redis clients", metadata: ["at": "\(served)"])
    return {
      do {
        try await gateway.close()
        try await group.shutdownGracefully()
      } catch {
        logger.warning("the gateway did not end in order: \(error)")
      }
    }
  }
}
