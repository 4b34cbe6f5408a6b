import Testing

@testable import Protocol

@Suite struct WordIndexTests {
  /// Random inserts and removals against a dictionary, with keys that crowd together.
  @Test(arguments: 1...30)
  func agreesWithADictionary(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var index = WordIndex()
    var model: [UInt64: Int] = [:]
    let spread: UInt64 = [40, 300, 1 << 40][Int(random.next(below: 3))]
    for step in 0..<2_000 {
      let key = random.next(below: spread) << (seed % 2 == 0 ? 16 : 0)
      if model[key] == nil, random.next(below: 5) < 3 {
        index.insert(key, step)
        model[key] = step
      } else if random.next(below: 2) == 0 {
        index.remove(key)
        model[key] = nil
      }
      #expect(index[key] == model[key])
      #expect(index.count == model.count)
    }
    for (key, value) in model { #expect(index[key] == value) }
    for key in 0..<400 { #expect(index[UInt64(key)] == model[UInt64(key)]) }
  }

  @Test func holdsTheWordsThatLookSpecial() {
    var index = WordIndex()
    index.insert(0, 5)
    index.insert(.max, 0)
    #expect(index[0] == 5 && index[.max] == 0 && index[1] == nil)
    index.remove(1)
    index.remove(0)
    #expect(index[0] == nil && index[.max] == 0 && index.count == 1)
  }
}
