import Glibc
import Protocol

/// Why a peer was not reached.
struct DialFailure: Error {
  var reason: String
  init(_ reason: String) { self.reason = reason }
}

/// The way to one other replica.
final class PeerLink {
  let id: ReplicaID
  var connection: Connection?
  /// Not dialed before.
  var dialAt = Instant.zero
  var isDialing = false
  /// Attempts in a row that led to nothing.
  var failures = 0
  /// Messages that were not sent, because there was no connection or the peer is too slow.
  var dropped: UInt64 = 0
  /// The newest life of the peer's storage that was heard of.
  var incarnation: Incarnation?
  /// It said that its disk has no room.
  var isShortOfRoom = false
  /// What it said of its journal.
  var sighting = JournalSighting.none
  /// Its disk was set back and it does not know: its replica is not heard.
  var isSetBack = false
  /// What was last heard from it, on the loop's clock.
  var heardAt = Instant.zero

  init(id: ReplicaID) { self.id = id }

  /// The connection, when it is open and takes more.
  func open(_ limits: NodeConfiguration.Limits) -> Connection? {
    guard let connection, connection.state == .open,
      connection.unsentCount < limits.peerUnsentBytes
    else {
      dropped &+= 1
      return nil
    }
    return connection
  }
}

// Messages between replicas: one connection for each pair, dialed by the one with the lower ID.
extension ReplicaHost {
  func link(of id: ReplicaID) -> PeerLink? { membership.index(of: id).map { links[$0] } }

  func send(_ message: Message, to id: ReplicaID) {
    if let link = link(of: id) { send(message, on: link) }
  }

  func send(_ message: Message, on link: PeerLink) {
    guard hasRoomForAnswer(to: message), !hasAtHand(message, from: link.id) else { return }
    // What cannot be sent is lost, as on any network: the protocol sends again what matters.
    guard let connection = link.open(configuration.limits) else { return }
    connection.append(message, epoch: membership.epoch, log)
    counters.messagesSent &+= 1
    touch(connection)
  }

  // MARK: Dialing

  func dialPeers() {
    for link in links where link.id > replica.id && link.connection == nil && !link.isDialing {
      guard now >= link.dialAt,
        let address = configuration.members.first(where: { $0.id == link.id })
      else { continue }
      link.isDialing = true
      let (id, mailbox) = (link.id, mailbox)
      if let bridge, configuration.tls.isEnabled {
        let expected = PeerIdentity(cluster: identity.cluster, role: .replica(id))
        bridge.connect(host: address.host, port: address.peerPort, expecting: expected) { result in
          let isTaken = mailbox.post(
            .dialed(id, result.mapError { DialFailure($0.detail) }, isBridged: true))
          if !isTaken, case .success(let descriptor) = result { close(descriptor) }
        }
        continue
      }
      dialer.run {
        let result: Result<Int32, DialFailure>
        do throws(SystemError) {
          result = .success(try Socket.connect(host: address.host, port: address.peerPort))
        } catch {
          result = .failure(DialFailure(error.description))
        }
        let isTaken = mailbox.post(.dialed(id, result, isBridged: false))
        if !isTaken, case .success(let descriptor) = result { close(descriptor) }
      }
    }
  }

  func dialed(_ id: ReplicaID, _ result: Result<Int32, DialFailure>, isBridged: Bool) {
    guard let link = link(of: id) else { return }
    link.isDialing = false
    switch result {
    case .failure(let error):
      dialFailed(link, error.reason)
    case .success(let descriptor):
      guard link.connection == nil else {
        close(descriptor)
        return
      }
      // Through the bridge it is connected already, and the certificate was this peer's.
      let connection = adopt(
        descriptor, .peer, identity: nil, state: isBridged ? .greeting : .connecting)
      connection?.peer = id
      connection?.route.receiver = id
      link.connection = connection
      if isBridged, let connection { greet(connection) }
    }
  }

  /// A connection that was dialed has become writable: it is there, or it failed.
  func dialed(_ connection: Connection) {
    let code = Socket.connectResult(connection.descriptor)
    guard code == 0 else {
      return disconnect(connection, SystemError("connect", connection.host, code: code).reason)
    }
    Socket.sendAtOnce(connection.descriptor)
    giveUpInTime(connection.descriptor)
    connection.state = .greeting
    greet(connection)
  }

  /// A member's connection on which nothing arrives is made anew, soon after the network is well.
  func giveUpInTime(_ descriptor: Int32) {
    Socket.giveUp(descriptor, after: configuration.memberSilenceMax)
  }

  func dialFailed(_ link: PeerLink, _ reason: String) {
    link.failures += 1
    // Twice as long each time, up to the election timeout, and never all at once.
    let longest = configuration.options.electionTimeout.nanoseconds
    let wait = min(longest, 10_000_000 << UInt64(min(link.failures, 10)))
    link.dialAt = now + TimeSpan(nanoseconds: wait / 2 + UInt64.random(in: 0...wait / 2))
    refusals.note("peer \(link.id): \(reason)", now: now, logger)
  }

  func greet(_ connection: Connection) {
    connection.append(
      Hello(
        oldestVersion: FrameHeader.version, newestVersion: FrameHeader.version,
        frameLengthMax: UInt32(configuration.limits.frameBytes)))
    touch(connection)
  }

  // MARK: Receiving

  func receivePeer(
    _ header: FrameHeader, _ body: Range<Int>, _ bytes: RawSpan, _ connection: Connection
  ) throws(Refusal) {
    let link = link(of: header.route.sender)
    if let refusal = screen.refusal(of: header.route, sender: link?.incarnation) {
      throw .frame(refusal)
    }
    guard let link else { throw .notAMember(header.route.sender) }
    if let identity = connection.identity, identity.replica != link.id { throw .impostor(link.id) }
    link.heardAt = now
    switch (header.kind, connection.state) {
    case (.hello, .greeting):
      try receiveHello(header, body, bytes, connection, link)
    case (.peer, .open):
      guard connection.peer == link.id else { throw .impostor(link.id) }
      guard !link.isSetBack else { return }
      var messages = FrameMessages(header, body: body)
      try takeMessages(&messages, bytes)
    case (.notice, .open):
      let notice: HostNotice
      do throws(DecodeError) { notice = try HostNotice(body: body, of: bytes) } catch {
        throw .decode(error)
      }
      if hear(notice, from: link) { noticed(notice, from: link) }
    default:
      throw .unexpected(header.kind)
    }
  }

  private func receiveHello(
    _ header: FrameHeader, _ body: Range<Int>, _ bytes: RawSpan, _ connection: Connection,
    _ link: PeerLink
  ) throws(Refusal) {
    let wasDialed = connection.peer != nil
    if let peer = connection.peer, peer != link.id { throw .impostor(link.id) }
    // Only the lower one dials; whoever else comes has another list of members.
    guard wasDialed || link.id < replica.id else { throw .impostor(link.id) }
    try checkVersion(body, bytes)
    link.incarnation = header.route.senderIncarnation
    connection.peer = link.id
    connection.route.receiver = link.id
    if let old = link.connection, old !== connection {
      link.connection = nil
      disconnect(old, "replaced by a newer connection")
    }
    link.connection = connection
    link.failures = 0
    if !wasDialed { greet(connection) }
    connection.state = .open
    // It says so if it is, before it says anything else.
    link.isShortOfRoom = false
    link.isSetBack = false
    notify(link)
    logger.info("peer connected", metadata: ["peer": "\(link.id)"])
  }

  @discardableResult
  func checkVersion(_ body: Range<Int>, _ bytes: RawSpan) throws(Refusal) -> Hello {
    let hello: Hello
    do throws(DecodeError) { hello = try Hello(body: body, of: bytes) } catch {
      throw .decode(error)
    }
    guard hello.oldestVersion <= FrameHeader.version, hello.newestVersion >= FrameHeader.version
    else { throw .version(hello) }
    return hello
  }

  private func takeMessages(
    _ messages: inout FrameMessages, _ bytes: RawSpan
  ) throws(Refusal) {
    while true {
      let decoded: DecodedMessage
      do throws(DecodeError) {
        guard let next = try messages.next(in: bytes, placing: .at(log.end)) else { return }
        decoded = next
      } catch {
        throw .decode(error)
      }
      counters.messagesReceived &+= 1
      take(decoded, bytes)
      if failure != nil { return }
    }
  }

  private func take(_ decoded: DecodedMessage, _ bytes: RawSpan) {
    guard hasRoom(for: decoded.envelope.message) else {
      counters.messagesWithoutRoom &+= 1
      return
    }
    guard !decoded.payload.isEmpty else {
      if answersFromKept(decoded.envelope) { return }
      return step(.messageReceived(decoded.envelope))
    }
    let payload = bytes.extracting(decoded.payload)
    if let value = decoded.envelope.message.value, (try? value.verify(payload)) == nil {
      counters.damagedValues &+= 1
      return
    }
    if case .snapshotChunk = decoded.envelope.message {
      return payload.withUnsafeBytes { takeChunk(decoded.envelope, $0) }
    }
    guard hasMemory(for: decoded.envelope.message, payload.byteCount),
      let position = payload.withUnsafeBytes({ log.append($0) })
    else {
      // As if it were lost: a snapshot makes room, and what matters is sent again.
      counters.logBufferFull &+= 1
      lacksMemory = true
      return
    }
    incoming = position
    isIncomingKept = decoded.envelope.message.isReport
    step(.messageReceived(decoded.envelope))
    incoming = nil
    // Nobody points at it: a repeated vote.
    if !isIncomingKept { log.retract(to: position) }
  }

  /// A chunk goes from the socket's buffer to its file: a replica whose log buffer is full of slots behind a gap needs the
  /// snapshot to give any of them back.
  func takeChunk(_ envelope: Envelope, _ bytes: UnsafeRawBufferPointer) {
    incomingChunk = bytes
    step(.messageReceived(envelope))
    incomingChunk = nil
  }

  /// An eighth of the log buffer is kept for what closes gaps, and for what a candidate must hear: without those, slots
  /// that cannot be applied would fill it for good.
  private func hasMemory(for message: Message, _ length: Int) -> Bool {
    let closesGap =
      switch message {
      case .accept(let accept): accept.slot <= replica.window.highestUsed
      default: true
      }
    return closesGap || log.count + length <= log.capacity / 8 * 7
  }
}

extension Message {
  /// The value that travels with it.
  fileprivate var value: Value? {
    switch self {
    case .accept(let m): m.value
    case .report(let m): m.value
    case .learn(let m): m.value
    default: nil
    }
  }

  fileprivate var isReport: Bool { if case .report = self { true } else { false } }
}
