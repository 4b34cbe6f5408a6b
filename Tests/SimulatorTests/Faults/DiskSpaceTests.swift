import Protocol
import Testing

@testable import Simulator

/// Full disks in the Paxos tenant.
@Suite struct DiskSpaceTests {
  /// A cluster of three in which disks get full by hand, and nothing else goes wrong.
  private func simulation(seed: UInt64) -> Simulation<PaxosSystem> {
    var options = PaxosOptions()
    options.replicas = 3
    options.adjustPlan = { plan in
      plan = FaultPlan()
      // Nothing by itself within a run.
      plan.diskFullInterval = 1 << 40
      plan.safetyDuration = 60_000_000
    }
    var simulation = PaxosSimulation.make(seed: seed, options)
    let hasLed = advance(&simulation) { leader($0) != nil }
    #expect(hasLed)
    // More than it has time for; what is left is dropped when the cluster is healed.
    for c in simulation.system.workload.clients.indices {
      simulation.system.workload.clients[c].remaining += 100_000
      simulation.system.workload.total += 100_000
    }
    return simulation
  }

  /// The rest of the run: the cluster is healed.
  private func outcome(_ simulation: inout Simulation<PaxosSystem>) -> RunOutcome {
    simulation.beginLivenessNow()
    return simulation.run().outcome
  }

  private func leader(_ simulation: Simulation<PaxosSystem>) -> NodeIndex? {
    simulation.world.nodes.first {
      simulation.system.nodes[$0.index].isRunning
        && simulation.system.nodes[$0.index].replica.role == .leader
    }
  }

  /// Runs on until `condition` holds; false when it does not within some simulated seconds.
  private func advance(
    _ simulation: inout Simulation<PaxosSystem>, seconds: UInt64 = 10,
    until condition: (Simulation<PaxosSystem>) -> Bool
  ) -> Bool {
    let end = simulation.world.now + seconds * 1_000_000_000
    while simulation.world.now < end {
      if condition(simulation) { return true }
      // To look costs more than an event.
      simulation.run(until: simulation.world.now + 1_000_000)
      if simulation.outcome != nil { return false }
    }
    return false
  }

  private static func isShort(_ simulation: Simulation<PaxosSystem>, _ node: NodeIndex) -> Bool {
    simulation.system.rooms[node.index].policy.isShort
  }

  /// Seeds whose clients both write and read, without an operator who moves leadership about.
  private static let seeds: [UInt64] = (1...4_000).filter {
    var options = PaxosOptions()
    options.replicas = 3
    let workload = PaxosSetup(seed: $0, options).workload
    return workload.operatorInterval == 0 && !workload.isSplit && workload.readPercent == 50
      && workload.think == 20_000 && workload.lanes >= 6 && workload.clients > 1
  }

  @Test(arguments: seeds.prefix(2))
  func whereAllDisksAreFullReadsGoOnAndCommandsComeBackWithTheSpace(_ seed: UInt64) {
    var simulation = simulation(seed: seed)
    let nodes = simulation.world.nodes
    for node in nodes { simulation.fillDiskNow(node) }
    let isFull = advance(&simulation) { simulation in
      nodes.contains { Self.isShort(simulation, $0) && leader(simulation) == $0 }
        && simulation.system.tally.commandsWithoutRoom > 0
    }
    #expect(isFull)
    let full = simulation.system.tally
    let hasRead = advance(&simulation, seconds: 2) {
      $0.system.tally.readsAnswered > full.readsAnswered + 5
        && $0.system.tally.commandsWithoutRoom > full.commandsWithoutRoom + 5
    }
    #expect(hasRead)
    for node in nodes { simulation.freeSpaceNow(node) }
    let before = simulation.system.tally
    let isBack = advance(&simulation, seconds: 2) { simulation in
      !nodes.contains { Self.isShort(simulation, $0) }
        && simulation.system.tally.commandsAcknowledged > before.commandsAcknowledged + 5
    }
    #expect(isBack)
    #expect(outcome(&simulation) == .passed)
  }

  @Test(arguments: seeds.prefix(2))
  func aLeaderWithoutRoomHandsOver(_ seed: UInt64) throws {
    var simulation = simulation(seed: seed)
    let first = try #require(leader(simulation))
    simulation.fillDiskNow(first)
    let isHandedOver = advance(&simulation) { simulation in
      Self.isShort(simulation, first) && leader(simulation).map { $0 != first } ?? false
    }
    #expect(isHandedOver && simulation.system.tally.handoversForRoom > 0)
    let before = simulation.system.tally
    let goesOn = advance(&simulation, seconds: 2) {
      $0.system.tally.commandsAcknowledged > before.commandsAcknowledged + 5
    }
    // It votes as long as it can; then votes are as good as lost.
    let putsAside = advance(&simulation) { $0.system.tally.messagesWithoutRoom > 0 }
    #expect(goesOn && putsAside && leader(simulation) != first)
    simulation.freeSpaceNow(first)
    let isBack = advance(&simulation, seconds: 2) { !Self.isShort($0, first) }
    #expect(isBack)
    #expect(outcome(&simulation) == .passed)
  }

  /// Each start takes a segment; one that finds none ends, and begins again when there is space.
  @Test(arguments: seeds.prefix(2))
  func aProcessWithoutASegmentWaitsForSpace(_ seed: UInt64) throws {
    var simulation = simulation(seed: seed)
    let first = try #require(leader(simulation))
    simulation.fillDiskNow(first)
    for _ in 0..<20 {
      _ = advance(&simulation, seconds: 1) { $0.system.nodes[first.index].isRunning }
      simulation.crashNow(first)
      simulation.restartNow(first)
      if simulation.system.rooms[first.index].isWaitingForSpace { break }
    }
    #expect(simulation.system.rooms[first.index].isWaitingForSpace)
    let startsTooEarly = advance(&simulation, seconds: 1) {
      $0.system.nodes[first.index].isRunning
    }
    #expect(!startsTooEarly && simulation.system.tally.startsWithoutRoom == 1)
    simulation.freeSpaceNow(first)
    let isBack = advance(&simulation, seconds: 1) { $0.system.nodes[first.index].isRunning }
    #expect(isBack)
    #expect(outcome(&simulation) == .passed)
  }

  /// A host that does not see that its disk is full takes commands until there is nothing left to write them to.
  @Test func aSegmentThatIsNotThereIsAViolation() throws {
    var simulation = simulation(seed: Self.seeds[0])
    let first = try #require(leader(simulation))
    simulation.fillDiskNow(first)
    while simulation.world.now < 30_000_000_000, simulation.advance() {
      simulation.system.rooms[first.index].hasShortage = false
      simulation.system.rooms[first.index].policy = RoomPolicy()
    }
    #expect(simulation.world.violation?.checker == "durability.reserve")
  }

  /// The swarm's own: everything happens that a full disk brings about, and all runs pass.
  @Test func theNemesisFillsDisks() {
    var report = PaxosReport()
    var filled: UInt64 = 0
    for seed in UInt64(1)...12 {
      var options = PaxosOptions()
      options.commands = 200
      options.adjustPlan = {
        $0.diskFullInterval = 500_000
        $0.diskFullEverywhere = seed % 2 == 0 ? 500_000 : 0
      }
      let result = PaxosSimulation.run(seed: seed, options)
      #expect(result.outcome == .passed, "seed \(seed): \(result.violation?.sentence ?? "")")
      filled += result.faults[.diskFilled]
      report.shortagesOfRoom += result.report.shortagesOfRoom
      report.commandsWithoutRoom += result.report.commandsWithoutRoom
      report.messagesWithoutRoom += result.report.messagesWithoutRoom
      report.handoversForRoom += result.report.handoversForRoom
      report.snapshotsWithoutRoom += result.report.snapshotsWithoutRoom
    }
    #expect(filled > 50 && report.shortagesOfRoom > 10 && report.commandsWithoutRoom > 10)
    #expect(report.messagesWithoutRoom > 10 && report.handoversForRoom > 1)
    #expect(report.snapshotsWithoutRoom > 10)
  }
}
