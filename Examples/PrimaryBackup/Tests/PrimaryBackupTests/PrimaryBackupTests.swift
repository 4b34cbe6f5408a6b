import PrimaryBackup
import Simulator
import Testing

@Suite struct PrimaryBackupTests {
  private func run(
    _ seed: UInt64, _ bug: PlantedBug = .none, _ profile: FaultProfile = .swarm
  )
    -> RunResult<RegisterSystem.Report>
  {
    var simulation = RegisterSystem.simulation(seed: seed, bug: bug, profile: profile)
    return simulation.run()
  }

  @Test(arguments: FaultProfile.allCases)
  func theRegisterHolds(_ profile: FaultProfile) {
    for seed in UInt64(0)..<100 {
      let result = run(seed, .none, profile)
      #expect(
        result.outcome == .passed,
        "seed \(seed): \(result.violation?.sentence ?? "") with \(result.plan)")
      if profile != .unlimited { #expect(result.report.answered >= 100) }
    }
  }

  @Test(arguments: PlantedBug.allCases.filter { $0 != .none })
  func thePlantedBugIsFound(_ bug: PlantedBug) throws {
    let found = (UInt64(0)..<2000).first { run($0, bug).outcome == .safety }
    let seed = try #require(found, "\(bug) was not found")
    // The same seed tells the same story every time, and only the bug makes the difference.
    let result = run(seed, bug)
    #expect(result.violation == run(seed, bug).violation)
    #expect(result.violation?.checker == "linearizability")
    #expect(run(seed).outcome == .passed)
    print("\(bug): seed \(seed), \(result.violation!.sentence)")
  }

  @Test func aTraceTellsTheStory() {
    var simulation = RegisterSystem.simulation(
      seed: 3, profile: .calm, trace: TraceOptions(linesPerNode: 10, full: true))
    let result = simulation.run()
    #expect(result.trace.lines.contains { $0.contains("newView") })
    #expect(result.trace.lastLines(of: [NodeIndex(0)]).count == 10)
  }
}
