import ArgumentParser
import Foundation
import Simulator

struct FuzzCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuzz", abstract: "Runs a campaign of many seeds.",
    discussion: """
      Ends with the class of the gravest failure: 2 safety, 5 crash, 4 determinism, 3 liveness; \
      with 1 when coverage was required and not reached.
      """)

  @Option(help: ArgumentHelp("These seeds.", valueName: "first-last"))
  var seeds: SeedsArgument?

  @Option(help: "So many seeds.")
  var count: UInt64?

  @Option(help: ArgumentHelp("As many seeds as fit, for instance 10m.", valueName: "time"))
  var duration: DurationArgument?

  @Option(
    help: "The first seed of --count (default 1) or --duration (default: taken from the clock).")
  var first: UInt64?

  @Option(help: "Seeds run at the same time (default: one per core).")
  var jobs: Int?

  @OptionGroup var settings: SettingsArguments

  @Option(help: ArgumentHelp("Writes the report as JSON.", valueName: "file"))
  var report: String?

  @Option(help: ArgumentHelp("Writes the results as JUnit XML.", valueName: "file"))
  var junit: String?

  @Option(help: ArgumentHelp("Writes a seed file for each failure.", valueName: "folder"))
  var keep: String?

  @Option(help: ArgumentHelp("Writes `seed digest outcome`, one line per run.", valueName: "file"))
  var digests: String?

  @Flag(help: "Ends at the first failure; seeds below it are still run.")
  var failFast = false

  @Flag(help: "Fails when a reachable fault × phase cell, contract or mark was not reached.")
  var requireCoverage = false

  @Flag(
    inversion: .prefixedNo,
    help: "Runs seeds in child processes, so that a trap is an outcome of its seed.")
  var isolate = true

  @Option(
    help: ArgumentHelp(
      "With --isolate: a seed without an end after this time is a crash.", valueName: "time"))
  var seedTimeout = DurationArgument(argument: "2m")!

  @Option(help: "table or json.")
  var format = OutputFormat.table

  func validate() throws {
    let given = [seeds != nil, count != nil, duration != nil].filter { $0 }.count
    guard given == 1 else {
      throw ValidationError("say which seeds: one of --seeds, --count and --duration")
    }
    if let jobs, jobs < 1 || jobs > 1_024 { throw ValidationError("--jobs must be 1 to 1024") }
    if count == 0 { throw ValidationError("--count must be at least 1") }
    if duration?.nanoseconds == 0 { throw ValidationError("--duration must be above zero") }
    if seeds != nil && first != nil {
      throw ValidationError("--first goes with --count or --duration, not with --seeds")
    }
    if let count, (first ?? 1).addingReportingOverflow(count - 1).overflow {
      throw ValidationError("--first and --count go beyond the largest seed")
    }
    let timeout = seedTimeout.nanoseconds / 1_000_000
    guard (1...UInt64(Int32.max)).contains(timeout) else {
      throw ValidationError("--seed-timeout must be 1ms to 24 days")
    }
  }

  private var selection: CampaignEngine.Seeds {
    if let seeds { return .range(seeds.range) }
    if let count {
      let first = first ?? 1
      return .range(first...first + (count - 1))
    }
    let clock = UInt64(Date.now.timeIntervalSince1970)
    return .duration(first: first ?? clock * 1_000, nanoseconds: duration!.nanoseconds)
  }

  private func text(_ selection: CampaignEngine.Seeds) -> String {
    switch selection {
    case .range(let range): "\(range.lowerBound)-\(range.upperBound)"
    case .duration(let first, let limit): "\(first) and on for \(DurationText.text(limit))"
    }
  }

  func run() throws {
    let engine = CampaignEngine(
      seeds: selection, settings: settings.settings,
      jobs: jobs ?? ProcessInfo.processInfo.activeProcessorCount)
    engine.isIsolated = isolate
    engine.isFailFast = failFast
    engine.isQuiet = format == .json
    engine.seedTimeout = Int32(seedTimeout.nanoseconds / 1_000_000)
    try engine.run()
    let checks = try engine.checkDeterminism()
    let campaign = CampaignReport(
      tally: engine.tally, settings: engine.settings, selection: text(engine.seeds),
      jobs: engine.jobs, isIsolated: isolate, wallNanoseconds: engine.wallNanoseconds,
      checks: checks, isCutShort: engine.isCutShort)
    try write(campaign)
    Terminal.write(format == .json ? [campaign.json.text] : campaign.lines)
    let status = campaign.status(requiringCoverage: requireCoverage)
    guard status != .passed else { return }
    let message =
      status == .usage ? "the campaign passed, but did not reach everything that it should" : ""
    throw CommandFailure(message, status: status)
  }

  private func write(_ campaign: CampaignReport) throws {
    if let report { try Files.write(campaign.json.text + "\n", to: report) }
    if let junit { try Files.write(JUnitReport(campaign).xml, to: junit) }
    if let digests { try Files.write(campaign.tally.digestLines, to: digests) }
    if let keep {
      for run in campaign.tally.failedRuns {
        try Files.write(
          SeedFile(run, story: run.violation?.sentence).text, to: "\(keep)/seed-\(run.seed).txt")
      }
    }
  }
}
