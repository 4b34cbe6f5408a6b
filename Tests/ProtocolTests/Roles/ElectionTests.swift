import Testing

@testable import Protocol

@Suite struct ElectionTests {
  static func election(rank: UInt8 = 0, voters: Int = 3, promised: Ballot = .zero) -> Election {
    Election(
      own: Member(id: ReplicaID(1), priorityRank: rank), quorum: Quorum(voters: voters),
      promised: promised, ReplicaOptions())
  }

  var contracts = ContractRecorder()

  struct Grant: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var candidate = ballot(5, 2)
    var promised = ballot(4, 1)
    var leads = false
    /// The leader heard, and how long ago in milliseconds.
    var heard: (Ballot, UInt64)?
    var lost = false
    var isGranted: Bool
  }

  static let grants: [Grant] = [
    .init(testDescription: "no leader known", isGranted: true),
    .init(testDescription: "below the promise", promised: ballot(6, 1), isGranted: false),
    .init(testDescription: "at the promise", promised: ballot(5, 2), isGranted: false),
    .init(testDescription: "just above the promise", promised: ballot(5, 1), isGranted: true),
    .init(testDescription: "leads itself", leads: true, isGranted: false),
    .init(testDescription: "hears a leader", heard: (ballot(4, 3), 0), isGranted: false),
    .init(
      testDescription: "heard one just within the timeout", heard: (ballot(4, 3), 499),
      isGranted: false),
    .init(testDescription: "heard one a timeout ago", heard: (ballot(4, 3), 500), isGranted: true),
    .init(testDescription: "the leader itself asks", heard: (ballot(4, 2), 0), isGranted: true),
    .init(
      testDescription: "gave its leader up", heard: (ballot(4, 3), 0), lost: true, isGranted: true),
    .init(
      testDescription: "the leader asks below the promise", promised: ballot(6, 1),
      heard: (ballot(4, 2), 0), isGranted: false),
  ]

  @Test(arguments: grants) func grantsTable(_ grant: Grant) {
    var election = Self.election()
    if let (ballot, _) = grant.heard { _ = election.heard(ballot, now: at(1_000)) }
    if grant.lost { election.lostLeader() }
    let before = election
    let isGranted = election.grants(
      PreVote(ballot: grant.candidate, chosenUpTo: .zero), promised: grant.promised,
      leads: grant.leads, now: at(1_000 + (grant.heard?.1 ?? 0)))
    #expect(isGranted == grant.isGranted)
    #expect(election == before, "a pre-vote changes nothing")
  }

  @Test(arguments: [0, 1, 4] as [UInt8]) func theDeadlineIsRandomWithinItsBounds(_ rank: UInt8) {
    let election = Self.election(rank: rank)
    var random = SeededRandom(seed: 1)
    var seen: Set<Instant> = []
    for _ in 0..<500 {
      let deadline = election.deadline(now: at(100), &random)
      #expect(deadline >= at(600 + 250 * UInt64(rank)) && deadline < at(1_100 + 250 * UInt64(rank)))
      seen.insert(deadline)
    }
    #expect(seen.count > 490)
  }

  @Test func ballotsOfACandidateLieAboveEverythingSeen() {
    var election = Self.election(promised: ballot(3, 2))
    #expect(election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot == ballot(4, 1))
    election.saw(ballot(8, 3))
    election.saw(ballot(2, 3))
    #expect(election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot == ballot(9, 1))
    _ = election.heard(ballot(11, 2), now: at(0))
    #expect(election.highestSeen == ballot(11, 2))
  }

  @Test func hearingTellsWhenTheLeaderChanged() {
    var election = Self.election()
    #expect(election.heard(ballot(3, 2), now: at(1)) == true)
    #expect(election.heard(ballot(3, 2), now: at(2)) == false)
    #expect(election.leader == ReplicaID(2) && election.leaderHeardAt == at(2))
    #expect(election.heard(ballot(4, 2), now: at(3)) == true, "the same proposer at another ballot")
    election.lostLeader()
    #expect(election.leader == nil)
    #expect(election.heard(ballot(4, 2), now: at(4)) == true)
  }

  func reply(
    _ b: Ballot, granted: Bool = true, promised: Ballot = .zero, chosen: UInt64 = 0
  ) -> PreVoteReply {
    PreVoteReply(ballot: b, isGranted: granted, promised: promised, chosenUpTo: Slot(chosen))
  }

  @Test mutating func aQuorumOfGrantsIsNeeded() {
    var election = Self.election(voters: 5)
    let b = election.beginPreVote(ownIndex: 0, chosenUpTo: Slot(3)).ballot
    #expect(election.preVotes == voterSet(0))
    #expect(!election.process(reply(b), from: 1, &contracts))
    #expect(!election.process(reply(b), from: 1, &contracts), "counts once")
    #expect(!election.process(reply(b, granted: false), from: 2, &contracts))
    #expect(!election.process(reply(ballot(77)), from: 3, &contracts), "another pre-vote's")
    #expect(election.process(reply(b, chosen: 9), from: 4, &contracts))
    #expect(election.furthest == Slot(9) && election.furthestVoter == 4)
    #expect(contracts.violation == nil)
  }

  @Test mutating func aRefusalTellsAPromiseToClimbOver() {
    var election = Self.election()
    let b = election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot
    _ = election.process(reply(b, granted: false, promised: ballot(20, 3)), from: 2, &contracts)
    #expect(election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot == ballot(21, 1))
    #expect(election.preVotes == voterSet(0), "votes of the former pre-vote are gone")
  }
}
