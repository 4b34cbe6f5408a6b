import Testing

@testable import Protocol
@testable import Simulator

/// States that were corrupted, and whether that is found: whole runs, and the checker by itself.
@Suite struct DivergenceTests {
  private static func simulation(
    seed: UInt64, period: Int, snapshots: Int
  ) -> Simulation<PaxosSystem> {
    var options = PaxosOptions()
    options.profile = .calm
    options.replicas = 3
    options.commands = 400
    var replica = ReplicaOptions()
    replica.digestPeriod = period
    replica.snapshotInterval = snapshots
    options.replicaOptions = replica
    return PaxosSimulation.make(seed: seed, options)
  }

  private static func applied(_ simulation: Simulation<PaxosSystem>, _ node: Int) -> UInt64 {
    simulation.system.nodes[node].application.appliedUpTo.rawValue
  }

  /// Flips a bit of a replica at a slot; answers the slot by which the replica had found out.
  private static func flip(
    _ simulation: inout Simulation<PaxosSystem>, leader: Bool, at slot: UInt64
  ) throws -> (flipped: UInt64, found: UInt64) {
    var victim: Int?
    while victim == nil, simulation.advance() {
      victim = simulation.system.nodes.indices.first {
        simulation.system.nodes[$0].isRunning && applied(simulation, $0) >= slot
          && (simulation.system.nodes[$0].replica.role == .leader) == leader
      }
    }
    let node = try #require(victim)
    let flipped = applied(simulation, node)
    simulation.world.activity = .performing
    let isFlipped = simulation.system.corruptState(NodeIndex(node), &simulation.world)
    simulation.world.activity = .idle
    #expect(isFlipped && simulation.system.checkers.divergence.isTainted(NodeIndex(node)))
    simulation.world.distrust(NodeIndex(node), disk: false)
    var last = flipped
    while simulation.system.checkers.divergence.found == 0, simulation.advance() {
      last = max(last, applied(simulation, node))
    }
    return (flipped, last)
  }

  /// The promise: found within two periods, by the replica itself, and repaired: by its log, or by a peer's snapshot.
  @Test(arguments: [3, 4, 5] as [UInt64], [32, 2_048])
  func aFlippedBitIsFoundWithinTwoPeriodsAndRepaired(seed: UInt64, snapshots: Int) throws {
    var simulation = Self.simulation(seed: seed, period: 16, snapshots: snapshots)
    let (flipped, found) = try Self.flip(&simulation, leader: false, at: 70)
    #expect(simulation.system.checkers.divergence.found == 1)
    #expect(found <= flipped + 32, "flipped after \(flipped), found in \(found)")
    while simulation.advance() {}
    #expect(simulation.world.violation == nil)
    #expect(simulation.system.checkers.divergence.tainted.isEmpty)
    let report = simulation.system.report(simulation.world)
    #expect(report.divergencesFound == 1 && report.statesInfected == 0)
    if ContractRecorder.isEnabled {
      let suspects = report.marks[Mark.allCases.firstIndex(of: .suspectCured)!]
      #expect((suspects > 0) == (snapshots == 32), "a suspect only where a snapshot was lost")
      #expect(report.marks[Mark.allCases.firstIndex(of: .divergenceRepaired)!] == 1)
    }
  }

  @Test func theLeaderIsFoundAsWell() throws {
    var simulation = Self.simulation(seed: 6, period: 16, snapshots: 32)
    let (flipped, found) = try Self.flip(&simulation, leader: true, at: 70)
    #expect(found > flipped && found <= flipped + 32)
    while simulation.advance() {}
    #expect(simulation.world.violation == nil)
    #expect(simulation.system.checkers.divergence.tainted.isEmpty)
  }

  // MARK: The checker

  private static let verdict = Divergence(slot: Slot(16), own: 1, agreed: 2)
  private static func checker() -> DivergenceChecker { DivergenceChecker(replicas: 3, period: 16) }

  private static func applied(
    _ checker: inout DivergenceChecker, _ slot: UInt64, agreed: UInt64, was: UInt64 = 0,
    verdict: Divergence? = nil, all: UInt64? = nil
  ) -> String? {
    checker.applied(
      NodeIndex(1), Slot(slot), agreed: Slot(agreed), wasAgreed: Slot(was), verdict: verdict,
      appliedByAll: all.map { Slot($0) })
  }

  @Test func aSoundReplicaMayNotBeConvicted() {
    var checker = Self.checker()
    #expect(Self.applied(&checker, 18, agreed: 16, verdict: Self.verdict) != nil)
    checker.corrupted(NodeIndex(1), after: Slot(12))
    #expect(Self.applied(&checker, 18, agreed: 16, verdict: Self.verdict) == nil)
    checker.restored(NodeIndex(1), to: Slot(16), isTainted: false)
    #expect(Self.applied(&checker, 18, agreed: 16, verdict: Self.verdict) != nil)
  }

  @Test func aDivergedOneMayNotGoOn() {
    var checker = Self.checker()
    checker.corrupted(NodeIndex(1), after: Slot(17))
    #expect(Self.applied(&checker, 20, agreed: 16) == nil, "that digest was taken before")
    #expect(Self.applied(&checker, 35, agreed: 32, was: 16) != nil)
    #expect(Self.applied(&checker, 63, agreed: 16, was: 16, all: 63) == nil)
    #expect(Self.applied(&checker, 64, agreed: 16, was: 16, all: 64) != nil)
    checker.unrest(upTo: Slot(40))
    #expect(Self.applied(&checker, 64, agreed: 16, was: 16, all: 64) == nil)
    #expect(Self.applied(&checker, 80, agreed: 16, was: 16, all: 80) != nil)
  }

  @Test func nothingIsJudgedWithoutASoundMajority() {
    var checker = Self.checker()
    checker.corrupted(NodeIndex(1), after: Slot(17))
    #expect(checker.canConvict(NodeSet(first: 3)) && !checker.canConvict([NodeIndex(0)]))
    checker.restored(NodeIndex(2), to: Slot(20), isTainted: true)
    #expect(checker.isLost && checker.infected == 1 && !checker.canConvict(NodeSet(first: 3)))
    #expect(Self.applied(&checker, 35, agreed: 32, was: 16) == nil)
    #expect(
      checker.applied(
        NodeIndex(0), Slot(35), agreed: Slot(32), wasAgreed: Slot(16), verdict: Self.verdict,
        appliedByAll: nil) == nil)
  }
}
