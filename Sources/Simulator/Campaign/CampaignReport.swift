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
  public func status(requiringCoverage: Bool) -> ExitClass {
    var statuses = tally.failedRuns.map { ExitClass($0.outcome) }
    if checks.contains(where: { !$0.passed }) { statuses.append(.determinism) }
    if requiringCoverage && !tally.coverage.isComplete { statuses.append(.usage) }
    return .gravest(statuses)
  }

  // MARK: JSON

  public var json: JSONValue { .object(setup + figures + findings + counters) }

  private var setup: [JSONValue.Member] {
    [
      .init("seeds", .string(selection)),
      .init("profile", .string(settings.profile.rawValue)),
      .init("replicas", .optional(settings.replicas)),
      .init("commands", .optional(settings.commands)),
      .init("jobs", .count(jobs)),
      .init("isolated", .bool(isIsolated)),
      .init("cutShort", .bool(isCutShort)),
    ]
  }

  private var figures: [JSONValue.Member] {
    let outcomes = RunOutcome.allCases.map { (name: $0.rawValue, count: tally[$0]) }
    return [
      .init("runs", .integer(tally.runs)),
      .init("outcomes", .counts(outcomes)),
      .init("excused", .integer(tally.excused)),
      .init("searched", .integer(tally.searched)),
      .init("crashImages", .integer(tally.crashImages)),
      .init("groupsStored", .integer(tally.groupsStored)),
      .init("filesRepaired", .integer(tally.filesRepaired)),
      .init("shortagesOfRoom", .integer(tally.shortagesOfRoom)),
      .init("commandsWithoutRoom", .integer(tally.commandsWithoutRoom)),
      .init("messagesWithoutRoom", .integer(tally.messagesWithoutRoom)),
      .init("handoversForRoom", .integer(tally.handoversForRoom)),
      .init("snapshotsWithoutRoom", .integer(tally.snapshotsWithoutRoom)),
      .init("startsWithoutRoom", .integer(tally.startsWithoutRoom)),
      .init("statesCorrupted", .integer(tally.statesCorrupted)),
      .init("divergencesFound", .integer(tally.divergencesFound)),
      .init("statesInfected", .integer(tally.statesInfected)),
      .init("statesUnjudged", .integer(tally.statesUnjudged)),
      .init("digest", .string(Hex.text(tally.combinedDigest))),
      .init("wallSeconds", .seconds(wallNanoseconds)),
      .init("busySeconds", .seconds(tally.busyNanoseconds)),
      .init("cpuSeconds", .seconds(tally.cpuNanoseconds)),
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
    ]
  }

  private var findings: [JSONValue.Member] {
    [
      .init("failuresByChecker", failuresByCheckerJSON),
      .init("failures", .array(tally.failedRuns.map { Self.failureJSON($0) })),
      .init("determinism", .array(checks.map { Self.checkJSON($0) })),
      .init("coverage", Self.coverageJSON(tally.coverage)),
    ]
  }

  private var counters: [JSONValue.Member] {
    let marks = zip(Mark.allCases, tally.marks).map { (name: String($0.id), count: $1) }
    let contracts = zip(Contract.allCases, tally.contracts).map {
      (name: String($0.id), count: $1)
    }
    let examples = zip(Mark.allCases, tally.examples).map { mark, example in
      JSONValue.Member(String(mark.id), example.map { .integer($0.seed) } ?? .null)
    }
    let screened = zip(ScreenReason.allCases, tally.screened).map { (name: "\($0)", count: $1) }
    return [
      .init("faultsByPhase", faultsByPhaseJSON),
      .init("marks", .counts(marks)),
      .init("exampleSeeds", .object(examples)),
      .init("contracts", .counts(contracts)),
      .init("contractEvaluations", .integer(tally.contracts.reduce(0, +))),
      .init("contractsCompiledIn", .bool(ContractRecorder.isEnabled)),
      .init("screened", .counts(screened)),
    ]
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
    func names(_ names: [String]) -> JSONValue { .array(names.map { .string($0) }) }
    var excuses = CoverageRules.cells.map { rule in
      JSONValue.object([
        .init("faults", names(rule.faults.map { $0.name })),
        .init("phases", names(rule.phases)),
        .init("reason", .string(rule.reason)),
      ])
    }
    excuses += CoverageRules.contracts.map { exceptionJSON("contract", $0.subject.id, $0.reason) }
    excuses += CoverageRules.marks.map { exceptionJSON("mark", $0.subject.id, $0.reason) }
    return .object([
      .init("complete", .bool(coverage.isComplete)),
      .init("emptyCells", names(coverage.missingCells.map { $0.name })),
      .init("unreachedContracts", names(coverage.missingContracts)),
      .init("unreachedMarks", names(coverage.missingMarks)),
      .init("contradictions", names(coverage.contradictions)),
      .init("unreachableByDesign", .array(excuses)),
    ])
  }

  private static func exceptionJSON(_ kind: String, _ id: Substring, _ reason: String) -> JSONValue
  {
    .object([.init(kind, .string(String(id))), .init("reason", .string(reason))])
  }

  private var faultsByPhaseJSON: JSONValue {
    .object(
      FaultKind.allCases.map { fault in
        .init(
          fault.name,
          .counts(
            tally.faults.phaseNames.enumerated().map {
              (name: $1, count: tally.faults[fault, $0])
            }))
      })
  }
}
