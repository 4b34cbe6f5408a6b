import Protocol
import Testing

@testable import Simulator

/// What brings a run to moments that chance alone would hardly meet.
@Suite struct RareMomentTests {
  private let second: UInt64 = 1_000_000_000

  private func swarm(
    _ seed: UInt64, goal: UInt64 = 500, _ adjust: @escaping @Sendable (inout FaultPlan) -> Void
  ) -> Simulation<Chatter> {
    Chatter.simulation(
      seed: seed,
      SimulationConfiguration(
        nodes: 5, profile: .swarm,
        adjustPlan: {
          $0 = FaultPlan()
          $0.maximumDown = 2
          adjust(&$0)
        })
    ) {
      $0.goal = goal
      // Twenty ticks, the first phase, take longer than the part of a run that never ends it.
      $0.interval = .milliseconds(15)
    }
  }

  @Test func aDrowsyProcessSleepsBehindTheEffectsOfAStep() {
    var simulation = swarm(1) {
      $0.pauseInterval = 100_000
      $0.pauseAfterEffects = 1_000_000
    }
    var pauses = 0
    while simulation.world.runPhase == .safety {
      let (before, effects) = (simulation.world.faults[.nodePaused], simulation.effects)
      guard simulation.advance() else { break }
      guard simulation.world.faults[.nodePaused] > before else { continue }
      pauses += 1
      #expect(simulation.effects > effects, "it had just said something")
    }
    #expect(pauses > 10)
  }

  @Test func aRestartAtOnceIsSoonerThanAnyOther() {
    var early = 0
    for seed in UInt64(0)..<40 {
      var simulation = swarm(seed) {
        $0.downMinimum = 400_000
        $0.downMaximum = 800_000
        $0.restartAtOnce = 1_000_000
      }
      simulation.run(until: second)
      simulation.crashNow(NodeIndex(2))
      simulation.run(until: second + 200_000_000)
      if simulation.world.boots(of: NodeIndex(2)) == 2 { early += 1 }
      simulation.run(until: second + 400_000_001)
      #expect(simulation.world.boots(of: NodeIndex(2)) == 2)
    }
    #expect((5...35).contains(early), "anywhere below the minimum: \(early) in its first half")
  }

  @Test func theSafetyPhaseEndsWhereAProcessChangesItsPhase() {
    var simulation = swarm(3) { $0.endOnPhaseChange = 1_000_000 }
    while simulation.world.runPhase == .safety, simulation.advance() {}
    #expect(simulation.safetyNanoseconds > second / 5 && simulation.safetyNanoseconds < second / 2)
    #expect(simulation.world.phases.contains(1))
  }

  @Test func theLastPartitionStays() {
    var apart = 0
    for seed in UInt64(0)..<30 {
      var simulation = swarm(seed, goal: 50) {
        $0.partitionShapes = 1
        $0.partitionStability = 1_000
        $0.lastPartition = 1_000_000
      }
      while simulation.world.runPhase == .safety, simulation.advance() {}
      #expect(simulation.world.faults[.partitionIsolated] == 1)
      simulation.run(until: simulation.world.now + second / 10)
      // It isolates one; where that one belongs to the core, the core is healed.
      let alone = simulation.world.nodes.filter { node in
        simulation.world.nodes.allSatisfy {
          $0 == node || !simulation.world.isReachable(from: node, to: $0)
        }
      }
      apart += alone.count
      for node in alone { #expect(!simulation.world.core.contains(node)) }
    }
    #expect(apart > 1)
  }

  @Test func outsidersThatAreLostNeverComeBack() {
    var lost = 0
    for seed in UInt64(0)..<20 {
      var simulation = swarm(seed, goal: 50) { $0.outsiderLost = 1_000_000 }
      while simulation.world.runPhase == .safety, simulation.advance() {}
      let outside = simulation.world.nodes.subtracting(simulation.world.core)
      while simulation.advance() {}
      for node in simulation.world.nodes {
        #expect((simulation.world.states[node.index] == .down) == outside.contains(node))
      }
      lost += outside.count
    }
    #expect(lost > 5)
  }

  @Test func aimingAtPhasesGivesTheOddOneOutItsShare() {
    var simulation = swarm(5) { $0.aimAtPhases = 1_000_000 }
    simulation.world.phases = [1, 1, 1, 1, 0]
    var hits = [0, 0, 0, 0, 0]
    for _ in 0..<1_000 { hits[simulation.drawTarget(.process).index] += 1 }
    #expect((400...600).contains(hits[4]))
    for count in hits.prefix(4) { #expect((80...170).contains(count)) }
  }
}
