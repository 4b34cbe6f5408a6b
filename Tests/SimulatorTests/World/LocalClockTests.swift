import Protocol
import Simulator
import Testing

@Suite struct LocalClockTests {
  @Test(arguments: UInt64(0)..<30)
  func neverGoesBackwardsWhateverHappensToIt(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var clock = LocalClock(
      offset: TimeSpan(nanoseconds: random.next(below: 1 << 50)),
      rate: Int64(random.next(below: 200_000)) - 100_000)
    var now: UInt64 = 0
    var last = clock.reading(at: 0)
    for _ in 0..<2_000 {
      now += random.next(below: random.next(below: 4) == 0 ? 10_000_000_000 : 3)
      #expect(clock.reading(at: now) >= last)
      last = clock.reading(at: now)
      switch random.next(below: 8) {
      case 0: clock.step(by: TimeSpan(nanoseconds: random.next(below: 5_000_000)), at: now)
      case 1: clock.setRate(Int64(random.next(below: 20_000)) - 10_000, at: now)
      case 2: clock.freeze(at: now)
      case 3: clock.thaw(at: now)
      default: break
      }
      #expect(clock.reading(at: now) >= last)
      last = clock.reading(at: now)
    }
  }

  @Test(arguments: [Int64(0), 1, -1, 250, -250, 10_000, -10_000])
  func staysWithinItsDriftBound(_ rate: Int64) {
    let clock = LocalClock(offset: .seconds(3), rate: rate)
    for time in [UInt64(1), 999_999, 1_000_000, 1_234_567_891, 7_200_000_000_000] {
      let elapsed = Int64(clock.reading(at: time).rawValue - 3_000_000_000)
      let bound = Int64(time) / 1_000_000 * abs(rate) + abs(rate) + 1
      #expect(abs(elapsed - Int64(time)) <= bound)
      // And it really drifts, in the right direction.
      if time > 1_000_000_000 { #expect((elapsed - Int64(time)).signum() == rate.signum()) }
    }
  }

  @Test(arguments: UInt64(0)..<20)
  func theTimeOfADeadlineIsTheFirstAtWhichItIsReached(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let clock = LocalClock(
      offset: TimeSpan(nanoseconds: random.next(below: 1_000_000)),
      rate: Int64(random.next(below: 40_000)) - 20_000)
    for _ in 0..<500 {
      let now = random.next(below: 1_000_000_000_000)
      let deadline = clock.reading(at: now) + TimeSpan(nanoseconds: random.next(below: 1 << 36))
      let time = clock.simulatedTime(of: deadline, notBefore: now)!
      #expect(time >= now && clock.reading(at: time) >= deadline)
      #expect(time == now || clock.reading(at: time - 1) < deadline)
    }
    #expect(clock.simulatedTime(of: .never, notBefore: 5) == nil)
  }

  @Test func aFrozenClockStandsStillAndGoesOnWhereItStood() {
    var clock = LocalClock()
    clock.freeze(at: 100)
    #expect(clock.reading(at: 5_000) == Instant(nanoseconds: 100))
    #expect(clock.simulatedTime(of: Instant(nanoseconds: 101), notBefore: 200) == nil)
    clock.thaw(at: 5_000)
    #expect(clock.reading(at: 5_010) == Instant(nanoseconds: 110))
    clock.step(by: TimeSpan(nanoseconds: 1_000), at: 5_010)
    #expect(clock.reading(at: 5_010) == Instant(nanoseconds: 1_110))
  }
}
