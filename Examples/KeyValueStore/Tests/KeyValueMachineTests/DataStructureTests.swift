import Protocol
import Testing

@testable import KeyValueMachine

@Suite struct DataStructureTests {
  @Test func aTableIsAMapWhoseOrderDoesNotDependOnItsPast() {
    for seed: UInt64 in 0..<40 {
      var random = SeededRandom(seed: seed)
      var table = Table<Int>(shardBits: 2)
      var model: [[UInt8]: Int] = [:]
      for step in 0..<600 {
        let key = Array("k\(random.next(below: 150))".utf8)
        let hash = Self.hash(key, seed)
        let position = key.withUnsafeBytes { table.find($0, hash) }
        #expect(position.map { table[$0] } == model[key])
        // Grows for a while, then shrinks.
        if random.next(below: 600) > UInt64(step) {
          if let position { table[position] = step } else { _ = table.insert(key, hash, step) }
          model[key] = step
        } else if let position {
          table.remove(at: position)
          model[key] = nil
        }
        #expect(table.count == model.count)
      }
      var again = Table<Int>(shardBits: 2)
      for (key, value) in model { _ = again.insert(key, Self.hash(key, seed), value) }
      let order = Self.entries(table)
      #expect(order == Self.entries(again))
      #expect(order.count == model.count)
      let hashes = order.map { Self.hash($0.key, seed) }
      #expect(hashes == hashes.sorted())
    }
  }

  /// With few different hashes in every other seed, so that keys collide.
  private static func hash(_ key: [UInt8], _ seed: UInt64) -> UInt64 {
    let hash = ByteHash.hash(key)
    return seed % 2 == 0 ? hash : hash & 0xF000_0000_0000_0003
  }

  private struct Pair: Equatable {
    var key: [UInt8]
    var value: Int
  }

  private static func entries(_ table: Table<Int>) -> [Pair] {
    var entries: [Pair] = []
    table.visit { entries.append(Pair(key: $0.key, value: $0.payload)) }
    return entries
  }

  @Test func aListIsAnArrayWithCheapEnds() {
    for seed: UInt64 in 0..<30 {
      var random = SeededRandom(seed: seed)
      var list = List()
      var model: [[UInt8]] = []
      for step in 0..<1500 {
        let element = Array("\(step)".utf8)
        let grows = random.next(below: 1500) > UInt64(step)
        switch (grows, random.next(below: 2)) {
        case (true, 0):
          list.pushFront(element)
          model.insert(element, at: 0)
        case (true, _):
          list.pushBack(element)
          model.append(element)
        case (false, 0):
          #expect(list.popFront() == model.first)
          if !model.isEmpty { model.removeFirst() }
        case (false, _): #expect(list.popBack() == model.popLast())
        }
        #expect(list.count == model.count)
      }
      let from = Int(random.next(below: UInt64(model.count + 1)))
      let to = from + Int(random.next(below: UInt64(model.count - from + 1)))
      var part: [[UInt8]] = []
      list.visit(in: from..<to) { part.append($0) }
      #expect(part == Array(model[from..<to]))
      // Built another way, the same list has the same digest and length.
      var again = List()
      for element in model { again.pushBack(element) }
      #expect(list.digest == again.digest)
      #expect(list.bytes == again.bytes)
      if model.count > 1, model[0] != model[1] {
        var swapped = List()
        model.swapAt(0, 1)
        for element in model { swapped.pushBack(element) }
        #expect(swapped.digest != list.digest)
      }
    }
  }

  @Test(arguments: [
    ("*", "", true), ("*", "abc", true), ("a*c", "abbbc", true), ("a*c", "abbb", false),
    ("a?c", "abc", true), ("a?c", "ac", false), ("[a-c]x", "bx", true), ("[a-c]x", "dx", false),
    ("[^a-c]x", "dx", true), ("[^a-c]x", "ax", false), ("[abc", "c", true), ("\\*", "*", true),
    ("\\*", "a", false), ("**a**", "bab", true), ("a", "A", false), ("[c-a]", "b", true),
    ("*a*b*c*", "xaxbxcx", true), ("*a*b*c*", "xaxcxbx", false), ("", "", true), ("", "a", false),
    ("[\\]]", "]", true), ("h[]llo", "hllo", false), ("a\\", "a\\", true),
  ])
  func patternsMatchAsInRedis(pattern: String, text: String, expected: Bool) {
    let bytes = Array(pattern.utf8)
    #expect(
      bytes.withUnsafeBytes { Glob.matches(Array(text.utf8), pattern: $0) } == expected,
      "\(pattern) \(text)")
  }

  @Test func aPatternOfStarsTakesNoTimeWorthMentioning() {
    // Exponential with naive backtracking.
    let pattern = Array((String(repeating: "*a", count: 40) + "b").utf8)
    let text = [UInt8](repeating: UInt8(ascii: "a"), count: 400)
    #expect(!pattern.withUnsafeBytes { Glob.matches(text, pattern: $0) })
  }

  @Test(
    arguments: [
      ("0", 0), ("-1", -1), ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
      ("", nil), ("-", nil), ("-0", nil), ("+1", nil), ("01", nil), (" 1", nil), ("1 ", nil),
      ("9223372036854775808", nil), ("-9223372036854775809", nil), ("1.0", nil),
      ("99999999999999999999", nil), ("123456789012345678901", nil),
    ] as [(String, Int64?)])
  func onlyCanonicalNumbersAreNumbers(text: String, expected: Int64?) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { Decimal.integer($0) } == expected)
    if let expected {
      #expect(Decimal.withDigits(of: expected) { [UInt8]($0) } == bytes)
    }
  }

  @Test func lengthsOfVarintsAreTheirs() {
    for value in [0, 1, 127, 128, 16383, 16384, 1 << 21 - 1, 1 << 21, 1 << 32] {
      var writer = PieceWriter([], room: 100)
      writer.put(length: value)
      #expect(writer.bytes.count == Varint.length(value), "\(value)")
    }
  }

  @Test func everyVerbIsInTheTableAndIsFoundByItsName() {
    #expect(Verb.table.map(\.verb) == Verb.allCases)
    for verb in Verb.allCases {
      #expect(verb.traits.verb == verb)
      let name = "\(verb.traits.name)"
      #expect(name == "\(verb)")
      for text in [name, name.uppercased()] {
        let bytes = Array(text.utf8)
        #expect(bytes.withUnsafeBytes { Verb.named($0) } == verb)
      }
    }
    for text in ["", "gett", "ge", "abcdefghijklmnopqrstuvw", "get\0"] {
      let bytes = Array(text.utf8)
      #expect(bytes.withUnsafeBytes { Verb.named($0) } == nil)
    }
  }
}
