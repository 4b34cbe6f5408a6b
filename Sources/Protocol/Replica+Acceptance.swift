// The acceptor's side of a replica: Prepare and Accept in, Promise and Accepted out, each behind its record.
extension Replica {
  mutating func receive(
    _ prepare: Prepare, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    let candidate = prepare.ballot.proposer
    guard !isSuspect else {
      contracts.mark(.suspectKeptSilent)
      return election.saw(prepare.ballot)
    }
    if leaseGuard.forbids(prepare.ballot, releasedLease: prepare.releasedLease, now: now) {
      contracts.mark(.leaseRefusedPrepare)
      return
    }
    election.saw(prepare.ballot)
    switch acceptor.process1a(prepare, at: nextPosition, &contracts) {
    case .promise:
      let position = persist(.promised(prepare.ballot), now: now, &effects)
      replies.wait(for: position, .promise(prepare.ballot, firstSlot: prepare.firstSlot))
      if role != .follower { stepDown(now: now, &effects) }
      // The candidate gets a whole timeout to bring its ballot home.
      deadlines[.election] = election.deadline(now: now, &random)
    case .repeated(let position):
      guard position <= persistedUpTo else {
        if !replies.hasPromise(prepare.ballot) {
          replies.wait(
            for: journalPosition, .promise(prepare.ballot, firstSlot: prepare.firstSlot))
        }
        return
      }
      contracts.mark(.promiseRepeated)
      sendPromise(prepare.ballot, firstSlot: prepare.firstSlot, &effects)
    case .reject(let promised):
      effects.append(
        .send(to: candidate, .rejected(Rejected(ballot: prepare.ballot, promised: promised))))
    }
  }

  mutating func receive(
    _ accept: Accept, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard accept.ballot >= followed else {
      contracts.mark(.acceptRejected)
      election.saw(accept.ballot)
      effects.append(
        .send(
          to: accept.ballot.proposer,
          .rejected(Rejected(ballot: accept.ballot, promised: followed))))
      return
    }
    heardLeader(accept.ballot, now: now, &effects)
    if !isSuspect {
      vote(accept, now: now, &effects)
    } else {
      contracts.mark(.suspectKeptSilent)
    }
    observe(accept.chosenUpTo, at: accept.ballot, from: voter, now: now, &effects)
  }

  /// Has the own acceptor vote, whoever proposed.
  mutating func vote(_ accept: Accept, now: Instant, _ effects: inout EffectBuffer) {
    let isSound = !isSuspect
    contracts.require(.votePreIsSound, isSound)
    let result = acceptor.process2a(accept, at: nextPosition, window: &window, &contracts)
    switch result {
    case .vote:
      let position = persist(
        .accepted(accept.slot, accept.ballot, accept.value), now: now, &effects)
      replies.wait(
        for: position, .accepted(accept.ballot, first: accept.slot, last: accept.slot))
      if learner.voted(accept.slot, at: accept.ballot, window: &window, &contracts) {
        chosenAdvanced(now: now, &effects)
      }
    case .repeated(let position):
      contracts.mark(.voteRepeated)
      // Otherwise the answer is waiting already.
      guard position <= persistedUpTo else { return }
      release(
        .accepted(accept.ballot, first: accept.slot, last: accept.slot), now: now, &effects)
    case .truncated:
      // Chosen long ago: tell the leader how far this replica knows the log, so that it fetches the rest.
      contracts.mark(.acceptBelowTruncation)
      effects.append(
        .send(
          to: accept.ballot.proposer,
          .heartbeatReply(
            HeartbeatReply(ballot: accept.ballot, round: 0, chosenUpTo: window.chosenUpTo))))
    case .beyondWindow:
      contracts.mark(.acceptBeyondWindow)
    case .reject, .conflict:
      // A rejection was handled before; a conflict is never answered, and its contract has been recorded.
      break
    }
  }

  /// A reply whose record is durable.
  mutating func release(
    _ reply: DeferredReplies.Reply, now: Instant, _ effects: inout EffectBuffer
  ) {
    switch reply {
    case .promise(let ballot, let firstSlot):
      let (promised, isSound) = (acceptor.promised, !isSuspect)
      contracts.require(.releasePreWasPromised, promised >= ballot)
      contracts.require(.promisePreIsSound, isSound)
      guard ballot == acceptor.promised else {
        // Promised higher in the meantime: the reports would hold votes that this proposer must not see.
        guard ballot.proposer != id else { return }
        effects.append(
          .send(
            to: ballot.proposer,
            .rejected(Rejected(ballot: ballot, promised: acceptor.promised))))
        return
      }
      if ballot.proposer == id {
        ownPromiseIsDurable(ballot, now: now, &effects)
      } else {
        sendPromise(ballot, firstSlot: firstSlot, &effects)
      }
    case .accepted(let ballot, let first, let last):
      let accepted = Accepted(ballot: ballot, firstSlot: first, lastSlot: last)
      if ballot.proposer == id {
        receive(accepted, from: ownIndex, now: now, &effects)
      } else {
        effects.append(.send(to: ballot.proposer, .accepted(accepted)))
      }
    }
  }

  /// The promise as it stands now: head and one report a slot.
  func promise(_ ballot: Ballot, firstSlot: Slot) -> Promise {
    Promise(
      ballot: ballot, firstSlot: firstSlot, chosenUpTo: window.chosenUpTo,
      truncatedUpTo: window.truncatedUpTo, lastSlot: window.highestUsed)
  }

  func report(_ slot: Slot, _ ballot: Ballot) -> Report {
    let entry = window[slot]
    return Report(
      ballot: ballot, slot: slot, votedBallot: entry.ballot, value: entry.value,
      isChosen: entry.isChosen)
  }

  private mutating func sendPromise(
    _ ballot: Ballot, firstSlot: Slot, _ effects: inout EffectBuffer
  ) {
    // Once this replica has voted at the ballot its proposer is past phase 1: a Prepare that came late needs no answer.
    var slot = max(firstSlot, window.truncatedUpTo.next)
    effects.append(
      .send(to: ballot.proposer, .promise(promise(ballot, firstSlot: firstSlot))))
    while slot <= window.highestUsed {
      let report = report(slot, ballot)
      if report.votedBallot < ballot {
        effects.append(.send(to: ballot.proposer, .report(report)))
      }
      slot = slot.next
    }
  }
}
