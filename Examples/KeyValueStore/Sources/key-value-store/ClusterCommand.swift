import ArgumentParser
import Foundation
import Protocol
import RealRuntime

struct Cluster: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a durable cluster on this machine, to try it out.",
    discussion: """
      Nodes as processes of their own (`serve`), each with its data and its log in the directory. Started again with the \
      same directory, it has what it had.
      """)

  @Option(help: "Where the data lies.") var directory: String
  @Option(help: "How many nodes.") var replicas = 3
  @Option(help: "The port of the first node for Redis clients; the next node has the next one.")
  var port: UInt16 = 6379

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp(
      "Keys of docs/configuration.md or resp.* for every node.", valueName: "--key value"))
  var settings: [String] = []

  /// As many commands of one gateway's thread as are worth having under way; the default is for many small clients.
  private static let outstandingMax = 1_024

  func validate() throws {
    guard (1...9).contains(replicas) else { throw ValidationError("--replicas must be 1 to 9") }
    guard port > 0, Int(port) + replicas <= 1 << 16 else {
      throw ValidationError("--port must be 1 to \((1 << 16) - replicas)")
    }
  }

  func run() async throws {
    var options = LocalCluster.Options(directory: directory)
    options.replicas = replicas
    options.flags = ["--sessions-outstanding-max", "\(Self.outstandingMax)"] + settings
    options.ownFlags = { [port] in ["--resp-listen", "127.0.0.1:\(Self.port($0, from: port))"] }
    FreePorts.reserve((0..<UInt16(replicas)).map { port + $0 })
    let cluster: LocalCluster
    do {
      cluster = try LocalCluster(options)
      try cluster.start()
    } catch {
      throw CommandFailure("\(error)")
    }
    defer { cluster.stop() }
    for replica in cluster.replicas { try await isServing(replica) }
    for replica in cluster.replicas {
      say(
        "node \(replica.id.rawValue): redis-cli -p \(Self.port(replica.id, from: port)), admin \(replica.admin), "
          + "pid \(replica.pid ?? 0), log \(replica.logPath)")
    }
    say("the cluster serves; Ctrl-C ends it")
    await Signals.wait()
  }

  /// At once, also into a pipe: whoever started this may wait for a line.
  private func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

  private static func port(_ id: ReplicaID, from first: UInt16) -> UInt16 {
    first + UInt16(id.rawValue) - 1
  }

  /// Waits until the node knows a leader.
  private func isServing(_ replica: LocalCluster.Replica) async throws {
    let client = AdminClient(endpoint: replica.admin)
    while true {
      if let status = try? await client.status(), status.leader != nil { return }
      guard replica.pid != nil else {
        throw CommandFailure(
          "node \(replica.id.rawValue) has ended: \(replica.lastLine); see \(replica.logPath)")
      }
      // Its processes tell nobody.
      try await Task.sleep(for: .milliseconds(20))
    }
  }
}
