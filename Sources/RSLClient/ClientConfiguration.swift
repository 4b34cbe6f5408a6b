public import NIOSSL
public import Protocol

/// Where a replica serves clients.
public struct ReplicaAddress: Hashable, Sendable {
  public var id: ReplicaID
  /// A name or an IP address.
  public var host: String
  public var port: Int

  public init(id: ReplicaID, host: String, port: Int) {
    self.id = id
    self.host = host
    self.port = port
  }
}

/// How connections are encrypted, and as whom a replica must identify itself.
public struct ClientTLS: Sendable {
  /// Asked for each connection, so that certificates can be exchanged. Its certificate verification must be on for
  /// `serverHostname` to mean anything.
  public var context: @Sendable () -> NIOSSLContext
  /// The name a replica's certificate must carry as a subject alternative name; nil to check the chain only.
  public var serverHostname: @Sendable (ReplicaID) -> String?

  public init(
    context: NIOSSLContext, serverHostname: @escaping @Sendable (ReplicaID) -> String?
  ) {
    self.init(context: { context }, serverHostname: serverHostname)
  }

  public init(
    context: @escaping @Sendable () -> NIOSSLContext,
    serverHostname: @escaping @Sendable (ReplicaID) -> String?
  ) {
    self.context = context
    self.serverHostname = serverHostname
  }
}

/// Whom a client talks to, and within which bounds.
public struct ClientConfiguration: Sendable {
  public var cluster: ClusterID
  public var ring = RingID(0)
  public var replicas: [ReplicaAddress]
  /// How many sessions share the connections. Each has at most `options.windowMax` commands in flight; commands of
  /// different sessions are not ordered among one another.
  public var sessions = 4
  /// Of each session: window, queue, reads at the same time, times of retries.
  public var options: ClientOptions
  /// Nil for plaintext.
  public var tls: ClientTLS?
  /// How long a connection may take until the replica's hello has come, names and TLS included.
  public var connectTimeout = TimeSpan.seconds(3)
  /// How long to leave a replica alone after a failed connection: doubles with every failure in a row, half of it drawn.
  public var reconnectMin = TimeSpan.milliseconds(20)
  public var reconnectMax = TimeSpan.seconds(2)
  /// A connection on which something was sent and nothing received for so long is given up.
  public var silenceMax = TimeSpan.seconds(10)
  /// Bytes that wait for one replica's connection; what goes beyond is dropped, and sent again when its retry is due.
  public var sendBufferMax = 64 << 20
  /// The longest frame accepted, in bytes.
  public var frameLengthMax = FrameParser.lengthMaxDefault
  /// Starts the generator of sessions and waiting times; nil draws one. A seed must never be used twice with one cluster:
  /// it names the sessions.
  public var seed: UInt64?

  public init(cluster: ClusterID, replicas: [ReplicaAddress]) {
    self.cluster = cluster
    self.replicas = replicas
    // An election takes a few hundred milliseconds: whoever waits much longer than one step of it makes it longer.
    options = ClientOptions(
      replicas: replicas.map(\.id), retryMax: .seconds(1), searchMax: .milliseconds(40))
  }

  func validate() {
    precondition(!replicas.isEmpty, "a client needs a replica to talk to")
    precondition(sessions > 0, "a client needs a session")
    precondition(
      options.replicas.allSatisfy { id in replicas.contains { $0.id == id } },
      "a replica without an address")
    precondition(
      Set(replicas.map(\.id)).count == replicas.count && !replicas.contains { $0.id == .client },
      "a replica named twice, or as a client")
    precondition(
      (1 << 10...Int(UInt32.max)).contains(frameLengthMax), "frameLengthMax must be 2^10...2^32-1")
    precondition(reconnectMin > .zero && connectTimeout > .zero && silenceMax > .zero)
  }
}
