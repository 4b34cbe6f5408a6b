internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
public import Protocol
internal import Synchronization

/// TLS at the edge of the process: the loop of the replica sees plaintext stream sockets only.
///
/// Each TLS connection is decrypted on NIO's threads and tied to a local socket pair, whose other end, non-blocking, is
/// handed over together with the identity from the certificate. Who receives the descriptor owns it. Both directions
/// are held back when the other end does not read; the end of a direction is passed on.
public final class TLSBridge: Sendable {
  /// A connection whose handshake is over.
  public struct Bridged: Hashable, Sendable {
    /// One end of a socket pair, non-blocking; to be closed by whoever receives it.
    public var descriptor: Int32
    /// nil: a client without a certificate, where that is allowed.
    public var identity: PeerIdentity?
    /// The numeric address of the other side.
    public var remote: String
  }

  /// Why there is no connection.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public var reason: ConnectionRefusal
    public var detail: String
    public var description: String { detail }
  }

  /// Who may connect to a port.
  public enum Port: Hashable, Sendable {
    /// These members of the cluster.
    case members(Set<ReplicaID>)
    /// Whoever has a certificate of the cluster.
    case certified
    /// Anybody.
    case open
  }

  private let credentials: TLSCredentials
  private let ledger: RefusalLedger
  private let deadline: TimeSpan
  private let silenceMax: TimeSpan?
  private let slots: ConnectionSlots
  private let listeners = Mutex<[any Channel]>([])

  /// - Parameters:
  ///   - handshakeDeadline: how long a connection may take from the first packet to the end of the handshake.
  ///   - connectionsMax: connections at a time, in both directions together.
  ///   - memberSilenceMax: a member's connection ends when what was sent is not acknowledged for so long; nil: when the
  ///     kernel gives it up.
  public init(
    credentials: TLSCredentials, ledger: RefusalLedger,
    handshakeDeadline: TimeSpan = .seconds(5), connectionsMax: Int = 20_000,
    memberSilenceMax: TimeSpan? = nil
  ) {
    self.credentials = credentials
    self.ledger = ledger
    deadline = handshakeDeadline
    silenceMax = memberSilenceMax
    slots = ConnectionSlots(connectionsMax)
  }

  /// How many connections were refused, by reason, since the start.
  public var refusals: [String: UInt64] { ledger.counts }

  /// When this process's certificate expires, in seconds since 1970.
  public var certificateExpiry: Int { credentials.expiry }

  // MARK: Listening

  /// Accepts connections until `stop`; `accepted` is called on NIO's threads. Returns where it listens. Blocks shortly.
  public func listen(
    at endpoint: SocketEndpoint, for port: Port, accepted: @escaping @Sendable (Bridged) -> Void
  ) throws -> SocketEndpoint {
    var bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 1_024)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          try self.prepare(channel, for: port, accepted: accepted)
        }
      }
    if case .members = port, let silenceMax {
      bootstrap = bootstrap.childChannelOption(
        Self.userTimeout, value: Int(Socket.milliseconds(silenceMax)))
    }
    let channel = try bootstrap.bind(host: endpoint.address, port: Int(endpoint.port)).wait()
    listeners.withLock { $0.append(channel) }
    let bound = channel.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? endpoint.port
    return SocketEndpoint(address: endpoint.address, port: bound)
  }

  private func prepare(
    _ channel: any Channel, for port: Port, accepted: @escaping @Sendable (Bridged) -> Void
  ) throws {
    let source = channel.remoteAddress?.ipAddress ?? "unknown"
    guard slots.take() else {
      let failure = Failure(reason: .limit, detail: "too many connections")
      ledger.note(failure.reason, source: source, failure.detail)
      throw failure
    }
    channel.closeFuture.whenComplete { [slots] _ in slots.giveBack() }
    // Read anew for every connection: certificates change while the process runs.
    let contexts = credentials.contexts
    let cluster = contexts.identity.cluster
    let context: NIOSSLContext
    switch port {
    case .members: context = contexts.member
    case .certified: context = contexts.mutual
    case .open: context = contexts.server
    }
    let handshake = HandshakeHandler(
      deadline: deadline, isCertificateExpected: port != .open,
      admit: { Self.admits($0, port, cluster) },
      outcome: { [ledger] result in
        switch result {
        case .success(let bridged): accepted(bridged)
        case .failure(let failure):
          ledger.note(failure.reason, source: source, failure.detail)
        }
      })
    try channel.pipeline.syncOperations.addHandlers([
      NIOSSLServerHandler(context: context), handshake,
    ])
  }

  /// As `Socket.giveUp`, for a socket of NIO's.
  private static let userTimeout = ChannelOptions.Types.SocketOption(
    level: .tcp, name: .init(rawValue: TCP_USER_TIMEOUT))

  static func admits(_ identity: PeerIdentity?, _ port: Port, _ cluster: ClusterID) -> Bool {
    guard port != .open else { return true }
    guard let identity, identity.cluster == cluster else { return false }
    guard case .members(let members) = port else { return true }
    return identity.replica.map { members.contains($0) } ?? false
  }

  /// Closes the listening sockets; connections that exist stay. Blocks shortly.
  public func stop() {
    let open = listeners.withLock { listeners in
      defer { listeners = [] }
      return listeners
    }
    for channel in open { try? channel.close().wait() }
  }

  // MARK: Connecting

  /// Connects to a member, which must show a certificate of this identity. `done` is called once, on NIO's threads.
  ///
  /// In TLS 1.3 the other side looks at our certificate after this side is done: a connection it does not accept ends
  /// at once, and the ledger says so.
  public func connect(
    host: String, port: UInt16, expecting identity: PeerIdentity,
    done: @escaping @Sendable (Result<Int32, Failure>) -> Void
  ) {
    guard slots.take() else {
      return done(.failure(Failure(reason: .limit, detail: "too many connections")))
    }
    let answer = Once(done)
    let remote = "\(bracketed(host)):\(port)"
    let (deadline, credentials, ledger) = (deadline, credentials, ledger)
    var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    if let silenceMax {
      bootstrap = bootstrap.channelOption(
        Self.userTimeout, value: Int(Socket.milliseconds(silenceMax)))
    }
    bootstrap
      .connectTimeout(.nanoseconds(Int64(deadline.nanoseconds)))
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let handshake = HandshakeHandler(
            deadline: deadline, isCertificateExpected: true, admit: { $0 == identity },
            outcome: { result in
              if case .failure(let failure) = result {
                ledger.note(failure.reason, source: remote, failure.detail)
              }
              answer.give(result.map(\.descriptor))
            })
          try channel.pipeline.syncOperations.addHandlers([
            NIOSSLClientHandler(
              context: credentials.contexts.client, serverHostname: identity.dnsName),
            handshake,
          ])
        }
      }
      .connect(host: host, port: Int(port))
      .whenComplete { [slots] result in
        switch result {
        case .success(let channel): channel.closeFuture.whenComplete { _ in slots.giveBack() }
        case .failure(let error):
          slots.giveBack()
          answer.give(.failure(Failure(reason: .closed, detail: Self.text(error))))
        }
      }
  }

  private static func text(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
      error.connectionErrors.first.map { text($0.error) } ?? "the name cannot be resolved"
    case ChannelError.connectTimeout: "no answer in time"
    default: HandshakeHandler.reason(of: error).1
    }
  }
}

/// An answer that is given once, however many reasons there are to give it.
private final class Once: Sendable {
  private let done: @Sendable (Result<Int32, TLSBridge.Failure>) -> Void
  private let isGiven = Atomic<Bool>(false)

  init(_ done: @escaping @Sendable (Result<Int32, TLSBridge.Failure>) -> Void) { self.done = done }

  func give(_ result: Result<Int32, TLSBridge.Failure>) {
    if !isGiven.exchange(true, ordering: .relaxed) { done(result) }
  }
}
