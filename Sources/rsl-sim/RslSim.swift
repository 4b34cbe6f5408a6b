import ArgumentParser
import Foundation
import Simulator

/// The command line of the simulator: arguments, files, threads and the terminal. What is computed,
/// and how it reads, is in the module Simulator.
@main
struct RslSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rsl-sim",
    abstract: "Simulates a cluster from a seed, checks it, and replays what went wrong.",
    discussion: """
      Exit status: 0 fine, 1 bad argument or file, 2 safety violated, 3 no progress, 4 not \
      deterministic or not as recorded, 5 crash.
      """,
    subcommands: [
      RunCommand.self, FuzzCommand.self, ReplayCommand.self, CheckCommand.self,
      ScenarioCommand.self, ContractsCommand.self, WorkerCommand.self,
    ])

  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as CommandFailure {
      if !failure.message.isEmpty { Terminal.complain(failure.message) }
      Foundation.exit(failure.status.rawValue)
    } catch  where Self.exitCode(for: error) == .success {
      // Help was asked for.
      print(Self.fullMessage(for: error))
      Foundation.exit(0)
    } catch {
      Terminal.complain(Self.message(for: error))
      Foundation.exit(ExitClass.usage.rawValue)
    }
  }
}

/// The end of a command that did not do what it was asked to: one line for standard error, and the
/// exit status.
struct CommandFailure: Error {
  var message: String
  var status: ExitClass

  init(_ message: String, status: ExitClass = .usage) {
    self.message = message
    self.status = status
  }

  /// Ends the command silently: everything has been said.
  static func ending(with status: ExitClass) -> CommandFailure {
    CommandFailure("", status: status)
  }
}
