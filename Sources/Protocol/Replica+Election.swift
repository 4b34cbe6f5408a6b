// Standing, pre-vote, phase 1, stepping down, leader transfer.
extension Replica {
  // MARK: Following

  /// The lowest ballot that is still followed: promised, or that of the latest leader heard. A heartbeat does not raise the
  /// promise, and without the second half a delayed one of an older leader would take over the vow made to the newer.
  var followed: Ballot { max(acceptor.promised, election.leaderBallot) }

  /// An Accept or Heartbeat at or above the promise: its proposer leads.
  mutating func heardLeader(
    _ ballot: Ballot, now: Instant, _ effects: inout EffectBuffer
  ) {
    if role != .follower { stepDown(now: now, &effects) }
    leaseGuard.renew(ballot, now: now, &contracts)
    deadlines[.election] = election.deadline(now: now, &random)
    if election.heard(ballot, now: now) {
      effects.append(.roleChanged(.follower, ballot, leader: ballot.proposer))
    }
  }

  /// Back to follower: whatever was in flight may or may not be chosen; what waited is refused.
  mutating func stepDown(now: Instant, _ effects: inout EffectBuffer) {
    guard role != .follower else { return }
    if leads {
      contracts.mark(.leaderSteppedDown)
      election.lostLeader()
    }
    role = .follower
    proposer.stepDown()
    batcher.removeAll()
    transferTarget = nil
    isLeaseReleased = true
    deadlines.clear(.heartbeat)
    deadlines.clear(.retransmit)
    deadlines.clear(.batch)
    deadlines.clear(.transfer)
    deadlines[.election] = election.deadline(now: now, &random)
    while let read = reads.nextAbandoned() {
      effects.append(.reject(read, .notLeader(leader: election.leader)))
    }
    effects.append(.roleChanged(.follower, acceptor.promised, leader: election.leader))
  }

  // MARK: Pre-vote

  /// The election deadline came: ask whether standing would succeed before disturbing anybody.
  mutating func stand(now: Instant, _ effects: inout EffectBuffer) {
    // A leader that gives up settling does so whether or not it may lead again.
    if role != .follower { stepDown(now: now, &effects) }
    deadlines[.election] = election.deadline(now: now, &random)
    guard !isSuspect else {
      election.lostLeader()
      return
    }
    guard election.isPermitted else {
      contracts.mark(.leadershipVetoed)
      return
    }
    guard
      !leaseGuard.forbids(
        acceptor.promised.successor(for: id), releasedLease: .zero, now: now)
    else {
      deadlines[.election] = leaseGuard.until
      return
    }
    election.lostLeader()
    let preVote = election.beginPreVote(ownIndex: ownIndex, chosenUpTo: window.chosenUpTo)
    role = .preCandidate
    effects.append(.roleChanged(.preCandidate, preVote.ballot, leader: nil))
    if configuration.quorum.isReached(by: election.preVotes) {
      prepare(releasedLease: .zero, now: now, &effects)
    } else {
      effects.append(.broadcast(.preVote(preVote)))
      deadlines[.heartbeat] = now + options.retransmitInterval
    }
  }

  mutating func receive(
    _ preVote: PreVote, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(preVote.chosenUpTo, from: voter, now: now)
    let isGranted =
      !isSuspect
      && election.grants(preVote, promised: acceptor.promised, leads: leads, now: now)
      && !leaseGuard.forbids(preVote.ballot, releasedLease: .zero, now: now)
    let leads = leads
    contracts.ensure(.preVotePostLeaderRefuses, !(leads && isGranted))
    if !isGranted { contracts.mark(.preVoteRefused) }
    effects.append(
      .send(
        to: preVote.ballot.proposer,
        .preVoteReply(
          PreVoteReply(
            ballot: preVote.ballot, isGranted: isGranted, promised: acceptor.promised,
            chosenUpTo: window.chosenUpTo))))
  }

  mutating func receive(
    _ reply: PreVoteReply, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(reply.chosenUpTo, from: voter, now: now)
    guard election.process(reply, from: voter, &contracts), role == .preCandidate else { return }
    guard election.furthest - window.chosenUpTo <= options.windowSlots else {
      // Too far behind to settle the window: learn first, from one that just answered, and stand again soon.
      contracts.mark(.candidateTooFarBehind)
      stepDown(now: now, &effects)
      deadlines[.election] = now + options.catchUpRetry
      fetch(now: now, &effects)
      return
    }
    prepare(releasedLease: .zero, now: now, &effects)
  }

  // MARK: Phase 1

  /// Begins phase 1 with an own, durable promise; the Prepare leaves when that is safe on disk, so that a restarted
  /// proposer can never use the ballot again.
  mutating func prepare(
    releasedLease: Ballot, now: Instant, _ effects: inout EffectBuffer
  ) {
    election.saw(acceptor.promised)
    let ballot = election.highestSeen.successor(for: id)
    election.saw(ballot)
    let prepare = Prepare(
      ballot: ballot, firstSlot: window.chosenUpTo.next, releasedLease: releasedLease)
    let result = acceptor.process1a(prepare, at: nextPosition, &contracts)
    contracts.ensure(.preparePostOwnPromise, result == .promise)
    self.releasedLease = releasedLease
    proposer.prepare(ballot, window: window, &contracts)
    role = .candidate
    let position = persist(.promised(ballot), now: now, &effects)
    replies.wait(for: position, .promise(ballot, firstSlot: prepare.firstSlot))
    deadlines[.election] = election.deadline(now: now, &random)
    deadlines.clear(.heartbeat)
    effects.append(.roleChanged(.candidate, ballot, leader: nil))
  }

  /// The own promise survives a crash: ask the others, and count it with the own votes.
  mutating func ownPromiseIsDurable(
    _ ballot: Ballot, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard role == .candidate, proposer.ballot == ballot else { return }
    sendPrepare(now: now, &effects)
    guard let firstSlot = proposer.phase1?.firstSlot else { return }
    var result = Phase1.Result.incomplete
    var slot = max(firstSlot, window.truncatedUpTo.next)
    while slot <= window.highestUsed {
      result = proposer.process1b(report(slot, ballot), from: ownIndex, &contracts)
      slot = slot.next
    }
    result = proposer.process1b(
      promise(ballot, firstSlot: firstSlot), from: ownIndex, &contracts)
    if result == .quorum { lead(now: now, &effects) }
  }

  mutating func sendPrepare(now: Instant, _ effects: inout EffectBuffer) {
    guard let phase1 = proposer.phase1 else { return }
    effects.append(
      .broadcast(
        .prepare(
          Prepare(
            ballot: phase1.ballot, firstSlot: phase1.firstSlot, releasedLease: releasedLease))))
    deadlines[.heartbeat] = now + options.retransmitInterval
  }

  mutating func receive(
    _ promise: Promise, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(promise.chosenUpTo, from: voter, now: now)
    concludePhase1(
      proposer.process1b(promise, from: voter, &contracts), now: now, &effects)
  }

  mutating func receive(
    _ report: Report, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    concludePhase1(proposer.process1b(report, from: voter, &contracts), now: now, &effects)
  }

  private mutating func concludePhase1(
    _ result: Phase1.Result, now: Instant, _ effects: inout EffectBuffer
  ) {
    switch result {
    case .incomplete:
      break
    case .quorum:
      lead(now: now, &effects)
    case .farBehind:
      contracts.mark(.candidateTooFarBehind)
      stepDown(now: now, &effects)
      fetch(now: now, &effects)
    }
  }

  mutating func receive(
    _ rejected: Rejected, now: Instant, _ effects: inout EffectBuffer
  ) {
    election.saw(rejected.promised)
    guard rejected.ballot == proposer.ballot, rejected.promised > rejected.ballot,
      role == .candidate || leads
    else { return }
    contracts.mark(.ballotOvertaken)
    stepDown(now: now, &effects)
  }

  // MARK: Leader transfer

  mutating func receive(
    _ request: StandForElection, from: ReplicaID, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard request.ballot == election.leaderBallot, election.isPermitted, role == .follower,
      acceptor.promised <= request.ballot, !isSuspect
    else { return }
    // The own promise is one of the quorum's, so the own vow to a later leader stands in its way like anybody's.
    guard
      !leaseGuard.forbids(
        election.highestSeen.successor(for: id), releasedLease: request.ballot, now: now)
    else { return }
    contracts.mark(.transferAccepted)
    prepare(releasedLease: request.ballot, now: now, &effects)
  }

  mutating func transferRequested(
    to target: ReplicaID, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard leads, target != id, index(of: target) != nil, transferTarget == nil else { return }
    transferTarget = target
    isTransferSent = false
    deadlines[.transfer] = now + options.electionTimeout
    continueTransfer(now: now, &effects)
  }

  /// Hands over once the target knows everything and nothing is in flight.
  mutating func continueTransfer(now: Instant, _ effects: inout EffectBuffer) {
    guard let target = transferTarget, let voter = index(of: target), role == .leader,
      !isTransferSent, batcher.isEmpty, proposer.slotsInFlight(window) == 0,
      catchUp.peers[voter] >= window.chosenUpTo
    else { return }
    // From here on no read of this ballot rests on the lease, even if the target never stands.
    isLeaseReleased = true
    isTransferSent = true
    effects.append(
      .send(to: target, .standForElection(StandForElection(ballot: proposer.ballot))))
  }

  mutating func leadershipPermitted(
    _ isPermitted: Bool, now: Instant, _ effects: inout EffectBuffer
  ) {
    election.isPermitted = isPermitted
    guard !isPermitted else { return }
    if leads {
      var best = -1
      for i in catchUp.peers.indices
      where i != ownIndex && (best < 0 || catchUp.peers[i] > catchUp.peers[best]) { best = i }
      if best >= 0 {
        transferRequested(to: configuration.voters[best].id, now: now, &effects)
      } else {
        stepDown(now: now, &effects)
      }
    } else if role != .follower {
      stepDown(now: now, &effects)
    }
  }

  /// The transfer took too long: lead on, unless the application forbids it.
  mutating func transferExpired(now: Instant, _ effects: inout EffectBuffer) {
    guard transferTarget != nil else { return }
    contracts.mark(.transferExpired)
    transferTarget = nil
    if !election.isPermitted { stepDown(now: now, &effects) }
  }
}
