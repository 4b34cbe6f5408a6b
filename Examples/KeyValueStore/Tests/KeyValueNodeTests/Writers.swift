import Foundation
import RESP
import Synchronization
import TestSupport

/// Clients that each count in a key of their own, in threads of their own, and go to the next node when theirs is gone.
final class Writers: Sendable {
  private struct State {
    /// By writer: the highest answer, which is how many of its commands were performed at least.
    var acknowledged: [Int]
    /// By writer: how many commands were sent, which is how many may have been performed at most.
    var attempted: [Int]
    /// Answers that show less than an earlier one: something acknowledged was lost.
    var regressions: [String] = []
    var running = 0
    var isStopping = false
  }

  private let ports: [Int]
  private let state: Mutex<State>

  init(count: Int, ports: [Int]) {
    self.ports = ports
    let zeros = [Int](repeating: 0, count: count)
    state = Mutex(State(acknowledged: zeros, attempted: zeros))
  }

  var acknowledged: [Int] { state.withLock { $0.acknowledged } }
  var attempted: [Int] { state.withLock { $0.attempted } }
  var regressions: [String] { state.withLock { $0.regressions } }
  var leastAcknowledged: Int { acknowledged.min() ?? 0 }

  func start() {
    let count = state.withLock { state in
      state.running = state.acknowledged.count
      return state.running
    }
    for writer in 0..<count {
      Thread.detachNewThread { [self] in
        run(writer)
        state.withLock { $0.running -= 1 }
      }
    }
  }

  func stop() async throws {
    state.withLock { $0.isStopping = true }
    try await until("the writers have ended") { state.withLock { $0.running == 0 } }
  }

  private func run(_ writer: Int) {
    var node = writer
    while !state.withLock({ $0.isStopping }) {
      write(writer, to: ports[node % ports.count])
      node += 1
    }
  }

  /// Until the connection ends.
  private func write(_ writer: Int, to port: Int) {
    // Where nobody listens now the next node may.
    guard let client = try? TestClient(port: port) else { return }
    while !state.withLock({ $0.isStopping }) {
      state.withLock { $0.attempted[writer] += 1 }
      guard let reply = try? client.perform("INCR writer:\(writer)") else { return }
      // An error: not performed, or not known to be.
      guard case .integer(let value) = reply else { continue }
      state.withLock { state in
        if Int(value) <= state.acknowledged[writer] {
          state.regressions.append(
            "writer \(writer): \(value) after \(state.acknowledged[writer])")
        }
        state.acknowledged[writer] = Int(value)
      }
    }
  }
}
