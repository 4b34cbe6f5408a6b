import Testing

@testable import Protocol

@Suite struct HeartbeatRoundsTests {
  var contracts = ContractRecorder()

  func rounds(_ voters: Int, own: Int = 0) -> HeartbeatRounds {
    var rounds = HeartbeatRounds(quorum: Quorum(voters: voters), own: own)
    rounds.begin(now: at(0))
    return rounds
  }

  func reply(_ round: UInt64) -> HeartbeatReply {
    HeartbeatReply(ballot: ballot(1), round: round, chosenUpTo: .zero)
  }

  @Test func aloneEveryRoundIsConfirmedAtOnce() {
    var r = rounds(1)
    #expect(r.confirmed == 0 && r.confirmedSentAt == nil)
    #expect(r.open(now: at(3)) == 1 && r.confirmed == 1 && r.confirmedSentAt == at(3))
  }

  @Test mutating func aQuorumConfirms() {
    var r = rounds(5, own: 2)
    for n in 1...3 as ClosedRange<UInt64> { #expect(r.open(now: at(n)) == n) }
    #expect(!r.process(reply(3), from: 0, now: at(9), &contracts))
    #expect(r.confirmed == 0)
    #expect(r.process(reply(2), from: 1, now: at(9), &contracts))
    #expect(r.confirmed == 2 && r.confirmedSentAt == at(2))
    #expect(!r.process(reply(2), from: 3, now: at(9), &contracts))
    #expect(r.process(reply(3), from: 4, now: at(9), &contracts) && r.confirmed == 3)
    #expect(contracts.violation == nil)
  }

  @Test mutating func confirmationAgreesWithBruteForce() {
    var random = SeededRandom(seed: 8)
    for _ in 0..<400 {
      let voters = 1 + Int(random.next(below: 7))
      let own = Int(random.next(below: UInt64(voters)))
      var r = rounds(voters, own: own)
      var (answered, sentAt) = ([UInt64](repeating: 0, count: voters), [at(0)])
      for step in 1...40 as ClosedRange<UInt64> {
        let before = r.confirmed
        if random.next(below: 3) == 0 || sentAt.count == 1 {
          #expect(r.open(now: at(step)) == UInt64(sentAt.count))
          answered[own] = UInt64(sentAt.count)
          sentAt.append(at(step))
        } else {
          let voter = Int(random.next(below: UInt64(voters)))
          let round = random.next(below: UInt64(sentAt.count))
          let isNews = r.process(reply(round), from: voter, now: at(step), &contracts)
          answered[voter] = max(answered[voter], round)
          #expect(isNews == (r.confirmed > before))
        }
        let size = Quorum(voters: voters).size
        let brute = (0..<UInt64(sentAt.count)).filter { round in
          answered.filter { $0 >= round }.count >= size
        }.max()!
        #expect(r.confirmed == brute)
        #expect(r.confirmedSentAt == (brute == 0 ? nil : sentAt[Int(brute)]))
      }
    }
    #expect(contracts.violation == nil)
  }

  @Test mutating func whenARoundWasSentIsForgottenInTime() {
    var r = rounds(3)
    _ = r.open(now: at(1))
    #expect(r.process(reply(1), from: 1, now: at(1), &contracts))
    for n in 2...64 as ClosedRange<UInt64> { _ = r.open(now: at(n)) }
    #expect(r.confirmedSentAt == at(1))
    _ = r.open(now: at(65))
    #expect(r.confirmedSentAt == nil, "its place holds another round's time")
  }

  @Test mutating func checkQuorumCountsWhoAnsweredAnything() {
    var r = rounds(5)
    _ = r.open(now: at(10))
    #expect(r.hasQuorum(since: at(0)), "a new leader gets the benefit of the doubt")
    #expect(!r.hasQuorum(since: at(1)))
    _ = r.process(reply(0), from: 1, now: at(20), &contracts)
    #expect(!r.hasQuorum(since: at(15)))
    _ = r.process(reply(1), from: 2, now: at(30), &contracts)
    #expect(r.hasQuorum(since: at(20)) && !r.hasQuorum(since: at(21)))
  }

  @Test mutating func aNewBallotBeginsAnew() {
    var r = rounds(3)
    _ = r.open(now: at(1))
    _ = r.process(reply(1), from: 1, now: at(2), &contracts)
    r.begin(now: at(50))
    #expect(r.lastSent == 0 && r.confirmed == 0 && r.confirmedSentAt == nil)
    #expect(r.hasQuorum(since: at(50)))
    #expect(r.open(now: at(51)) == 1 && r.confirmed == 0)
  }
}
