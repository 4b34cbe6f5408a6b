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
    if !coverageLines.isEmpty { lines += [""] + coverageLines }
    if !checks.isEmpty { lines += [""] + checkLines }
    if tally.failures > 0 { lines += [""] + failureLines }
    return lines
  }

  private var overview: [String] {
    var table = TextTable(header: [], alignments: [.left, .left])
    for (name, value) in overviewRows { table.add([name, value]) }
    return table.lines
  }

  private var overviewRows: [(String, String)] {
    var rows: [(String, String)] = []
    let outcomes = RunOutcome.allCases.filter { tally[$0] > 0 || $0 == .passed }
      .map { "\(Decimals.grouped(tally[$0])) \($0.rawValue)" }.joined(separator: ", ")
    rows.append(("seeds", selection + (isCutShort ? " (cut short)" : "")))
    rows.append(("runs", "\(Decimals.grouped(tally.runs)): \(outcomes)"))
    rows.append(("settings", settingsText))
    let perCore = Decimals.grouped(UInt64(stepsPerSecondPerCore))
    let eventsPerCore = Decimals.grouped(UInt64(eventsPerSecondPerCore))
    rows.append(
      (
        "speed",
        "\(Decimals.text(seedsPerSecond, places: 1)) seeds/s, \(perCore) protocol steps/s per core, "
          + "\(eventsPerCore) events/s per core"
      ))
    let hours = Decimals.text(simulatedHours, places: 2)
    let factor = Decimals.text(timeFactor, places: 0)
    rows.append(
      (
        "time",
        "\(hours) simulated hours in \(DurationText.text(wallNanoseconds)): factor \(factor)"
      ))
    func grouped(_ value: UInt64) -> String { Decimals.grouped(value) }
    rows.append(
      (
        "work",
        "\(grouped(tally.steps)) steps, \(grouped(tally.events)) events, "
          + "\(grouped(tally.slotsApplied)) slots"
      ))
    rows.append(
      (
        "clients",
        "\(grouped(tally.commandsAcknowledged)) commands acknowledged, "
          + "\(grouped(tally.readsAnswered)) reads answered, "
          + "\(grouped(tally.operationsRefused)) refused, \(grouped(tally.operationsUnknown)) unknown"
      ))
    rows.append(("searched", "\(grouped(tally.searched)) histories by the search checker"))
    rows.append(("recovered", "\(grouped(tally.crashImages)) states that a crash could have left"))
    if tally.groupsStored > 0 {
      rows.append(
        ("in memory", "\(grouped(tally.groupsStored)) groups of records in persistent memory"))
    }
    if tally.filesRepaired > 0 {
      rows.append(
        (
          "scrubbed",
          "\(grouped(tally.filesRepaired)) damaged files replaced beneath a replica"
        ))
    }
    if tally.shortagesOfRoom > 0 {
      rows.append(
        (
          "no room",
          "\(grouped(tally.shortagesOfRoom)) times, \(grouped(tally.commandsWithoutRoom)) commands refused, "
            + "\(grouped(tally.messagesWithoutRoom)) messages put aside, "
            + "\(grouped(tally.handoversForRoom)) handed over, "
            + "\(grouped(tally.snapshotsWithoutRoom)) snapshots and \(grouped(tally.startsWithoutRoom)) starts put off"
        ))
    }
    rows.append(
      (
        "diverged",
        "\(grouped(tally.statesCorrupted)) states corrupted, \(grouped(tally.divergencesFound)) found, "
          + "\(grouped(tally.statesInfected)) taken over by peers, \(grouped(tally.statesUnjudged)) runs unjudged"
      ))
    if tally.excused > 0 { rows.append(("excused", "\(tally.excused) runs without progress")) }
    rows.append(("contracts", contractsText))
    rows.append(("digest", Hex.text(tally.combinedDigest)))
    return rows
  }

  private var settingsText: String {
    let replicas = settings.replicas.map { "\($0)" } ?? "drawn"
    let commands = settings.commands.map { "\($0)" } ?? "drawn"
    return "profile \(settings.profile.rawValue), \(replicas) replicas, \(commands) commands, "
      + "\(jobs) job\(jobs == 1 ? "" : "s")" + (isIsolated ? " in processes of their own" : "")
  }

  private var contractsText: String {
    guard ContractRecorder.isEnabled else {
      return "not compiled into this build (`make release` does)"
    }
    let evaluated = tally.contracts.filter { $0 > 0 }.count
    let evaluations = Decimals.grouped(tally.contracts.reduce(0, +))
    return "\(evaluations) evaluations of \(evaluated) of \(tally.contracts.count)"
  }

  private var coverageLines: [String] {
    // Neither is expected to get everywhere.
    if isCutShort || settings.profile == .calm { return [] }
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
    var lines: [String] = []
    for check in failed {
      let fresh = check.fresh.map { Hex.text($0) } ?? "no result"
      lines.append(
        "NOT DETERMINISTIC seed \(check.seed): \(Hex.text(check.campaign)) in the campaign, "
          + "\(fresh) in a fresh process")
      if let divergence = check.divergence { lines.append("  \(divergence)") }
      lines.append("  " + settings.replayCommand(seed: check.seed))
    }
    return lines
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
