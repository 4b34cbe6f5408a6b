import Simulator
import Testing

@Suite struct FaultPlanTests {
  private func draw(_ seed: UInt64, _ profile: FaultProfile, nodes: Int = 5) -> FaultPlan {
    var streams = RandomStreams(seed: seed)
    return FaultPlan.draw(profile, nodes: nodes, from: &streams)
  }

  @Test func aPlanPrintsInOneLineWhatDiffersFromNoFaults() {
    #expect(FaultPlan().description == "no faults")
    var plan = FaultPlan()
    plan.packetLoss = 5_000
    plan.tornGranularity = 8
    #expect(plan.description == "packetLoss=5000 tornGranularity=8")
  }

  @Test func everyFieldIsListedAndCanBeSetByItsName() {
    var plan = FaultPlan()
    let names = plan.values.map { $0.name }
    #expect(Set(names).count == names.count)
    // A field that is not listed would not be printed, compared or edited.
    #expect(names.count == MemoryLayout<FaultPlan>.size / MemoryLayout<UInt64>.size)
    for (index, name) in names.enumerated() {
      let known = plan.set(name, to: UInt64(1_000 + index))
      #expect(known)
    }
    #expect(plan.values.map { $0.value } == names.indices.map { UInt64(1_000 + $0) })
    let known = plan.set("packetloss", to: 1)
    #expect(!known)
  }

  @Test func featuresAreLeftOutInAboutHalfOfTheRuns() {
    let plans = (UInt64(0)..<1_000).map { draw($0, .swarm) }
    for feature in [
      \FaultPlan.packetLoss, \.packetDuplication, \.packetReorder, \.packetCorruption,
      \.packetReplay, \.partitionInterval, \.slowLinkInterval, \.crashInterval, \.restartStorm,
      \.pauseInterval, \.flushSlow, \.flushStall, \.clockDrift, \.clockStepInterval,
      \.clockFreezeInterval, \.crashOnPhaseChange, \.flushFailure, \.flushLie, \.mediumInterval,
      \.mediumAtCrash,
    ] {
      let present = plans.count { $0[keyPath: feature] != 0 }
      #expect((430...570).contains(present))
    }
    // Rare by nature, so in three of four.
    #expect((700...800).contains(plans.count { $0.tornWrite != 0 }))
    #expect(plans.allSatisfy { $0.partitionShapes != 0 && $0.mediumFaults != 0 })
    #expect(plans.allSatisfy { $0.downMinimum <= $0.downMaximum && $0.maximumDown <= 5 })
    for down in UInt64(1)...3 { #expect(plans.contains { $0.maximumDown == down }) }
  }

  @Test func profilesDifferAsTheySay() {
    for seed in UInt64(0)..<100 {
      let calm = draw(seed, .calm)
      let quiet = calm.values.filter { pair in
        !["delayBase", "delaySpread", "delayJitter", "flushBase", "flushJitter"].contains(pair.name)
      }
      let none = FaultPlan().values.filter { pair in quiet.contains { $0.name == pair.name } }
      #expect(quiet.map { $0.value } == none.map { $0.value })
      #expect(draw(seed, .unlimited).maximumDown == 5)
      #expect(draw(seed, .swarm, nodes: 1).maximumDown <= 1)
    }
  }

  @Test func faultsAreCountedByPhase() {
    var table = FaultTable(phaseNames: ["a", "b"])
    table.count(.packetLost, phase: 1, by: 3)
    table.count(.packetLost, phase: 0)
    #expect(table[.packetLost] == 4 && table[.packetLost, 1] == 3 && table[.packetCut] == 0)
    var sum = table
    sum.add(table)
    #expect(sum[.packetLost, 1] == 6)
    #expect(table.totals.map { $0.name } == FaultKind.allCases.map { $0.name })
    #expect(Set(FaultKind.allCases.map { $0.name }).count == FaultKind.allCases.count)
  }
}
