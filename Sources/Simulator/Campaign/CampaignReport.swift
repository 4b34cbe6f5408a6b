internal import Protocol

/// Everything a campaign has to say: its books, and how it was run. Text and JSON come from here.
public struct CampaignReport: Sendable {
  public var tally: CampaignTally
  public var settings: RunSettings
  /// The seeds that were asked for, in words.
  public var selection: String
  public var jobs: Int
  /// Whether seeds ran in processes of their own.
  public var isIsolated: Bool
  /// From the first seed to the last one.
  public var wallNanoseconds: UInt64
  public var checks: [DeterminismCheck]
  /// The campaign ended before all seeds were run: `--fail-fast`.
  public var isCutShort: Bool

  public init(
    tally: CampaignTally, settings: RunSettings, selection: String, jobs: Int, isIsolated: Bool,
    wallNanoseconds: UInt64, checks: [DeterminismCheck] = [], isCutShort: Bool = false
  ) {
    self.tally = tally
    self.settings = settings
    self.selection = selection
    self.jobs = jobs
    self.isIsolated = isIsolated
    self.wallNanoseconds = wallNanoseconds
    self.checks = checks
    self.isCutShort = isCutShort
  }

  // MARK: Figures

  public var seedsPerSecond: Double { Self.rate(tally.runs, wallNanoseconds) }
  /// Protocol steps per second of processor time, where it was measured, else per second of a run.
  public var stepsPerSecondPerCore: Double {
    Self.rate(
      tally.steps, tally.cpuNanoseconds > 0 ? tally.cpuNanoseconds : tally.busyNanoseconds)
  }
  public var eventsPerSecondPerCore: Double {
    Self.rate(
      tally.events, tally.cpuNanoseconds > 0 ? tally.cpuNanoseconds : tally.busyNanoseconds)
  }
  public var simulatedHours: Double { Double(tally.simulatedNanoseconds) / 3.6e12 }
  /// Simulated over wall time, all jobs together.
  public var timeFactor: Double {
    wallNanoseconds == 0 ? 0 : Double(tally.simulatedNanoseconds) / Double(wallNanoseconds)
  }

  private static func rate(_ count: UInt64, _ nanoseconds: UInt64) -> Double {
    nanoseconds == 0 ? 0 : Double(count) / (Double(nanoseconds) / 1e9)
  }

  /// How the command ends. `requiringCoverage` counts only when nothing else went wrong.
  public func status(requiringCoverage: Bool) -> ExitStatus {
    var statuses = tally.failedRuns.map { ExitStatus($0.outcome) }
    if checks.contains(where: { !$0.passed }) { statuses.append(.determinism) }
    if requiringCoverage && !tally.coverage.isComplete { statuses.append(.usage) }
    return .gravest(statuses)
  }

  // MARK: JSON

  public var json: JSONValue {
    let coverage = tally.coverage
    return .object([
      .init("seeds", .string(selection)),
      .init("profile", .string(settings.profile.rawValue)),
      .init("replicas", settings.replicas.map { .count($0) } ?? .null),
      .init("commands", settings.commands.map { .count($0) } ?? .null),
      .init("jobs", .count(jobs)),
      .init("isolated", .bool(isIsolated)),
      .init("cutShort", .bool(isCutShort)),
      .init("runs", .integer(tally.runs)),
      .init("outcomes", .counts(RunOutcome.allCases.map { ($0.rawValue, tally[$0]) })),
      .init("excused", .integer(tally.excused)),
      .init("searched", .integer(tally.searched)),
      .init("digest", .string(Hex.text(tally.combinedDigest))),
      .init("wallSeconds", .number(Double(wallNanoseconds) / 1e9)),
      .init("busySeconds", .number(Double(tally.busyNanoseconds) / 1e9)),
      .init("cpuSeconds", .number(Double(tally.cpuNanoseconds) / 1e9)),
      .init("seedsPerSecond", .number(seedsPerSecond)),
      .init("steps", .integer(tally.steps)),
      .init("stepsPerSecondPerCore", .number(stepsPerSecondPerCore)),
      .init("events", .integer(tally.events)),
      .init("eventsPerSecondPerCore", .number(eventsPerSecondPerCore)),
      .init("effects", .integer(tally.effects)),
      .init("simulatedHours", .number(simulatedHours)),
      .init("simulatedOverWall", .number(timeFactor)),
      .init("commandsAcknowledged", .integer(tally.commandsAcknowledged)),
      .init("readsAnswered", .integer(tally.readsAnswered)),
      .init("operationsUnknown", .integer(tally.operationsUnknown)),
      .init("operationsRefused", .integer(tally.operationsRefused)),
      .init("slotsApplied", .integer(tally.slotsApplied)),
      .init("failuresByChecker", failuresByCheckerJSON),
      .init("failures", .array(tally.failedRuns.map { Self.failureJSON($0) })),
      .init("determinism", .array(checks.map { Self.checkJSON($0) })),
      .init("coverage", Self.coverageJSON(coverage)),
      .init("faultsByPhase", faultsByPhaseJSON),
      .init("marks", .counts(zip(Mark.allCases, tally.marks).map { (String($0.id), $1) })),
      .init(
        "contracts", .counts(zip(Contract.allCases, tally.contracts).map { (String($0.id), $1) })),
      .init(
        "contractEvaluations", .integer(tally.contracts.reduce(0, +))),
      .init("contractsCompiledIn", .bool(ContractRecorder.isEnabled)),
      .init("screened", .counts(zip(ScreenReason.allCases, tally.screened).map { ("\($0)", $1) })),
    ])
  }

  private var failuresByCheckerJSON: JSONValue {
    .object(
      tally.failuresByChecker.map {
        .init(
          $0.checker,
          .object([
            .init("count", .count($0.seeds.count)),
            .init("seeds", .array($0.seeds.map { .integer($0) })),
          ]))
      })
  }

  private static func failureJSON(_ run: RunRecord) -> JSONValue {
    .object([
      .init("seed", .integer(run.seed)),
      .init("outcome", .string(run.outcome.rawValue)),
      .init("digest", .string(run.digestText)),
      .init("violation", run.violationJSON),
      .init("plan", .string(run.plan)),
      .init("replay", .string(run.replayCommand)),
    ])
  }

  private static func checkJSON(_ check: DeterminismCheck) -> JSONValue {
    .object([
      .init("seed", .integer(check.seed)),
      .init("digest", .string(Hex.text(check.campaign))),
      .init("freshDigest", .optional(check.fresh.map { Hex.text($0) })),
      .init("same", .bool(check.passed)),
      .init("divergence", .optional(check.divergence)),
    ])
  }

  private static func coverageJSON(_ coverage: Coverage) -> JSONValue {
    .object([
      .init("complete", .bool(coverage.isComplete)),
      .init("emptyCells", .array(coverage.missingCells.map { .string($0.name) })),
      .init("unreachedContracts", .array(coverage.missingContracts.map { .string($0) })),
      .init("unreachedMarks", .array(coverage.missingMarks.map { .string($0) })),
      .init("contradictions", .array(coverage.contradictions.map { .string($0) })),
      .init(
        "unreachableByDesign",
        .array(
          CoverageRules.cells.map { rule in
            .object([
              .init("faults", .array(rule.faults.map { .string($0.name) })),
              .init("phases", .array(rule.phases.map { .string($0) })),
              .init("reason", .string(rule.reason)),
            ])
          }
            + CoverageRules.contracts.map { exceptionJSON("contract", $0.subject.id, $0.reason) }
            + CoverageRules.marks.map { exceptionJSON("mark", $0.subject.id, $0.reason) })),
    ])
  }

  private static func exceptionJSON(_ kind: String, _ id: Substring, _ reason: String) -> JSONValue {
    .object([.init(kind, .string(String(id))), .init("reason", .string(reason))])
  }

  private var faultsByPhaseJSON: JSONValue {
    .object(
      FaultKind.allCases.map { fault in
        .init(
          fault.name,
          .counts(
            tally.faults.phaseNames.enumerated().map { ($1, tally.faults[fault, $0]) }))
      })
  }
}
