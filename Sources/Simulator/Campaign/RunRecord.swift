internal import Protocol

/// What one run left behind, flat and without its trace: the entry of a campaign, and what `rsl-sim
/// run` prints.
public struct RunRecord: Equatable, Sendable {
  public var seed: UInt64
  public var settings: RunSettings
  public var outcome: RunOutcome
  public var digest: UInt64
  /// What was found, when the run failed. A crash has one as well, made up by whoever saw the
  /// process die.
  public var violation: Violation?
  /// Simulated nanoseconds at which the run ended: with a violation, when it was found.
  public var simulatedNanoseconds: UInt64
  public var safetyNanoseconds: UInt64
  public var excuse: LivenessExcuse?
  public var events: UInt64
  public var effects: UInt64
  public var report: PaxosReport
  public var packets: PacketCounts
  public var faults: FaultTable
  /// The plan's differences from a quiet one, as text.
  public var plan: String
  /// Measured by the host; 0 when it did not. Not part of equality in spirit: compare digests.
  public var wallNanoseconds: UInt64
  /// Processor time of the thread that ran it; 0 when the host did not measure it.
  public var cpuNanoseconds: UInt64

  /// The record of a run that has ended, or of a run so far.
  public init(_ result: RunResult<PaxosReport>, _ settings: RunSettings) {
    seed = result.seed
    self.settings = settings
    outcome = result.outcome
    digest = result.digest.value
    violation = result.violation
    simulatedNanoseconds = result.simulatedNanoseconds
    safetyNanoseconds = result.safetyNanoseconds
    excuse = result.excuse
    events = result.events
    effects = result.effects
    report = result.report
    packets = result.packets
    faults = result.faults
    plan = result.plan.description
    wallNanoseconds = 0
    cpuNanoseconds = 0
  }

  /// The record of a run whose process died: nothing but the seed and what is known about the death
  /// is left of it.
  public init(crashed seed: UInt64, _ settings: RunSettings, sentence: String) {
    self.seed = seed
    self.settings = settings
    outcome = .crash
    digest = 0
    violation = Violation(kind: .safety, checker: Self.crashChecker, sentence: sentence)
    simulatedNanoseconds = 0
    safetyNanoseconds = 0
    events = 0
    effects = 0
    report = PaxosReport()
    packets = PacketCounts()
    faults = FaultTable(phaseNames: PaxosSystem.phaseNames)
    plan = ""
    wallNanoseconds = 0
    cpuNanoseconds = 0
  }

  /// What the checker of a crash is called.
  public static let crashChecker = "process.crash"

  public var digestText: String { Hex.text(digest) }
  public var replayCommand: String { settings.replayCommand(seed: seed) }
  public var failed: Bool { outcome != .passed }

  /// The record without what differs from machine to machine: what two runs of one seed must have
  /// in common.
  public var withoutMeasurements: RunRecord {
    var copy = self
    copy.wallNanoseconds = 0
    copy.cpuNanoseconds = 0
    return copy
  }
}

extension RunRecord {
  /// The record as `rsl-sim run --format json` prints it.
  public var json: JSONValue { .object(figures + findings) }

  private var figures: [JSONValue.Member] {
    [
      .init("seed", .integer(seed)),
      .init("profile", .string(settings.profile.rawValue)),
      .init("outcome", .string(outcome.rawValue)),
      .init("digest", .string(digestText)),
      .init("steps", .integer(report.protocolSteps)),
      .init("events", .integer(events)),
      .init("effects", .integer(effects)),
      .init("simulatedSeconds", .seconds(simulatedNanoseconds)),
      .init("safetySeconds", .seconds(safetyNanoseconds)),
      .init("wallSeconds", .seconds(wallNanoseconds)),
      .init("replicas", .count(report.replicas)),
      .init("clients", .count(report.clients)),
      .init("commandsAcknowledged", .integer(report.commandsAcknowledged)),
      .init("readsAnswered", .integer(report.readsAnswered)),
      .init("operationsUnknown", .integer(report.operationsUnknown)),
      .init("operationsRefused", .integer(report.operationsRefused)),
      .init("demandsMet", .integer(report.demandsMet)),
      .init("slotsApplied", .integer(report.slotsApplied)),
      .init("leaderships", .integer(report.leaderships)),
      .init("searched", .bool(report.isSearched)),
      .init("crashImages", .integer(report.crashImages)),
      .init("groupsStored", .integer(report.groupsStored)),
      .init("filesRepaired", .integer(report.filesRepaired)),
      .init("shortagesOfRoom", .integer(report.shortagesOfRoom)),
      .init("commandsWithoutRoom", .integer(report.commandsWithoutRoom)),
      .init("messagesWithoutRoom", .integer(report.messagesWithoutRoom)),
      .init("handoversForRoom", .integer(report.handoversForRoom)),
      .init("snapshotsWithoutRoom", .integer(report.snapshotsWithoutRoom)),
      .init("startsWithoutRoom", .integer(report.startsWithoutRoom)),
      .init("statesCorrupted", .integer(report.statesCorrupted)),
      .init("divergencesFound", .integer(report.divergencesFound)),
      .init("statesInfected", .integer(report.statesInfected)),
      .init("statesUnjudged", .integer(report.statesUnjudged)),
    ]
  }

  private var findings: [JSONValue.Member] {
    [
      .init("violation", violationJSON),
      .init("excuse", excuseJSON),
      .init("packets", .counts(packetCounts)),
      .init("faults", .counts(faults.totals)),
      .init("marks", .counts(markCounts)),
      .init("contracts", .counts(contractCounts)),
      .init("screened", .counts(screenCounts)),
      .init("contractsCompiledIn", .bool(ContractRecorder.isEnabled)),
      .init("plan", .string(plan)),
      .init("replay", .string(replayCommand)),
    ]
  }

  var violationJSON: JSONValue {
    guard let violation else { return .null }
    return .object([
      .init("checker", .string(violation.checker)),
      .init("sentence", .string(violation.sentence)),
      .init("nodes", .array(violation.nodes.map { .string($0.description) })),
      .init("at", .number(Double(simulatedNanoseconds) / 1e9)),
    ])
  }

  private var excuseJSON: JSONValue {
    guard let excuse else { return .null }
    return .object([
      .init("name", .string(excuse.name)),
      .init("witness", .string(excuse.witness)),
      .init("nodes", .array(excuse.nodes.map { .string($0.description) })),
    ])
  }

  private var packetCounts: [(name: String, count: UInt64)] {
    [
      ("sent", packets.sent), ("delivered", packets.delivered),
      ("undeliverable", packets.undeliverable), ("rejected", packets.rejected),
    ]
  }
  private var markCounts: [(name: String, count: UInt64)] {
    zip(Mark.allCases, report.marks).map { (String($0.id), $1) }
  }
  private var contractCounts: [(name: String, count: UInt64)] {
    zip(Contract.allCases, report.contracts).map { (String($0.id), $1) }
  }
  private var screenCounts: [(name: String, count: UInt64)] {
    zip(ScreenReason.allCases, report.screened).map { ("\($0)", $1) }
  }

  /// The record for people.
  public var lines: [String] {
    var table = TextTable(header: [], alignments: [.left, .left])
    func row(_ name: String, _ value: String) { table.add([name, value]) }
    row("seed", "\(seed)")
    row("outcome", outcome.rawValue)
    row("digest", digestText)
    row(
      "cluster",
      "\(report.replicas) replicas, \(report.clients) clients, profile "
        + settings.profile.rawValue)
    row(
      "steps",
      "\(Decimals.grouped(report.protocolSteps)) of replicas, "
        + "\(Decimals.grouped(events)) events, \(Decimals.grouped(effects)) effects")
    row(
      "time",
      "\(DurationText.text(simulatedNanoseconds)) simulated"
        + (wallNanoseconds > 0
          ? " in \(Decimals.text(Double(wallNanoseconds) / 1e6, places: 1)) ms" : ""))
    row(
      "clients",
      "\(report.commandsAcknowledged) commands acknowledged, \(report.readsAnswered) "
        + "reads answered, \(report.operationsRefused) refused, \(report.operationsUnknown) unknown"
    )
    row("log", "\(report.slotsApplied) slots applied, \(report.leaderships) leaderships")
    row("plan", plan)
    row("faults", Self.list(faults.totals))
    row("marks", Self.list(markCounts))
    let evaluated = report.contracts.filter { $0 > 0 }.count
    row(
      "contracts",
      ContractRecorder.isEnabled
        ? "\(Decimals.grouped(report.contracts.reduce(0, +))) evaluations of \(evaluated) of "
          + "\(report.contracts.count)"
        : "not compiled into this build")
    if let excuse { row("excuse", "\(excuse.name): \(excuse.witness)") }
    if let violation {
      row("violation", "\(violation.checker)")
      row("", violation.sentence)
    }
    row("replay", replayCommand)
    return table.lines
  }

  private static func list(_ counts: [(name: String, count: UInt64)]) -> String {
    let present = counts.filter { $0.count > 0 }.map { "\($0.name) \($0.count)" }
    return present.isEmpty ? "none" : present.joined(separator: ", ")
  }
}
