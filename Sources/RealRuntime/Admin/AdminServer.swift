internal import Foundation
internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
public import Protocol
internal import Synchronization

/// The admin endpoint: metrics, health, status and control over HTTP, on an address of its own.
///
/// Reading is for whoever reaches the address. Control (`POST`, `PUT`) is for callers on a loopback address, or with an
/// admin certificate of this cluster. What a caller may cost is bounded by `Limits`.
public final class AdminServer: Sendable {
  public struct Limits: Hashable, Sendable {
    /// More are closed at once.
    public var connections = 64
    public var bodyBytes = 4_096
    public var headerBytes = 16_384
    /// How long a caller may take to send a request, a node to answer it, and a caller to read the answer, each.
    public var deadline = TimeSpan.seconds(10)
    /// How long a connection may stay without a request.
    public var idle = TimeSpan.seconds(60)

    public init() {}
  }

  private let channel: any Channel

  /// Where it listens; the port that the system chose, where 0 was asked for.
  public let address: SocketEndpoint

  private init(channel: any Channel, address: SocketEndpoint) {
    self.channel = channel
    self.address = address
  }

  /// Listens. With credentials the endpoint speaks TLS and callers must show a certificate of this cluster.
  ///
  /// Throws when the address cannot be listened at.
  public static func start(
    at endpoint: SocketEndpoint, backend: any AdminBackend, registry: PrometheusRegistry? = nil,
    credentials: TLSCredentials? = nil, limits: Limits = Limits()
  ) async throws -> AdminServer {
    let router = AdminRouter(backend: backend, registry: registry)
    let slots = ConnectionSlots(limits.connections)
    let bootstrap = ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: 128)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          guard slots.take() else { throw AdminServerFull() }
          channel.closeFuture.whenComplete { _ in slots.giveBack() }
          let pipeline = channel.pipeline.syncOperations
          if let credentials {
            try pipeline.addHandler(NIOSSLServerHandler(context: credentials.contexts.mutual))
          }
          var decoding = NIOHTTPDecoderLimitConfiguration()
          decoding.maxHeaderFieldSize = limits.headerBytes
          decoding.maxHeaderListSize = limits.headerBytes
          decoding.maxHeaderFieldCount = 64
          try pipeline.configureHTTPServerPipeline(
            withEncoderConfiguration: .init(), withDecoderLimitConfiguration: decoding)
          try pipeline.addHandler(
            AdminHandler(
              router: router, limits: limits, cluster: credentials?.identity.cluster))
        }
      }
    let channel = try await bootstrap.bind(host: endpoint.address, port: Int(endpoint.port)).get()
    let port = channel.localAddress?.port.flatMap { UInt16(exactly: $0) } ?? endpoint.port
    return AdminServer(
      channel: channel, address: SocketEndpoint(address: endpoint.address, port: port))
  }

  /// Stops listening. Connections that exist end by themselves.
  public func stop() async { try? await channel.close() }
}

struct AdminServerFull: Error {}

/// How many connections may still be opened.
final class ConnectionSlots: Sendable {
  private let free: Atomic<Int>

  init(_ count: Int) { free = Atomic(count) }

  func take() -> Bool {
    if free.subtract(1, ordering: .relaxed).newValue >= 0 { return true }
    free.add(1, ordering: .relaxed)
    return false
  }

  func giveBack() { free.add(1, ordering: .relaxed) }
}
