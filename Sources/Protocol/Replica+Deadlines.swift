extension Replica {
  /// The host's timer fired: do whatever is due, in a fixed order.
  mutating func deadlineReached(now: Instant, _ effects: inout EffectBuffer) {
    if deadlines.takeDue(.transfer, now: now) { transferExpired(now: now, &effects) }
    if deadlines.takeDue(.election, now: now) {
      if role == .recoveringLeader { contracts.mark(.recoveryGaveUp) }
      if role != .leader { stand(now: now, &effects) }
    }
    if deadlines.takeDue(.heartbeat, now: now) { heartbeatDue(now: now, &effects) }
    if deadlines.takeDue(.retransmit, now: now) { retransmit(now: now, &effects) }
    if deadlines.takeDue(.batch, now: now) { pump(now: now, &effects) }
    if deadlines.takeDue(.catchUp, now: now) { catchUpDue(now: now, &effects) }
    if deadlines.takeDue(.localRead, now: now) { expireLocalReads(now: now, &effects) }
    if deadlines.takeDue(.inquiry, now: now) { inquire(now: now, &effects) }
    if deadlines.takeDue(.digest, now: now) { digestDue(now: now, &effects) }
  }
}
