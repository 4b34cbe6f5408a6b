import Protocol
import Testing

@Suite struct RandomTests {
  @Test func sameSeedSameSequence() {
    var a = SeededRandom(seed: 42)
    var b = SeededRandom(seed: 42)
    var c = SeededRandom(seed: 43)
    let first = (0..<8).map { _ in a.next() }
    #expect(first == (0..<8).map { _ in b.next() })
    #expect(first != (0..<8).map { _ in c.next() })
  }

  @Test func boundedDrawsStayBelowTheirBoundAndReachAllOfIt() {
    var random = SeededRandom(seed: 7)
    var seen = [Bool](repeating: false, count: 10)
    for _ in 0..<1_000 {
      let value = random.next(below: 10)
      #expect(value < 10)
      seen[Int(value)] = true
    }
    #expect(seen.allSatisfy { $0 })
    #expect(random.next(below: 0) == 0)
    #expect(random.next(below: 1) == 0)
  }
}
