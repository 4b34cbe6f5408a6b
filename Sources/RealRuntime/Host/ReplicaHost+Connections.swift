import Glibc
import Protocol

// Sockets: accepting, reading frames, writing, giving up.
extension ReplicaHost {
  /// How much is read from one socket in a turn, in bytes: enough that a turn's fixed cost is shared by hundreds of
  /// commands, and so little that peers begin on the first of a burst while the last are still being read.
  static let receiveMax = 64 << 10
  private static let listenerFlag = UInt64(1) << 63

  /// Why a connection is given up on.
  enum Refusal: Error, CustomStringConvertible {
    case frame(FrameRefusal)
    case parse(FrameError)
    case decode(DecodeError)
    case version(Hello)
    case unexpected(FrameKind)
    case notAMember(ReplicaID)
    case impostor(ReplicaID)

    var description: String {
      switch self {
      case .frame(let refusal): "\(refusal)"
      case .parse(let error): "not a frame: \(error)"
      case .decode(let error): "not a message: \(error)"
      case .version(let hello):
        "speaks versions \(hello.oldestVersion) to \(hello.newestVersion) only"
      case .unexpected(let kind): "a \(kind) frame, which is not its turn"
      case .notAMember(let id): "\(id) is not a member"
      case .impostor(let id): "speaks for \(id), which it is not"
      }
    }
  }

  // MARK: Listening

  func listen() throws {
    let tls = configuration.tls
    let others = Set(links.map(\.id)).subtracting([replica.id])
    try listen(
      .peer, configuration.listen.peer, bridged: tls.isEnabled ? .members(others) : nil)
    try listen(
      .client, configuration.listen.client,
      bridged: tls.clients == .mutual ? .certified : tls.clients == .server ? .open : nil)
  }

  /// - Parameter bridged: who may connect by TLS; nil: the loop listens by itself, in plaintext.
  private func listen(
    _ kind: Connection.Kind, _ endpoint: SocketEndpoint, bridged port: TLSBridge.Port?
  ) throws {
    if let port {
      let mailbox = mailbox
      clientPort = try bridge!.listen(at: endpoint, for: port) { bridged in
        // Nobody to give it to: the host has ended.
        if !mailbox.post(.bridged(kind, bridged)) { close(bridged.descriptor) }
      }.port
    } else {
      let descriptor = try Socket.listen(host: endpoint.address, port: endpoint.port)
      listeners.append(Listener(descriptor: descriptor, kind: kind))
      try poller.add(descriptor, token: Self.listenerFlag | UInt64(listeners.count - 1))
      clientPort = Socket.localPort(descriptor) ?? endpoint.port
    }
  }

  /// A connection came through the bridge.
  func bridged(_ kind: Connection.Kind, _ bridged: TLSBridge.Bridged) {
    _ = adopt(
      bridged.descriptor, kind, identity: bridged.identity, state: .greeting, from: bridged.remote)
  }

  func listener(_ token: UInt64) -> Listener? {
    token & Self.listenerFlag == 0 ? nil : listeners[Int(token & ~Self.listenerFlag)]
  }

  func accept(_ listener: Listener) {
    // A bounded number each turn: a storm of connections must not keep the replica from its work.
    for _ in 0..<64 {
      do throws(SystemError) {
        guard let descriptor = try Socket.accept(listener.descriptor) else { return }
        Socket.sendAtOnce(descriptor)
        if listener.kind == .peer { giveUpInTime(descriptor) }
        _ = adopt(descriptor, listener.kind, identity: nil, state: .greeting)
      } catch {
        // Out of descriptors: those that wait are tried again in the next turn.
        return refusals.note("accept: \(error.reason)", now: now, logger)
      }
    }
  }

  /// Takes a connected socket over; nil, and the socket is closed, when there are too many.
  func adopt(
    _ descriptor: Int32, _ kind: Connection.Kind, identity: PeerIdentity?,
    state: Connection.State, from host: String? = nil
  ) -> Connection? {
    let limits = configuration.limits
    guard connectionCount < limits.connections,
      kind == .peer || clientCount < limits.clientConnections
    else {
      counters.connectionsRefused &+= 1
      refusals.note("too many connections", now: now, logger)
      close(descriptor)
      return nil
    }
    let slot = freeSlots.popLast() ?? connections.count
    if slot == connections.count { connections.append(nil) }
    generation = (generation + 1) & 0x3FFF_FFFF
    let token = generation << 32 | UInt64(slot)
    let route =
      kind == .peer
      ? FrameRoute(
        cluster: self.identity.cluster, ring: self.identity.ring, sender: replica.id,
        receiver: replica.id, senderIncarnation: self.identity.incarnation)
      : FrameRoute.response(
        cluster: self.identity.cluster, ring: self.identity.ring, from: replica.id,
        self.identity.incarnation)
    let connection = Connection(
      descriptor, token: token, kind: kind, host: host ?? Socket.peerHost(descriptor),
      identity: identity, state: state,
      handshakeDeadline: now + limits.handshakeDeadline, route: route,
      frameLengthMax: limits.frameBytes)
    do throws(SystemError) {
      try poller.add(descriptor, token: token, writable: state == .connecting)
    } catch {
      close(descriptor)
      freeSlots.append(slot)
      refusals.note("\(error)", now: now, logger)
      return nil
    }
    connection.isWatchingWrites = state == .connecting
    connections[slot] = connection
    connectionCount += 1
    if kind == .client { clientCount += 1 }
    return connection
  }

  func connection(_ token: UInt64) -> Connection? {
    let slot = Int(token & 0xFFFF_FFFF)
    guard slot < connections.count, let connection = connections[slot], connection.token == token
    else { return nil }
    return connection
  }

  // MARK: Reading

  func receive(_ connection: Connection) {
    // A frame whose end is far off is only collected: looking at it again with every piece would take quadratic time.
    let isFar = connection.partialTotal > connection.partial.count + Self.receiveMax
    let begin = isFar ? 0 : connection.partial.count
    if begin > 0 { scratch.copyBytes(from: connection.partial) }
    var count = 0
    repeat {
      count = recv(connection.descriptor, scratch.baseAddress! + begin, Self.receiveMax, 0)
    } while count < 0 && errno == EINTR
    guard count > 0 else {
      if count < 0, errno == EAGAIN { return }
      let reason = count == 0 ? "closed by the other side" : String(cString: strerror(errno))
      return disconnect(connection, reason)
    }
    counters.bytesReceived &+= UInt64(count)
    if connection.kind == .peer { refreshTimeForLeases() }
    if isFar { return connection.partial.append(contentsOf: scratch[..<count]) }
    do throws(Refusal) {
      let total = begin + count
      let used = try takeFrames(
        UnsafeRawBufferPointer(rebasing: scratch[..<total]).bytes, connection)
      guard connection.state != .closed else { return }
      connection.partial.removeAll(keepingCapacity: total - used > 0)
      if used < total {
        connection.partial.append(contentsOf: scratch[used..<total])
      }
    } catch {
      counters.connectionsRefused &+= 1
      disconnect(connection, "\(error)")
    }
  }

  /// Where there are leases: makes it the time of now, rather than of the turn's beginning.
  ///
  /// The process may have been stopped in between, for longer than a lease. A heartbeat that came meanwhile would then be
  /// vowed to from too early on, and a read that came meanwhile be answered under a lease that is over.
  func refreshTimeForLeases() {
    if configuration.options.lease != nil { now = MonotonicClock.now() }
  }

  /// Takes in every whole frame; returns how many bytes they had.
  private func takeFrames(
    _ bytes: RawSpan, _ connection: Connection
  ) throws(Refusal) -> Int {
    var offset = 0
    while connection.state != .closed, failure == nil {
      let parsed: FrameParse
      do throws(FrameError) {
        parsed = try parser.next(in: bytes, from: offset)
      } catch {
        throw .parse(error)
      }
      let (header, body): (FrameHeader, Range<Int>)
      switch parsed {
      case .frame(let its, let place): (header, body) = (its, place)
      case .needsMore(let total):
        connection.partialTotal = total
        return offset
      }
      switch connection.kind {
      case .peer: try receivePeer(header, body, bytes, connection)
      case .client: try receiveClient(header, body, bytes, connection)
      }
      offset = body.upperBound
    }
    return offset
  }

  // MARK: Writing

  /// Something was appended: it leaves at the end of the turn.
  func touch(_ connection: Connection) {
    guard !connection.isDirty else { return }
    connection.isDirty = true
    dirty.append(connection)
  }

  func flush(_ connection: Connection) {
    guard connection.state != .closed, connection.state != .connecting else { return }
    do throws(SystemError) {
      try connection.flush(log, &vectors)
    } catch {
      return disconnect(connection, error.reason)
    }
    let waits = connection.unsentCount > 0
    // A client that does not take its answers is not asked for more questions.
    let pauses =
      connection.kind == .client
      && connection.unsentCount > configuration.limits.frameBytes / 4
    guard waits != connection.isWatchingWrites || pauses != connection.isReadingPaused else {
      return
    }
    connection.isWatchingWrites = waits
    connection.isReadingPaused = pauses
    poller.modify(
      connection.descriptor, token: connection.token, readable: !pauses, writable: waits)
  }

  // MARK: Giving up

  func disconnect(_ connection: Connection, _ reason: String) {
    guard connection.state != .closed else { return }
    let wasOpen = connection.state == .open
    connection.state = .closed
    poller.remove(connection.descriptor)
    close(connection.descriptor)
    let slot = Int(connection.token & 0xFFFF_FFFF)
    connections[slot] = nil
    freeSlots.append(slot)
    connectionCount -= 1
    switch connection.kind {
    case .client:
      clientCount -= 1
      for session in connection.sessions where routes[session]?.connection === connection {
        routes[session] = nil
      }
      if lastRoute?.connection === connection { lastRoute = nil }
      let gone = reads.filter { $0.value.connection === connection }
      for request in gone.keys { reads[request] = nil }
      if !wasOpen { refusals.note("\(connection.host): \(reason)", now: now, logger) }
    case .peer:
      if let id = connection.peer, let link = link(of: id), link.connection === connection {
        link.connection = nil
        if wasOpen { logger.info("peer lost", metadata: ["peer": "\(id)", "reason": "\(reason)"]) }
        dialFailed(link, reason)
      } else {
        refusals.note("\(connection.host): \(reason)", now: now, logger)
      }
    }
  }

  /// What is due now and then: connections that never said who they are, peers to dial.
  func keepHouse() {
    nextHousekeeping = now + Self.housekeepingInterval
    for connection in connections {
      guard let connection, connection.state != .open, now >= connection.handshakeDeadline
      else { continue }
      disconnect(connection, "said nothing in time")
    }
    dialPeers()
    refusals.report(now: now, logger)
    reportSuspicion()
    vouch()
    makeMemory()
    watchRoom()
    notifyAll()
    scrubOn()
    forgetSnapshots()
    continueStopping()
  }
}
