internal import Protocol

// The simulated host: performs a replica's effects and tells it what came of them.
extension PaxosSystem {
  // MARK: Effects

  mutating func perform(
    _ effect: Effect, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    switch effect {
    case .persist(let record):
      persist(record, node, &world)
    case .send(let to, let message):
      send(message, from: node, to: PaxosNames.node(to), &world)
    case .broadcast(let message):
      if case .accept(let accept) = message {
        world.check("agreement.proposals", checkers.agreement.proposed(accept), [node])
      }
      for to in 0..<nodes.count where to != node.index {
        send(message, from: node, to: NodeIndex(to), &world)
      }
    case .apply(let slot, let value):
      apply(slot, value, node, &world)
    case .serveRead(let request, let slot):
      serve(request, slot, node, &world)
    case .reject(let request, let rejection):
      reject(request, rejection, node, &world)
    case .setDeadline(let deadline):
      world.setTimer(node, at: deadline, token: 0)
    case .takeSnapshot(let slot):
      takeSnapshot(slot, node, &world)
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      sendChunk(info, offset, lengthMax, node, PaxosNames.node(to), &world)
    case .storeSnapshotChunk(let chunk, let isLast):
      store(chunk, isLast: isLast, node, &world)
    case .restoreSnapshot(let info):
      restore(info, node, &world)
    case .truncate(let slot):
      guard let dropped = nodes[node.index].writer?.drop(upTo: slot) else { return }
      retire(dropped, node, &world)
    case .roleChanged(let role, let ballot, let leader):
      roleChanged(role, ballot, leader, node, &world)
    case .enterReport(let report):
      enter(report, node, &world)
    }
  }

  mutating func send(
    _ message: Protocol.Message, from: NodeIndex, to: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) {
    guard hasRoomForAnswer(to: message, from) else { return }
    let envelope = Envelope(
      from: PaxosNames.replica(from), to: PaxosNames.replica(to), epoch: configuration.epoch,
      message: message)
    if !checkers.durability.suspects.isEmpty {
      world.check("suspicion", checkers.durability.suspectSent(from, message), [from])
    }
    world.check("durability.promises", checkers.durability.sent(from, message), [from])
    world.send(from, to, .peer(envelope), bytes: 64 + Int(message.payload.length))
  }

  private mutating func roleChanged(
    _ role: Role, _ ballot: Ballot, _ leader: ReplicaID?, _ node: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) {
    switch role {
    case .recoveringLeader:
      nodes[node.index].ledSince = world.localTime(node)
      checkers.divergence.unrest(upTo: checkers.agreement.appliedUpTo)
      world.check(
        "leaders.onePerBallot",
        checkers.leaders.led(ballot, node, boot: world.boots(of: node)), [node])
      world.check("leases.exclusive", leaseViolation(node, leads: ballot, world), [node])
    case .follower:
      // Whatever clients wait for here may or may not be chosen: they ask again elsewhere, under the same sequence.
      let waiting = nodes[node.index].commands
      nodes[node.index].commands.removeAll(keepingCapacity: true)
      for request in waiting {
        let start = arena.bytes.count
        ClientMessage.encodeRejection(
          request.request, .notLeader(leader: leader), into: &arena.bytes)
        answer(request.client, from: start, node, &world)
      }
    case .preCandidate, .candidate, .leader:
      break
    }
  }

  // MARK: Application

  private mutating func apply(
    _ slot: Slot, _ value: Value, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    world.check("agreement", checkers.agreement.applied(node, slot, value), [node])
    guard world.violation == nil else { return }
    let wasAgreed = nodes[node.index].application.digests.agreedSlot
    if let problem = applyBatch(slot, value, node) {
      return world.check("application.batch", problem, [node])
    }
    world.check(nodes[node.index].application.contracts.violation, node)
    checkSlot(slot, value, node, &world)
    if replicaOptions.digestPeriod > 0 {
      checkDivergence(slot, wasAgreed: wasAgreed, node, &world)
      guard nodes[node.index].isRunning else { return }
      watchDigests(node, &world)
    }
    for i in replies.replies.indices {
      let reply = replies.replies[i]
      guard
        let place = nodes[node.index].commands.firstIndex(where: { $0.request == reply.request })
      else { continue }
      let client = nodes[node.index].commands.remove(at: place).client
      let start = arena.bytes.count
      ClientMessage.encodeResponse(reply, in: replies, into: &arena.bytes)
      answer(client, from: start, node, &world)
    }
  }

  /// Applies a slot; what is wrong with its bytes, if anything.
  private mutating func applyBatch(
    _ slot: Slot, _ value: Value, _ node: NodeIndex
  ) -> String? {
    replies.removeAll()
    // The arena does not grow while this holds on to it.
    let bytes = arena.bytes
    let batch = bytes.span.bytes.extracting(arena.range(value.bytes))
    do throws(CommandInvalid) {
      try value.verify(batch)
      try nodes[node.index].application.apply(slot, batch, into: &replies)
    } catch {
      return "slot \(slot) holds bytes that are not its value: \(error)"
    }
    return nil
  }

  private mutating func checkSlot(
    _ slot: Slot, _ value: Value, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    checkDigest(slot, node, &world)
    world.check("exactlyOnce", checkers.exactlyOnce.applied(slot, replies.replies), [node])
    guard slot == checkers.linearizability.replayedUpTo.next else { return }
    collectPerformed(slot, value)
    for request in performed {
      world.check("operations", checkers.operations.performed(request.argument, slot), [node])
    }
    checkers.linearizability.performed(slot, performed)
  }

  /// Compares states from outside, but those that were corrupted on purpose.
  mutating func checkDigest(_ slot: Slot, _ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    guard !checkers.divergence.isTainted(node), !checkers.divergence.isLost else { return }
    world.check(
      "digests",
      checkers.digests.reached(node, slot, nodes[node.index].stateDigest()), [node])
  }

  /// Finds the commands of a slot that were performed there, by the answers just collected.
  private mutating func collectPerformed(_ slot: Slot, _ value: Value) {
    performed.removeAll(keepingCapacity: true)
    performedIDs.removeAll(keepingCapacity: true)
    var commands = BatchIterator()
    let bytes = arena.bytes
    let batch = bytes.span.bytes.extracting(arena.range(value.bytes))
    for reply in replies.replies {
      guard let command = nextAnswered(&commands, batch) else { break }
      // The same command a second time in one batch is answered like the first, but it is performed once.
      guard case .applied(slot) = reply.outcome, !performedIDs.contains(reply.request),
        let request = RegisterMachine.Request(batch.extracting(command.payload))
      else { continue }
      performedIDs.append(reply.request)
      performed.append(request)
    }
  }

  /// The next command that has an answer.
  private func nextAnswered(_ commands: inout BatchIterator, _ batch: RawSpan) -> Command? {
    while let command = try? commands.next(in: batch) {
      if command.kind != .digestReport { return command }
    }
    return nil
  }

  // MARK: Clients

  /// A client's message: the part of the host that screens it before the replica sees anything.
  mutating func receive(
    _ bytes: BytesRef, from client: NodeIndex, at node: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) -> Int {
    effects.removeAll()
    guard nodes[node.index].isRunning else { return 0 }
    let range = arena.range(bytes)
    let message = try? ClientMessage(arena.bytes.span.bytes.extracting(range))
    switch message {
    case .request(let command):
      let place = range.lowerBound + command.lowerBound..<range.lowerBound + command.upperBound
      let received = arena.receive(place, into: &nodes[node.index].region)
      guard
        let command = try? CommandRef(
          verifying: arena.bytes.span.bytes.extracting(arena.range(received)),
          position: received.position)
      else { return 0 }
      let request = RequestID(session: command.session, sequence: command.sequence)
      nodes[node.index].commands.removeAll { $0.request == request }
      nodes[node.index].commands.append(
        PaxosNode.Waiting(request: request, client: client, query: .empty))
      guard !refusesForRoom(node) else {
        tally.commandsWithoutRoom &+= 1
        effects.append(.reject(request, .noRoom))
        return effects.count
      }
      return step(node, .commandReceived(command), &world)
    case .read(let request, let mode, let query):
      if mode.isLinearizable {
        checkers.reads.arrived(request, node, led: checkers.leaders.highestLed)
      }
      let place = BytesRef(
        position: UInt64(range.lowerBound + query.lowerBound), length: UInt32(query.count))
      nodes[node.index].reads.removeAll { $0.request == request }
      nodes[node.index].reads.append(
        PaxosNode.Waiting(request: request, client: client, query: place))
      return step(node, .readReceived(request, mode), &world)
    case .response, nil:
      return 0
    }
  }

  private mutating func serve(
    _ request: RequestID, _ slot: Slot, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard let place = nodes[node.index].reads.firstIndex(where: { $0.request == request })
    else { return }
    let read = nodes[node.index].reads.remove(at: place)
    let ballot = nodes[node.index].replica.proposer.ballot
    world.check("reads.confirmed", checkers.reads.served(request, node, at: ballot), [node])
    let range = query(read.query, node)
    let start = arena.bytes.count
    let reply = replies.bytes
    ClientMessage.encodeReadResponse(
      request, appliedUpTo: slot, reply: reply.span.bytes.extracting(range), into: &arena.bytes)
    answer(read.client, from: start, node, &world)
  }

  private mutating func query(_ query: BytesRef, _ node: NodeIndex) -> Range<Int> {
    replies.removeAll()
    let bytes = arena.bytes
    return nodes[node.index].application.query(
      bytes.span.bytes.extracting(arena.range(query)), into: &replies)
  }

  private mutating func reject(
    _ request: RequestID, _ rejection: Rejection, _ node: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) {
    var client: NodeIndex?
    if let place = nodes[node.index].reads.firstIndex(where: { $0.request == request }) {
      client = nodes[node.index].reads.remove(at: place).client
    } else if let place = nodes[node.index].commands.firstIndex(where: { $0.request == request }) {
      client = nodes[node.index].commands.remove(at: place).client
    }
    guard let client else { return }
    let start = arena.bytes.count
    ClientMessage.encodeRejection(request, rejection, into: &arena.bytes)
    answer(client, from: start, node, &world)
  }

  /// Sends a client what was encoded at the end of the arena.
  private mutating func answer(
    _ client: NodeIndex, from start: Int, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let bytes = arena.since(start)
    world.send(node, client, .client(bytes), bytes: Int(bytes.length))
  }
}
