/// Who leads in this replica's eyes, when to stand, and whether to grant a pre-vote.
public struct Election: Equatable, Sendable {
  /// The leader this replica last heard, and its ballot.
  public private(set) var leader: ReplicaID?
  public private(set) var leaderBallot = Ballot.zero
  public private(set) var leaderHeardAt: Instant?
  /// The highest ballot seen anywhere; the next own ballot lies above it.
  public private(set) var highestSeen: Ballot
  /// The application lets this replica lead.
  public var isPermitted = true

  /// The ballot of the running pre-vote.
  public private(set) var preVoteBallot = Ballot.zero
  public private(set) var preVotes = VoterSet()
  /// The furthest watermark among those that granted, and whose it is.
  public private(set) var furthest = Slot.zero
  public private(set) var furthestVoter = -1

  private let own: ReplicaID
  private let quorum: Quorum
  private let timeout: TimeSpan
  private let jitter: TimeSpan
  private let rankDelay: TimeSpan

  public init(own: Member, quorum: Quorum, promised: Ballot, _ options: ReplicaOptions) {
    self.own = own.id
    self.quorum = quorum
    highestSeen = promised
    timeout = options.electionTimeout
    jitter = options.electionJitter
    rankDelay = options.priorityDelay * UInt64(own.priorityRank)
  }

  /// When to stand unless a leader is heard before: randomized, so that replicas seldom stand together.
  public func deadline(now: Instant, _ random: inout SeededRandom) -> Instant {
    now + timeout + rankDelay
      + TimeSpan(nanoseconds: random.next(below: jitter.nanoseconds))
  }

  public mutating func saw(_ ballot: Ballot) {
    highestSeen = max(highestSeen, ballot)
  }

  /// A leader's Accept or Heartbeat. True when the idea of who leads changed.
  public mutating func heard(_ ballot: Ballot, now: Instant) -> Bool {
    saw(ballot)
    let changed = leader != ballot.proposer || leaderBallot != ballot
    leader = ballot.proposer
    leaderBallot = ballot
    leaderHeardAt = now
    return changed
  }

  public mutating func lostLeader() {
    leader = nil
    leaderHeardAt = nil
  }

  /// Begins a pre-vote for a ballot above everything seen; the own vote is in it.
  public mutating func beginPreVote(ownIndex: Int, chosenUpTo: Slot) -> PreVote {
    preVoteBallot = highestSeen.successor(for: own)
    preVotes = VoterSet()
    preVotes.insert(ownIndex)
    furthest = chosenUpTo
    furthestVoter = ownIndex
    return PreVote(ballot: preVoteBallot, chosenUpTo: chosenUpTo)
  }

  /// Whether this replica would promise the candidate's ballot: it hears no leader itself, or the candidate is the one.
  ///
  /// What keeps a replica behind a broken link from unseating a leader that others hear (pre-vote with check-quorum).
  public func grants(
    _ preVote: PreVote, promised: Ballot, leads: Bool, now: Instant
  ) -> Bool {
    guard preVote.ballot > promised, !leads else { return false }
    guard let leader, let leaderHeardAt else { return true }
    return leader == preVote.ballot.proposer || leaderHeardAt + timeout <= now
  }

  /// Counts an answer. True when a quorum grants.
  public mutating func process(
    _ reply: PreVoteReply, from voter: Int, _ contracts: inout ContractRecorder
  ) -> Bool {
    saw(reply.promised)
    guard reply.ballot == preVoteBallot, reply.isGranted else { return false }
    contracts.require(.preVotePreGrantedAboveTheirPromise, reply.ballot > reply.promised)
    let before = preVotes
    preVotes.insert(voter)
    if reply.chosenUpTo > furthest {
      furthest = reply.chosenUpTo
      furthestVoter = voter
    }
    contracts.ensure(
      .preVotePostCountsOnce, preVotes.count == before.count + (before.contains(voter) ? 0 : 1))
    return quorum.isReached(by: preVotes)
  }
}

extension Election {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.optional(&leader, ReplicaID(0)) { coder, id throws(DecodeError) in
      try coder.replica(&id)
    }
    try coder.ballot(&leaderBallot)
    try coder.optional(&leaderHeardAt, .zero) { coder, time throws(DecodeError) in
      try coder.word(&time)
    }
    try coder.ballot(&highestSeen)
    try coder.bool(&isPermitted)
    try coder.ballot(&preVoteBallot)
    try coder.voters(&preVotes, of: quorum)
    try coder.word(&furthest)
    try coder.index(&furthestVoter, below: quorum.voters)
  }
}
