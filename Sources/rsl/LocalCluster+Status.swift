import Protocol
import RealRuntime

extension LocalCluster {
  /// What every replica says about itself that runs and answers.
  func statuses() async -> [(replica: Replica, status: NodeStatus)] {
    var found: [(replica: Replica, status: NodeStatus)] = []
    for replica in replicas where replica.pid != nil {
      if let status = try? await AdminClient(endpoint: replica.admin).status() {
        found.append((replica, status))
      }
    }
    return found
  }

  func leader() async -> Replica? {
    await statuses().first { $0.status.role == "leader" }?.replica
  }

  /// Waits until every replica answers, and one leads.
  func waitUntilServing() async throws {
    try await until("every replica answers, and one leads") {
      if let ended = self.replicas.first(where: { $0.pid == nil }) {
        throw CommandFailure(
          .usage, "replica \(ended.id) ended: \(ended.lastLine)")
      }
      let statuses = await self.statuses()
      return statuses.count == self.replicas.count
        && statuses.contains { $0.status.role == "leader" }
    }
  }
}

/// Waits for a condition, looking again and again; fails when it does not come.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
  let end = ContinuousClock.now + .seconds(30)
  while ContinuousClock.now < end {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(5))
  }
  throw CommandFailure(.liveness, "in 30 seconds: not \(what)")
}
