import Protocol
import RealRuntime
import Testing

@Test func theClockNeverGoesBack() {
  var last = MonotonicClock.now()
  for _ in 0..<1_000 {
    let now = MonotonicClock.now()
    #expect(now >= last)
    last = now
  }
}
