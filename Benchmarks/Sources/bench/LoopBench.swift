import Protocol
import Simulator

/// The least a tenant can do with about the events a Paxos run has: messages that answer messages, a
/// flush for every fourth, one timer for each node that is put off at every step.
private struct Tokens: SimulatedSystem {
  var left: UInt64
  var state: [UInt64]
  var isFlushDue = false

  mutating func start(_ node: NodeIndex, _ world: inout World<UInt64>) -> Int { 2 }
  mutating func crash(_ node: NodeIndex, _ world: inout World<UInt64>) {}

  mutating func step(
    _ node: NodeIndex, _ input: SimulatedInput<UInt64>, _ world: inout World<UInt64>
  ) -> Int {
    left -= 1
    switch input {
    case .message(_, let word):
      state[node.index] = (state[node.index] ^ word) &* 0x9E37_79B9_7F4A_7C15
      isFlushDue = state[node.index] >> 62 == 0
      return isFlushDue ? 3 : 2
    case .timer: return 1
    case .diskCompleted: return 0
    }
  }

  mutating func perform(effect: Int, _ node: NodeIndex, _ world: inout World<UInt64>) {
    switch effect {
    case 0: world.setTimer(node, at: world.localTime(node) + .milliseconds(100), token: 0)
    case 1:
      let to = NodeIndex((node.index + 1) % state.count)
      world.send(node, to, state[node.index], bytes: 64)
    default: sink &+= world.flush(node)
    }
  }

  func encode(_ message: UInt64, into bytes: inout [UInt8]) {
    withUnsafeBytes(of: message) { bytes.append(contentsOf: $0) }
  }
  func decode(_ bytes: [UInt8], for node: NodeIndex) -> UInt64? {
    bytes.count == 8 ? bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) } : nil
  }
  func digestWord(of message: UInt64) -> UInt64 { message }
  func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 { UInt64(effect) }
  mutating func isDone(_ world: inout World<UInt64>) -> Bool { left == 0 }
  func report(_ world: borrowing World<UInt64>) -> UInt64 { state.reduce(0, ^) }
}

/// Queue, world, network, timers and disks with a tenant that does nothing: the ceiling of a tenant.
func measureLoop() -> [Figure] {
  let nodes = 5
  var events: UInt64 = 0
  let seconds = least(5) {
    let configuration = SimulationConfiguration(nodes: nodes, profile: .calm) { plan in
      plan.safetyDuration = .max / 4_000
    }
    var simulation = Simulation(seed: 1, configuration) { _ in
      Tokens(left: 1_000_000, state: (1...UInt64(nodes)).map { $0 })
    }
    // The end of the workload ends the safety phase; the rest is of no interest.
    while simulation.system.left > 1, simulation.advance() {}
    events = simulation.events
    sink &+= simulation.world.packets.sent
  }
  return [Figure(.loop, "events without a protocol", Double(events) / seconds, "/s core")]
}
