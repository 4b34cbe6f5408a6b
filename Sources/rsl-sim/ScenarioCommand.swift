import ArgumentParser
import Foundation
import Simulator

struct ScenarioCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scenario", abstract: "Runs scripted scenarios and compares their output.",
    discussion: "Ends with 4 when an output is not the recorded one.")

  @Argument(help: ArgumentHelp("Scenario files.", valueName: "file"))
  var files: [String]

  @Flag(help: "Writes the output into the files instead of comparing it; review the difference.")
  var rewrite = false

  func run() throws {
    var statuses: [ExitClass] = []
    for file in files {
      do {
        let text = try Files.read(file)
        let result = try ScenarioRunner.run(text)
        let blocks = "\(result.blocks) block\(result.blocks == 1 ? "" : "s")"
        if result.mismatches.isEmpty {
          Terminal.write(["ok \(file) (\(blocks))"])
        } else if rewrite {
          try Files.write(result.actual, to: file)
          Terminal.write(["rewritten \(file) (\(result.mismatches.count) of \(blocks))"])
        } else {
          Terminal.write(result.mismatches.map { "FAIL \(file) \($0)" })
          statuses.append(.determinism)
        }
      } catch let error as ScenarioError {
        Terminal.complain("\(file): \(error)")
        statuses.append(.usage)
      } catch let failure as CommandFailure {
        Terminal.complain(failure.message)
        statuses.append(.usage)
      }
    }
    let status = ExitClass.gravest(statuses)
    if status != .passed { throw CommandFailure.ending(with: status) }
  }
}
