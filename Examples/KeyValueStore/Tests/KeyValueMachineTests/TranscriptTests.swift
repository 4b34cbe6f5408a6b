import RESP
import TestSupport
import Testing

@Suite struct TranscriptTests {
  @Test(arguments: ["strings", "keys", "lists", "hashes", "transactions", "expiry"])
  func repliesAreTheOnesOfTheTranscript(name: String) throws {
    var store = SingleStore()
    var count = 0
    for line in try Transcript(named: name).lines {
      switch line {
      case .clock(let time): store.time = SingleStore.beginning + time
      case .command(let command, let reply, let number):
        let answer = store.perform(command).description
        #expect(answer == reply, "\(name).txt:\(number): \(command)")
        count += 1
      }
    }
    #expect(count >= 15)
  }
}
