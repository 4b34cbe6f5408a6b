import Protocol
import Testing

/// A cluster reduced to what a client can notice: one log that is applied by the real `Application`, a leader that moves,
/// replicas that lag, and a network that loses, repeats, delays and reorders until it is healed.
struct LossyWorld {
  enum Happening {
    case atReplica(ReplicaID, [UInt8])
    /// The log's order is the order of these, not the one of acceptance.
    case applied(ReplicaID, [UInt8])
    case atClient(from: ReplicaID, [UInt8])
    case connectionLost(ReplicaID)
    case leaderMoved
    /// Another client registers, and may push ours out.
    case strangerRegistered
    case submitted
  }

  var random: SeededRandom
  var app: Application<LogMachine>
  var client: ClientSession
  var effects = ClientEffects()
  var now = Instant.zero
  var deadline = Instant.never
  var events: [(at: Instant, order: Int, what: Happening)] = []
  var order = 0
  var leader = ReplicaID(1)
  var isHealed = false

  let loss: UInt64
  let repetition: UInt64
  let evicts: Bool
  let timeout: TimeSpan

  // What the test judges.
  var submitted: UInt64 = 0
  var reads: [UInt64: Slot] = [:]
  var results: [UInt64: ClientResult] = [:]
  var replies: [UInt64: [UInt8]] = [:]
  /// By command, the only name it was ever sent under.
  var names: [UInt64: RequestID] = [:]
  var faults: [String] = []

  init(seed: UInt64, evicts: Bool, timeout: TimeSpan) {
    random = SeededRandom(seed: seed)
    self.evicts = evicts
    self.timeout = timeout
    loss = random.next(below: 40)
    repetition = random.next(below: 40)
    let window = 1 + Int(random.next(below: 6))
    app = Application(
      machine: LogMachine(), limits: .init(sessionsMax: 3, outstandingMax: window))
    client = ClientSession(
      options: ClientOptions(
        replicas: (1...3).map { ReplicaID($0) }, windowMax: window, queueMax: 100, readsMax: 60),
      seed: random.next())
  }

  mutating func schedule(_ what: Happening, within span: UInt64) {
    order += 1
    events.append((now + .microseconds(random.next(below: span)), order, what))
  }

  /// Puts a message on the network: lost, delivered, delivered twice, once much later.
  mutating func transmit(_ what: Happening) {
    guard !isHealed else { return schedule(what, within: 2_000) }
    if random.next(below: 100) >= loss { schedule(what, within: 100_000) }
    if random.next(below: 100) < repetition { schedule(what, within: 900_000) }
  }

  mutating func step(_ event: ClientEvent, _ bytes: [UInt8] = []) {
    effects.removeAll()
    client.step(event, bytes: bytes.span.bytes, now: now, into: &effects)
    for effect in effects.effects {
      switch effect {
      case .setDeadline(let instant): deadline = instant
      case .sessionChanged: break
      case .send(let to, let range):
        let bytes = Array(effects.bytes[range])
        noteName(bytes)
        transmit(.atReplica(to, bytes))
      case .complete(let tag, let result):
        if results[tag] != nil { faults.append("request \(tag) ended twice") }
        results[tag] = result
        if case .applied(_, let range) = result { replies[tag] = Array(effects.bytes[range]) }
        if case .read(let slot, _) = result, slot < reads[tag]! {
          faults.append("read \(tag) went back from \(reads[tag]!) to \(slot)")
        }
      }
    }
  }

  mutating func noteName(_ bytes: [UInt8]) {
    guard case .request(let range)? = try? ClientMessage(bytes.span.bytes) else { return }
    let part = Array(bytes[range])
    let command = try! Command(at: 0, of: part.span.bytes)
    guard command.kind == .operation else { return }
    let tag = Self.tag(Array(part[command.payload]))
    if let name = names[tag], name != command.request {
      faults.append("command \(tag) was sent as \(name) and as \(command.request)")
    }
    names[tag] = command.request
  }

  static func tag(_ payload: [UInt8]) -> UInt64 {
    payload.enumerated().reduce(0) { $0 | UInt64($1.element) << UInt64(8 * $1.offset) }
  }

  mutating func submit() {
    submitted += 1
    let span = timeout
    if random.next(below: 5) == 0 {
      reads[submitted] = client.lastSeenSlot
      let mode: ReadMode = random.next(below: 2) == 0 ? .quorum : .local(atLeast: .zero)
      step(.readSubmitted(tag: submitted, mode, deadline: now + span))
    } else {
      let payload = withUnsafeBytes(of: submitted.littleEndian) { Array($0) }
      step(.commandSubmitted(tag: submitted, deadline: now + span), payload)
    }
  }

  mutating func perform(_ what: Happening) {
    switch what {
    case .submitted: submit()
    case .leaderMoved: leader = ReplicaID(UInt32(1 + random.next(below: 3)))
    case .connectionLost(let replica): step(.connectionLost(replica))
    case .strangerRegistered:
      let command = registration(random.next())
      _ = app.applyOne(command)
    case .atClient(let from, let bytes): step(.messageReceived(from: from), bytes)
    case .atReplica(let replica, let bytes): receive(replica, bytes)
    case .applied(let replica, let command): apply(replica, command)
    }
  }

  mutating func receive(_ replica: ReplicaID, _ bytes: [UInt8]) {
    var answer: [UInt8] = []
    switch try! ClientMessage(bytes.span.bytes) {
    case .request(let range):
      let part = Array(bytes[range])
      let command = try! CommandRef(verifying: part.span.bytes, position: 0)
      let id = RequestID(session: command.session, sequence: command.sequence)
      if replica != leader {
        let hint = random.next(below: 3) == 0 ? nil : leader
        ClientMessage.encodeRejection(id, .notLeader(leader: hint), into: &answer)
      } else if !isHealed, random.next(below: 10) == 0 {
        ClientMessage.encodeRejection(id, .overloaded, into: &answer)
      } else {
        schedule(.applied(replica, part), within: isHealed ? 5_000 : 60_000)
        return
      }
    case .read(let id, let mode, _):
      let lag = isHealed ? 0 : random.next(below: 10)
      let slot = Slot(app.appliedUpTo.rawValue - min(lag, app.appliedUpTo.rawValue))
      switch mode {
      case .local(let atLeast) where atLeast > slot:
        ClientMessage.encodeRejection(id, .notApplied(appliedUpTo: slot), into: &answer)
      case .local:
        ClientMessage.encodeReadResponse(
          id, appliedUpTo: slot, reply: [UInt8]().span.bytes, into: &answer)
      case .quorum, .lease:
        if replica == leader {
          ClientMessage.encodeReadResponse(
            id, appliedUpTo: app.appliedUpTo, reply: [UInt8]().span.bytes, into: &answer)
        } else {
          ClientMessage.encodeRejection(id, .notLeader(leader: leader), into: &answer)
        }
      }
    case .response: fatalError("clients ask")
    }
    transmit(.atClient(from: replica, answer))
  }

  mutating func apply(_ replica: ReplicaID, _ command: [UInt8]) {
    var buffer = ReplyBuffer()
    try! app.apply(app.appliedUpTo.next, command.span.bytes, into: &buffer)
    var answer: [UInt8] = []
    ClientMessage.encodeResponse(buffer.replies[0], in: buffer, into: &answer)
    transmit(.atClient(from: replica, answer))
  }

  /// Performs what is due until nothing is, or the time is over.
  mutating func run(for span: TimeSpan) {
    let end = now + span
    while true {
      let first = events.indices.min {
        (events[$0].at, events[$0].order) < (events[$1].at, events[$1].order)
      }
      let at = min(first.map { events[$0].at } ?? .never, deadline)
      guard at <= end else { break }
      now = max(now, at)
      if let first, events[first].at <= deadline {
        let what = events.remove(at: first).what
        perform(what)
      } else {
        step(.deadlineReached)
      }
    }
    now = end
  }

  mutating func play() {
    for _ in 0..<60 { schedule(.submitted, within: 4_000_000) }
    for _ in 0..<8 { schedule(.leaderMoved, within: 4_000_000) }
    for _ in 0..<4 {
      schedule(.connectionLost(ReplicaID(UInt32(1 + random.next(below: 3)))), within: 4_000_000)
    }
    if evicts { for _ in 0..<12 { schedule(.strangerRegistered, within: 4_000_000) } }
    run(for: .seconds(5))
    isHealed = true
    run(for: .seconds(60))
  }
}

@Suite struct ClientSessionPropertyTests {
  private static func judge(_ world: LossyWorld) {
    #expect(world.faults.isEmpty)
    #expect(world.client.contracts.violation == nil)
    #expect(world.app.contracts.violation == nil)
    #expect(world.results.count == Int(world.submitted), "every request ends")
    #expect(world.client.outstanding == 0)
    var applied: [UInt64: Slot] = [:]
    var lastOfSession: [SessionID: UInt64] = [:]
    for entry in world.app.machine.applied {
      let tag = LossyWorld.tag(entry.payload)
      #expect(applied[tag] == nil, "command \(tag) applied twice")
      applied[tag] = entry.slot
      let session = world.names[tag]!.session
      #expect(lastOfSession[session] ?? 0 < tag, "command \(tag) applied out of order")
      lastOfSession[session] = tag
    }
    for (tag, result) in world.results {
      switch result {
      case .applied(let slot, _):
        #expect(applied[tag] == slot, "command \(tag)")
        #expect(world.replies[tag].map { LossyWorld.tag(Array($0.dropFirst(8))) } == tag)
      case .appliedWithoutReply: #expect(applied[tag] != nil, "command \(tag)")
      case .overloaded, .unavailable: #expect(applied[tag] == nil, "command \(tag)")
      case .read, .unknownOutcome: break
      case .tooLarge, .leasesDisabled, .noRoom: Issue.record("\(result) from nowhere")
      }
    }
  }

  /// Patient users and a session that stays: whatever the network does, every command applies exactly once, in order.
  @Test(arguments: 1...150)
  func everyCommandAppliesExactlyOnceAndInOrder(seed: UInt64) {
    var world = LossyWorld(seed: seed, evicts: false, timeout: .seconds(60))
    world.play()
    Self.judge(world)
    #expect(world.app.machine.applied.count == Int(world.submitted) - world.reads.count)
    let order = world.app.machine.applied.map { LossyWorld.tag($0.payload) }
    #expect(order == order.sorted())
    for result in world.results.values {
      switch result {
      case .applied, .read: break
      default: Issue.record("\(result)")
      }
    }
  }

  /// Deadlines that pass and sessions that are evicted: results are typed, and true.
  @Test(arguments: 1...150)
  func resultsAreTrueWhenSessionsAndDeadlinesFail(seed: UInt64) {
    var world = LossyWorld(seed: seed, evicts: true, timeout: .milliseconds(200 + seed * 10))
    world.play()
    Self.judge(world)
    // The client is not stuck: what is asked of a healed cluster is done.
    let before = world.submitted
    for _ in 0..<5 { world.submit() }
    world.run(for: .seconds(10))
    Self.judge(world)
    for tag in before + 1...world.submitted {
      switch world.results[tag] {
      case .applied, .read: break
      // An evicted session shows with the first command, and takes the window with it.
      case .unknownOutcome: break
      case let result: Issue.record("\(String(describing: result)) from a healed cluster")
      }
    }
  }
}
