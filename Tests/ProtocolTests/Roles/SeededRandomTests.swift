import Protocol
import Testing

@Suite struct SeededRandomTests {
  /// The published test vector of SplitMix64 for the state 1234567.
  @Test func splitMixAgreesWithItsReference() {
    var state = 1_234_567 as UInt64
    let words = (0..<5).map { _ in SeededRandom.splitMix(&state) }
    #expect(
      words == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
      ])
  }

  /// A second implementation of xoshiro256**, written from the paper's C.
  @Test(arguments: [0, 1, 42, .max] as [UInt64]) func agreesWithAReference(_ seed: UInt64) {
    var mix = seed
    var s = (0..<4).map { _ in SeededRandom.splitMix(&mix) }
    func rotl(_ x: UInt64, _ k: UInt64) -> UInt64 { (x << k) | (x >> (64 - k)) }
    var random = SeededRandom(seed: seed)
    for _ in 0..<1_000 {
      let result = rotl(s[1] &* 5, 7) &* 9
      let t = s[1] << 17
      s[2] ^= s[0]
      s[3] ^= s[1]
      s[1] ^= s[2]
      s[0] ^= s[3]
      s[2] ^= t
      s[3] = rotl(s[3], 45)
      #expect(random.next() == result)
    }
  }

  @Test func aCopyGoesItsOwnWay() {
    var a = SeededRandom(seed: 9)
    _ = a.next()
    var b = a
    #expect(a == b)
    let first = a.next()
    #expect(a != b)
    #expect(b.next() == first && a == b)
  }

  @Test(arguments: [1, 2, 3, 10, 1_000, 1 << 40, .max] as [UInt64])
  func boundedDrawsCoverTheirRange(_ bound: UInt64) {
    var random = SeededRandom(seed: bound)
    var (low, high) = (UInt64.max, 0 as UInt64)
    for _ in 0..<4_000 {
      let word = random.next(below: bound)
      #expect(word < bound)
      (low, high) = (min(low, word), max(high, word))
    }
    #expect(low <= bound / 100 && high >= bound - 1 - bound / 100)
  }
}
