// Reads that do not go through the log.
extension Replica {
  mutating func receive(
    _ id: RequestID, _ mode: ReadMode, now: Instant, _ effects: inout EffectBuffer
  ) {
    switch mode {
    case .local(let slot):
      readLocally(id, atLeast: slot, now: now, &effects)
    case .quorum:
      readByQuorum(id, now: now, &effects)
    case .lease:
      guard options.lease != nil else {
        effects.append(.reject(id, .leasesDisabled))
        return
      }
      if hasLease(now: now) {
        checkLeaseContracts()
        contracts.mark(.leaseReadServed)
        effects.append(.serveRead(id, appliedUpTo: window.appliedUpTo))
      } else {
        readByQuorum(id, now: now, &effects)
      }
    }
  }

  private mutating func readLocally(
    _ id: RequestID, atLeast slot: Slot, now: Instant, _ effects: inout EffectBuffer
  ) {
    if window.appliedUpTo >= slot {
      effects.append(.serveRead(id, appliedUpTo: window.appliedUpTo))
    } else if reads.isFull {
      effects.append(.reject(id, .overloaded))
    } else {
      contracts.mark(.localReadWaited)
      reads.addLocal(id, index: slot, deadline: now + options.localReadTimeout)
      deadlines[.localRead] = reads.localDeadline
    }
  }

  /// Linearizable by a round of heartbeats sent after the read came. Reads that come while a round is out share the next.
  ///
  /// The index covers what earlier ballots may have chosen and this leader does not know yet (etcd #7331).
  private mutating func readByQuorum(
    _ id: RequestID, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard leads else {
      effects.append(.reject(id, .notLeader(leader: election.leader)))
      return
    }
    guard !reads.isFull else {
      effects.append(.reject(id, .overloaded))
      return
    }
    let index = max(window.chosenUpTo, proposer.recoveredUpTo)
    reads.add(id, index: index, round: rounds.lastSent + 1, &contracts)
    if rounds.confirmed == rounds.lastSent { sendHeartbeat(now: now, &effects) }
  }

  /// Whether the leader may answer from its own state: everything before it is settled, and a quorum's vows still run.
  @inline(__always)  // A call would copy the whole replica.
  func hasLease(now: Instant) -> Bool {
    guard let lease = options.lease, role == .leader, !isLeaseReleased,
      let sentAt = rounds.confirmedSentAt
    else { return false }
    return now < sentAt + lease.leaderDuration
  }

  private mutating func checkLeaseContracts() {
    guard let lease = options.lease else { return }
    let (isSettled, million) = (window.chosenUpTo >= proposer.recoveredUpTo, UInt64(1_000_000))
    contracts.require(.leaseReadPreSettled, isSettled)
    contracts.require(
      .leaseReadPreShorterThanVow,
      lease.leaderDuration.nanoseconds.multipliedFullWidth(by: million + lease.driftBoundPPM)
        <= lease.duration.nanoseconds.multipliedFullWidth(by: million - lease.driftBoundPPM))
  }

  /// Serves every read whose round is confirmed and whose slot is applied.
  mutating func serveReads(_ effects: inout EffectBuffer) {
    let applied = window.appliedUpTo
    while let id = reads.nextServable(
      confirmed: rounds.confirmed, appliedUpTo: applied, &contracts)
    {
      effects.append(.serveRead(id, appliedUpTo: applied))
    }
    guard reads.hasLocalReads else { return }
    while let id = reads.nextLocalServable(appliedUpTo: applied) {
      effects.append(.serveRead(id, appliedUpTo: applied))
    }
    deadlines[.localRead] = reads.localDeadline
  }

  mutating func expireLocalReads(now: Instant, _ effects: inout EffectBuffer) {
    while let id = reads.nextExpired(now: now) {
      effects.append(.reject(id, .notApplied(appliedUpTo: window.appliedUpTo)))
    }
    deadlines[.localRead] = reads.localDeadline
  }
}
