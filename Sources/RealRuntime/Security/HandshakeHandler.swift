internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import NIOTLS
internal import Protocol

/// Waits for a handshake, finds out who is there, and ties the connection to one end of a socket pair.
///
/// Behind the TLS handler. Afterwards it only lets through.
final class HandshakeHandler: ChannelDuplexHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = ByteBuffer

  /// What came of it, told once.
  typealias Outcome = @Sendable (Result<TLSBridge.Bridged, TLSBridge.Failure>) -> Void

  private enum Phase {
    case handshaking
    /// The socket pair is being made. What was decrypted meanwhile; whether a read has to wait.
    case opening([NIOAny], isReadHeld: Bool)
    case open
    case ended
  }

  private let deadline: TimeSpan
  private let admit: @Sendable (PeerIdentity?) -> Bool
  private let isCertificateExpected: Bool
  private let outcome: Outcome
  private var phase = Phase.handshaking
  private var alarm: Scheduled<Void>?

  init(
    deadline: TimeSpan, isCertificateExpected: Bool,
    admit: @escaping @Sendable (PeerIdentity?) -> Bool, outcome: @escaping Outcome
  ) {
    self.deadline = deadline
    self.isCertificateExpected = isCertificateExpected
    self.admit = admit
    self.outcome = outcome
  }

  // MARK: The handshake

  func handlerAdded(context: ChannelHandlerContext) {
    alarm = context.eventLoop.assumeIsolated().scheduleTask(
      in: .nanoseconds(Int64(deadline.nanoseconds))
    ) { [weak self] in
      self?.refuse(
        .deadline, "the handshake took longer than \(showSpan(self?.deadline ?? .zero))", context)
    }
  }

  func handlerRemoved(context: ChannelHandlerContext) { alarm?.cancel() }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if let event = event as? TLSUserEvent, case .handshakeCompleted = event,
      case .handshaking = phase
    {
      alarm?.cancel()
      identify(context)
    }
    context.fireUserInboundEventTriggered(event)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    switch phase {
    case .handshaking, .opening:
      let (reason, detail) = Self.reason(of: error)
      refuse(reason, detail, context)
    case .open:
      // In TLS 1.3 a server's refusal of our certificate comes behind the handshake.
      let (reason, detail) = Self.reason(of: error)
      if reason == .refusedByPeer {
        outcome(.failure(TLSBridge.Failure(reason: reason, detail: detail)))
      }
      context.fireErrorCaught(error)
    case .ended: break
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    refuse(.closed, "the other side went away during the handshake", context)
    context.fireChannelInactive()
  }

  private func refuse(
    _ reason: ConnectionRefusal, _ detail: String, _ context: ChannelHandlerContext
  ) {
    switch phase {
    case .handshaking, .opening: break
    case .open, .ended: return
    }
    phase = .ended
    alarm?.cancel()
    outcome(.failure(TLSBridge.Failure(reason: reason, detail: detail)))
    // Nobody is owed a farewell: the TCP connection is cut, not the TLS session ended.
    context.channel.pipeline.syncOperations.abort()
  }

  // MARK: Who is there

  private func identify(_ context: ChannelHandlerContext) {
    let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate()
    var identity: PeerIdentity?
    if certificate != nil || isCertificateExpected {
      do throws(IdentityProblem) {
        identity = try PeerIdentity(certificate: certificate)
      } catch {
        return refuse(.identity, error.description, context)
      }
    }
    guard admit(identity) else {
      let name = identity?.description ?? "nobody"
      return refuse(.identity, "\(name) has no business here", context)
    }
    phase = .opening([], isReadHeld: false)
    openPair(identity, context)
  }

  // MARK: The socket pair

  private func openPair(_ identity: PeerIdentity?, _ context: ChannelHandlerContext) {
    var ends: [Int32] = [-1, -1]
    let kind = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
    guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
      return refuse(.limit, "socketpair: \(String(cString: strerror(errno)))", context)
    }
    let (inner, outer) = (ends[0], ends[1])
    let pair = BridgeEnd.pair()
    let local = NIOLoopBound(pair.1, eventLoop: context.eventLoop)
    let remote = context.channel.remoteAddress?.ipAddress ?? "unknown"
    ClientBootstrap(group: context.eventLoop)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(local.value)
        }
      }
      .withConnectedSocket(inner).assumeIsolated().whenComplete { result in
        guard case .success(let channel) = result,
          case .opening(let early, let isReadHeld) = self.phase
        else {
          _ = Glibc.close(outer)
          if case .success(let channel) = result { channel.close(promise: nil) }
          return self.refuse(.limit, "the socket pair cannot be used", context)
        }
        do {
          try context.pipeline.syncOperations.addHandler(pair.0, position: .after(self))
        } catch {
          _ = Glibc.close(outer)
          channel.close(promise: nil)
          return self.refuse(.closed, "\(error)", context)
        }
        self.phase = .open
        for data in early { context.fireChannelRead(data) }
        if !early.isEmpty { context.fireChannelReadComplete() }
        if isReadHeld { context.pipeline.read() }
        channel.pipeline.read()
        self.outcome(
          .success(TLSBridge.Bridged(descriptor: outer, identity: identity, remote: remote)))
      }
  }

  // MARK: Letting through

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch phase {
    case .opening(var early, let isReadHeld):
      early.append(data)
      phase = .opening(early, isReadHeld: isReadHeld)
    case .handshaking, .open: context.fireChannelRead(data)
    case .ended: break
    }
  }

  func read(context: ChannelHandlerContext) {
    if case .opening(let early, _) = phase {
      phase = .opening(early, isReadHeld: true)
    } else {
      context.read()
    }
  }

  // MARK: Reasons

  static func reason(of error: any Error) -> (ConnectionRefusal, String) {
    switch error {
    case NIOSSLError.uncleanShutdown: return (.closed, "cut off")
    case NIOSSLError.handshakeFailed(.sslError([.eofDuringHandshake])):
      return (.closed, "the other side went away during the handshake")
    case let error as NIOSSLExtraError where error == .failedToValidateHostname:
      return (.identity, "the certificate is of another name")
    case let error as IOError:
      return (.closed, String(cString: strerror(error.errnoCode)))
    default: break
    }
    let text = "\(error)"
    // The library's last word, such as CERTIFICATE_VERIFY_FAILED.
    let words = text.split { !($0.isUppercase || $0.isNumber || $0 == "_") }
    let word = words.last { $0.contains("_") && $0.first?.isUppercase == true }.map(String.init)
    func has(_ parts: String...) -> Bool { parts.contains { text.contains($0) } }
    let reason: ConnectionRefusal
    if has("_ALERT_") {
      reason = .refusedByPeer
    } else if has("CERTIFICATE") {
      reason = .certificate
    } else if has("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY", "INVALID_OUTER_RECORD") {
      reason = .plaintext
    } else {
      reason = .handshake
    }
    return (reason, word ?? text)
  }
}

extension ChannelPipeline.SynchronousOperations {
  /// Closes the socket without a word of the handlers before.
  fileprivate func abort() {
    if let tls = try? context(handlerType: NIOSSLServerHandler.self) {
      tls.close(promise: nil)
    } else if let tls = try? context(handlerType: NIOSSLClientHandler.self) {
      tls.close(promise: nil)
    }
  }
}
