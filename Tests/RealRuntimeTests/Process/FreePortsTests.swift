import RealRuntime
import Testing

@Suite struct FreePortsTests {
  /// Whoever has a port may not listen at it yet, so that it looks free.
  @Test func noPortIsHandedOutTwice() throws {
    var seen: Set<UInt16> = []
    for _ in 0..<40 {
      for port in try FreePorts.take(25) {
        #expect((15_000..<30_000).contains(port))
        #expect(seen.insert(port).inserted, "\(port) came twice")
      }
    }
    let reserved = Set<UInt16>((29_000..<29_500).filter { !seen.contains($0) })
    FreePorts.reserve(reserved)
    #expect(try Set(FreePorts.take(400)).isDisjoint(with: reserved))
  }
}
