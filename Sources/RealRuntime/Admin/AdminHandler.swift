internal import NIOCore
internal import NIOHTTP1
internal import NIOSSL
internal import Protocol

/// One connection of the admin endpoint: a request at a time, each step with a deadline.
final class AdminHandler: ChannelInboundHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundOut = HTTPServerResponsePart

  private enum Phase {
    /// Nothing of a request has come.
    case idle
    /// Its head has come.
    case reading(HTTPRequestHead, ByteBuffer)
    /// The node works on it.
    case answering(Task<Void, Never>, keepAlive: Bool, isHead: Bool)
    /// The answer is on its way.
    case writing
    /// Nothing more is read.
    case closing
  }

  private let router: AdminRouter
  private let limits: AdminServer.Limits
  /// The cluster whose admin certificates may control; nil without TLS.
  private let cluster: ClusterID?
  private var phase = Phase.idle
  private var alarm: Scheduled<Void>?

  init(router: AdminRouter, limits: AdminServer.Limits, cluster: ClusterID?) {
    self.router = router
    self.limits = limits
    self.cluster = cluster
  }

  // MARK: Connections

  func channelActive(context: ChannelHandlerContext) {
    // Until the first request it has to be quick: that is what a caller comes for.
    expect(within: limits.deadline, context)
    context.fireChannelActive()
  }

  func channelInactive(context: ChannelHandlerContext) {
    alarm?.cancel()
    if case .answering(let task, _, _) = phase { task.cancel() }
    phase = .closing
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    close(context)
  }

  private func close(_ context: ChannelHandlerContext) {
    phase = .closing
    context.close(promise: nil)
  }

  /// Closes the connection unless the next step is reached in time.
  private func expect(within span: TimeSpan, _ context: ChannelHandlerContext) {
    alarm?.cancel()
    alarm = context.eventLoop.assumeIsolated().scheduleTask(
      in: .nanoseconds(Int64(span.nanoseconds))
    ) {
      [weak self] in
      guard let self else { return }
      if case .answering(let task, _, let isHead) = self.phase {
        task.cancel()
        self.respond(
          .error(.gatewayTimeout, "the node did not answer in time"), keepAlive: false,
          isHead: isHead, context)
      } else {
        self.close(context)
      }
    }
  }

  // MARK: Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch (unwrapInboundIn(data), phase) {
    case (.head(let head), .idle), (.head(let head), .writing):
      phase = .reading(head, ByteBuffer())
      expect(within: limits.deadline, context)
      let declared = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
      if declared > limits.bodyBytes { refuseBody(head, context) }
    case (.body(let part), .reading(let head, var body)):
      guard body.readableBytes + part.readableBytes <= limits.bodyBytes else {
        return refuseBody(head, context)
      }
      body.writeImmutableBuffer(part)
      phase = .reading(head, body)
    case (.end, .reading(let head, let body)): begin(head, body, context)
    default:
      // The rest of a request that was refused.
      break
    }
  }

  private func refuseBody(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
    respond(
      .error(.payloadTooLarge, "at most \(limits.bodyBytes) bytes"), keepAlive: false,
      isHead: head.method == .HEAD, context)
  }

  private func begin(
    _ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext
  ) {
    let request = AdminRequest(
      method: head.method, uri: head.uri, body: String(buffer: body),
      mayControl: mayControl(context), isFromPage: head.headers.contains(name: "origin"))
    let promise = context.eventLoop.makePromise(of: AdminResponse.self)
    let router = router
    let task = Task(executorPreference: AdminExecutor.shared) {
      promise.succeed(await router.answer(request))
    }
    phase = .answering(task, keepAlive: head.isKeepAlive, isHead: head.method == .HEAD)
    expect(within: limits.deadline, context)
    promise.futureResult.assumeIsolated().whenSuccess { response in
      // Otherwise the deadline was earlier.
      guard case .answering(_, let keepAlive, let isHead) = self.phase else { return }
      self.respond(response, keepAlive: keepAlive, isHead: isHead, context)
    }
  }

  /// On loopback without TLS; with TLS by the certificate.
  private func mayControl(_ context: ChannelHandlerContext) -> Bool {
    guard let cluster else {
      let address = context.channel.remoteAddress?.ipAddress ?? ""
      return IPAddress(address)?.isLoopback ?? false
    }
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    guard let identity = try? PeerIdentity(certificate: certificate), identity.cluster == cluster
    else { return false }
    if case .admin = identity.role { return true }
    return false
  }

  // MARK: Answers

  private func respond(
    _ response: AdminResponse, keepAlive: Bool, isHead: Bool, _ context: ChannelHandlerContext
  ) {
    phase = keepAlive ? .writing : .closing
    var headers = HTTPHeaders([
      ("Content-Type", response.contentType), ("Content-Length", "\(response.body.utf8.count)"),
      ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
    ])
    if let allow = response.allow { headers.add(name: "Allow", value: allow) }
    if !keepAlive { headers.add(name: "Connection", value: "close") }
    let head = HTTPResponseHead(version: .http1_1, status: response.status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if !isHead {
      let body = context.channel.allocator.buffer(string: response.body)
      context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
    }
    let written = context.eventLoop.makePromise(of: Void.self)
    // A caller that does not read its answer.
    expect(within: limits.deadline, context)
    written.futureResult.assumeIsolated().whenComplete { _ in
      guard keepAlive else { return context.close(promise: nil) }
      if case .writing = self.phase {
        self.phase = .idle
        self.expect(within: self.limits.idle, context)
      }
    }
    // Last, because the next request may come from inside this call when it was waiting.
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
  }
}
