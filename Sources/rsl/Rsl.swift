import ArgumentParser
import Foundation
import RealRuntime

@main
struct Rsl: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rsl", abstract: "Runs and operates a replicated state machine.",
    discussion: """
      Exit status: 0 fine, 1 bad argument, file or environment, 2 safety violated, 3 no progress, 4 a recording \
      that replays otherwise, 5 crash.
      """,
    version: RealRuntimeVersion.text,
    subcommands: [
      Serve.self, Format.self, Config.self, DevCACommand.self, Status.self, Top.self, Leader.self,
      Snapshot.self, Inspect.self, Recover.self, Trace.self, Bench.self, Demo.self,
      PowerCut.self, Soak.self,
    ])

  static func main() async {
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot()
      if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
      } else {
        try command.run()
      }
    } catch let failure as CommandFailure {
      FileHandle.standardError.write(Data("rsl: \(failure.message)\n".utf8))
      Foundation.exit(failure.code.rawValue)
    } catch {
      let code = exitCode(for: error)
      let text = fullMessage(for: error)
      if code.isSuccess {
        print(text)
        Foundation.exit(0)
      }
      FileHandle.standardError.write(Data("\(text)\n".utf8))
      Foundation.exit(1)
    }
  }
}

/// A failure as its user sees it: one line and an exit code.
struct CommandFailure: Error {
  /// Exit codes of every command line of this project.
  enum Code: Int32 {
    case usage = 1
    case safety = 2
    case liveness = 3
    case determinism = 4
    case crash = 5
  }

  var code: Code
  var message: String

  init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}
