import Testing

@testable import Protocol

@Suite struct LeaseGuardTests {
  var lease = LeaseGuard(LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 100))
  var contracts = ContractRecorder()

  func forbids(_ candidate: Ballot, released: Ballot = .zero, at t: UInt64) -> Bool {
    lease.forbids(candidate, releasedLease: released, now: at(t))
  }

  @Test mutating func withoutLeasesNothingIsForbidden() {
    lease = LeaseGuard(nil)
    lease.started(now: at(0))
    lease.renew(ballot(5), now: at(0), &contracts)
    #expect(!forbids(ballot(6, 2), at: 0))
    #expect(lease.until == .zero)
  }

  @Test mutating func aVowKeepsOthersOutUntilItEnds() {
    lease.renew(ballot(5), now: at(1_000), &contracts)
    #expect(forbids(ballot(6, 2), at: 1_399) && !forbids(ballot(6, 2), at: 1_400))
    #expect(!forbids(ballot(6, 1), at: 1_000), "the leader itself may stand again")
    lease.renew(ballot(5), now: at(1_300), &contracts)
    #expect(forbids(ballot(6, 2), at: 1_699))
  }

  @Test mutating func aReleasedLeaseFreesTheVowsUpToItsBallot() {
    lease.renew(ballot(5), now: at(1_000), &contracts)
    #expect(!forbids(ballot(6, 2), released: ballot(5), at: 1_001))
    #expect(!forbids(ballot(7, 2), released: ballot(6, 3), at: 1_001), "a later leader's release")
    #expect(forbids(ballot(6, 2), released: ballot(4, 9), at: 1_001), "an earlier leader's release")
  }

  @Test mutating func aRestartedReplicaPromisesNobody() {
    lease.started(now: at(1_000))
    #expect(forbids(ballot(6, 2), at: 1_399) && forbids(ballot(6, 1), at: 1_399))
    #expect(forbids(ballot(6, 2), released: ballot(5), at: 1_399))
    #expect(!forbids(ballot(6, 2), at: 1_400))
  }

  /// It cannot know whether it vowed to a later leader before the crash.
  @Test mutating func hearingALeaderDoesNotEndTheSilenceAfterARestart() {
    lease.started(now: at(1_000))
    lease.renew(ballot(5), now: at(1_100), &contracts)
    #expect(forbids(ballot(6, 1), at: 1_399), "not even that leader's next ballot")
    #expect(forbids(ballot(6, 2), released: ballot(5), at: 1_399))
    #expect(!forbids(ballot(6, 1), at: 1_400))
    #expect(!forbids(ballot(6, 2), released: ballot(5), at: 1_400))
    #expect(forbids(ballot(6, 2), at: 1_499))
  }

  /// A deposed leader's heartbeat that comes late must not take the vow over from its successor.
  @Test mutating func anEarlierLeaderDoesNotTakeAVowOver() {
    lease.renew(ballot(7, 2), now: at(1_000), &contracts)
    lease.renew(ballot(5, 1), now: at(1_100), &contracts)
    #expect(forbids(ballot(8, 1), at: 1_399))
    #expect(forbids(ballot(8, 3), released: ballot(5, 1), at: 1_399))
    #expect(!forbids(ballot(8, 3), released: ballot(7, 2), at: 1_399))
  }

  @Test mutating func aVowIsNeverCutShort() {
    lease.renew(ballot(5), now: at(1_000), &contracts)
    lease.renew(ballot(6, 2), now: at(900), &contracts)
    #expect(lease.until == at(1_400))
    #expect(contracts.violation == nil)
  }
}
