public import Protocol
import RSLClient
public import RealRuntime

/// What a node of the store may be told beside the keys of a replica, in the same file, environment and flags.
public enum NodeSettings {
  public static let listen = ApplicationKey(
    "resp.listen", .endpoint, usually: SocketEndpoint(address: "127.0.0.1", port: 6379),
    "Where Redis clients connect: plaintext, without passwords.")
  public static let clientsMax = ApplicationKey(
    "resp.clients-max", .whole(1...100_000), usually: 10_000,
    "Redis clients at the same time; one more is told so and closed.")
  public static let threads = ApplicationKey(
    "resp.threads", .whole(1...64), usually: 1,
    "Threads that serve Redis clients, each with a session of its own.")
  public static let timeout = ApplicationKey(
    "resp.timeout", .span(.milliseconds(100)...(.seconds(600))), usually: .seconds(10),
    "How long a command is tried, through elections as well, until it is answered by an error.")

  static let keys = [listen.row, clientsMax.row, threads.row, timeout.row]

  /// Loads a node's configuration as `rsl serve` does, these keys included.
  public static func load(
    file: String?, environment: [String: String], flags: [String]
  ) throws(ConfigurationError) -> LoadedConfiguration {
    try NodeConfiguration.load(
      file: file, environment: environment, flags: flags, applicationKeys: keys)
  }

  /// Why these settings must not be served; nil when they may.
  static func refusal(of configuration: NodeConfiguration) -> String? {
    let endpoint = configuration[listen]
    guard !endpoint.isLoopback, !configuration.insecure.plaintextAnywhere else { return nil }
    return "resp.listen = \"\(endpoint)\": plaintext is refused beyond loopback addresses; "
      + "put a proxy with TLS in front, or set insecure.plaintext-anywhere"
  }
}

extension ClientConfiguration {
  /// How many commands and reads of one event loop may wait for the cluster; more are answered by an error.
  static let waitingMax = 1 << 14
  /// Reads under way at the same time; they share rounds of the leader, so more would not be faster.
  static let readsMax = 128

  /// A member's way to its own cluster: the client ports of all members, with the member's certificate.
  init(memberOf configuration: NodeConfiguration, credentials: TLSCredentials?) {
    self.init(
      cluster: configuration.cluster,
      replicas: configuration.members.map {
        ReplicaAddress(id: $0.id, host: $0.host, port: Int($0.clientPort))
      })
    sessions = 1
    options.windowMax = configuration.sessions.outstandingMax
    options.queueMax = Self.waitingMax
    options.readsMax = Self.readsMax
    // What the leader would refuse must not leave: a refusal there costs the session.
    options.payloadMax = (Int(configuration.options.batchBytesMax) - Command.headerLength) & ~7
    frameLengthMax = configuration.limits.frameBytes
    guard configuration.tls.clients != .plaintext, let credentials else { return }
    let cluster = configuration.cluster
    tls = ClientTLS(
      context: { credentials.clientContext },
      serverHostname: { PeerIdentity(cluster: cluster, role: .replica($0)).dnsName })
  }
}
