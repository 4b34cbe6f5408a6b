internal import NIOCore
internal import NIOPosix
internal import NIOSSL
internal import Protocol

/// The connection to one replica: made when something is to be sent there, made again after a while when it ended.
///
/// Lives on the driver's event loop. Nothing of a connection outlives it: what was sent and not answered is reported lost
/// to the driver, whose sessions send it again.
final class ReplicaConnection {
  private enum State {
    /// Nothing was tried, or the time to leave it alone is over when `waitsUntil` is.
    case idle(waitsUntil: Instant)
    /// Connecting, TLS, until the channel is there.
    case connecting
    /// Our hello is on the way.
    case greeting(ReplicaChannelHandler)
    case ready(ReplicaChannelHandler)
  }

  let address: ReplicaAddress
  private let driver: ClientDriver
  private let screen: ClientFrameScreen
  private var state = State.idle(waitsUntil: .zero)
  /// Grows with every try and every end, so that what belongs to an earlier channel is recognised.
  private(set) var attempt: UInt64 = 0
  private var failures = 0
  private var greetingTimer: Scheduled<Void>?
  private let outbox: UnsafeMutablePointer<Outbox>
  private var buffer = ByteBuffer()
  /// Bytes of a frame whose end has not come yet.
  private var partial: [UInt8] = []
  private let parser: FrameParser
  /// Since when something was sent and nothing received.
  private(set) var silentSince = Instant.never

  init(_ address: ReplicaAddress, of driver: ClientDriver) {
    let configuration = driver.configuration
    self.address = address
    self.driver = driver
    screen = ClientFrameScreen(cluster: configuration.cluster, replica: address.id)
    parser = FrameParser(lengthMax: configuration.frameLengthMax)
    outbox = .allocate(capacity: 1)
    outbox.initialize(
      to: Outbox(
        route: .request(
          cluster: configuration.cluster, ring: configuration.ring, to: address.id),
        frameLengthMax: configuration.frameLengthMax, bytesMax: configuration.sendBufferMax))
  }

  deinit { outbox.deinitialize(count: 1).deallocate() }
}

// Sending.
extension ReplicaConnection {
  enum Sending {
    case accepted
    /// No frame to this replica can hold it; the longest message that one can.
    case tooLong(limit: Int)
    /// Not sent; the replica is not to be bothered, or does not take what waits already.
    case dropped(isUnreachable: Bool)
  }

  /// Puts the message into the turn's frame.
  func send(_ message: RawSpan) -> Sending {
    if case .idle(let waitsUntil) = state {
      guard waitsUntil <= driver.turnTime, !driver.hasClosed else {
        return .dropped(isUnreachable: true)
      }
      connect()
    }
    switch outbox.pointee.append(message) {
    case .added: return .accepted
    case .tooLong: return .tooLong(limit: outbox.pointee.messageLengthMax)
    case .full: return .dropped(isUnreachable: false)
    }
  }

  /// Sends what was collected, unless the replica is slow to take what went before.
  func flush() {
    guard case .ready(let handler) = state, !outbox.pointee.isEmpty, handler.isWritable else {
      return
    }
    outbox.pointee.finish()
    driver.counters.framesSent &+= outbox.pointee.frames
    driver.counters.bytesSent &+= UInt64(outbox.pointee.bytes.count)
    // Unique again when the socket took all of it at once; then nothing is allocated.
    buffer.clear(minimumCapacity: outbox.pointee.bytes.count)
    buffer.writeBytes(outbox.pointee.bytes)
    outbox.pointee.removeAll()
    if silentSince == .never {
      silentSince = driver.turnTime
      driver.wakeBy(silentSince + driver.configuration.silenceMax)
    }
    handler.send(buffer)
  }

  func writabilityChanged(_ handler: ReplicaChannelHandler) {
    if handler.isWritable { flush() }
  }
}

// Being connected.
extension ReplicaConnection {
  private func connect() {
    attempt &+= 1
    state = .connecting
    let attempt = attempt
    let configuration = driver.configuration
    let bound = NIOLoopBound(self, eventLoop: driver.eventLoop)
    let bootstrap = ClientBootstrap(group: driver.eventLoop)
      .connectTimeout(.nanoseconds(Int64(clamping: configuration.connectTimeout.nanoseconds)))
      .channelOption(.socketOption(.tcp_nodelay), value: 1)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10))
      .channelOption(
        .writeBufferWaterMark, value: .init(low: 256 << 10, high: 1 << 20)
      )
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let connection = bound.value
          let pipeline = channel.pipeline.syncOperations
          if let tls = connection.driver.configuration.tls {
            try pipeline.addHandler(
              NIOSSLClientHandler(
                context: tls.context(), serverHostname: tls.serverHostname(connection.address.id)))
          }
          try pipeline.addHandler(ReplicaChannelHandler(connection, attempt: attempt))
        }
      }
    // An IP address needs no resolver's thread.
    let future =
      if let ip = try? SocketAddress(ipAddress: address.host, port: address.port) {
        bootstrap.connect(to: ip)
      } else {
        bootstrap.connect(host: address.host, port: address.port)
      }
    future.whenFailure { _ in bound.value.ended(attempt) }
    greetingTimer = driver.schedule(in: configuration.connectTimeout) {
      self.greetingTimedOut(attempt)
    }
  }

  func opened(_ handler: ReplicaChannelHandler) {
    guard handler.attempt == attempt, case .connecting = state else { return handler.close() }
    state = .greeting(handler)
    driver.counters.connectionsMade &+= 1
    let configuration = driver.configuration
    var body: [UInt8] = []
    Hello(
      oldestVersion: FrameHeader.version, newestVersion: FrameHeader.version,
      frameLengthMax: UInt32(configuration.frameLengthMax)
    ).encode(into: &body)
    var frame: [UInt8] = []
    var writer = FrameWriter(kind: .hello)
    writer.begin(
      .request(cluster: configuration.cluster, ring: configuration.ring, to: address.id),
      into: &frame)
    writer.append(encoded: body.span.bytes, into: &frame)
    writer.finish(into: &frame)
    handler.send(ByteBuffer(bytes: frame))
  }

  private func greetingTimedOut(_ attempt: UInt64) {
    guard attempt == self.attempt else { return }
    switch state {
    case .idle, .ready: break
    case .connecting: ended(attempt)
    case .greeting(let handler):
      ended(attempt)
      handler.close()
    }
  }

  /// The channel ended or was never there.
  func ended(_ attempt: UInt64) {
    guard attempt == self.attempt else { return }
    switch state {
    case .idle: return
    case .connecting: driver.counters.connectionsFailed &+= 1
    case .greeting, .ready: driver.counters.connectionsLost &+= 1
    }
    reset()
    // Nothing of the state is used by what an early `connect` may do from here on.
    let configuration = driver.configuration
    let span = min(
      configuration.reconnectMax, configuration.reconnectMin * (1 << UInt64(min(failures, 20))))
    failures += 1
    state = .idle(waitsUntil: ClientClock.now() + driver.jittered(span))
    driver.lost(address.id)
  }

  private func reset() {
    attempt &+= 1
    state = .idle(waitsUntil: .zero)
    greetingTimer?.cancel()
    greetingTimer = nil
    outbox.pointee.removeAll()
    partial = []
    silentSince = .never
  }

  /// Ends the connection for good.
  func shut() {
    let handler: ReplicaChannelHandler? =
      switch state {
      case .greeting(let handler), .ready(let handler): handler
      case .idle, .connecting: nil
      }
    reset()
    handler?.close()
  }

  /// Gives the connection up when the replica has been silent for too long.
  func checkSilence(_ now: Instant) {
    guard silentSince != .never, now - silentSince >= driver.configuration.silenceMax else {
      return
    }
    giveUp()
  }

  private func giveUp() {
    switch state {
    case .greeting(let handler), .ready(let handler):
      ended(attempt)
      handler.close()
    case .idle, .connecting: break
    }
  }
}

// Receiving.
extension ReplicaConnection {
  func received(_ received: ByteBuffer, by handler: ReplicaChannelHandler) {
    guard handler.attempt == attempt else { return }
    driver.beginReading()
    driver.counters.bytesReceived &+= UInt64(received.readableBytes)
    silentSince = .never
    let attempt = attempt
    if partial.isEmpty {
      let consumed = consume(received.readableBytesSpan)
      guard attempt == self.attempt else { return }
      if consumed < received.readableBytes {
        received.withUnsafeReadableBytes { partial.append(contentsOf: $0[consumed...]) }
      }
    } else {
      // Taken out, because what is called from here may end the connection.
      var bytes: [UInt8] = []
      swap(&bytes, &partial)
      received.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
      let consumed = consume(bytes.span.bytes)
      guard attempt == self.attempt else { return }
      bytes.removeFirst(consumed)
      swap(&bytes, &partial)
    }
  }

  /// Takes the whole frames in `bytes`; how many bytes they had.
  private func consume(_ bytes: RawSpan) -> Int {
    let attempt = attempt
    var consumed = 0
    do throws(FrameError) {
      while consumed < bytes.byteCount,
        case .frame(let header, let body) = try parser.next(in: bytes, from: consumed)
      {
        consumed = body.upperBound
        if !take(header, body, bytes) {
          driver.counters.protocolErrors &+= 1
          giveUp()
        }
        guard attempt == self.attempt else { break }
      }
    } catch {
      driver.counters.protocolErrors &+= 1
      giveUp()
    }
    return consumed
  }

  /// False when the frame does not belong here.
  private func take(_ header: FrameHeader, _ body: Range<Int>, _ bytes: RawSpan) -> Bool {
    guard screen.refusal(of: header.route) == nil else { return false }
    switch (header.kind, state) {
    case (.hello, .greeting(let handler)):
      guard header.count == 1, let hello = try? Hello(body: body, of: bytes) else { return false }
      return greeted(hello, handler)
    case (.client, .ready):
      driver.counters.framesReceived &+= 1
      failures = 0
      return driver.receive(header, body, bytes, from: address.id)
    default: return false
    }
  }

  private func greeted(_ hello: Hello, _ handler: ReplicaChannelHandler) -> Bool {
    guard hello.oldestVersion <= FrameHeader.version, hello.newestVersion >= FrameHeader.version,
      Int(hello.frameLengthMax) >= 1 << 10
    else { return false }
    greetingTimer?.cancel()
    greetingTimer = nil
    state = .ready(handler)
    let length = min(Int(hello.frameLengthMax), driver.configuration.frameLengthMax)
    if !outbox.pointee.limit(frameLength: length) { driver.lost(address.id) }
    return true
  }

  /// Everything that was there to read was read.
  func receivedAll() { driver.endTurn() }
}
