import Protocol
import Simulator

/// The smallest tenant that uses everything: processes tick, number their ticks, log each number
/// durably, tell everyone, and remember what they heard. Its checker knows which numbers were
/// durable, and looks for them after each restart.
struct Chatter: SimulatedSystem {
  struct Message: Equatable {
    var number: UInt64
    var padding: UInt64 = 0
  }

  enum Effect {
    case append(UInt64)
    case flush
    case send(NodeIndex, Message)
    case setTimer(Instant)
  }

  struct Node {
    var number: UInt64 = 0
    var isRunning = false
    var effects: [Effect] = []
    /// Numbers covered by the flush with this ticket.
    var flushing: [(ticket: UInt64, number: UInt64)] = []
    var heard: [UInt64]
  }

  struct Report: Equatable, Sendable {
    var ticks: UInt64 = 0
    var received: UInt64 = 0
    var recovered: UInt64 = 0
    var performed: UInt64 = 0
    var crashes: UInt64 = 0
  }

  /// Longer than the smallest piece that a torn write keeps.
  static var recordSize: Int { 24 }
  static var phaseNames: [String] { ["quiet", "talking"] }

  var nodes: [Node]
  /// What the checker knows to be durable, by process.
  var acknowledged: [UInt64]
  var totals = Report()
  var goal: UInt64
  var interval = TimeSpan.milliseconds(5)
  /// Extra draws the tenant makes from its own streams, to show that they move no other.
  var extraDraws = 0
  var heardAtLiveness: [[UInt64]] = []
  /// Called with each input, to look into a run.
  var probe: ((NodeIndex, SimulatedInput<Message>, borrowing World<Message>) -> Void)?

  init(endpoints: Int, goal: UInt64 = 100) {
    nodes = (0..<endpoints).map { _ in
      Node(heard: Array(repeating: 0, count: endpoints))
    }
    acknowledged = Array(repeating: 0, count: endpoints)
    self.goal = goal
  }

  static func simulation(
    seed: UInt64, _ configuration: SimulationConfiguration,
    adjust: (inout Chatter) -> Void = { _ in }
  ) -> Simulation<Chatter> {
    Simulation(seed: seed, configuration) { world in
      var system = Chatter(endpoints: world.endpointCount)
      adjust(&system)
      return system
    }
  }

  // MARK: Life

  mutating func start(_ node: NodeIndex, _ world: inout World<Message>) -> Int {
    let n = node.index
    nodes[n] = Node(heard: Array(repeating: 0, count: nodes.count))
    nodes[n].isRunning = true
    if world.isProcess(node) {
      let log = world.read(node, file: "log") ?? []
      for position in 0..<acknowledged[n] {
        let at = Int(position) * Self.recordSize
        guard at + Self.recordSize <= log.count, Self.word(log, at) == position + 1 else {
          world.report(
            Violation(
              kind: .safety, checker: "durability",
              sentence: "\(node) lost number \(position + 1) of \(acknowledged[n])", nodes: [node]))
          return 0
        }
      }
      nodes[n].number = acknowledged[n]
      totals.recovered += acknowledged[n]
      // Whatever follows was never acknowledged: overwrite it.
      world.truncate(node, file: "log", to: Int(acknowledged[n]) * Self.recordSize)
    }
    nodes[n].effects.append(.setTimer(world.localTime(node) + interval))
    return nodes[n].effects.count
  }

  mutating func crash(_ node: NodeIndex, _ world: inout World<Message>) {
    totals.crashes += 1
    nodes[node.index] = Node(heard: Array(repeating: 0, count: nodes.count))
  }

  mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<Message>, _ world: inout World<Message>
  ) -> Int {
    let n = node.index
    probe?(node, input, world)
    nodes[n].effects.removeAll(keepingCapacity: true)
    switch input {
    case .message(let from, let message):
      totals.received += 1
      nodes[n].heard[from.index] = max(nodes[n].heard[from.index], message.number)
    case .timer:
      totals.ticks += 1
      nodes[n].number += 1
      for _ in 0..<extraDraws { _ = world.draw(.tenant, below: 10) }
      if world.isProcess(node) {
        nodes[n].effects.append(.append(nodes[n].number))
        nodes[n].effects.append(.flush)
      }
      for peer in nodes.indices where peer != n {
        nodes[n].effects.append(
          .send(NodeIndex(peer), Message(number: nodes[n].number)))
      }
      nodes[n].effects.append(.setTimer(world.localTime(node) + interval))
    case .diskCompleted(let ticket):
      while let first = nodes[n].flushing.first, first.ticket <= ticket {
        acknowledged[n] = max(acknowledged[n], first.number)
        nodes[n].flushing.removeFirst()
      }
    }
    return nodes[n].effects.count
  }

  mutating func perform(effect: Int, _ node: NodeIndex, _ world: inout World<Message>) {
    totals.performed += 1
    let n = node.index
    switch nodes[n].effects[effect] {
    case .append(let number):
      world.append(
        node, file: "log", Self.bytes(number) + Self.bytes(~number) + Self.bytes(number))
    case .flush:
      let ticket = world.flush(node)
      nodes[n].flushing.append((ticket, nodes[n].number))
    case .send(let peer, let message): world.send(node, peer, message, bytes: 16)
    case .setTimer(let deadline): world.setTimer(node, at: deadline, token: 1)
    }
  }

  // MARK: Codec

  func encode(_ message: Message, into bytes: inout [UInt8]) {
    bytes += Self.bytes(message.number)
    bytes += Self.bytes(message.number &* 0x9E37_79B9_7F4A_7C15)
  }

  mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> Message? {
    guard bytes.count == 16 else { return nil }
    let number = Self.word(bytes, 0)
    return Self.word(bytes, 8) == number &* 0x9E37_79B9_7F4A_7C15 ? Message(number: number) : nil
  }

  static func bytes(_ word: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
  }
  static func word(_ bytes: [UInt8], _ at: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(bytes[at + $1]) << (8 * UInt64($1)) }
  }

  // MARK: Phases and checks

  func phase(of node: NodeIndex) -> Int { nodes[node.index].number < 20 ? 0 : 1 }
  func digestWord(of message: Message) -> UInt64 { message.number }
  func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 {
    switch nodes[node.index].effects[effect] {
    case .append(let number): 1 << 56 | number
    case .flush: 2 << 56
    case .send(let peer, let message): 3 << 56 | UInt64(peer.rawValue) << 32 | message.number
    case .setTimer(let deadline): 4 << 56 | deadline.rawValue
    }
  }

  mutating func beginLiveness(_ world: inout World<Message>, core: NodeSet) {
    heardAtLiveness = nodes.map { $0.heard }
  }

  /// In the liveness phase: everyone in the core has news from everyone else in it.
  func isDone(_ world: inout World<Message>) -> Bool {
    guard !heardAtLiveness.isEmpty else { return totals.ticks >= goal * 10 }
    for a in world.core {
      for b in world.core where a != b {
        if nodes[a.index].heard[b.index] <= heardAtLiveness[a.index][b.index] { return false }
      }
    }
    return true
  }

  func report(_ world: borrowing World<Message>) -> Report { totals }
}
