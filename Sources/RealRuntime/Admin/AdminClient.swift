internal import Foundation
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
public import Protocol

/// Asks an admin endpoint: one connection, one request, one deadline.
public struct AdminClient: Sendable {
  /// Why there is no answer, or not the one that was hoped for.
  public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
    /// Nobody answers there, or not in time, or not as an admin endpoint would.
    case unreachable(String)
    /// The node refuses, and why; `leader` where another one has to be asked.
    case refused(status: Int, message: String, leader: UInt32?)

    public var description: String {
      switch self {
      case .unreachable(let why): why
      case .refused(_, let message, let leader):
        leader.map { "\(message); replica \($0) does" } ?? message
      }
    }
  }

  /// An answer is at most this long.
  static let bodyBytesMax = 16 << 20

  public var endpoint: SocketEndpoint
  /// With credentials it speaks TLS, and the endpoint must show a certificate of a member of the same cluster.
  public var credentials: TLSCredentials?
  public var deadline = TimeSpan.seconds(10)

  public init(endpoint: SocketEndpoint, credentials: TLSCredentials? = nil) {
    self.endpoint = endpoint
    self.credentials = credentials
  }

  public func status() async throws(Failure) -> NodeStatus {
    try decode(try await send(.GET, "/status"))
  }

  /// What the node remembers of the slots it traced (`tracing.sample-rate`).
  public func trace() async throws(Failure) -> ReplicaTrace {
    try decode(try await send(.GET, "/trace"))
  }

  /// Hands leadership over; nil: the node picks. Returns who is to lead.
  public func moveLeader(to target: ReplicaID?) async throws(Failure) -> ReplicaID {
    struct Moved: Decodable { var leader: UInt32 }
    let query = target.map { "?to=\($0.rawValue)" } ?? ""
    let moved: Moved = try decode(try await send(.POST, "/leader/move" + query))
    return ReplicaID(moved.leader)
  }

  /// Takes a snapshot; returns its slot.
  public func takeSnapshot() async throws(Failure) -> Slot {
    struct Taken: Decodable { var slot: UInt64 }
    let taken: Taken = try decode(try await send(.POST, "/snapshot"))
    return Slot(taken.slot)
  }

  /// The body of a page, whatever its status is: `/livez`, `/metrics`.
  public func page(_ path: String) async throws(Failure) -> (status: Int, body: String) {
    let answer = try await send(.GET, path)
    return (Int(answer.head.status.code), String(buffer: answer.body))
  }

  private func decode<T: Decodable>(_ answer: Answer) throws(Failure) -> T {
    let bytes = Data(answer.body.readableBytesView)
    let decoder = JSONDecoder()
    guard (200..<300).contains(answer.head.status.code) else {
      let failure = try? decoder.decode(AdminFailure.self, from: bytes)
      throw .refused(
        status: Int(answer.head.status.code),
        message: failure?.error ?? "\(endpoint) answers \(answer.head.status)",
        leader: failure?.leader)
    }
    do { return try decoder.decode(T.self, from: bytes) } catch {
      throw .unreachable("\(endpoint) does not answer as an admin endpoint of this version")
    }
  }

  // MARK: HTTP

  struct Answer: Sendable {
    var head: HTTPResponseHead
    var body: ByteBuffer
  }

  private func send(_ method: HTTPMethod, _ uri: String) async throws(Failure) -> Answer {
    let loop = MultiThreadedEventLoopGroup.singleton.any()
    let answer = loop.makePromise(of: Answer.self)
    let request = HTTPRequestHead(
      version: .http1_1, method: method, uri: uri,
      headers: ["Host": endpoint.description, "Connection": "close", "Content-Length": "0"])
    let credentials = credentials
    let span = TimeAmount.nanoseconds(Int64(deadline.nanoseconds))
    let bootstrap = ClientBootstrap(group: loop).connectTimeout(span).channelInitializer {
      channel in
      channel.eventLoop.makeCompletedFuture {
        let pipeline = channel.pipeline.syncOperations
        if let credentials {
          try pipeline.addHandler(
            NIOSSLClientHandler(context: credentials.contexts.caller, serverHostname: nil))
        }
        try pipeline.addHTTPClientHandlers()
        try pipeline.addHandler(
          AdminAnswerHandler(request, answer, cluster: credentials?.identity.cluster))
      }
    }
    do {
      let channel: any Channel
      do {
        channel = try await bootstrap.connect(host: endpoint.address, port: Int(endpoint.port))
          .get()
      } catch {
        answer.fail(error)
        throw error
      }
      let alarm = channel.eventLoop.scheduleTask(in: span) {
        answer.fail(ChannelError.connectTimeout(span))
      }
      defer {
        alarm.cancel()
        channel.close(promise: nil)
      }
      return try await answer.futureResult.get()
    } catch {
      throw .unreachable("\(endpoint): \(Self.reason(error))")
    }
  }

  private static func reason(_ error: any Error) -> String {
    switch error {
    case let error as NIOConnectionError:
      let first = error.connectionErrors.first.map { reason($0.error) }
      return first ?? "cannot be connected to"
    case let error as IOError:
      return String(cString: strerror(error.errnoCode))
    case ChannelError.connectTimeout: return "did not answer in time"
    case is NIOSSLError, is NIOSSLExtraError, is BoringSSLError:
      return "TLS failed: \(error)"
    case is AdminAnswerHandler.Ended:
      return "closed the connection without an answer (is TLS on at one end only?)"
    case let error as AdminAnswerHandler.Stranger: return error.description
    default: return "\(error)"
    }
  }
}

/// Sends one request and collects its answer.
private final class AdminAnswerHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  struct Ended: Error {}

  /// The certificate is good and its holder is not a member of the cluster.
  struct Stranger: Error, CustomStringConvertible {
    var description: String
  }

  private let request: HTTPRequestHead
  private let promise: EventLoopPromise<AdminClient.Answer>
  /// The cluster whose members are asked; nil without TLS.
  private let cluster: ClusterID?
  private var head: HTTPResponseHead?
  private var body = ByteBuffer()

  init(
    _ request: HTTPRequestHead, _ promise: EventLoopPromise<AdminClient.Answer>,
    cluster: ClusterID?
  ) {
    self.request = request
    self.promise = promise
    self.cluster = cluster
  }

  func channelActive(context: ChannelHandlerContext) {
    if cluster == nil { ask(context) }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? TLSUserEvent, case .handshakeCompleted = event, let cluster {
      do {
        let certificate = try context.pipeline.syncOperations.nioSSL_peerCertificate()
        let identity = try PeerIdentity(certificate: certificate)
        guard identity.cluster == cluster, identity.replica != nil else {
          throw Stranger(description: "\(identity) is not a member of \(cluster.hex)")
        }
        ask(context)
      } catch {
        fail(error, context)
      }
    }
    context.fireUserInboundEventTriggered(event)
  }

  private func ask(_ context: ChannelHandlerContext) {
    context.write(wrapOutboundOut(.head(request)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head): self.head = head
    case .body(var part):
      guard body.readableBytes + part.readableBytes <= AdminClient.bodyBytesMax else {
        return fail(Ended(), context)
      }
      body.writeBuffer(&part)
    case .end:
      guard let head else { return fail(Ended(), context) }
      promise.succeed(AdminClient.Answer(head: head, body: body))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    // Does nothing when there was an answer.
    promise.fail(Ended())
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { fail(error, context) }

  private func fail(_ error: any Error, _ context: ChannelHandlerContext) {
    promise.fail(error)
    context.close(promise: nil)
  }
}
