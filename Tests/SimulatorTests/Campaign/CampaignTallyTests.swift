import Protocol
import Testing

@testable import Simulator

@Suite struct CampaignTallyTests {
  static let records =
    (1...6).map { CampaignFixtures.run($0) } + [
      CampaignFixtures.failed(7), CampaignFixtures.failed(8, .liveness, checker: "progress"),
      CampaignFixtures.failed(9),
      RunRecord(crashed: 10, RunSettings(commands: 30), sentence: "signal 4"),
    ]

  @Test func theOrderOfRunsDoesNotMatter() {
    let forward = CampaignFixtures.tally(Self.records)
    let backward = CampaignFixtures.tally(Self.records.reversed())
    #expect(forward.digestLines == backward.digestLines)
    #expect(forward.combinedDigest == backward.combinedDigest)
    #expect(forward.failedRuns == backward.failedRuns)
    #expect(forward.contracts == backward.contracts)
    #expect(forward.faults == backward.faults)
    #expect(forward.steps == backward.steps)
  }

  @Test func sumsAreSums() {
    let tally = CampaignFixtures.tally(Self.records)
    #expect(tally.runs == 10)
    #expect(tally[.passed] == 6)
    #expect(tally[.safety] == 2)
    #expect(tally[.liveness] == 1)
    #expect(tally[.crash] == 1)
    #expect(tally.failures == 4)
    #expect(tally.steps == Self.records.map { $0.report.protocolSteps }.reduce(0, +))
    #expect(tally.events == Self.records.map { $0.events }.reduce(0, +))
    #expect(
      tally.faults[.packetLost] == Self.records.map { $0.faults[.packetLost] }.reduce(0, +))
    for i in Contract.allCases.indices {
      #expect(tally.contracts[i] == Self.records.map { $0.report.contracts[i] }.reduce(0, +))
    }
  }

  @Test func theShortestRunThatPassedIsTheExample() throws {
    let mark = try #require(Mark.allCases.firstIndex { $0.id == "batchGrew" })
    func run(
      _ seed: UInt64, steps: UInt64, count: UInt64, _ outcome: RunOutcome = .passed
    )
      -> RunRecord
    {
      var record = Self.records[0]
      record.seed = seed
      record.outcome = outcome
      record.report.protocolSteps = steps
      record.report.marks[mark] = count
      return record
    }
    let runs = [
      run(1, steps: 90, count: 1), run(2, steps: 50, count: 7), run(3, steps: 10, count: 0),
      run(4, steps: 5, count: 1, .safety), run(5, steps: 50, count: 1),
    ]
    for order in [runs, runs.reversed()] {
      let example = CampaignFixtures.tally(order).examples[mark]
      #expect(example == CampaignTally.Example(seed: 2, steps: 50))
    }
  }

  @Test func failuresAreGroupedByWhoFoundThem() {
    let groups = CampaignFixtures.tally(Self.records).failuresByChecker
    #expect(groups.map { $0.checker } == ["agreement.slot", "process.crash", "progress"])
    #expect(groups.map { $0.seeds } == [[7, 9], [10], [8]])
  }

  @Test func oneOtherDigestChangesTheCombinedOne() {
    var changed = Self.records
    changed[3].digest ^= 1
    #expect(
      CampaignFixtures.tally(changed).combinedDigest
        != CampaignFixtures.tally(Self.records).combinedDigest)
  }

  @Test func digestLinesAreSeedDigestOutcome() {
    let lines = CampaignFixtures.tally(Self.records).digestLines.split(separator: "\n")
    #expect(lines.count == 10)
    #expect(lines[6] == "7 \(Self.records[6].digestText) safety")
  }

  // MARK: Determinism

  @Test(
    arguments: [
      ([], []), ([5], [5]), ([5, 6], [5, 6]), (Array(1...64), [1, 64]),
      (Array(1...65), [1, 65]), (Array(1...200), [1, 65, 129, 193, 200]),
    ] as [([UInt64], [UInt64])])
  func someSeedsAreRunAgain(_ seeds: [UInt64], _ chosen: [UInt64]) {
    #expect(DeterminismCheck.selection(seeds) == chosen)
  }

  @Test func theWindowHoldsTheFirstDivergence() {
    typealias Checkpoint = TraceDigest.Checkpoint
    let a = (1...5).map { Checkpoint(event: $0 * 10, digest: $0) }
    var b = a
    #expect(DeterminismCheck.window(a, b, every: 10) == nil)
    b[2].digest = 99
    #expect(DeterminismCheck.window(a, b, every: 10) == 21...30)
    b = Array(a.prefix(3))
    #expect(DeterminismCheck.window(a, b, every: 10) == 31...40)
    #expect(DeterminismCheck.window([], a, every: 1, agreed: 70) == 71...71)
  }

  @Test func theFirstDivergentEventIsNamed() throws {
    // Two runs that differ in one thing that matters late: the end of the safety phase.
    func checkpoints(
      _ safety: UInt64, _ rule: TraceDigest.CheckpointRule
    )
      -> [TraceDigest.Checkpoint]
    {
      var options = RunSettings(commands: 200).options
      options.checkpoints = rule
      options.adjustPlan = { $0.safetyDuration = safety }
      return PaxosSimulation.run(seed: 2, options).digest.checkpoints
    }
    let window = try #require(
      DeterminismCheck.window(
        checkpoints(400_000, .every(64)), checkpoints(500_000, .every(64)), every: 64))
    let event = try #require(
      DeterminismCheck.window(
        checkpoints(400_000, .every(1, in: window)), checkpoints(500_000, .every(1, in: window)),
        every: 1, agreed: window.lowerBound - 1))
    #expect(event.count == 1)
    #expect(window.contains(event.lowerBound))
  }
}
