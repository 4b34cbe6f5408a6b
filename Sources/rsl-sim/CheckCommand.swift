public import ArgumentParser
import Foundation
public import Simulator

extension RecordedHistoryCheck.Model: ExpressibleByArgument {}

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Checks recorded histories for linearizability.",
    discussion: """
      One line per file: its name, a tab, and linearizable, not-linearizable or undecided. Ends \
      with 2 when one is not linearizable, with 1 when one cannot be read or decided.
      """)

  @Argument(
    help: ArgumentHelp("Histories: Jepsen logs, or key-value histories.", valueName: "file"))
  var files: [String]

  @Option(help: "register or kv (default: the one that goes with each file's format).")
  var model: RecordedHistoryCheck.Model?

  @Option(help: "Steps of the search, per file, before it gives up.")
  var budget = 5_000_000

  @Flag(help: "Says on standard error why a history is not linearizable.")
  var explain = false

  @Option(help: "table or json.")
  var format = OutputFormat.table

  func validate() throws {
    if budget < 1 { throw ValidationError("--budget must be at least 1") }
  }

  func run() throws {
    var statuses: [ExitClass] = []
    var rows: [JSONValue] = []
    for file in files {
      do {
        let text = try Files.read(file)
        let result = try RecordedHistoryCheck(budget: budget).check(text, model: model)
        statuses.append(status(result, file))
        if format == .json {
          rows.append(HistoryReport.json(file: file, result))
        } else {
          Terminal.write(["\(file)\t\(HistoryReport.word(result.verdict))"])
        }
        if explain, let explanation = result.explanation {
          Terminal.writeError("\(file): \(explanation)\n")
        }
      } catch let failure as CommandFailure {
        Terminal.complain(failure.message)
        statuses.append(.usage)
      } catch {
        Terminal.complain("\(file): \(error)")
        statuses.append(.usage)
      }
    }
    if format == .json { Terminal.write([JSONValue.array(rows).text]) }
    let status = ExitClass.gravest(statuses)
    if status != .passed { throw CommandFailure.ending(with: status) }
  }

  private func status(_ result: RecordedHistoryCheck.Result, _ file: String) -> ExitClass {
    switch result.verdict {
    case .linearizable: return .passed
    case .notLinearizable: return .safety
    case .undecided(let steps):
      Terminal.complain("\(file): undecided after \(steps) steps; give it more with --budget")
      return .usage
    }
  }
}
