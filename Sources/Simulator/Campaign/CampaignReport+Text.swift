internal import Protocol

// The summary of a campaign for people.
extension CampaignReport {
  /// The most failures that the summary lists one by one.
  public static let failuresListed = 50

  /// All lines of the summary.
  public var lines: [String] {
    var lines = overview
    lines += ["", "Faults by phase (· cannot happen, EMPTY should have happened)", ""]
    lines += tally.coverage.table
    lines += [""] + coverageLines
    if !checks.isEmpty { lines += [""] + checkLines }
    if tally.failures > 0 { lines += [""] + failureLines }
    return lines
  }

  private var overview: [String] {
    var table = TextTable(header: [], alignments: [.left, .left])
    func row(_ name: String, _ value: String) { table.add([name, value]) }
    let outcomes = RunOutcome.allCases.filter { tally[$0] > 0 || $0 == .passed }
      .map { "\(Decimals.grouped(tally[$0])) \($0.rawValue)" }.joined(separator: ", ")
    row("seeds", "\(selection)\(isCutShort ? " (cut short)" : "")")
    row("runs", "\(Decimals.grouped(tally.runs)): \(outcomes)")
    row(
      "settings",
      "profile \(settings.profile.rawValue), \(settings.replicas.map { "\($0)" } ?? "drawn") "
        + "replicas, \(settings.commands.map { "\($0)" } ?? "drawn") commands, \(jobs) "
        + "job\(jobs == 1 ? "" : "s")\(isIsolated ? " in processes of their own" : "")")
    row(
      "speed",
      "\(Decimals.text(seedsPerSecond, places: 1)) seeds/s, "
        + "\(Decimals.grouped(UInt64(stepsPerSecondPerCore))) protocol steps/s per core, "
        + "\(Decimals.grouped(UInt64(eventsPerSecondPerCore))) events/s per core")
    row(
      "time",
      "\(Decimals.text(simulatedHours, places: 2)) simulated hours in "
        + "\(DurationText.text(wallNanoseconds)): factor \(Decimals.text(timeFactor, places: 0))")
    row(
      "work",
      "\(Decimals.grouped(tally.steps)) steps, \(Decimals.grouped(tally.events)) events, "
        + "\(Decimals.grouped(tally.slotsApplied)) slots")
    row(
      "clients",
      "\(Decimals.grouped(tally.commandsAcknowledged)) commands acknowledged, "
        + "\(Decimals.grouped(tally.readsAnswered)) reads answered, "
        + "\(Decimals.grouped(tally.operationsRefused)) refused, "
        + "\(Decimals.grouped(tally.operationsUnknown)) unknown")
    row("searched", "\(Decimals.grouped(tally.searched)) histories by the search checker")
    if tally.excused > 0 { row("excused", "\(tally.excused) runs without progress") }
    row(
      "contracts",
      ContractRecorder.isEnabled
        ? "\(Decimals.grouped(tally.contracts.reduce(0, +))) evaluations of "
          + "\(tally.contracts.filter { $0 > 0 }.count) of \(tally.contracts.count)"
        : "not compiled into this build (`make release` does)")
    row("digest", Hex.text(tally.combinedDigest))
    return table.lines
  }

  private var coverageLines: [String] {
    let coverage = tally.coverage
    if coverage.isComplete { return ["coverage: every reachable cell, contract and mark reached"] }
    func line(_ title: String, _ names: [String]) -> [String] {
      names.isEmpty ? [] : ["\(title) (\(names.count)): " + names.joined(separator: ", ")]
    }
    return line("empty cells", coverage.missingCells.map { $0.name })
      + line("contracts not evaluated", coverage.missingContracts)
      + line("marks not reached", coverage.missingMarks)
      + line("reached against the rules", coverage.contradictions)
  }

  private var checkLines: [String] {
    let failed = checks.filter { !$0.passed }
    if failed.isEmpty {
      return ["determinism: \(checks.count) seeds run again in fresh processes, same digests"]
    }
    return failed.flatMap { check in
      [
        "NOT DETERMINISTIC seed \(check.seed): \(Hex.text(check.campaign)) in the campaign, "
          + (check.fresh.map { Hex.text($0) } ?? "no result") + " in a fresh process"
      ] + (check.divergence.map { ["  \($0)"] } ?? [])
        + ["  " + settings.replayCommand(seed: check.seed)]
    }
  }

  private var failureLines: [String] {
    var lines = ["Failures by checker", ""]
    var table = TextTable(header: ["checker", "seeds", "first"])
    for group in tally.failuresByChecker {
      table.add([group.checker, "\(group.seeds.count)", "\(group.seeds[0])"])
    }
    lines += table.lines + [""]
    let failed = tally.failedRuns
    for run in failed.prefix(Self.failuresListed) { lines += Self.failure(run) }
    if failed.count > Self.failuresListed {
      lines.append("… and \(failed.count - Self.failuresListed) more (--report lists all)")
    }
    return lines
  }

  /// A failure in two lines: what, and the command that shows it again.
  public static func failure(_ run: RunRecord) -> [String] {
    let checker = run.violation.map { " \($0.checker): \($0.sentence)" } ?? ""
    return ["FAIL seed \(run.seed): \(run.outcome.rawValue)\(checker)", "  \(run.replayCommand)"]
  }
}

/// The progress of a campaign as one line of a terminal.
public struct ProgressLine: Sendable {
  public var done: UInt64
  /// nil: as many as fit into `limitNanoseconds`.
  public var total: UInt64?
  public var limitNanoseconds: UInt64?
  public var failures: UInt64
  public var elapsedNanoseconds: UInt64

  public init(
    done: UInt64, total: UInt64?, limitNanoseconds: UInt64?, failures: UInt64,
    elapsedNanoseconds: UInt64
  ) {
    self.done = done
    self.total = total
    self.limitNanoseconds = limitNanoseconds
    self.failures = failures
    self.elapsedNanoseconds = elapsedNanoseconds
  }

  /// How much is done, 0 to 1.
  public var fraction: Double {
    if let total { return total == 0 ? 1 : min(1, Double(done) / Double(total)) }
    guard let limitNanoseconds, limitNanoseconds > 0 else { return 0 }
    return min(1, Double(elapsedNanoseconds) / Double(limitNanoseconds))
  }

  /// Time left, in nanoseconds; nil before anything can be said.
  public var left: UInt64? {
    if total == nil {
      return limitNanoseconds.map { $0 - min($0, elapsedNanoseconds) }
    }
    guard fraction > 0 else { return nil }
    return UInt64(Double(elapsedNanoseconds) * (1 - fraction) / fraction)
  }

  /// The line in at most `width` columns; a narrow one loses its bar first, then its end.
  public func text(width: Int) -> String {
    let percent = Decimals.text(fraction * 100, places: 0)
    let rate = elapsedNanoseconds == 0 ? 0 : Double(done) / (Double(elapsedNanoseconds) / 1e9)
    var tail = " \(String(repeating: " ", count: max(0, 3 - percent.count)))\(percent)%  "
    tail += total.map { "\(done)/\($0)" } ?? "\(done)"
    tail += " seeds  \(Decimals.text(rate, places: 0))/s"
    tail += "  \(failures) failed"
    if let left { tail += "  \(DurationText.text(left / 1_000_000_000 * 1_000_000_000)) left" }
    let room = min(40, width - tail.count - 2)
    guard room >= 8 else { return String(tail.prefix(max(0, width))) }
    let full = Int((Double(room) * fraction).rounded(.down))
    return "[" + String(repeating: "#", count: full) + String(repeating: "-", count: room - full)
      + "]" + tail
  }
}
