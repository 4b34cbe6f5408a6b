internal import Protocol

/// The books of a campaign: sums over its runs, in any order, and its failures.
public struct CampaignTally: Equatable, Sendable {
  /// Enough of every run to compare it with another one of the same seed.
  public struct Entry: Equatable, Sendable {
    public var seed: UInt64
    public var digest: UInt64
    public var outcome: RunOutcome

    /// `seed digest outcome`.
    public var line: String { "\(seed) \(Hex.text(digest)) \(outcome.rawValue)" }
  }

  private var unsorted: [Entry] = []
  private var failed: [RunRecord] = []
  /// Runs by outcome, in the order of `RunOutcome.allCases`.
  private var outcomes = [UInt64](repeating: 0, count: RunOutcome.allCases.count)
  public private(set) var excused: UInt64 = 0
  public private(set) var searched: UInt64 = 0
  public private(set) var crashImages: UInt64 = 0
  public private(set) var groupsStored: UInt64 = 0
  public private(set) var filesRepaired: UInt64 = 0
  public private(set) var shortagesOfRoom: UInt64 = 0
  public private(set) var commandsWithoutRoom: UInt64 = 0
  public private(set) var messagesWithoutRoom: UInt64 = 0
  public private(set) var handoversForRoom: UInt64 = 0
  public private(set) var snapshotsWithoutRoom: UInt64 = 0
  public private(set) var startsWithoutRoom: UInt64 = 0
  public private(set) var statesCorrupted: UInt64 = 0
  public private(set) var divergencesFound: UInt64 = 0
  public private(set) var statesInfected: UInt64 = 0
  public private(set) var statesUnjudged: UInt64 = 0
  public private(set) var steps: UInt64 = 0
  public private(set) var events: UInt64 = 0
  public private(set) var effects: UInt64 = 0
  public private(set) var simulatedNanoseconds: UInt64 = 0
  /// Time that runs took, added up over all threads or processes.
  public private(set) var busyNanoseconds: UInt64 = 0
  public private(set) var cpuNanoseconds: UInt64 = 0
  public private(set) var commandsAcknowledged: UInt64 = 0
  public private(set) var readsAnswered: UInt64 = 0
  public private(set) var operationsUnknown: UInt64 = 0
  public private(set) var operationsRefused: UInt64 = 0
  public private(set) var slotsApplied: UInt64 = 0
  public private(set) var faults = FaultTable(phaseNames: PaxosSystem.phaseNames)
  public private(set) var contracts = [UInt64](repeating: 0, count: Contract.allCases.count)
  public private(set) var marks = [UInt64](repeating: 0, count: Mark.allCases.count)
  public private(set) var screened = [UInt64](repeating: 0, count: ScreenReason.allCases.count)

  /// For each mark, in the order of `Mark.allCases`, the shortest run that passed and reached it.
  public private(set) var examples = [Example?](repeating: nil, count: Mark.allCases.count)

  /// A run that shows something.
  public struct Example: Equatable, Sendable {
    public var seed: UInt64
    public var steps: UInt64
  }

  public init() {}

  public var runs: UInt64 { UInt64(unsorted.count) }
  public subscript(outcome: RunOutcome) -> UInt64 { outcomes[Self.index(outcome)] }
  public var failures: UInt64 { runs - self[.passed] }

  /// Every run, by seed.
  public var entries: [Entry] { unsorted.sorted { $0.seed < $1.seed } }
  /// Every failed run, by seed.
  public var failedRuns: [RunRecord] { failed.sorted { $0.seed < $1.seed } }

  private static func index(_ outcome: RunOutcome) -> Int {
    RunOutcome.allCases.firstIndex(of: outcome)!
  }

  /// Adds one run.
  public mutating func add(_ run: RunRecord) {
    unsorted.append(Entry(seed: run.seed, digest: run.digest, outcome: run.outcome))
    outcomes[Self.index(run.outcome)] += 1
    if run.failed { failed.append(run) }
    if run.excuse != nil { excused += 1 }
    if run.report.isSearched { searched += 1 }
    crashImages += run.report.crashImages
    groupsStored += run.report.groupsStored
    filesRepaired += run.report.filesRepaired
    shortagesOfRoom += run.report.shortagesOfRoom
    commandsWithoutRoom += run.report.commandsWithoutRoom
    messagesWithoutRoom += run.report.messagesWithoutRoom
    handoversForRoom += run.report.handoversForRoom
    snapshotsWithoutRoom += run.report.snapshotsWithoutRoom
    startsWithoutRoom += run.report.startsWithoutRoom
    statesCorrupted += run.report.statesCorrupted
    divergencesFound += run.report.divergencesFound
    statesInfected += run.report.statesInfected
    statesUnjudged += run.report.statesUnjudged
    steps += run.report.protocolSteps
    events += run.events
    effects += run.effects
    simulatedNanoseconds += run.simulatedNanoseconds
    busyNanoseconds += run.wallNanoseconds
    cpuNanoseconds += run.cpuNanoseconds
    commandsAcknowledged += run.report.commandsAcknowledged
    readsAnswered += run.report.readsAnswered
    operationsUnknown += run.report.operationsUnknown
    operationsRefused += run.report.operationsRefused
    slotsApplied += run.report.slotsApplied
    faults.add(run.faults)
    Self.add(run.report.contracts, to: &contracts)
    Self.add(run.report.marks, to: &marks)
    Self.add(run.report.screened, to: &screened)
    if !run.failed { addExamples(run) }
  }

  private mutating func addExamples(_ run: RunRecord) {
    let example = Example(seed: run.seed, steps: run.report.protocolSteps)
    for i in examples.indices where i < run.report.marks.count && run.report.marks[i] > 0 {
      // The order of runs must not matter, so equally long ones are told apart by their seeds.
      if let known = examples[i], (known.steps, known.seed) <= (example.steps, example.seed) {
        continue
      }
      examples[i] = example
    }
  }

  private static func add(_ more: [UInt64], to sums: inout [UInt64]) {
    for i in sums.indices where i < more.count { sums[i] += more[i] }
  }

  public var coverage: Coverage { Coverage(faults: faults, contracts: contracts, marks: marks) }

  /// Failures by what found them, the most frequent first, then by name.
  public var failuresByChecker: [(checker: String, seeds: [UInt64])] {
    var groups: [(checker: String, seeds: [UInt64])] = []
    for run in failedRuns {
      let checker = run.violation?.checker ?? run.outcome.rawValue
      if let i = groups.firstIndex(where: { $0.checker == checker }) {
        groups[i].seeds.append(run.seed)
      } else {
        groups.append((checker, [run.seed]))
      }
    }
    return groups.sorted {
      $0.seeds.count != $1.seeds.count ? $0.seeds.count > $1.seeds.count : $0.checker < $1.checker
    }
  }

  /// One line per run by seed, as `fuzz --digests` writes them: equal files mean equal runs.
  public var digestLines: String { entries.map { $0.line + "\n" }.joined() }

  /// One word for all digests, seeds and outcomes together.
  public var combinedDigest: UInt64 {
    var digest = TraceDigest()
    for entry in entries {
      digest.mix(entry.seed)
      digest.mix(entry.digest)
      digest.mix(UInt64(Self.index(entry.outcome)))
    }
    return digest.value
  }
}

/// A seed that was run once more in a process of its own, to see that nothing leaked into or out of
/// its first run.
public struct DeterminismCheck: Equatable, Sendable {
  public var seed: UInt64
  public var campaign: UInt64
  /// nil when the fresh process died.
  public var fresh: UInt64?
  /// Where the two runs part, in words; nil when they are alike or it could not be found.
  public var divergence: String?

  public init(seed: UInt64, campaign: UInt64, fresh: UInt64?, divergence: String? = nil) {
    self.seed = seed
    self.campaign = campaign
    self.fresh = fresh
    self.divergence = divergence
  }

  public var passed: Bool { campaign == fresh }

  /// The seeds of a campaign that are checked: one of `stride`, and at least the first and the
  /// last.
  public static func selection(_ seeds: [UInt64], stride: Int = 64) -> [UInt64] {
    guard let first = seeds.first, let last = seeds.last else { return [] }
    var chosen = Swift.stride(from: 0, to: seeds.count, by: max(1, stride)).map { seeds[$0] }
    if first != last && chosen.last != last { chosen.append(last) }
    return chosen
  }
}

extension DeterminismCheck {
  /// The events among which two runs of one seed part, by checkpoints kept after every `every`
  /// events.
  ///
  /// - Parameter agreed: up to this event they are known to be alike.
  /// - Returns: nil when all checkpoints agree and there are equally many.
  public static func window(
    _ a: [TraceDigest.Checkpoint], _ b: [TraceDigest.Checkpoint], every: UInt64,
    agreed: UInt64 = 0
  ) -> ClosedRange<UInt64>? {
    var agreed = agreed
    for (x, y) in zip(a, b) {
      if x != y { return agreed + 1...max(agreed + 1, min(x.event, y.event)) }
      agreed = x.event
    }
    return a.count == b.count ? nil : agreed + 1...agreed + max(1, every)
  }
}
