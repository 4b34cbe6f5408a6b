import Protocol
import Testing

@testable import Simulator

@Suite struct TimerTests {
  private func world(nodes: Int = 2) -> World<UInt8> {
    World(
      SimulationConfiguration(nodes: nodes, profile: .calm, adjustPlan: { $0 = FaultPlan() }),
      seed: 1, phaseNames: ["run"])
  }

  /// Pops until a timer is due; answers its token.
  private func next(_ world: inout World<UInt8>) -> UInt64? {
    while let (time, event) = world.queue.pop() {
      world.now = time
      if world.timerIsDue(event) { return event.word }
    }
    return nil
  }

  private func expectNext(_ token: UInt64?, at time: UInt64? = nil, _ world: inout World<UInt8>) {
    let found = next(&world)
    #expect(found == token)
    if let time { #expect(world.now == time) }
  }

  @Test func aTimerComesOnceAtItsLocalTime() {
    var world = world()
    world.clocks[0] = LocalClock(offset: .seconds(7), rate: 500)
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 8_000_000_000), token: 3)
    expectNext(3, &world)
    #expect(world.localTime(NodeIndex(0)) >= Instant(nanoseconds: 8_000_000_000))
    #expect(world.localTime(NodeIndex(0)) <= Instant(nanoseconds: 8_000_000_002))
    expectNext(nil, &world)
  }

  @Test func puttingATimerOffAgainAndAgainKeepsOnePendingEvent() {
    var world = world()
    for round in UInt64(1)...1_000 {
      world.now = round
      world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 1_000_000 + round), token: 1)
    }
    #expect(world.queue.count == 1)
    expectNext(1, at: 1_001_000, &world)
    expectNext(nil, &world)
  }

  @Test func anEarlierDeadlineReplacesALaterOne() {
    var world = world()
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 500), token: 1)
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 100), token: 1)
    expectNext(1, at: 100, &world)
    expectNext(nil, &world)
  }

  @Test func cancelledTimersDoNotCome() {
    var world = world()
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 500), token: 1)
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 600), token: 2)
    world.setTimer(NodeIndex(1), at: Instant(nanoseconds: 700), token: 1)
    world.cancelTimer(NodeIndex(0), token: 1)
    world.cancelTimer(NodeIndex(0), token: 99)
    expectNext(2, &world)
    expectNext(1, at: 700, &world)
    expectNext(nil, &world)
    #expect(world.timers.allSatisfy { $0.isEmpty })
    // Armed again after a cancellation.
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 900), token: 1)
    world.cancelTimer(NodeIndex(0), token: 1)
    world.setTimer(NodeIndex(0), at: Instant(nanoseconds: 950), token: 1)
    expectNext(1, at: 950, &world)
  }

  @Test func aDeadlineInThePastIsDueNow() {
    var world = world()
    world.now = 1_000
    world.setTimer(NodeIndex(0), at: .zero, token: 5)
    expectNext(5, at: 1_000, &world)
  }

  @Test func aSteppedClockMakesTimersDueEarlierAndAFrozenOneLater() {
    var world = world()
    let node = NodeIndex(0)
    world.setTimer(node, at: Instant(nanoseconds: 10_000), token: 1)
    world.now = 1_000
    world.clocks[0].step(by: TimeSpan(nanoseconds: 6_000), at: 1_000)
    world.requeueTimers(of: node)
    expectNext(1, at: 4_000, &world)

    world.setTimer(node, at: Instant(nanoseconds: 20_000), token: 1)
    world.now = 5_000
    world.clocks[0].freeze(at: 5_000)
    expectNext(nil, &world)
    world.setTimer(node, at: Instant(nanoseconds: 21_000), token: 2)
    #expect(world.queue.isEmpty)
    world.now = 100_000
    world.clocks[0].thaw(at: 100_000)
    world.requeueTimers(of: node)
    // It stood at 11,000.
    expectNext(1, at: 109_000, &world)
    expectNext(2, at: 110_000, &world)
  }
}
