public import Protocol

/// What a campaign of the Paxos tenant cannot reach, and why: the only place where an empty cell is
/// excused.
///
/// Anything not listed here must be reached by a campaign of the default swarm that is large
/// enough; `rsl-sim fuzz --require-coverage` fails when it is not.
public enum CoverageRules {
  /// Faults that cannot happen in some phases.
  public struct Cells: Sendable {
    public var faults: [FaultKind]
    /// Names from `PaxosSystem.phaseNames`.
    public var phases: [String]
    public var reason: String
  }

  /// One contract or mark that is not reached.
  public struct Exception<Subject: Sendable>: Sendable {
    public var subject: Subject
    public var reason: String
  }

  private static let all = PaxosSystem.phaseNames
  private static func allBut(_ phases: String...) -> [String] {
    all.filter { !phases.contains($0) }
  }
  private static let processFaults: [FaultKind] = [
    .flushSlow, .flushStalled, .flushFailed, .writeLost, .writeTorn, .storeTorn, .nodeCrashed,
    .crashBetweenEffects, .crashDuringFlush, .crashedAtFence, .restartStorm, .nodePaused,
  ]
  private static let mediumFaults =
    MediumFault.allCases.map { $0.kind } + [.flushLied, .fenceLied, .checkpointDamaged]
  private static let partitions: [FaultKind] = [
    .partitionIsolated, .partitionSplit, .partitionOneWay, .partitionRing, .partitionBridge,
    .partitionChained, .powerFailed,
  ]

  /// The cells of the fault × phase table that stay empty by design.
  public static let cells: [Cells] = [
    Cells(
      faults: processFaults, phases: ["client"],
      reason: "clients have no disk and are not crashed or paused"),
    Cells(
      faults: mediumFaults, phases: allBut("down"),
      reason: "bytes are damaged while no process runs on them"),
    Cells(
      faults: [.damagedAtRest], phases: ["suspect", "down", "client"],
      reason: "only what a sound process runs on is damaged behind its back"),
    Cells(
      faults: [.diskFilled], phases: ["client"],
      reason: "clients have no disk"),
    Cells(
      faults: [.clockStepped, .clockFrozen], phases: ["client"],
      reason: "only the clocks of processes are set or stopped"),
    Cells(
      faults: [.stateFlipped], phases: ["down", "client"],
      reason: "only a running replica has a state"),
    Cells(
      faults: [.clockDrifted], phases: Array(all.dropFirst()),
      reason: "a clock has its rate from the start; it counts before anything has happened"),
    Cells(
      faults: [.crashBetweenEffects], phases: ["down"],
      reason:
        "a process that starts, which counts as down, waits for its first flush and does nothing else"
    ),
    Cells(
      faults: [.restartStorm], phases: allBut("down"),
      reason: "a storm strikes at a restart, when the process is not up yet"),
    Cells(
      faults: partitions, phases: allBut("electing", "leading"),
      reason: "faults of the whole cluster count where the cluster is: with a leader or without"),
  ]

  /// Contracts that no campaign of this tenant evaluates.
  public static let contracts: [Exception<Contract>] = []

  /// Marks that no campaign of this tenant reaches.
  public static let marks: [Exception<Mark>] = []

  /// Why a fault cannot happen in a phase; nil when it can.
  public static func reason(_ fault: FaultKind, phase: String) -> String? {
    cells.first { $0.faults.contains(fault) && $0.phases.contains(phase) }?.reason
  }

  /// Why a contract is not evaluated; nil when it should be.
  public static func reason(_ contract: Contract) -> String? {
    contracts.first { $0.subject == contract }?.reason
  }

  /// Why a mark is not reached; nil when it should be.
  public static func reason(_ mark: Mark) -> String? {
    marks.first { $0.subject == mark }?.reason
  }
}

/// What a campaign reached of what there is.
public struct Coverage: Equatable, Sendable {
  /// One cell of the fault × phase table.
  public struct Cell: Equatable, Sendable {
    public var fault: FaultKind
    public var phase: String
    public var count: UInt64
    /// Why it stays empty by design; nil when it can be reached.
    public var unreachable: String?

    /// Empty although it can be reached.
    public var isMissing: Bool { count == 0 && unreachable == nil }
    /// Reached although the rules say that it cannot be: the rule is wrong.
    public var contradictsRule: Bool { count > 0 && unreachable != nil }
    public var name: String { "\(fault.name) × \(phase)" }
  }

  /// Row by row: all phases of the first fault, then the next fault.
  public var cells: [Cell]
  /// IDs of contracts that were not evaluated although they can be.
  public var missingContracts: [String]
  /// IDs of marks that were not reached although they can be.
  public var missingMarks: [String]
  /// Contracts and marks that were reached although the rules say that they cannot be.
  public var contradictions: [String]

  public init(faults: FaultTable, contracts: [UInt64], marks: [UInt64]) {
    cells = FaultKind.allCases.flatMap { fault in
      faults.phaseNames.indices.map { phase in
        let name = faults.phaseNames[phase]
        return Cell(
          fault: fault, phase: name, count: faults[fault, phase],
          unreachable: CoverageRules.reason(fault, phase: name))
      }
    }
    missingContracts = []
    missingMarks = []
    contradictions = cells.filter { $0.contradictsRule }.map { $0.name }
    if ContractRecorder.isEnabled {
      for (contract, count) in zip(Contract.allCases, contracts) {
        let excused = CoverageRules.reason(contract) != nil
        if count == 0 && !excused { missingContracts.append(String(contract.id)) }
        if count > 0 && excused { contradictions.append(String(contract.id)) }
      }
      for (mark, count) in zip(Mark.allCases, marks) {
        let excused = CoverageRules.reason(mark) != nil
        if count == 0 && !excused { missingMarks.append(String(mark.id)) }
        if count > 0 && excused { contradictions.append(String(mark.id)) }
      }
    }
  }

  public var missingCells: [Cell] { cells.filter { $0.isMissing } }

  /// Everything that can be reached was, and nothing that cannot be.
  public var isComplete: Bool {
    missingCells.isEmpty && missingContracts.isEmpty && missingMarks.isEmpty
      && contradictions.isEmpty
  }

  /// The fault × phase table: counts, `·` where nothing can happen, `EMPTY` where something should
  /// have.
  public var table: [String] {
    let phases = PaxosSystem.phaseNames
    var table = TextTable(header: ["fault"] + phases)
    for (row, fault) in FaultKind.allCases.enumerated() {
      let cells = cells[row * phases.count..<(row + 1) * phases.count]
      table.add(
        [fault.name]
          + cells.map { cell in
            if cell.count > 0 {
              return Decimals.short(cell.count) + (cell.contradictsRule ? "!" : "")
            }
            return cell.isMissing ? "EMPTY" : "·"
          })
    }
    return table.lines
  }
}
