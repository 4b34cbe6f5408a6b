#if CONTRACTS
  /// What a step must not take back, as it was before the step.
  struct StepWitness {
    let promised: Ballot
    let truncatedUpTo: Slot
    let appliedUpTo: Slot
    let chosenUpTo: Slot

    init(_ replica: borrowing Replica) {
      promised = replica.acceptor.promised
      truncatedUpTo = replica.window.truncatedUpTo
      appliedUpTo = replica.window.appliedUpTo
      chosenUpTo = replica.window.chosenUpTo
    }
  }

  extension Replica {
    /// The invariants of the whole replica, after every step.
    mutating func checkInvariants(since before: StepWitness) {
      let (promised, phase, ballot) = (acceptor.promised, proposer.phase, proposer.ballot)
      let (truncated, applied, chosen) = (
        window.truncatedUpTo, window.appliedUpTo, window.chosenUpTo
      )
      let (end, covered, role, leads) = (window.lastSlot, snapshot.slot, role, leads)

      contracts.invariant(.replicaInvPromiseNeverRegresses, promised >= before.promised)
      contracts.invariant(.replicaInvChosenNeverRegresses, chosen >= before.chosenUpTo)
      contracts.invariant(.replicaInvAppliedNeverRegresses, applied >= before.appliedUpTo)
      contracts.invariant(.replicaInvTruncationNeverRegresses, truncated >= before.truncatedUpTo)
      contracts.invariant(
        .replicaInvWatermarksInOrder, truncated <= applied && applied <= chosen && chosen <= end)
      contracts.invariant(.replicaInvChosenIsApplied, applied == chosen)
      contracts.invariant(.replicaInvSnapshotCoversTruncation, covered >= truncated)
      contracts.invariant(.replicaInvLeaderKeepsItsPromise, !leads || promised == ballot)
      contracts.invariant(
        .replicaInvPhaseMatchesRole,
        leads == (phase == .proposing) && (role == .candidate) == (phase == .preparing))
      let isOwn = ballot == .zero || ballot.proposer == id
      contracts.invariant(.replicaInvBallotIsOwn, isOwn)
      let recovered = proposer.recoveredUpTo
      contracts.invariant(.replicaInvSettledLeader, role != .leader || chosen >= recovered)
      let (inFlight, windowSlots) = (proposer.slotsInFlight(window), options.windowSlots)
      contracts.invariant(.replicaInvInFlightBounded, inFlight <= windowSlots)
      let (handedOut, durable, isIdle) = (journalPosition, persistedUpTo, replies.isEmpty)
      contracts.invariant(.replicaInvRepliesWaitForJournal, isIdle || durable < handedOut)
      contracts.invariant(.replicaInvDurableWasHandedOut, durable <= handedOut)
      let isSilent = role == .follower && isIdle
      let isSound = !isSuspect
      contracts.invariant(.replicaInvSuspectHasNoVoice, isSound || isSilent)
    }
  }
#endif
