import Foundation
import Protocol
import RESP
import RealRuntime
import TestSupport
import Testing

/// Three nodes of the store as processes of their own, with journals in a folder that is gone afterwards.
final class DurableCluster {
  /// The program as it was built beside the tests.
  static let executable = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "key-value-store").path

  let processes: LocalCluster
  /// Where the nodes serve Redis clients, in order of their IDs.
  let ports: [Int]

  private init(folder: String) throws {
    let free = try FreePorts.take(3)
    ports = free.map { Int($0) }
    var options = LocalCluster.Options(directory: folder)
    options.executable = Self.executable
    options.flags = ["--sessions-outstanding-max", "256", "--journal-segment-bytes", "4MiB"]
    options.ownFlags = { ["--resp-listen", "127.0.0.1:\(free[Int($0.rawValue) - 1])"] }
    processes = try LocalCluster(options)
  }

  /// Runs `body` while the nodes serve; the logs are shown when it throws.
  static func run<R>(_ body: (DurableCluster) async throws -> R) async throws -> R {
    try await withFolder { folder async throws in
      let cluster = try DurableCluster(folder: folder)
      try cluster.processes.start()
      defer { cluster.processes.stop() }
      do {
        for node in 0..<3 { try await cluster.isServing(node) }
        return try await body(cluster)
      } catch {
        for replica in cluster.processes.replicas {
          Issue.record("\(replica.id): \(replica.lastLine)")
        }
        throw error
      }
    }
  }

  /// Waits until the node answers what needs the cluster.
  func isServing(_ node: Int) async throws {
    let port = ports[node]
    try await until("node \(node + 1) serves") {
      let answer = try? await offPool { try TestClient(port: port).perform("DBSIZE") }
      if case .integer = answer { return true }
      return false
    }
  }

  /// Waits until one of the nodes leads; its place.
  func leader() async throws -> Int {
    var found: Int?
    try await until("a leader") {
      for (place, replica) in processes.replicas.enumerated() where replica.pid != nil {
        let status = try? await AdminClient(endpoint: replica.admin).status()
        if status?.role == "leader" { found = place }
      }
      return found != nil
    }
    return try #require(found)
  }

  /// One command to one node, over a connection of its own.
  func ask(_ node: Int, _ command: String) async throws -> RESPValue {
    let port = ports[node]
    return try await offPool { try TestClient(port: port).perform(command) }
  }
}

/// Asks again and again until it is so. What is waited for happens in other processes, which tell nobody.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
  let end = ContinuousClock.now + .seconds(60)
  while ContinuousClock.now < end {
    if try await condition() { return }
    try await Task.sleep(for: .milliseconds(20))
  }
  Issue.record("never: \(what)")
  throw CancellationError()
}

/// A folder that is gone afterwards.
func withFolder<R>(_ body: (String) async throws -> R) async throws -> R {
  let folder = FileManager.default.temporaryDirectory.appending(path: "key-value-\(UUID())")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder.path)
}
