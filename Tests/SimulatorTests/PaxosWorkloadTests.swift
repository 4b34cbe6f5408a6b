import Protocol
import Simulator
import Testing

/// What the clients of a run are there for.
@Suite struct PaxosWorkloadTests {
  @Test func aHealedCorePerformsANewWriteOfEveryClient() {
    for seed in UInt64(1)...10 {
      let result = PaxosSimulation.run(seed: seed)
      #expect(result.outcome == .passed, "seed \(seed)")
      #expect(result.report.demandsMet == UInt64(result.report.clients), "seed \(seed)")
    }
  }

  @Test(arguments: [FaultProfile.calm, .unlimited])
  func otherProfilesDemandNothing(_ profile: FaultProfile) {
    var options = PaxosOptions()
    options.profile = profile
    options.commands = 20
    #expect(PaxosSimulation.run(seed: 3, options).report.demandsMet == 0)
  }

  /// Disks so slow that nobody is ever elected. The drawn operations all end by their deadlines and no replica is behind
  /// another, so only the new writes can tell.
  @Test func aCoreThatTakesNoNewWorkMakesNoProgress() {
    var options = PaxosOptions()
    options.commands = 20
    options.adjustPlan = {
      $0 = FaultPlan()
      $0.flushBase = 200_000_000
    }
    let result = PaxosSimulation.run(seed: 1, options)
    #expect(result.violation?.checker == "progress")
    #expect(result.report.commandsAcknowledged == 0)
    #expect(result.report.demandsMet == 0)
  }
}
