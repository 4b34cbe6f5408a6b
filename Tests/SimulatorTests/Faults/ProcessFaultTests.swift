import Protocol
import Testing

@testable import Simulator

@Suite struct ProcessFaultTests {
  private let second: UInt64 = 1_000_000_000

  @Test func aPausedProcessHandlesNothingAndThenEverything() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals)
    simulation.run(until: second)
    let before = simulation.world.localTime(NodeIndex(1))
    simulation.pauseNow(NodeIndex(1), for: .seconds(1))
    simulation.run(until: 2 * second - 1_000_000)
    #expect(arrivals.count(0, 1, after: second) == 0 && arrivals.count(2, 1, after: second) == 0)
    #expect(!simulation.world.isUp(NodeIndex(1)))
    // Its clock runs on.
    #expect(simulation.world.localTime(NodeIndex(1)) > before + .milliseconds(990))
    let sentBefore = arrivals.count(1, 0)
    simulation.run(until: 2 * second + 2_000_000)
    // All that waited arrives at once and in order, the one overdue tick among it.
    let numbers = arrivals.all.filter { $0.from == 0 && $0.to == 1 }.map { $0.number }
    #expect(numbers.count > 390 && numbers == numbers.indices.map { UInt64($0) + 1 })
    #expect(arrivals.count(1, 0) == sentBefore + 1)
    #expect(simulation.world.faults[.nodePaused] == 1)
  }

  @Test func aProcessThatIsDownReceivesNothingAndStartsFromItsDisk() {
    let arrivals = Arrivals()
    var simulation = Chatter.watched(arrivals: arrivals) {
      $0.downMinimum = 500_000
      $0.downMaximum = 500_000
      $0.crashWrites = 2
    }
    simulation.run(until: second)
    simulation.crashNow(NodeIndex(2))
    #expect(simulation.system.totals.crashes == 1)
    simulation.run(until: second + 499_000_000)
    #expect(arrivals.count(0, 2, after: second) == 0)
    #expect(simulation.world.packets.undeliverable > 150)
    let durable = simulation.system.acknowledged[2]
    simulation.run(until: 2 * second)
    #expect(arrivals.count(0, 2, after: second) > 90)
    #expect(simulation.world.boots(of: NodeIndex(2)) == 2)
    #expect(durable > 150 && simulation.system.totals.recovered >= durable)
    #expect(simulation.world.violation == nil)
  }

  /// A crash strikes after each number of effects, and exactly those after it are missing.
  @Test func anArmedCrashDropsExactlyTheRemainingEffects() {
    var seen: [Int: Int] = [:]
    for seed in UInt64(0)..<300 {
      var simulation = Chatter.watched(seed: seed, arrivals: Arrivals()) { $0.crashWrites = 0 }
      simulation.run(until: 50_000_000)
      let node = NodeIndex(0)
      simulation.armCrash(node)
      var effects = simulation.effects
      while simulation.world.states[0] == .up {
        effects = simulation.effects
        _ = simulation.advance()
      }
      let performed = Int(simulation.effects - effects)
      seen[performed, default: 0] += 1
      // A tick has five effects: append, flush, two sends, a timer.
      #expect((0...5).contains(performed))
      let log = simulation.world.read(node, file: "log") ?? []
      #expect(UInt64(log.count / Chatter.recordSize) <= simulation.system.acknowledged[0] + 1)
      #expect(simulation.world.faults[.crashBetweenEffects] == 1)
      #expect(simulation.world.timers[0].isEmpty)
    }
    for k in 0...5 { #expect(seen[k, default: 0] > 15, "never after effect \(k)") }
  }

  @Test func restartStormsCrashAgainDuringRecovery() {
    var simulation = Chatter.simulation(
      seed: 4,
      SimulationConfiguration(
        nodes: 5, profile: .swarm,
        adjustPlan: {
          $0 = FaultPlan()
          $0.crashInterval = 500_000
          $0.restartStorm = 1_000_000
          $0.maximumDown = 2
        })
    ) { $0.goal = 500 }
    let result = simulation.run()
    #expect(result.outcome == .passed)
    let table = result.faults
    #expect(table[.restartStorm] >= 2 * (table[.nodeCrashed] - table[.crashBetweenEffects]) - 5)
    #expect(table[.crashBetweenEffects] > 10)
  }

  /// Whatever the nemesis does, no more processes are disturbed at once than the plan allows.
  @Test(arguments: UInt64(0)..<25)
  func theBudgetIsHonoured(_ seed: UInt64) {
    var simulation = Chatter.simulation(
      seed: seed,
      SimulationConfiguration(
        nodes: 5,
        adjustPlan: {
          $0.crashInterval = 60_000
          $0.pauseInterval = 70_000
          $0.partitionInterval = 90_000
          $0.partitionShapes = 0b11_1111
          $0.restartStorm = 200_000
          $0.powerFailureInterval = 0
          $0.maximumDown = seed % 4
        })
    ) { $0.goal = 200 }
    var highest = 0
    while simulation.advance(), simulation.world.runPhase == .safety {
      // Before its first boot a process is not disturbed, only late.
      let booted = simulation.world.disturbed.filter { simulation.world.boots[$0.index] > 0 }
      highest = max(highest, booted.count)
    }
    #expect(highest == Int(seed % 4))
  }

  @Test func aPowerFailureTakesEverythingDownAndAllComesBack() {
    var simulation = Chatter.watched(nodes: 5, arrivals: Arrivals()) {
      $0.powerFailureInterval = 500_000
      $0.crashWrites = 2
    }
    var sawAllDown = false
    while simulation.world.now < 5 * second {
      _ = simulation.advance()
      if simulation.world.states.allSatisfy({ $0 == .down }) { sawAllDown = true }
    }
    #expect(sawAllDown && simulation.world.faults[.powerFailed] > 3)
    #expect(simulation.world.boots.allSatisfy { $0 > 3 })
    #expect(simulation.world.violation == nil)
  }

  @Test func aCrashWithAFlushInFlightLeavesItsWritesAtRisk() {
    var lost = 0
    var kept = 0
    for seed in UInt64(0)..<60 {
      var simulation = Chatter.watched(seed: seed, arrivals: Arrivals()) {
        $0.crashWrites = 2
        $0.flushBase = 2_000
        $0.flushJitter = 0
      }
      simulation.run(until: 50_000_000)
      let node = NodeIndex(0)
      while simulation.world.diskQueues[0].inFlight.isEmpty { _ = simulation.advance() }
      let acknowledged = simulation.system.acknowledged[0]
      simulation.crashNow(node)
      #expect(simulation.world.faults[.crashDuringFlush] == 1)
      let left = UInt64((simulation.world.read(node, file: "log") ?? []).count / Chatter.recordSize)
      #expect(left == acknowledged || left == acknowledged + 1)
      if left == acknowledged { lost += 1 } else { kept += 1 }
      simulation.run(until: 2 * second)
      #expect(simulation.world.violation == nil)
    }
    #expect(lost > 5 && kept > 5)
  }

  @Test func slowAndStalledFlushesCompleteLateAndInOrder() {
    var tickets: [UInt64] = []
    var simulation = Chatter.watched(arrivals: Arrivals()) {
      $0.flushSlow = 300_000
      $0.flushSlowDelay = 20_000
      $0.flushStall = 50_000
      $0.flushStallDelay = 400_000
    }
    while simulation.world.now < 3 * second {
      let before = simulation.world.diskQueues[0].inFlight.first?.ticket
      _ = simulation.advance()
      if let before, simulation.world.diskQueues[0].inFlight.first?.ticket != before {
        tickets.append(before)
      }
    }
    #expect(tickets.count > 400 && tickets == tickets.indices.map { UInt64($0) + 1 })
    #expect(simulation.world.faults[.flushSlow] > 100)
    #expect(simulation.world.faults[.flushStalled] > 20)
  }
}
