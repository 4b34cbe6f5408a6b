import Testing

@testable import Protocol

@Suite struct DeadlinesTests {
  @Test func asksForTheEarliest() {
    var d = Deadlines()
    #expect(d.arm() == nil)
    d[.election] = at(50)
    d[.retransmit] = at(30)
    #expect(d.arm() == at(30))
    #expect(d.arm() == nil, "asked for already")
    d[.batch] = at(10)
    #expect(d.arm() == at(10))
  }

  @Test func movingADeadlineLaterSaysNothing() {
    var d = Deadlines()
    d[.election] = at(50)
    _ = d.arm()
    for n in 51...200 as ClosedRange<UInt64> {
      d[.election] = at(n)
      #expect(d.arm() == nil)
    }
    d.fired()
    #expect(d.takeDue(.election, now: at(50)) == false)
    #expect(d.arm() == at(200))
  }

  @Test func aDeadlineIsTakenOnce() {
    var d = Deadlines()
    d[.heartbeat] = at(5)
    #expect(d.takeDue(.heartbeat, now: at(4)) == false)
    #expect(d.takeDue(.heartbeat, now: at(5)) == true)
    #expect(!d.takeDue(.heartbeat, now: at(9)) && d[.heartbeat] == .never)
  }

  @Test func aClearedDeadlineDoesNotCome() {
    var d = Deadlines()
    d[.transfer] = at(5)
    _ = d.arm()
    d.clear(.transfer)
    d.fired()
    #expect(d.arm() == nil && !d.takeDue(.transfer, now: at(99)))
  }

  /// Whatever moves, the host's timer never stands later than the earliest deadline.
  @Test func theTimerIsNeverLate() {
    var random = SeededRandom(seed: 2)
    var d = Deadlines()
    var (timer, now) = (Instant.never, at(0))
    for _ in 0..<5_000 {
      let kind = DeadlineKind.allCases[Int(random.next(below: 7))]
      if random.next(below: 4) == 0 {
        d.clear(kind)
      } else {
        d[kind] = now + .milliseconds(random.next(below: 50))
      }
      if let armed = d.arm() { timer = armed }
      let earliest = DeadlineKind.allCases.map { d[$0] }.min()!
      #expect(timer <= earliest)
      if random.next(below: 3) == 0, timer != .never {
        now = max(now, timer)
        d.fired()
        timer = .never
        for kind in DeadlineKind.allCases { _ = d.takeDue(kind, now: now) }
        if let armed = d.arm() { timer = armed }
      }
    }
  }
}
