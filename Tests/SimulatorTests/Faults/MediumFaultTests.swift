import Protocol
import Testing

@testable import Simulator

/// Damaged media in the Paxos tenant.
@Suite struct MediumFaultTests {
  private func options(
    _ profile: FaultProfile = .swarm, replicas: Int = 5,
    _ adjust: @escaping @Sendable (inout FaultPlan) -> Void
  ) -> PaxosOptions {
    var options = PaxosOptions()
    options.profile = profile
    options.replicas = replicas
    options.commands = 60
    options.adjustPlan = adjust
    return options
  }

  /// No more than a minority is damaged at the same time, and within the fault budget.
  @Test(arguments: UInt64(1)...4)
  func aMajorityStaysSound(_ maximumDown: UInt64) {
    var highest = 0
    for seed in UInt64(1)...3 {
      var simulation = PaxosSimulation.make(
        seed: seed,
        options {
          $0.mediumFaults = 0xFF
          $0.mediumInterval = 100_000
          $0.mediumAtCrash = 500_000
          $0.crashInterval = 100_000
          $0.maximumDown = maximumDown
        })
      while simulation.advance() { highest = max(highest, simulation.world.damaged.count) }
      #expect(simulation.result.outcome == .passed)
    }
    #expect(highest == min(2, Int(maximumDown)))
  }

  @Test func everyKindHappensAndSuspectsAreCured() {
    var table = FaultTable(phaseNames: PaxosSystem.phaseNames)
    var cured: UInt64 = 0
    let mark = Mark.allCases.firstIndex(of: .suspectCured)!
    for seed in UInt64(1)...20 {
      let result = PaxosSimulation.run(
        seed: seed,
        options {
          $0.mediumFaults = 0xFF
          $0.mediumInterval = 200_000
          $0.flushLie = 200_000
          $0.flushFailure = 10_000
          $0.maximumDown = 2
        })
      #expect(result.outcome == .passed, "seed \(seed): \(result.violation?.sentence ?? "")")
      table.add(result.faults)
      cured += result.report.marks[mark]
    }
    for kind in MediumFault.allCases.map({ $0.kind }) + [
      .flushLied, .flushFailed, .checkpointDamaged,
    ] {
      #expect(table[kind] > 0, "\(kind.name)")
    }
    #expect(!ContractRecorder.isEnabled || cured > 20)
  }

  /// Damage under running replicas, and almost no other fault: each is found and repaired, whatever it is and wherever.
  @Test func whatIsDamagedAtRestIsRepairedFromMemory() {
    var (struck, repaired): (UInt64, UInt64) = (0, 0)
    for seed in UInt64(1)...20 {
      let result = PaxosSimulation.run(
        seed: seed,
        options(replicas: 3) {
          $0.mediumFaults = 0xFF
          ($0.mediumInterval, $0.mediumAtCrash, $0.crashInterval) = (0, 0, 0)
          ($0.crashOnPhaseChange, $0.powerFailureInterval, $0.flushFailure) = (0, 0, 0)
          $0.atRestInterval = 50_000
          $0.maximumDown = 1
        })
      #expect(result.outcome == .passed, "seed \(seed): \(result.violation?.sentence ?? "")")
      struck += result.faults[.damagedAtRest]
      repaired += result.report.filesRepaired
    }
    #expect(struck > 50)
    // Some of it hits what no file holds any more when it is looked for, or what nobody reads.
    #expect(repaired > struck / 4, "\(repaired) of \(struck)")
  }

  /// Without a budget a majority of suspects is silent, and nobody is ever wrong.
  @Test func withoutABudgetOnlySafetyIsLeft() {
    var highest = 0
    for seed in UInt64(1)...8 {
      var simulation = PaxosSimulation.make(
        seed: seed,
        options(.unlimited, replicas: 3) {
          $0.mediumFaults = 0xFF
          $0.mediumInterval = 50_000
        })
      while simulation.advance() { highest = max(highest, simulation.world.damaged.count) }
      #expect(simulation.result.outcome == .passed)
    }
    #expect(highest == 3)
  }

  /// What may be damaged is proven by what may not: a record behind it, durable, says that it was durable.
  @Test func theNewestRecordsAreNotDamaged() {
    var simulation = PaxosSimulation.make(seed: 3, options { $0 = FaultPlan() })
    simulation.run(until: 2_000_000_000)
    for node in simulation.world.nodes {
      let files = simulation.system.vouched(node, simulation.world)
      let journals = simulation.world.disk(node).names.filter { $0.hasPrefix("journal-") }
      #expect(files.contains { $0.name.hasPrefix("journal-") })
      let last = files.first { $0.name == journals.last! }
      let size = simulation.world.size(node, file: journals.last!)!
      #expect(last.map { !$0.isWhole && $0.count < size } ?? true)
      #expect(files.count { !$0.isWhole } <= 1)
    }
  }
}
