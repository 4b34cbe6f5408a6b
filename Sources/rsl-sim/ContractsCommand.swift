import ArgumentParser
import Foundation
import Simulator

struct ContractsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "contracts",
    abstract: "Lists every contract and mark, and how often a fixed campaign met it.")

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case table, json, markdown
  }

  @Option(help: ArgumentHelp("The campaign.", valueName: "first-last"))
  var seeds = SeedsArgument(argument: "1-50")!

  @OptionGroup var settings: SettingsArguments

  @Option(help: "Seeds run at the same time (default: one per core).")
  var jobs: Int?

  @Option(help: "table, json or markdown.")
  var format = Format.table

  func validate() throws {
    if let jobs, jobs < 1 { throw ValidationError("--jobs must be at least 1") }
  }

  func run() throws {
    let engine = CampaignEngine(
      seeds: .range(seeds.range), settings: settings.settings,
      jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount)
    engine.isQuiet = true
    try engine.run()
    let report = ContractReport(engine.tally, seeds: seeds.range)
    switch format {
    case .table: Terminal.write(report.lines)
    case .json: Terminal.write([report.json.text])
    case .markdown: Terminal.write(report.markdown)
    }
    let status = ExitClass.gravest(engine.tally.failedRuns.map { ExitClass($0.outcome) })
    if status != .passed {
      throw CommandFailure(
        "\(engine.tally.failures) of these seeds failed; `rsl-sim fuzz` says how", status: status)
    }
  }
}
