import ArgumentParser
import Foundation
import RSLClient
import RealRuntime

struct PowerCut: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "power-cut", abstract: "Show what survives when the whole machine stops.",
    discussion: """
      `write` runs a cluster and prints what it has acknowledged, for as long as it lives: keep its output on another \
      machine, and cut the power. `verify` runs the cluster again from the same folder and reads everything back.
      """,
    subcommands: [Write.self, Verify.self])

  struct ClusterOptions: ParsableArguments {
    @Option(help: "How many replicas.") var replicas = 3
    @Option(help: "The folder of the data directories; made when it is not there, and kept.")
    var directory: String
    @Argument(
      parsing: .allUnrecognized,
      help: ArgumentHelp(
        "Keys of docs/configuration.md for every replica.", valueName: "--key value"))
    var settings: [String] = []

    func validate() throws {
      guard (1...9).contains(replicas) else { throw ValidationError("--replicas must be 1 to 9") }
    }

    func start() async throws -> LocalCluster {
      var options = LocalCluster.Options(directory: directory)
      options.replicas = replicas
      options.flags = settings
      let cluster = try LocalCluster(options)
      try cluster.start()
      try await cluster.waitUntilServing()
      return cluster
    }
  }

  struct Write: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Write, and print what is acknowledged ten times a second, until it is killed.")

    @OptionGroup var cluster: ClusterOptions
    @Option(help: "Writers at the same time, each with a key of its own.") var writers = 32

    func validate() throws {
      guard writers > 0 else { throw ValidationError("--writers must be above zero") }
    }

    func run() async throws {
      let cluster = try await cluster.start()
      let client = Client(cluster.clientConfiguration)
      let ledger = Ledger()
      let load = Task { [writers] in await Writers(client, ledger).run(writers) }
      defer {
        load.cancel()
        cluster.stop()
      }
      while true {
        try await Task.sleep(for: .milliseconds(100))
        for replica in cluster.replicas {
          guard cluster.ended(replica) == nil else {
            throw CommandFailure(.crash, "replica \(replica.id) ended: \(replica.lastLine)")
          }
        }
        FileHandle.standardOutput.write(
          Data((AcknowledgedWrites(ledger.acknowledged).line + "\n").utf8))
      }
    }
  }

  struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Read back what `write` said was acknowledged.")

    @OptionGroup var cluster: ClusterOptions
    @Option(help: "A file with what `write` printed.") var acknowledged: String

    func run() async throws {
      let text = String(decoding: try Data(contentsOf: URL(filePath: acknowledged)), as: UTF8.self)
      let writes = AcknowledgedWrites(text: text)
      guard writes.count > 0 else {
        throw CommandFailure(.usage, "\(acknowledged) names no acknowledged write")
      }
      let cluster = try await cluster.start()
      defer { cluster.stop() }
      let client = Client(cluster.clientConfiguration)
      let lost = await writes.lost(client)
      await client.close()
      print("\(writes.count) records verified, \(lost) lost")
      guard lost == 0 else { throw CommandFailure(.safety, "\(lost) acknowledged writes are lost") }
    }
  }
}
