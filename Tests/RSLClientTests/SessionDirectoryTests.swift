import Protocol
import Testing

@testable import RSLClient

@Suite struct SessionDirectoryTests {
  /// Against a dictionary, with names that crowd together as session names do.
  @Test(arguments: 1...20) func isADictionary(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var directory = SessionDirectory(capacity: 20)
    var twin: [UInt64: Int] = [:]
    for _ in 0..<2000 {
      let name = random.next(below: 40) << (random.next(below: 2) * 16)
      if random.next(below: 3) > 0, twin.count < 20 || twin[name] != nil {
        let session = Int(random.next(below: 100))
        directory.insert(name, session)
        twin[name] = session
      } else {
        directory.remove(name)
        twin[name] = nil
      }
      for name in 0..<40 as Range<UInt64> {
        #expect(directory[name] == twin[name])
        #expect(directory[name << 16] == twin[name << 16])
      }
    }
  }
}
