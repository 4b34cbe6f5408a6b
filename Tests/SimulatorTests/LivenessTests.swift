import Protocol
import Testing

@testable import Simulator

@Suite struct LivenessTests {
  private func broken(
    _ seed: UInt64, excuse: Bool = false, stuck: Bool = false
  )
    -> Simulation<Stubborn>
  {
    Simulation(
      seed: seed,
      SimulationConfiguration(
        nodes: 5, clients: 1,
        adjustPlan: {
          $0.safetyDuration = 3_000_000
          $0.livenessBound = 2_000_000
        })
    ) { world in
      Stubborn(
        inner: Chatter(endpoints: world.endpointCount, goal: 100_000), isStuck: stuck,
        hasExcuse: excuse)
    }
  }

  /// Chatter that can refuse to ever be done.
  struct Stubborn: SimulatedSystem {
    var inner: Chatter
    var isStuck: Bool
    var hasExcuse: Bool
    static var phaseNames: [String] { Chatter.phaseNames }
    mutating func start(_ node: NodeIndex, _ world: inout World<Chatter.Message>) -> Int {
      inner.start(node, &world)
    }
    mutating func crash(_ node: NodeIndex, _ world: inout World<Chatter.Message>) {
      inner.crash(node, &world)
    }
    mutating func step(
      _ node: NodeIndex, _ input: SimulatedInput<Chatter.Message>,
      _ world: inout World<Chatter.Message>
    ) -> Int { inner.step(node, input, &world) }
    mutating func perform(
      effect: Int, _ node: NodeIndex, _ world: inout World<Chatter.Message>
    ) { inner.perform(effect: effect, node, &world) }
    func encode(_ message: Chatter.Message, into bytes: inout [UInt8]) {
      inner.encode(message, into: &bytes)
    }
    mutating func decode(_ bytes: [UInt8], for node: NodeIndex) -> Chatter.Message? {
      inner.decode(bytes, for: node)
    }
    func phase(of node: NodeIndex) -> Int { inner.phase(of: node) }
    func digestWord(of message: Chatter.Message) -> UInt64 { message.number }
    func digestWord(ofEffect effect: Int, _ node: NodeIndex) -> UInt64 {
      inner.digestWord(ofEffect: effect, node)
    }
    mutating func beginLiveness(_ world: inout World<Chatter.Message>, core: NodeSet) {
      inner.beginLiveness(&world, core: core)
    }
    func isDone(_ world: inout World<Chatter.Message>) -> Bool {
      !isStuck && inner.isDone(&world)
    }
    func livenessExcuse(_ world: borrowing World<Chatter.Message>) -> LivenessExcuse? {
      hasExcuse
        ? LivenessExcuse(name: "stubborn", witness: "n0 refuses", nodes: [NodeIndex(0)]) : nil
    }
    mutating func finish(_ world: inout World<Chatter.Message>) { inner.goal = 0 }
    func report(_ world: borrowing World<Chatter.Message>) -> Bool { inner.goal == 0 }
  }

  @Test(arguments: UInt64(0)..<16)
  func theCoreIsHealedAndEverythingElseStaysBroken(_ seed: UInt64) {
    var simulation = broken(seed, stuck: true)
    while simulation.world.runPhase == .safety, simulation.advance() {}
    let world = simulation.world
    let core = world.core.intersection(world.nodes)
    let rest = world.nodes.subtracting(core)
    #expect(core.count >= 3 && world.core.contains(NodeIndex(5)))
    for node in core { #expect(world.isUp(node) && !world.clocks[node.index].isFrozen) }
    for a in world.core {
      for b in world.core { #expect(world.isReachable(from: a, to: b)) }
    }
    for node in world.nodes {
      #expect(
        world.isReachable(from: NodeIndex(5), to: node)
          && world.isReachable(from: node, to: NodeIndex(5)))
    }
    let states = rest.map { world.states[$0.index] }
    let cuts = world.cuts
    let before = world.faults
    while simulation.outcome == nil { _ = simulation.advance() }
    #expect(rest.map { simulation.world.states[$0.index] } == states)
    #expect(simulation.world.cuts == cuts)
    // No crash, pause, partition or clock fault comes on top.
    for kind in [
      FaultKind.nodeCrashed, .nodePaused, .partitionSplit, .partitionIsolated, .partitionOneWay,
      .clockStepped, .clockFrozen, .linkSlowed, .powerFailed,
    ] {
      #expect(simulation.world.faults[kind] == before[kind])
    }
    #expect(simulation.outcome == .liveness)
    #expect(simulation.world.violation?.checker == "progress")
    #expect(simulation.world.violation?.nodes == Array(simulation.world.core))
  }

  @Test func anExcuseIsAskedForOnlyAfterTheBoundAndNamesItsWitness() {
    var simulation = broken(1, excuse: true, stuck: true)
    let result = simulation.run()
    #expect(result.outcome == .passed && result.excuse?.witness == "n0 refuses")
    #expect(result.simulatedNanoseconds >= result.safetyNanoseconds + 2_000_000_000)
    #expect(result.report, "finish ran")
    var fine = broken(1, excuse: true)
    let result2 = fine.run()
    #expect(result2.excuse == nil)
  }

  @Test func theUnlimitedProfileHasNoLivenessPhase() {
    for seed in UInt64(0)..<10 {
      var simulation = Chatter.simulation(
        seed: seed,
        SimulationConfiguration(
          nodes: 3, profile: .unlimited, adjustPlan: { $0.safetyDuration = 1_000_000 }))
      let result = simulation.run()
      #expect(result.outcome == .passed && result.core.isEmpty)
      #expect(result.plan.maximumDown == 3)
    }
  }

  @Test func aLivelockEndsAtTheEventLimit() {
    var simulation = Chatter.simulation(
      seed: 1, SimulationConfiguration(nodes: 3, eventLimit: 500))
    let result = simulation.run()
    #expect(result.outcome == .liveness && result.events == 500)
    #expect(result.violation?.checker == "progress.eventLimit")
  }

  @Test func aViolationStopsTheRunAtItsStep() {
    var simulation = Chatter.simulation(
      seed: 1,
      SimulationConfiguration(
        nodes: 3, profile: .calm, trace: TraceOptions(linesPerNode: 5, full: true)))
    simulation.run(until: 100_000_000)
    // The checker of this tenant looks at what is durable when a process starts.
    simulation.system.acknowledged[1] += 1_000
    simulation.crashNow(NodeIndex(1))
    simulation.restartNow(NodeIndex(1))
    let steps = simulation.steps
    _ = simulation.advance()
    let goesOn = simulation.advance()
    #expect(simulation.outcome == .safety && !goesOn)
    let result = simulation.result
    #expect(result.steps <= steps + 1 && result.violation?.checker == "durability")
    #expect(result.trace.lines.contains { $0.contains("VIOLATION durability: n1 lost number") })
    let last = result.trace.lastLines(of: [NodeIndex(1)])
    #expect(last.count == 5 && last.contains { $0.contains("start 2") })
  }

  @Test func aCopyIsASnapshotThatRunsOnIndependently() {
    var simulation = Chatter.simulation(seed: 11, SimulationConfiguration(nodes: 5))
    simulation.run(until: 300_000_000)
    var branch = simulation
    branch.crashNow(NodeIndex(0))
    var copy = simulation
    let one = simulation.run()
    let same = copy.run()
    let other = branch.run()
    #expect(same.digest == one.digest && other.digest != one.digest)
  }
}
