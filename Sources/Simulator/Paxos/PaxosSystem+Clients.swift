internal import Protocol

// The clients: sessions that ship, driven by a drawn workload, and what the checkers make of their results.
extension PaxosSystem {
  private func client(_ node: NodeIndex) -> Int { node.index - nodes.count }
  private func node(_ client: Int) -> NodeIndex { NodeIndex(nodes.count + client) }

  /// Timer of the client's session.
  private static var sessionToken: UInt64 { 1 }

  mutating func startClient(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    let c = client(node)
    let clients = workload.clients.count
    let operations = workload.options.operations
    workload.clients[c].remaining = operations / clients + (c < operations % clients ? 1 : 0)
    for _ in 0..<workload.options.lanes { planNext(c, &world) }
    if c == 0, workload.options.operatorInterval > 0 { scheduleOperator(&world) }
    return 0
  }

  /// Draws the client's next operation and when it is called.
  private mutating func planNext(_ c: Int, _ world: inout World<PaxosMessage>) {
    guard workload.clients[c].remaining > 0 else { return }
    workload.clients[c].remaining -= 1
    let number = workload.operations.count
    workload.operations.append(
      PaxosWorkload.Operation(
        client: c, kind: drawKind(UInt64(number) + 1, c, &world),
        patience: workload.options.deadline))
    let think = world.draw(.workload, below: workload.options.think + 1)
    world.schedule(after: .microseconds(think), token: UInt64(number))
  }

  /// One more write, on which nobody gives up: work that begins after the healing, and that only a core that takes commands
  /// can finish. What was begun before may all have ended by its deadlines.
  mutating func demandWrite(_ c: Int, _ world: inout World<PaxosMessage>) {
    let number = workload.operations.count
    workload.total += 1
    let key = UInt32(world.draw(.workload, below: UInt64(PaxosWorkload.keys)))
    workload.operations.append(
      PaxosWorkload.Operation(
        client: c, kind: .command(.init(.put, key: key, argument: UInt64(number) + 1)),
        patience: nil))
    world.schedule(after: .zero, token: UInt64(number))
  }

  private mutating func drawKind(
    _ unique: UInt64, _ client: Int, _ world: inout World<PaxosMessage>
  ) -> PaxosWorkload.Kind {
    let key = Int(world.draw(.workload, below: UInt64(PaxosWorkload.keys)))
    if world.draw(.workload, below: 100) < workload.options.readPercent(of: client) {
      switch world.draw(.workload, below: 4) {
      case 0: return .read(key: key, .quorum)
      case 1, 2: return .read(key: key, replicaOptions.lease == nil ? .quorum : .lease)
      default: return .read(key: key, .local(atLeast: .zero))
      }
    }
    // The argument names the operation: a replay of the log then finds each one.
    switch world.draw(.workload, below: 5) {
    case 0, 1: return .command(.init(.put, key: UInt32(key), argument: unique))
    case 2: return .command(.init(.fetchAndAdd, key: UInt32(key), argument: unique))
    case 3:
      // Half of them expect a value that some operation may have put there.
      let expected = world.draw(.workload, below: unique + 1)
      return .command(
        .init(.compareAndSet, key: UInt32(key), argument: unique, expected: expected))
    default: return .command(.init(.get, key: UInt32(key), argument: unique))
    }
  }

  /// Calls an operation that was planned.
  mutating func issue(_ number: Int, _ world: inout World<PaxosMessage>) {
    let c = workload.operations[number].client
    let now = world.localTime(node(c))
    let deadline = workload.operations[number].patience.map { now + $0 } ?? .never
    workload.clock += 1
    workload.operations[number].call = workload.clock
    workload.operations[number].state = .called
    workload.operations[number].floor = checkers.linearizability.returnedUpTo
    workload.operations[number].seen = checkers.reads.floor(c)
    var bytes: [UInt8] = []
    let event: ClientEvent
    switch workload.operations[number].kind {
    case .command(let request):
      request.encode(into: &bytes)
      event = .commandSubmitted(tag: UInt64(number), deadline: deadline)
    case .read(let key, let mode):
      RegisterMachine.Request(.get, key: UInt32(key)).encode(into: &bytes)
      event = .readSubmitted(tag: UInt64(number), mode, deadline: deadline)
    }
    workload.clients[c].step(event, bytes: bytes.span.bytes, now: now)
    world.check(workload.clients[c].session.contracts.violation, node(c))
    performAll(c, &world)
  }

  // MARK: Steps

  mutating func stepClient(
    _ node: NodeIndex, _ input: SimulatedInput<PaxosMessage>, _ world: inout World<PaxosMessage>
  ) -> Int {
    let c = client(node)
    let now = world.localTime(node)
    switch input {
    case .message(let from, .client(let ref)) where from.index < nodes.count:
      let bytes = arena.bytes
      workload.clients[c].step(
        .messageReceived(from: PaxosNames.replica(from)),
        bytes: bytes.span.bytes.extracting(arena.range(ref)), now: now)
    case .timer:
      workload.clients[c].step(.deadlineReached, now: now)
    case .message, .diskCompleted:
      return 0
    }
    world.check(workload.clients[c].session.contracts.violation, node)
    return workload.clients[c].effects.effects.count
  }

  mutating func performClient(
    _ effect: Int, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let c = client(node)
    switch workload.clients[c].effects.effects[effect] {
    case .send(let to, let range):
      let bytes = arena.append(workload.clients[c].effects.bytes[range])
      world.send(node, PaxosNames.node(to), .client(bytes), bytes: range.count)
    case .setDeadline(let deadline):
      world.setTimer(node, at: deadline, token: Self.sessionToken)
    case .complete(let tag, let result):
      completed(Int(tag), result, c, &world)
      if workload.operations[Int(tag)].patience == nil {
        demandEnded(Int(tag), c, &world)
      } else {
        planNext(c, &world)
      }
    case .sessionChanged:
      break
    }
  }

  private mutating func performAll(_ c: Int, _ world: inout World<PaxosMessage>) {
    var i = 0
    while i < workload.clients[c].effects.effects.count && world.violation == nil {
      performClient(i, node(c), &world)
      i += 1
    }
  }

  // MARK: Results

  private mutating func completed(
    _ number: Int, _ result: ClientResult, _ c: Int, _ world: inout World<PaxosMessage>
  ) {
    workload.clock += 1
    workload.ended += 1
    workload.operations[number].end = workload.clock
    switch result {
    case .applied(let slot, let reply):
      tally.commandsAcknowledged &+= 1
      guard let answer = workload.clients[c].answer(reply) else {
        return world.check("client.reply", "a command's reply is no answer of the state machine")
      }
      workload.operations[number].state = .returned(answer)
      commandReturned(number, slot, answer, c, &world)
    case .read(let slot, let reply):
      tally.readsAnswered &+= 1
      guard let answer = workload.clients[c].answer(reply) else {
        return world.check("client.reply", "a read's reply is no answer of the state machine")
      }
      workload.operations[number].state = .returned(answer)
      readReturned(number, slot, answer, c, &world)
    case .appliedWithoutReply:
      tally.commandsAcknowledged &+= 1
      workload.operations[number].state = .unknown
    case .unknownOutcome:
      tally.operationsUnknown &+= 1
      workload.operations[number].state = .unknown
    case .overloaded, .unavailable, .tooLarge, .leasesDisabled, .noRoom:
      tally.operationsRefused &+= 1
      workload.operations[number].state = .refused
      if case .command(let request) = workload.operations[number].kind {
        world.check("operations", checkers.operations.refused(request.argument))
      }
    }
  }

  /// A write that was demanded is performed, or demanded again: its session may have been evicted under it.
  private mutating func demandEnded(
    _ number: Int, _ c: Int, _ world: inout World<PaxosMessage>
  ) {
    if case .returned = workload.operations[number].state {
      tally.demandsMet &+= 1
    } else {
      demandWrite(c, &world)
    }
  }

  private mutating func commandReturned(
    _ number: Int, _ slot: Slot, _ answer: RegisterMachine.Answer, _ c: Int,
    _ world: inout World<PaxosMessage>
  ) {
    guard case .command(let request) = workload.operations[number].kind else { return }
    checkers.durability.acknowledged(slot)
    checkers.reads.saw(c, slot)
    world.check(
      "linearizability",
      checkers.linearizability.commandReturned(
        request, slot: slot, answer, floor: workload.operations[number].floor))
  }

  private mutating func readReturned(
    _ number: Int, _ slot: Slot, _ answer: RegisterMachine.Answer, _ c: Int,
    _ world: inout World<PaxosMessage>
  ) {
    let operation = workload.operations[number]
    guard case .read(let key, let mode) = operation.kind else { return }
    switch mode {
    case .local:
      world.check(
        "reads",
        checkers.reads.read(c, atLeast: operation.seen, servedAt: slot))
      world.check(
        "reads",
        checkers.linearizability.localReadReturned(key: key, value: answer.value, slot: slot))
    case .quorum, .lease:
      checkers.reads.saw(c, slot)
      world.check(
        "linearizability",
        checkers.linearizability.readReturned(
          key: key, value: answer.value, slot: slot, floor: operation.floor))
    }
  }

  // MARK: Operator

  private mutating func scheduleOperator(_ world: inout World<PaxosMessage>) {
    let interval = workload.options.operatorInterval
    let span = interval / 2 + world.draw(.workload, below: interval)
    world.schedule(after: .microseconds(span), token: PaxosWorkload.operatorToken)
  }

  /// Asks for a leader transfer, or changes a replica's permission to lead.
  mutating func operate(_ world: inout World<PaxosMessage>) {
    guard workload.isOperatorActive else { return }
    scheduleOperator(&world)
    let target = NodeIndex(Int(world.draw(.workload, below: UInt64(nodes.count))))
    switch world.draw(.workload, below: 4) {
    case 0, 1:
      for node in 0..<nodes.count
      where nodes[node].isRunning && nodes[node].replica.leads {
        inject(.transferRequested(to: PaxosNames.replica(target)), NodeIndex(node), &world)
      }
    case 2: permitLeading(false, target, &world)
    default: permitLeading(true, target, &world)
    }
  }
}
