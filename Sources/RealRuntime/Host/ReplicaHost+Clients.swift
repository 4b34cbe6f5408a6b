import Protocol

// Clients: requests in, answers out, each to the connection its session last spoke on.
extension ReplicaHost {
  func receiveClient(
    _ header: FrameHeader, _ body: Range<Int>, _ bytes: RawSpan, _ connection: Connection
  ) throws(Refusal) {
    if let refusal = screen.clientRefusal(of: header.route) { throw .frame(refusal) }
    switch (header.kind, connection.state) {
    case (.hello, .greeting):
      let hello = try checkVersion(body, bytes)
      greet(connection)
      connection.limitFrames(Int(hello.frameLengthMax))
      connection.state = .open
    case (.client, .open):
      var messages = ClientMessages(header, body: body)
      let before = counters.commandsReceived
      if replica.leads { stageClock.arrived(begin: log.end, at: now) }
      do throws(DecodeError) {
        while let range = try messages.next(in: bytes), failure == nil {
          try takeRequest(bytes.extracting(range), connection)
        }
      } catch {
        throw .decode(error)
      }
      let commands = counters.commandsReceived &- before
      if commands > 0, replica.leads { stageClock.received(commands, at: now) }
    default:
      throw .unexpected(header.kind)
    }
  }

  private func takeRequest(
    _ bytes: RawSpan, _ connection: Connection
  ) throws(DecodeError) {
    switch try ClientMessage(bytes) {
    case .request(let place):
      takeCommand(bytes.extracting(place), connection)
    case .read(let request, let mode, let query):
      guard reads.count < configuration.options.readsMax else {
        return refuse(request, .overloaded, connection)
      }
      let query = bytes.extracting(query).withUnsafeBytes { Array($0) }
      reads[request] = WaitingRead(
        connection: connection, query: query, isLocal: mode.isLocal)
      counters.readsReceived &+= 1
      if mode == .lease { refreshTimeForLeases() }
      step(.readReceived(request, mode))
    case .response:
      throw DecodeError(.unknownTag, at: 0)
    }
  }

  private func takeCommand(_ bytes: RawSpan, _ connection: Connection) {
    guard let command = try? CommandRef(verifying: bytes, position: log.end) else {
      counters.malformedCommands &+= 1
      return
    }
    counters.commandsReceived &+= 1
    let request = RequestID(session: command.session, sequence: command.sequence)
    if refusesForRoom {
      counters.note(.noRoom)
      return refuse(request, .noRoom, connection)
    }
    // A quarter stays free for what peers send, which is what makes room again.
    guard log.count + bytes.byteCount <= log.capacity / 4 * 3,
      let position = bytes.withUnsafeBytes({ log.append($0) })
    else {
      counters.logBufferFull &+= 1
      lacksMemory = true
      return refuse(request, .overloaded, connection)
    }
    note(command, connection)
    isCommandRefused = false
    step(.commandReceived(command))
    if isCommandRefused { log.retract(to: position) }
  }

  /// Remembers where the answer goes.
  private func note(_ command: CommandRef, _ connection: Connection) {
    let route: SessionRoute
    if let last = lastRoute, last.session == command.session, last.connection === connection {
      route = last
    } else if let known = routes[command.session], known.connection === connection {
      route = known
    } else {
      route = SessionRoute(command.session, connection)
      routes[command.session] = route
      connection.sessions.append(command.session)
    }
    lastRoute = route
    route.received = max(route.received, command.sequence.rawValue)
  }

  private func route(of session: SessionID) -> SessionRoute? {
    if let last = lastRoute, last.session == session { return last }
    guard let route = routes[session] else { return nil }
    lastRoute = route
    return route
  }

  /// Answers a command that was applied, if its client is connected here.
  func answer(_ reply: CommandReply) {
    guard let route = route(of: reply.request.session) else { return }
    route.answered = max(route.answered, reply.request.sequence.rawValue)
    guard let connection = writable(route.connection) else { return }
    if ClientMessage.responseHeaderLength + reply.bytes.count <= connection.clientMessageMax {
      connection.append(reply, in: replies)
    } else {
      // No frame holds it. It was performed, and the client is to know at least that.
      connection.append(
        CommandReply(request: reply.request, outcome: .forgotten, bytes: 0..<0), in: replies)
    }
    counters.replies &+= 1
    if case .registered = reply.outcome { forget(route) }
  }

  /// A registration's nonce is used once.
  private func forget(_ route: SessionRoute) {
    routes[route.session] = nil
    route.connection.sessions.removeAll { $0 == route.session }
    if lastRoute === route { lastRoute = nil }
  }

  func serve(_ request: RequestID, _ slot: Slot) {
    guard let read = reads.removeValue(forKey: request) else { return }
    replies.removeAll()
    let range = application.query(read.query.span.bytes, into: &replies)
    message.removeAll(keepingCapacity: true)
    replies.bytes.withUnsafeBytes { bytes in
      ClientMessage.encodeReadResponse(
        request, appliedUpTo: slot, reply: UnsafeRawBufferPointer(rebasing: bytes[range]).bytes,
        into: &message)
    }
    guard message.count <= read.connection.clientMessageMax else {
      let limit = read.connection.clientMessageMax - ClientMessage.responseHeaderLength
      return refuse(request, .tooLarge(limit: UInt32(clamping: limit)), read.connection)
    }
    guard let connection = writable(read.connection) else { return }
    message.withUnsafeBytes { connection.append(clientMessage: $0.bytes) }
    counters.replies &+= 1
  }

  func reject(_ request: RequestID, _ rejection: Rejection) {
    counters.note(rejection)
    if let read = reads.removeValue(forKey: request) {
      return refuse(request, rejection, read.connection)
    }
    isCommandRefused = true
    guard let route = route(of: request.session) else { return }
    route.answered = max(route.answered, request.sequence.rawValue)
    refuse(request, rejection, route.connection)
  }

  private func refuse(_ request: RequestID, _ rejection: Rejection, _ connection: Connection) {
    message.removeAll(keepingCapacity: true)
    ClientMessage.encodeRejection(request, rejection, into: &message)
    guard let connection = writable(connection) else { return }
    message.withUnsafeBytes { connection.append(clientMessage: $0.bytes) }
  }

  /// The replica follows now. Whatever clients wait for here may or may not be chosen: they ask again elsewhere, under
  /// the same sequence numbers; one answer for each session tells them.
  func sendClientsElsewhere(_ leader: ReplicaID?) {
    for connection in connections {
      guard let connection, connection.kind == .client else { continue }
      for session in connection.sessions {
        guard let route = routes[session], route.received > route.answered || route.received == 0
        else { continue }
        let request = RequestID(
          session: session, sequence: SequenceNumber(route.received))
        refuse(request, .notLeader(leader: leader), connection)
        route.answered = route.received
      }
    }
    let waiting = reads.filter { !$0.value.isLocal }
    for (request, read) in waiting {
      reads[request] = nil
      refuse(request, .notLeader(leader: leader), read.connection)
    }
  }

  /// The connection, ready to be appended to; nil when it is gone.
  private func writable(_ connection: Connection) -> Connection? {
    guard connection.state == .open else { return nil }
    touch(connection)
    return connection
  }
}

extension ReadMode {
  /// Whether any replica may answer it, rather than the leader alone.
  fileprivate var isLocal: Bool { if case .local = self { true } else { false } }
}
