import Simulator
import Testing

@Suite struct TraceTests {
  private func digest(
    _ seed: UInt64, _ rule: TraceDigest.CheckpointRule, goal: UInt64 = 60, crashAt: UInt64? = nil
  ) -> TraceDigest {
    var simulation = Chatter.simulation(
      seed: seed, SimulationConfiguration(nodes: 3, profile: .calm, checkpoints: rule)
    ) { $0.goal = goal }
    if let crashAt {
      while simulation.events < crashAt - 1, simulation.advance() {}
      simulation.stepClock(NodeIndex(0), by: .milliseconds(2))
    }
    return simulation.run().digest
  }

  @Test func likeRunsDoNotPart() {
    #expect(TraceDigest.firstDivergentEvent({ digest(1, $0) }, { digest(1, $0) }) == nil)
  }

  @Test func theFirstDifferentEventIsNamed() throws {
    for event in [UInt64(50), 4_000, 4_096, 4_097, 4_800] {
      let found = TraceDigest.firstDivergentEvent(
        { digest(1, $0, goal: 130) }, { digest(1, $0, goal: 130, crashAt: event) })
      // The step of the clock shows at the next thing node 0 does, within a tick or so.
      let number = try #require(found)
      #expect(number >= event && number < event + 100, "\(event): \(number)")
      // Exactly there: everything before agrees.
      let rule = TraceDigest.CheckpointRule.every(1)
      let a = digest(1, rule, goal: 130).checkpoints
      let b = digest(1, rule, goal: 130, crashAt: event).checkpoints
      let n = Int(number)
      #expect(a[n - 1] != b[n - 1] && Array(a[..<(n - 1)]) == Array(b[..<(n - 1)]))
    }
  }

  @Test func aRunThatEndsEarlierPartsWhereItEnds() {
    let short = digest(1, .every(1), goal: 20)
    let long = digest(1, .every(1), goal: 30)
    let window = TraceDigest.firstDivergence(short, long)
    #expect(window != nil && window!.lowerBound <= short.events + 1)
    #expect(TraceDigest.firstDivergence(long, short) == window)
    #expect(TraceDigest.firstDivergence(short, short) == nil)
  }

  @Test func checkpointsAreKeptWhereAsked() {
    let sparse = digest(1, .every(100, in: 200...450)).checkpoints.map { $0.event }
    #expect(sparse == [200, 300, 400])
    #expect(digest(1, .none).checkpoints.isEmpty)
    #expect(digest(1, .every(1_000)).checkpoints.first?.event == 1_000)
  }

  @Test func tracingDoesNotChangeARun() {
    func run(_ trace: TraceOptions) -> RunResult<Chatter.Report> {
      var simulation = Chatter.simulation(
        seed: 5, SimulationConfiguration(nodes: 3, clients: 1, trace: trace)
      ) { $0.goal = 30 }
      return simulation.run()
    }
    let quiet = run(.off)
    let loud = run(TraceOptions(linesPerNode: 3, full: true))
    #expect(quiet.digest == loud.digest && quiet.trace.lines.isEmpty)
    #expect(loud.trace.lines.count > 100)
    #expect(loud.trace.lastLines(of: [NodeIndex(0)]).count == 3)
    #expect(quiet.trace.lastLines(of: [NodeIndex(0)]).isEmpty)
  }

  /// Must hold in debug and release, on every machine. A change here re-rolls every kept seed: say
  /// so in the changelog.
  @Test func theDigestOfASeedIsPinned() {
    #expect(digest(1, .none).value == 17_522_347_596_451_994_229)
  }
}
