public import Logging
public import Protocol

/// Everything that one replica process is told from outside.
///
/// Loaded by ``load(file:environment:flags:)`` from a file, the environment and flags, a later one winning over an
/// earlier one. The table ``ConfigurationKey/all`` says what may be set and what it means; `docs/configuration.md` is
/// made from it.
public struct NodeConfiguration: Hashable, Sendable {
  /// Which cluster; frames of another one are refused.
  public var cluster = ClusterID(0)
  /// Which of `members` this process is.
  public var replica = ReplicaID(0)
  /// Every member of the cluster, this one as well, in order of their IDs.
  public var members: [MemberAddress] = []
  public var dataDirectory = ""

  public var listen = Listen()
  public var journal = Journal()
  public var scrub = Scrub()
  /// How fast snapshots are sent, to all members together.
  public var snapshotTransferBytesPerSecond = 64 << 20
  /// How many bytes of commands are kept in memory, for peers and for applying.
  public var logBytes = 256 << 20
  /// The same on all replicas.
  public var options = NodeConfiguration.usualOptions
  /// The same on all replicas.
  public var sessions = SessionTable.Limits()
  public var limits = Limits()
  public var tls = TLS()
  public var insecure = Insecure()
  public var logging = Logging()
  public var recorder = Recorder()
  /// The share of commands that is traced, 0...1.
  public var traceRate = 0.0
  /// By name, what is set of the keys of an application: `ApplicationKey`.
  var application: [String: String] = [:]

  public init() {}

  /// A member of a cluster, everything else as where nothing is set; it listens at its own address.
  public init(
    cluster: ClusterID, replica: ReplicaID, members: [MemberAddress], dataDirectory: String
  ) {
    self.cluster = cluster
    self.replica = replica
    self.members = members
    self.dataDirectory = dataDirectory
    complete(given: [])
  }

  /// For replicas in one data centre: a killed leader is replaced well within a second, and the timeout is five heartbeats
  /// and many times a slow flush (docs/operations.md, Fail-over). The core's own are for the simulator's clocks.
  private static var usualOptions: ReplicaOptions {
    var options = ReplicaOptions()
    options.heartbeatInterval = .milliseconds(60)
    options.electionTimeout = .milliseconds(300)
    options.electionJitter = .milliseconds(300)
    // Half of what lies between two snapshots, so that there is a digest behind each before the next.
    options.digestPeriod = 1_024
    return options
  }

  /// Where this process listens.
  public struct Listen: Hashable, Sendable {
    public var peer = SocketEndpoint(address: "0.0.0.0", port: 0)
    public var client = SocketEndpoint(address: "0.0.0.0", port: 0)
    /// nil: no admin endpoint.
    public var admin: SocketEndpoint? = SocketEndpoint(address: "127.0.0.1", port: 7300)

    public init() {}
  }

  public struct Journal: Hashable, Sendable {
    /// The size of a preallocated segment.
    public var segmentBytes = 64 << 20
    public var flush = FlushMode.direct
    /// Takes memory that is not persistent for `pmem`: what is acknowledged survives the process, and a crash of the machine
    /// only where the file system keeps it.
    public var acceptsVolatileMemory = false

    public init() {}
  }

  /// How a journal write becomes durable.
  public enum FlushMode: String, CaseIterable, Hashable, Sendable {
    /// Every write goes past the page cache and waits for the disk (`O_DIRECT`, `O_DSYNC`): a quarter to a third sooner than
    /// `fdatasync` here. Where the file system does not take such writes, as if it were `fdatasync`.
    case direct
    /// Buffered writes, then one `fdatasync` for all that wait.
    case fdatasync
    /// Every write waits for the disk (`O_DSYNC`).
    case dsync
    /// Segments are mapped from persistent memory (a file system mounted with DAX), and written by the loop itself with stores
    /// and fences.
    case pmem
    /// Nothing is durable; for tests that do not need it.
    case none
  }

  /// Reading files at rest, to find damage while it can be repaired.
  public struct Scrub: Hashable, Sendable {
    public var isEnabled = true
    /// From the beginning of one pass to that of the next.
    public var period = TimeSpan.seconds(3_600)
    /// How fast files are read.
    public var bytesPerSecond = 4 << 20

    public init() {}
  }

  /// What a stranger may cost this process.
  public struct Limits: Hashable, Sendable {
    /// Connections of every kind.
    public var connections = 20_000
    /// Of these, of clients.
    public var clientConnections = 16_384
    public var frameBytes = 16 << 20
    /// How long a new connection may take until it has said who it is.
    public var handshakeDeadline = TimeSpan.seconds(5)
    /// What waits for a slow peer at most; beyond, messages to it are dropped.
    public var peerUnsentBytes = 64 << 20

    public init() {}
  }

  public struct TLS: Hashable, Sendable {
    /// Between members.
    public var isEnabled = true
    /// Files in PEM. The CA's certificates, this member's chain, its key.
    public var ca = ""
    public var certificate = ""
    public var key = ""
    public var clients = ClientPort.mutual
    public var admin = AdminPort.plaintext

    public init() {}
  }

  /// What the client port speaks.
  public enum ClientPort: String, CaseIterable, Hashable, Sendable {
    /// TLS, and the client shows a certificate of this cluster.
    case mutual
    /// TLS; anybody may connect.
    case server
    case plaintext
  }

  /// What the admin port speaks.
  public enum AdminPort: String, CaseIterable, Hashable, Sendable {
    /// TLS, and the caller shows a certificate of this cluster.
    case mutual
    case plaintext
  }

  /// What has to be said aloud because it gives up protection.
  public struct Insecure: Hashable, Sendable {
    /// Plaintext between members or with clients, on loopback addresses.
    public var plaintext = false
    /// Plaintext on any address.
    public var plaintextAnywhere = false

    public init() {}
  }

  public struct Logging: Hashable, Sendable {
    public var level = Logger.Level.info
    public var format = LogFormat.text

    public init() {}
  }

  public enum LogFormat: String, CaseIterable, Hashable, Sendable {
    case text, json
  }

  /// The flight recorder.
  public struct Recorder: Hashable, Sendable {
    public var isEnabled = false
    /// Empty: `recordings` in the data directory.
    public var directory = ""
    public var bytesMax = 1 << 30

    public init() {}
  }
}

extension NodeConfiguration {
  /// The members without this one.
  public var peers: [MemberAddress] { members.filter { $0.id != replica } }

  /// Who votes: every member.
  public var membership: Configuration {
    get throws(Configuration.Invalid) {
      try Configuration(voters: members.map { Member(id: $0.id) })
    }
  }

  /// The same without TLS, for members that share one machine: plaintext is allowed on loopback addresses alone.
  public var plaintextOnLoopback: NodeConfiguration {
    var configuration = self
    configuration.tls.isEnabled = false
    configuration.tls.clients = .plaintext
    configuration.insecure.plaintext = true
    return configuration
  }

  /// A member's connection on which nothing is acknowledged for so long is made anew.
  var memberSilenceMax: TimeSpan { options.electionTimeout * 4 }

  /// The entry of this process.
  public var ownAddress: MemberAddress? { members.first { $0.id == replica } }
}

/// A member and where it is reached.
public struct MemberAddress: Hashable, Sendable {
  public var id: ReplicaID
  /// A numeric address or a name.
  public var host: String
  public var peerPort: UInt16
  public var clientPort: UInt16

  public init(id: ReplicaID, host: String, peerPort: UInt16, clientPort: UInt16) {
    self.id = id
    self.host = host
    self.peerPort = peerPort
    self.clientPort = clientPort
  }
}
