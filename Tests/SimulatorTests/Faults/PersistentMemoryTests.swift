import Protocol
import Testing

@testable import Simulator

/// Journals in persistent memory in the Paxos tenant.
@Suite struct PersistentMemoryTests {
  private func options(
    replicas: Int = 3, _ adjust: @escaping @Sendable (inout FaultPlan) -> Void
  ) -> PaxosOptions {
    var options = PaxosOptions()
    options.replicas = replicas
    options.commands = 100
    options.adjustPlan = adjust
    return options
  }

  /// An eighth of the runs; none where the tenant has no use for it, and none without faults.
  @Test func someRunsHaveSome() {
    let plans = (UInt64(0)..<1_000).map { seed in
      var streams = RandomStreams(seed: seed)
      return FaultPlan.draw(.swarm, nodes: 3, from: &streams)
    }
    let some = plans.filter { $0.memoryNodes != 0 }
    #expect((90...160).contains(some.count))
    #expect(some.allSatisfy { $0.memoryNodes < 8 && $0.memoryWithCaches < 8 })
    #expect(some.contains { $0.memoryNodes != 7 } && some.contains { $0.memoryNodes == 7 })
    #expect(some.contains { $0.memoryWithCaches == 0 })
    #expect(some.contains { $0.memoryWithCaches != 0 })
    #expect(some.contains { $0.crashAtFence == 0 } && some.contains { $0.crashAtFence != 0 })
    for seed in UInt64(0)..<50 {
      let world = Chatter.simulation(seed: seed, SimulationConfiguration(nodes: 3)).world
      #expect(world.plan.memoryNodes == 0)
      #expect(world.nodes.allSatisfy { world.medium(of: $0) == .disk })
    }
  }

  /// A flush is over in the instant in which it began, and a cluster of both kinds works.
  @Test func aFlushTakesNoTime() {
    var simulation = PaxosSimulation.make(
      seed: 1,
      options {
        $0 = FaultPlan()
        $0.memoryNodes = 0b011
        $0.memoryWithCaches = 0b010
      })
    #expect(
      simulation.world.nodes.map { simulation.world.medium(of: $0) }
        == [.memory, .memoryWithCaches, .disk])
    var longest = [UInt64](repeating: 0, count: 3)
    var begun = [UInt64?](repeating: nil, count: 3)
    while simulation.advance() {
      for n in 0..<3 {
        let isFlushing = simulation.system.nodes[n].isJournalFlushing
        if isFlushing, begun[n] == nil { begun[n] = simulation.world.now }
        guard !isFlushing, let start = begun[n] else { continue }
        longest[n] = max(longest[n], simulation.world.now - start)
        begun[n] = nil
      }
    }
    #expect(simulation.result.outcome == .passed)
    #expect(longest[0] == 0 && longest[1] == 0 && longest[2] > 0)
    #expect(simulation.result.report.groupsStored > 50)
  }

  /// Who dies at a fence is gone with it: nothing leaves the node behind the fence, and its disk is as the fence has left it.
  @Test func nothingHappensBehindAFenceThatIsNotSeen() {
    var (deaths, torn): (UInt64, UInt64) = (0, 0)
    for seed in UInt64(1)...10 {
      var simulation = PaxosSimulation.make(
        seed: seed,
        options {
          $0.memoryNodes = 0b111
          $0.crashAtFence = 20_000
          $0.maximumDown = 1
        })
      while true {
        let before = simulation
        guard simulation.advance() else { break }
        guard simulation.world.faults[.crashedAtFence] > before.world.faults[.crashedAtFence] else {
          continue
        }
        let here = simulation.world.nodes.filter {
          simulation.world.states[$0.index] == .down && before.world.states[$0.index] != .down
            || simulation.world.boots(of: $0) > before.world.boots(of: $0)
        }
        #expect(here.count == 1)
        #expect(simulation.world.fallen.isEmpty && simulation.world.quitting.isEmpty)
        for node in here {
          #expect(!simulation.world.disk(node).hasUnflushed)
          #expect(simulation.world.timers[node.index].isEmpty)
          #expect(!simulation.system.nodes[node.index].isRunning)
        }
      }
      let result = simulation.result
      #expect(result.outcome == .passed, "seed \(seed): \(result.violation?.sentence ?? "")")
      deaths += result.faults[.crashedAtFence]
      torn += result.faults[.storeTorn]
    }
    #expect(deaths > 50)
    #expect(torn > deaths / 4 && torn <= deaths)
  }

  /// Segments begin in the files of old ones, with what these held behind the last record; whoever starts is not misled by it.
  @Test func oldBytesLieBehindTheLastRecord() {
    var simulation = PaxosSimulation.make(
      seed: 2,
      options {
        $0 = FaultPlan()
        $0.memoryNodes = 0b111
        $0.crashAtFence = 3_000
        $0.maximumDown = 1
      })
    var (again, old) = (0, 0)
    var segment = ""
    while simulation.advance() {
      let node = simulation.system.nodes[0]
      guard simulation.world.isUp(NodeIndex(0)), node.segmentFile != segment else { continue }
      segment = node.segmentFile
      simulation.world.disk(NodeIndex(0)).withContents(of: segment) { file in
        guard file.count > node.memory.end else { return }
        again += 1
        if file[node.memory.end...].contains(where: { $0 != 0 }) { old += 1 }
      }
    }
    #expect(simulation.result.outcome == .passed)
    #expect(again > 5 && old > 5, "\(again), \(old)")
  }

  /// Power fails everywhere, again and again, and processes die at fences, those that start too: nothing that was answered by is
  /// lost, and every kind of damage is found as on disks.
  @Test(arguments: [UInt64(0), 0b11111, 0b10101])
  func whatWasAnsweredBySurvives(_ memoryWithCaches: UInt64) {
    var table = FaultTable(phaseNames: PaxosSystem.phaseNames)
    for seed in UInt64(1)...8 {
      let result = PaxosSimulation.run(
        seed: seed,
        options(replicas: 5) {
          $0.memoryNodes = 0b11111
          $0.memoryWithCaches = memoryWithCaches
          $0.crashAtFence = 5_000
          $0.powerFailureInterval = 500_000
          $0.mediumFaults = 0xFF
          $0.mediumInterval = 400_000
          $0.flushLie = 100_000
          $0.maximumDown = 2
        })
      #expect(result.outcome == .passed, "seed \(seed): \(result.violation?.sentence ?? "")")
      table.add(result.faults)
    }
    #expect(table[.powerFailed] > 0 && table[.crashedAtFence] > 0 && table[.storeTorn] > 0)
    // Caches that survive forget nothing.
    #expect((table[.fenceLied] > 0) == (memoryWithCaches != 0b11111))
  }
}
