import ArgumentParser
import Foundation
import RealRuntime

struct Trace: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write what nodes remember of traced commands, as a file for ui.perfetto.dev.",
    discussion: """
      Nodes trace when `tracing.sample-rate` is above zero. Ask all of them, so that the arrows from the leader to its \
      followers and back have both ends: --address once for each. Arrows between machines are as good as their clocks.
      """)

  @OptionGroup var admin: AdminArguments
  @Option(name: .shortAndLong, help: "Where the file goes.") var output = "trace.json"

  func run() async throws {
    var traces: [ReplicaTrace] = []
    for client in try admin.clients() {
      do throws(AdminClient.Failure) {
        traces.append(try await client.trace())
      } catch {
        throw CommandFailure(.usage, "\(client.endpoint): \(error)")
      }
    }
    let slots = Set(traces.flatMap { $0.marks.map(\.slot) }).count
    do {
      try Data(try PerfettoTrace.json(traces)).write(to: URL(fileURLWithPath: output))
    } catch {
      throw CommandFailure(.usage, "\(output) cannot be written: \(error.localizedDescription)")
    }
    print("\(slots) batches of \(traces.count) replicas in \(output): open it at ui.perfetto.dev")
  }
}
