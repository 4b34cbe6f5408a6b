/// A small seeded generator (xoshiro256**, Blackman and Vigna 2018), seeded through SplitMix64.
///
/// The only source of randomness in the core: a replica owns one, and so does every stream of the simulator. Bounded
/// draws are written out here rather than taken from the standard library, so that a seed keeps its meaning when the
/// toolchain changes.
public struct SeededRandom: Equatable, Sendable {
  private var s0: UInt64
  private var s1: UInt64
  private var s2: UInt64
  private var s3: UInt64

  public init(seed: UInt64) {
    var mix = seed
    s0 = Self.splitMix(&mix)
    s1 = Self.splitMix(&mix)
    s2 = Self.splitMix(&mix)
    s3 = Self.splitMix(&mix)
  }

  /// One step of SplitMix64: advances `state` and returns a well-mixed word.
  public static func splitMix(_ state: inout UInt64) -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A uniform 64-bit word.
  public mutating func next() -> UInt64 {
    let scrambled = s1 &* 5
    let result = ((scrambled << 7) | (scrambled >> 57)) &* 9
    let t = s1 << 17
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= t
    s3 = (s3 << 45) | (s3 >> 19)
    return result
  }

  /// A word below `bound` by multiply-high; `bound` 0 answers 0. The bias is below 2⁻³² for bounds below 2³².
  public mutating func next(below bound: UInt64) -> UInt64 {
    next().multipliedFullWidth(by: bound).high
  }
}

extension SeededRandom {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.raw(&s0)
    try coder.raw(&s1)
    try coder.raw(&s2)
    try coder.raw(&s3)
  }
}
