import Protocol
import Testing

@Suite struct BallotTests {
  @Test(arguments: [
    (ballot(1, 9), ballot(2, 1)), (ballot(2, 1), ballot(2, 2)), (.zero, ballot(0, 1)),
    (.zero, ballot(1, 0)), (ballot(7, 3), ballot(.max, 1)),
  ])
  func roundsComeFirstThenProposers(_ low: Ballot, _ high: Ballot) {
    #expect(low < high)
    #expect(!(high < low))
    #expect(low != high)
  }

  @Test func orderIsTotalOnAGrid() {
    let all = (0..<5 as Range<UInt64>).flatMap { r in (0..<4 as Range<UInt32>).map { ballot(r, $0) }
    }
    for a in all {
      for b in all {
        #expect([a < b, a == b, b < a].filter { $0 }.count == 1, "\(a) and \(b)")
        for c in all where a < b && b < c { #expect(a < c) }
      }
    }
  }

  @Test(arguments: [(1, 1), (1, 3), (3, 1), (2, 2)] as [(UInt32, UInt32)])
  func successorLiesAboveAndBelongsToTheProposer(_ old: UInt32, _ proposer: UInt32) {
    let next = ballot(5, old).successor(for: ReplicaID(proposer))
    #expect(next > ballot(5, old))
    #expect(next.proposer == ReplicaID(proposer))
    #expect(next == ballot(6, proposer))
  }

  @Test func describesItself() { #expect("\(ballot(12, 3))" == "12.3") }
}
