import ArgumentParser
import Foundation
import Simulator

struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Runs one seed and tells everything about it.")

  @Option(help: "The seed.")
  var seed: UInt64

  @OptionGroup var settings: SettingsArguments

  @Option(help: ArgumentHelp("Writes every step of the run as text.", valueName: "file"))
  var trace: String?

  @Option(
    help: ArgumentHelp(
      "Writes the decisions of the run; `replay` takes the file.", valueName: "file"))
  var tape: String?

  @Option(help: "table or json.")
  var format = OutputFormat.table

  @Flag(help: ArgumentHelp("Runs in this process: a trap ends it.", visibility: .hidden))
  var inProcess = false

  func run() throws {
    guard inProcess else { return try supervise() }
    var runner = SeedRunner(seed: seed, settings: settings.settings)
    runner.traceFile = trace
    if tape != nil { runner.tape = .record }
    let (result, record, _) = try runner.run()
    if let tape, let recorded = result.tape { try Files.write(recorded.text, to: tape) }
    show(record)
    if record.failed { throw CommandFailure.ending(with: ExitClass(record.outcome)) }
  }

  private func show(_ record: RunRecord) {
    Terminal.write(format == .json ? [record.json.text] : record.lines)
  }

  /// Runs the same command in a child, so that a trap is an outcome too.
  private func supervise() throws {
    let child = try ChildProcess(
      Array(CommandLine.arguments.dropFirst()) + ["--in-process"], output: .inherited)
    switch child.wait() {
    case .exited(let code):
      if code != 0 { throw CommandFailure.ending(with: ExitClass(rawValue: code) ?? .crash) }
    case .killed(let signal):
      show(
        RunRecord(
          crashed: seed, settings.settings,
          sentence: ChildProcess.Termination.killed(signal: signal).description))
      throw CommandFailure.ending(with: .crash)
    }
  }
}
