import Simulator
import Testing

@Suite struct RandomStreamTests {
  @Test func drawsOfOneStreamMoveNoOther() {
    var plain = RandomStreams(seed: 9)
    var disturbed = RandomStreams(seed: 9)
    for round in 0..<500 {
      for _ in 0..<round % 7 { _ = disturbed.draw(.disk, below: 1_000) }
      for stream in RandomStream.allCases where stream != .disk {
        let one = plain.draw(stream, below: 1 << 40)
        let other = disturbed.draw(stream, below: 1 << 40)
        #expect(one == other)
      }
    }
  }

  @Test func streamsDifferFromEachOtherAndBetweenSeeds() {
    var firsts: Set<UInt64> = []
    for seed in UInt64(0)..<50 {
      var streams = RandomStreams(seed: seed)
      for stream in RandomStream.allCases { firsts.insert(streams.draw(stream, below: .max)) }
    }
    #expect(firsts.count == 50 * RandomStream.allCases.count)
  }

  /// Kept seeds depend on these: a stream that changes its name or its seeding re-rolls all of
  /// them.
  @Test func seedsKeepTheirMeaning() {
    var streams = RandomStreams(seed: 42)
    let first = RandomStream.allCases.map { streams.draw($0, below: 1_000_000) }
    #expect(
      first == [
        646_395, 977_683, 430_500, 882_461, 369_536, 543_399, 840_088, 361_300, 307_993, 12_467,
        214_074, 294_547, 867_428, 281_145, 850_213, 116_172,
      ])
  }

  @Test func zeroIsTheQuietAnswerOfAChance() {
    var zeros = DecisionTape(seed: 1)
    zeros[.network] = Array(repeating: 0, count: 100)
    var streams = RandomStreams(seed: 1, tape: .replay(zeros, beyondEnd: .fresh))
    var fresh = RandomStreams(seed: 1)
    for _ in 0..<100 {
      let quiet = streams.chance(.network, perMillion: 999_999)
      let certain = fresh.chance(.network, perMillion: 1_000_000)
      let never = fresh.chance(.network, perMillion: 0)
      #expect(!quiet && certain && !never)
    }
  }

  @Test func aChanceIsAsLikelyAsItSays() {
    var streams = RandomStreams(seed: 3)
    var hits = 0
    for _ in 0..<100_000 where streams.chance(.process, perMillion: 250_000) { hits += 1 }
    #expect(hits > 24_500 && hits < 25_500)
  }
}
