import ArgumentParser
import Foundation
import RealRuntime

@main
struct KeyValueStoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key-value-store",
    abstract: "A key-value store that speaks Redis's protocol.",
    discussion: "Exit status: 0 fine, 1 bad argument, file or environment, 5 crash.",
    subcommands: [Serve.self, Format.self, Cluster.self, Local.self])

  static func main() async {
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch {
      let code = exitCode(for: error)
      if code.isSuccess {
        print(fullMessage(for: error))
        Foundation.exit(0)
      }
      // Arguments that cannot be parsed are explained; what was thrown by a command says it all.
      let isOurs = error is ReplicaProcess.Failure || error is CommandFailure
      let text = isOurs ? "key-value-store: \(error)" : fullMessage(for: error)
      FileHandle.standardError.write(Data((text + "\n").utf8))
      Foundation.exit((error as? ReplicaProcess.Failure)?.exitStatus ?? 1)
    }
  }
}

/// Something outside is not as it must be, as its user is told.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

/// Waits for SIGINT or SIGTERM.
enum Signals {
  static func wait() async {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    let handler = SignalHandler([SIGINT, SIGTERM]) { continuation.yield() }
    for await _ in stream { break }
    withExtendedLifetime(handler) {}
  }
}
