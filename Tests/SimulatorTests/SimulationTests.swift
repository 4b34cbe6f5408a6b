import Simulator
import Testing

@Suite struct SimulationTests {
  private func run(_ seed: UInt64, _ profile: FaultProfile = .swarm) -> RunResult<Chatter.Report> {
    var simulation = Chatter.simulation(
      seed: seed, SimulationConfiguration(nodes: 5, clients: 2, profile: profile)
    ) {
      $0.goal = 40
      $0.interval = .milliseconds(100)
    }
    return simulation.run()
  }

  @Test(arguments: FaultProfile.allCases)
  func correctTenantPasses(_ profile: FaultProfile) {
    for seed in UInt64(0)..<30 {
      let result = run(seed, profile)
      #expect(
        result.outcome == .passed,
        "seed \(seed): \(String(describing: result.violation)) \(result.plan)")
    }
  }

  @Test func sameSeedSameDigestWhateverRanBetween() {
    let first = (UInt64(0)..<20).map { run($0) }
    for seed in UInt64(500)..<510 { _ = run(seed, .unlimited) }
    for result in first {
      let again = run(result.seed)
      #expect(again.digest == result.digest)
      #expect(again.report == result.report)
      #expect(again.faults == result.faults)
    }
    #expect(Set(first.map { $0.digest.value }).count == first.count)
  }

  @Test func drawsOfTheTenantMoveNothingElse() {
    func run(_ extraDraws: Int) -> RunResult<Chatter.Report> {
      var simulation = Chatter.simulation(
        seed: 8, SimulationConfiguration(nodes: 5, clients: 1)
      ) {
        $0.goal = 20
        $0.interval = .milliseconds(100)
        $0.extraDraws = extraDraws
      }
      return simulation.run()
    }
    #expect(run(3).digest == run(0).digest && run(3).faults == run(0).faults)
  }

  @Test func everyFaultHappensInTheSwarm() {
    var table = FaultTable(phaseNames: Chatter.phaseNames)
    for seed in UInt64(0)..<100 { table.add(run(seed).faults) }
    // This tenant vouches for nothing on its disks, so no medium is damaged; it does not give up its states, and stores nothing
    // in memory.
    let others =
      MediumFault.allCases.map { $0.kind } + [
        .flushLied, .checkpointDamaged, .damagedAtRest, .stateFlipped, .fenceLied, .storeTorn,
        .crashedAtFence,
      ]
    for kind in FaultKind.allCases {
      #expect((table[kind] > 0) != others.contains(kind), "\(kind.name): \(table[kind])")
    }
  }
}
