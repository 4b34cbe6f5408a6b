import Protocol
import Simulator

/// The register in the simulator: replicas on processes, clients that read and write in turn, and
/// the check of what they are told.
public struct RegisterSystem: SimulatedSystem {
  public struct Report: Equatable, Sendable {
    public var answered: Int
    public var version: UInt64
  }

  private struct Node {
    var replica: Replica
    var effects: [Effect] = []
    /// What leaves when the flush with this ticket is done.
    var waiting: [(ticket: UInt64, to: Int, message: Message)] = []
    var due: [(to: Int, message: Message)] = []
  }

  private struct Client {
    var operation: UInt64 = 0
    var isWaiting = false
    var known: UInt64?
    var target = 0
    var floor: UInt64 = 0
    var done = 0
  }

  private let count: Int
  private let bug: PlantedBug
  private var goal: Int
  private var nodes: [Node?]
  private var clients: [Client]
  private var history = RegisterHistory()

  public init(nodes: Int, clients: Int, goal: Int, bug: PlantedBug = .none) {
    count = nodes
    self.bug = bug
    self.goal = goal
    self.nodes = Array(repeating: nil, count: nodes)
    self.clients = Array(repeating: Client(), count: clients)
  }

  /// A run of one seed, ready to go.
  public static func simulation(
    seed: UInt64, bug: PlantedBug = .none, profile: FaultProfile = .swarm,
    trace: TraceOptions = .off
  ) -> Simulation<RegisterSystem> {
    let configuration = SimulationConfiguration(
      nodes: 3, clients: 2, profile: profile, trace: trace)
    return Simulation(seed: seed, configuration) { _ in
      RegisterSystem(nodes: 3, clients: 2, goal: 40, bug: bug)
    }
  }

  // MARK: Nodes

  public mutating func start(_ node: NodeIndex, _ world: inout World<Message>) -> Int {
    guard world.isProcess(node) else {
      pauseThenAsk(node, known: nil, &world)
      return 0
    }
    let (view, copy, valid) = Record.recover(world.read(node, file: "journal") ?? [])
    world.truncate(node, file: "journal", to: valid)
    var effects: [Effect] = []
    let replica = Replica(
      id: node.index, count: count, bug: bug, view: view, copy: copy, now: world.localTime(node),
      effects: &effects)
    nodes[node.index] = Node(replica: replica, effects: effects)
    return effects.count
  }

  public mutating func crash(_ node: NodeIndex, _ world: inout World<Message>) {
    nodes[node.index] = nil
  }

  public mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<Message>, _ world: inout World<Message>
  ) -> Int {
    guard world.isProcess(node) else {
      clientStep(node, input, &world)
      return 0
    }
    let now = world.localTime(node)
    return with(node) { me in
      me.effects.removeAll(keepingCapacity: true)
      switch input {
      case .message(let from, let message):
        me.replica.received(message, from: from.index, now, &me.effects)
      case .timer: me.replica.timerFired(now, &me.effects)
      case .diskCompleted(let ticket):
        for one in me.waiting where one.ticket == ticket {
          me.effects.append(.send(to: one.to, one.message))
        }
        me.waiting.removeAll { $0.ticket <= ticket }
      }
      return me.effects.count
    }
  }

  public mutating func perform(effect: Int, _ node: NodeIndex, _ world: inout World<Message>) {
    switch nodes[node.index]!.effects[effect] {
    case .send(let to, let message):
      world.send(node, NodeIndex(to), message, bytes: Record.size)
    case .persist(let view, let copy, let message, let to):
      world.append(node, file: "journal", Record.bytes(view: view, copy))
      let ticket = world.flush(node)
      with(node) { $0.waiting.append((ticket, to, message)) }
    case .setTimer(let span):
      world.setTimer(node, at: world.localTime(node) + span, token: 0)
    }
  }

  private mutating func with<R>(_ node: NodeIndex, _ body: (inout Node) -> R) -> R {
    body(&nodes[node.index]!)
  }

  // MARK: Clients

  private mutating func clientStep(
    _ node: NodeIndex, _ input: SimulatedInput<Message>, _ world: inout World<Message>
  ) {
    let c = node.index - count
    switch input {
    case .message(_, .answer(let operation, let copy, let isDone))
    where operation == clients[c].operation && clients[c].isWaiting:
      // A put that came too late says nothing about the register, but where to go on from.
      if isDone {
        clients[c].done += 1
        if let sentence = history.check(
          client: c, version: copy.version, value: copy.value, floor: clients[c].floor)
        {
          world.report(
            Violation(
              kind: .safety, checker: "linearizability", sentence: sentence,
              nodes: Array(world.nodes)))
        }
      }
      pauseThenAsk(node, known: isDone ? copy.version : nil, &world)
    case .message(_, .redirect(let operation, let view)) where operation == clients[c].operation:
      clients[c].target = Int(view % UInt64(count))
    case .timer:
      if clients[c].isWaiting {
        // No answer: whether a put was done is open, so ask for the register before the next one.
        clients[c].target = Int(world.draw(.workload, below: UInt64(count)))
        clients[c].known = nil
      }
      ask(node, &world)
    default: break
    }
  }

  private mutating func pauseThenAsk(
    _ node: NodeIndex, known: UInt64?, _ world: inout World<Message>
  ) {
    clients[node.index - count].isWaiting = false
    clients[node.index - count].known = known
    let pause = TimeSpan.microseconds(world.draw(.workload, below: 100_000))
    world.setTimer(node, at: world.localTime(node) + pause, token: 0)
  }

  private mutating func ask(_ node: NodeIndex, _ world: inout World<Message>) {
    let c = node.index - count
    if clients[c].done < goal {
      clients[c].operation += 1
      clients[c].floor = history.highest
      clients[c].isWaiting = true
      let operation = clients[c].operation
      var request = Message.get(operation: operation)
      if let known = clients[c].known, world.draw(.workload, below: 2) == 1 {
        request = .put(operation: operation, after: known, value: operation << 8 | UInt64(c))
      }
      world.send(node, NodeIndex(clients[c].target), request, bytes: Record.size)
    }
    world.setTimer(node, at: world.localTime(node) + .milliseconds(100), token: 0)
  }

  // MARK: Phases and the end

  public static var phaseNames: [String] { ["down", "backup", "candidate", "primary", "client"] }

  public func phase(of node: NodeIndex) -> Int {
    guard node.index < count else { return 4 }
    switch nodes[node.index]?.replica.role {
    case nil: return 0
    case .backup: return 1
    case .candidate: return 2
    case .primary: return 3
    }
  }

  public mutating func beginLiveness(_ world: inout World<Message>, core: NodeSet) {
    // Progress means new work done, not old work finished.
    goal = clients.reduce(goal) { max($0, $1.done) } + 10
  }

  public func isDone(_ world: inout World<Message>) -> Bool {
    clients.allSatisfy { $0.done >= goal }
  }

  public func report(_ world: borrowing World<Message>) -> Report {
    Report(answered: history.answered, version: history.highest)
  }

  public func digestWord(of message: Message) -> UInt64 { Record.digest(Wire.bytes(message)) }
  public func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 {
    switch nodes[node.index]!.effects[effect] {
    case .send(let to, let message): digestWord(of: message) &+ UInt64(to)
    case .persist(let view, let copy, _, _): Record.digest(Record.bytes(view: view, copy))
    case .setTimer(let span): span.nanoseconds
    }
  }

  public func describe(effect: Int, _ node: NodeIndex) -> String {
    "\(nodes[node.index]!.effects[effect])"
  }

  public func encode(_ message: Message, into bytes: inout [UInt8]) { bytes = Wire.bytes(message) }
  public mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> Message? {
    Wire.message(bytes)
  }
}
