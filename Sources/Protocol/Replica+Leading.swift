// The leader's side of a replica: taking over, proposing, counting votes, heartbeats.
extension Replica {
  /// A quorum has promised: lead, and first settle what earlier ballots left open.
  mutating func lead(now: Instant, _ effects: inout EffectBuffer) {
    proposer.lead(window: window, &contracts)
    role = .recoveringLeader
    rounds.begin(now: now)
    digests.lead()
    isLeaseReleased = false
    transferTarget = nil
    _ = election.heard(proposer.ballot, now: now)
    // Settling what phase 1 brought up may not take for ever: a promiser may hold what nobody else does and be gone.
    deadlines[.election] = now + options.electionTimeout * 4
    deadlines[.heartbeat] = now + options.heartbeatInterval
    deadlines[.retransmit] = now + options.retransmitInterval
    effects.append(.roleChanged(.recoveringLeader, proposer.ballot, leader: id))
    sendHeartbeat(now: now, &effects)
    if proposer.mustLearnUpTo > window.chosenUpTo {
      contracts.mark(.leaderMustLearnFirst)
      fetch(now: now, &effects)
    }
    pump(now: now, &effects)
    settle(now: now, &effects)
  }

  /// The leader becomes fully one when everything that earlier ballots may have chosen is chosen and known.
  mutating func settle(now: Instant, _ effects: inout EffectBuffer) {
    guard role == .recoveringLeader, window.chosenUpTo >= proposer.recoveredUpTo else { return }
    role = .leader
    deadlines.clear(.election)
    effects.append(.roleChanged(.leader, proposer.ballot, leader: id))
    if !election.isPermitted { leadershipPermitted(false, now: now, &effects) }
  }

  mutating func receive(
    _ command: CommandRef, now: Instant, _ effects: inout EffectBuffer
  ) {
    let request = RequestID(session: command.session, sequence: command.sequence)
    guard leads else {
      effects.append(.reject(request, .notLeader(leader: election.leader)))
      return
    }
    if let transferTarget {
      effects.append(.reject(request, .transferring(to: transferTarget)))
      return
    }
    switch batcher.add(command, now: now, &contracts) {
    case .added:
      pump(now: now, &effects)
    case .overloaded:
      effects.append(.reject(request, .overloaded))
    case .tooLarge:
      effects.append(.reject(request, .tooLarge(limit: options.batchBytesMax)))
    }
  }

  /// Fills the pipeline: first what phase 1 brought up, then what clients sent.
  mutating func pump(now: Instant, _ effects: inout EffectBuffer) {
    // What is learned below may grow the prefix and come back here: a loop, not as many nested calls as there are slots.
    guard !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    var isDone = false
    while !isDone {
      switch proposer.next(window: window, &contracts) {
      case .blocked:
        isDone = true
      case .learn(let slot, let value):
        contracts.mark(.chosenReportLearned)
        learn(slot, value, now: now, &effects)
      case .propose(_, let value):
        propose(value, now: now, &effects)
      case .free:
        let isRipe = batcher.hasOpen && batcher.openSince + options.batchDelay <= now
        if let value = batcher.next(closeOpen: isRipe) {
          propose(value, now: now, &effects)
        } else {
          isDone = true
        }
      }
    }
    // A batch that is ripe waits for the pipeline, which pumps by itself when it has room.
    if batcher.hasOpen && batcher.openSince + options.batchDelay > now {
      deadlines[.batch] = batcher.openSince + options.batchDelay
    }
  }

  /// One slot's phase 2: the Accept leaves while the own vote is on its way to the journal.
  private mutating func propose(
    _ value: Value, now: Instant, _ effects: inout EffectBuffer
  ) {
    let accept = proposer.propose(value, now: now, window: window, &contracts)
    effects.append(.broadcast(.accept(accept)))
    vote(accept, now: now, &effects)
  }

  mutating func receive(
    _ accepted: Accepted, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard accepted.ballot == proposer.ballot, leads else { return }
    guard proposer.process2b(accepted, from: voter, window: &window, &contracts) else { return }
    if window.advanceChosen() {
      chosenAdvanced(now: now, &effects)
    } else {
      contracts.mark(.chosenOutOfOrder)
    }
  }

  // MARK: Heartbeats

  mutating func sendHeartbeat(now: Instant, _ effects: inout EffectBuffer) {
    let round = rounds.open(now: now)
    effects.append(
      .broadcast(
        .heartbeat(
          Heartbeat(ballot: proposer.ballot, round: round, chosenUpTo: window.chosenUpTo))))
    // Alone, the leader confirms its own round at once.
    serveReads(&effects)
  }

  mutating func receive(
    _ heartbeat: Heartbeat, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard heartbeat.ballot >= followed else {
      effects.append(
        .send(
          to: heartbeat.ballot.proposer,
          .rejected(Rejected(ballot: heartbeat.ballot, promised: followed))))
      return
    }
    heardLeader(heartbeat.ballot, now: now, &effects)
    observe(heartbeat.chosenUpTo, at: heartbeat.ballot, from: voter, now: now, &effects)
    // It would say that nobody higher was promised.
    guard !isSuspect else { return contracts.mark(.suspectKeptSilent) }
    effects.append(
      .send(
        to: heartbeat.ballot.proposer,
        .heartbeatReply(
          HeartbeatReply(
            ballot: heartbeat.ballot, round: heartbeat.round, chosenUpTo: window.chosenUpTo))))
  }

  mutating func receive(
    _ reply: HeartbeatReply, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    heardChosen(reply.chosenUpTo, from: voter, now: now)
    guard reply.ballot == proposer.ballot, leads else { return }
    if rounds.process(reply, from: voter, now: now, &contracts) {
      serveReads(&effects)
      if reads.needsRound(after: rounds.lastSent) { sendHeartbeat(now: now, &effects) }
    }
    continueTransfer(now: now, &effects)
  }

  /// The heartbeat is due: lead on only with a quorum behind and a journal that works.
  mutating func heartbeatDue(now: Instant, _ effects: inout EffectBuffer) {
    switch role {
    case .leader, .recoveringLeader:
      let timeout = options.electionTimeout
      let since = Instant(
        nanoseconds: now.rawValue > timeout.nanoseconds ? now.rawValue - timeout.nanoseconds : 0)
      guard rounds.hasQuorum(since: since) else {
        contracts.mark(.checkQuorumFailed)
        return stepDown(now: now, &effects)
      }
      guard journalPosition == persistedUpTo || now - journalWaitsSince < options.journalStallMax
      else {
        contracts.mark(.journalStalled)
        return stepDown(now: now, &effects)
      }
      // A round for waiting reads does not put this off: with enough reads nobody would look at quorum and journal again.
      deadlines[.heartbeat] = now + options.heartbeatInterval
      sendHeartbeat(now: now, &effects)
    case .candidate:
      sendPrepare(now: now, &effects)
    case .preCandidate:
      // Answers may have told of a promise above the ballot that was asked for: ask for a higher one then.
      let preVote =
        election.highestSeen < election.preVoteBallot
        ? PreVote(ballot: election.preVoteBallot, chosenUpTo: window.chosenUpTo)
        : election.beginPreVote(ownIndex: ownIndex, chosenUpTo: window.chosenUpTo)
      effects.append(.broadcast(.preVote(preVote)))
      deadlines[.heartbeat] = now + options.retransmitInterval
    case .follower:
      break
    }
  }

  /// Sends open Accepts again to whoever has not voted, a bounded number at a time.
  mutating func retransmit(now: Instant, _ effects: inout EffectBuffer) {
    guard leads else { return }
    let interval = options.retransmitInterval
    let before = Instant(
      nanoseconds: now.rawValue > interval.nanoseconds ? now.rawValue - interval.nanoseconds : 0)
    var slot = window.chosenUpTo.next
    while let open = proposer.nextToResend(
      from: slot, sentBefore: before, now: now, window: window)
    {
      contracts.mark(.acceptRetransmitted)
      for i in configuration.voters.indices where i != ownIndex && !open.voted.contains(i) {
        effects.append(.send(to: configuration.voters[i].id, .accept(open.accept)))
      }
      slot = open.accept.slot.next
    }
    deadlines[.retransmit] = now + interval
  }
}
