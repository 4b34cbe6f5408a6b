import Logging
import Protocol
import Synchronization

@testable import RealRuntime

/// A node made of answers.
final class FakeBackend: AdminBackend {
  struct State: Sendable {
    var status = NodeStatus()
    var health = NodeHealth(isAlive: true, isReady: true)
    var refusal: AdminRefusal?
    /// Every call that changes something.
    var calls: [String] = []
    /// Status calls wait until they are cancelled, and then call this.
    var whenStuck: (@Sendable () -> Void)?
  }

  let state: Mutex<State>

  init(_ change: (inout State) -> Void = { _ in }) {
    var state = State()
    state.status.cluster = "8f2c51a07be34d19"
    state.status.id = 2
    state.status.role = "leader"
    state.status.ballot = NodeStatus.Ballot(round: 7, proposer: 2)
    state.status.leader = 2
    state.status.chosenUpTo = 1_234
    state.status.appliedUpTo = 1_233
    state.status.journal = NodeStatus.Journal(
      segments: 3, bytes: 4_096, bytesWritten: 777, flushes: 99, fences: 198, bytesLeft: 1_234)
    state.status.peers = [
      NodeStatus.Peer(
        id: 1, address: "127.0.0.1:7101", isConnected: true, lagSlots: 4, unsentBytes: 128),
      NodeStatus.Peer(
        id: 3, address: "127.0.0.1:7103", isConnected: false, lagSlots: nil, unsentBytes: 0),
    ]
    state.status.rejections = ["overloaded": 5]
    change(&state)
    self.state = Mutex(state)
  }

  var calls: [String] { state.withLock { $0.calls } }

  private func note(_ call: String) throws(AdminRefusal) {
    let refusal = state.withLock { state in
      state.calls.append(call)
      return state.refusal
    }
    if let refusal { throw refusal }
  }

  func status() async throws(AdminRefusal) -> NodeStatus {
    if let isCancelled = state.withLock({ $0.whenStuck }) {
      let (never, _) = AsyncStream.makeStream(of: Void.self)
      for await _ in never {}
      if Task.isCancelled { isCancelled() }
    }
    return state.withLock { $0.status }
  }

  func health() async -> NodeHealth { state.withLock { $0.health } }

  func stages() async -> StageBoard.Reading {
    var reading = StageBoard.Reading()
    reading.recent.record(.chosen, nanoseconds: 150_000, count: 10)
    reading.counts[Stage.chosen.place] = 10
    return reading
  }

  func trace() async throws(AdminRefusal) -> ReplicaTrace {
    ReplicaTrace(
      replica: 2, clockOffset: 1_000,
      marks: [TraceMark(slot: 7, step: .batched, time: 5, commands: 3)])
  }

  func moveLeader(to target: ReplicaID?) async throws(AdminRefusal) -> ReplicaID {
    try note("move \(target.map { "\($0.rawValue)" } ?? "any")")
    return target ?? ReplicaID(3)
  }

  func takeSnapshot() async throws(AdminRefusal) -> Slot {
    try note("snapshot")
    return Slot(1_233)
  }

  func setLogLevel(_ level: Logger.Level) async throws(AdminRefusal) {
    try note("log \(level.rawValue)")
  }
}
