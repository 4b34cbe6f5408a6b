import Protocol
import Testing

@Suite struct QuorumTests {
  @Test(arguments: [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (7, 4), (64, 33)])
  func sizeIsMoreThanHalf(_ voters: Int, _ size: Int) {
    #expect(Quorum(voters: voters).size == size)
  }

  /// Any two quorums share a member: exhaustive up to six voters.
  @Test(arguments: 1...6) func quorumsIntersect(_ voters: Int) {
    let quorum = Quorum(voters: voters)
    let sets = (0..<(1 << UInt64(voters))).map { VoterSet(bits: $0) }
    let quorums = sets.filter { quorum.isReached(by: $0) }
    #expect(!quorums.isEmpty)
    for a in quorums {
      for b in quorums { #expect(a.bits & b.bits != 0) }
    }
  }

  /// So many voters meet every quorum, and one less does not.
  @Test(arguments: 1...6) func anOverlapMeetsEveryQuorum(_ voters: Int) {
    let quorum = Quorum(voters: voters)
    let sets = (0..<(1 << UInt64(voters))).map { VoterSet(bits: $0) }
    let quorums = sets.filter { quorum.isReached(by: $0) }
    for set in sets {
      let meetsAll = quorums.allSatisfy { $0.bits & set.bits != 0 }
      #expect(meetsAll == (set.count >= quorum.overlap))
    }
  }

  @Test func aVoterCountsOnce() {
    var set = VoterSet()
    set.insert(63)
    set.insert(63)
    #expect(set.count == 1)
    #expect(set.contains(63) && !set.contains(0))
    set.insert(0)
    #expect(set.count == 2)
    set.remove(63)
    #expect(set == voterSet(0))
    set.removeAll()
    #expect(set.count == 0)
  }

  @Test func reachedByQuorumIsTheHighestValueOfAQuorum() {
    var random = SeededRandom(seed: 11)
    for _ in 0..<2_000 {
      let voters = 1 + Int(random.next(below: 7))
      let quorum = Quorum(voters: voters)
      let values = (0..<voters).map { _ in random.next(below: 6) }
      let naive = values.filter { v in values.filter { $0 >= v }.count >= quorum.size }.max()
      #expect(quorum.reachedByQuorum(values) == naive)
    }
    #expect(Quorum(voters: 3).reachedByQuorum([1]) == nil)
  }
}
