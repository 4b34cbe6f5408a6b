/// The proposer: leads a ballot through phase 1 and pipelines phase 2 over a bounded window.
public struct Proposer: Equatable, Sendable {
  public enum Phase: Equatable, Sendable {
    case idle
    /// Phase 1; the own promise may still be on its way to the journal.
    case preparing
    /// Phase 1 is complete: proposes, first what phase 1 brought up.
    case proposing
  }

  private struct InFlight: Equatable, Sendable {
    var value: Value
    var votes: VoterSet
    var sentAt: Instant
  }

  public private(set) var phase = Phase.idle
  public private(set) var ballot = Ballot.zero
  /// The running or completed phase 1; kept until its slots are proposed again.
  public private(set) var phase1: Phase1?
  /// The next slot to propose in.
  public private(set) var nextSlot = Slot.zero
  /// The last slot that phase 1 brought up. Everything chosen before this ballot lies at or below it.
  public private(set) var recoveredUpTo = Slot.zero
  /// Nothing is proposed before everything up to here is learned: a promiser has truncated it.
  public private(set) var mustLearnUpTo = Slot.zero

  private let quorum: Quorum
  private let windowSlots: Int
  private var inFlight: [InFlight]
  private let mask: UInt64

  public init(quorum: Quorum, windowSlots: Int) {
    self.quorum = quorum
    self.windowSlots = windowSlots
    var size = 1
    while size < windowSlots { size *= 2 }
    mask = UInt64(size - 1)
    inFlight = Array(
      repeating: InFlight(value: .noop, votes: VoterSet(), sentAt: .zero), count: size)
  }

  // MARK: Phase 1

  /// Begins phase 1 of a ballot above every one used before.
  public mutating func prepare(
    _ ballot: Ballot, window: SlotWindow, _ contracts: inout ContractRecorder
  ) {
    contracts.require(.preparePreBallotIsNew, ballot > self.ballot)
    self.ballot = ballot
    phase = .preparing
    let firstSlot = window.chosenUpTo.next
    phase1 = Phase1(
      ballot: ballot, firstSlot: firstSlot, quorum: quorum,
      capacity: window.lastSlot - window.chosenUpTo)
    nextSlot = firstSlot
    recoveredUpTo = window.chosenUpTo
    mustLearnUpTo = .zero
    contracts.ensure(.preparePostNothingIsInFlight, nextSlot == window.chosenUpTo.next)
  }

  public mutating func process1b(
    _ promise: Promise, from voter: Int, _ contracts: inout ContractRecorder
  ) -> Phase1.Result {
    guard phase == .preparing, promise.ballot == ballot else { return .incomplete }
    return phase1!.process1b(promise, from: voter, &contracts)
  }

  public mutating func process1b(
    _ report: Report, from voter: Int, _ contracts: inout ContractRecorder
  ) -> Phase1.Result {
    guard phase == .preparing, report.ballot == ballot else { return .incomplete }
    return phase1!.process1b(report, from: voter, &contracts)
  }

  /// A quorum has promised: from now on this proposer leads its ballot.
  public mutating func lead(window: SlotWindow, _ contracts: inout ContractRecorder) {
    contracts.require(
      .leadPreQuorumPromised, phase1.map { quorum.isReached(by: $0.promised) } ?? false)
    guard let phase1 else { return }
    phase = .proposing
    recoveredUpTo = max(phase1.lastSlot, window.chosenUpTo)
    mustLearnUpTo = phase1.truncatedUpTo
    nextSlot = window.chosenUpTo.next
    contracts.ensure(.leadPostProposesAboveChosen, nextSlot > window.chosenUpTo)
    contracts.ensure(.leadPostKnowsWhatMayBeChosen, recoveredUpTo >= phase1.lastSlot)
  }

  /// Gives the ballot up; what is in flight may or may not be chosen.
  public mutating func stepDown() {
    phase = .idle
    phase1 = nil
  }

  // MARK: Phase 2

  /// What to put into the next slot.
  public enum Next: Equatable, Sendable {
    /// Phase 1 brought this value up (a no-op for a gap).
    case propose(Slot, Value)
    /// Phase 1 said that this was chosen: learn it, and propose nothing.
    case learn(Slot, Value)
    /// Everything old is proposed again; a new value may go into this slot.
    case free(Slot)
    /// The window is full, or something must be learned first.
    case blocked
  }

  /// The next slot's business under the window's limits. Slots that became known as chosen are passed over.
  public mutating func next(
    window: SlotWindow, _ contracts: inout ContractRecorder
  ) -> Next {
    guard phase == .proposing, window.chosenUpTo >= mustLearnUpTo else { return .blocked }
    while nextSlot <= window.chosenUpTo
      || nextSlot - window.chosenUpTo <= windowSlots && window.isChosen(nextSlot)
    {
      nextSlot = nextSlot.next
    }
    guard nextSlot - window.chosenUpTo <= windowSlots, window.contains(nextSlot) else {
      return .blocked
    }
    guard nextSlot <= recoveredUpTo, let phase1 else {
      self.phase1 = nil
      return .free(nextSlot)
    }
    let recovered = phase1.recovered(nextSlot)
    if recovered.isChosen { return .learn(nextSlot, recovered.value) }
    if recovered.votedBallot == .zero {
      contracts.mark(.gapFilledWithNoop)
    } else {
      contracts.mark(.voteReproposed)
    }
    return .propose(nextSlot, recovered.value)
  }

  /// Puts a value into the next slot; the caller sends the Accept and has its own acceptor vote.
  public mutating func propose(
    _ value: Value, now: Instant, window: SlotWindow, _ contracts: inout ContractRecorder
  ) -> Accept {
    contracts.require(.proposePreLeads, phase == .proposing)
    contracts.require(.proposePreNotChosen, !window.isChosen(nextSlot))
    contracts.require(
      .proposePreWithinWindow, nextSlot - window.chosenUpTo <= windowSlots)
    contracts.require(.proposePreLearnedTruncated, window.chosenUpTo >= mustLearnUpTo)
    contracts.require(
      .proposePreRecoveredValueIsKept,
      nextSlot > recoveredUpTo
        || phase1.map { $0.recovered(nextSlot).value.isSame(as: value) } ?? false)
    let slot = nextSlot
    inFlight[Int(slot.rawValue & mask)] = InFlight(value: value, votes: VoterSet(), sentAt: now)
    nextSlot = slot.next
    contracts.ensure(.proposePostOneValuePerSlot, nextSlot == slot.next)
    return Accept(ballot: ballot, slot: slot, value: value, chosenUpTo: window.chosenUpTo)
  }

  /// Phase 2b. True when a slot newly has a quorum; those slots are marked in the window.
  public mutating func process2b(
    _ accepted: Accepted, from voter: Int, window: inout SlotWindow,
    _ contracts: inout ContractRecorder
  ) -> Bool {
    contracts.require(.process2bPreBallotIsOurs, accepted.ballot == ballot)
    contracts.require(.process2bPreVoterIsAMember, voter >= 0 && voter < quorum.voters)
    contracts.require(
      .process2bPreWasProposed, phase != .proposing || accepted.lastSlot < nextSlot)
    guard phase == .proposing else { return false }
    var slot = max(accepted.firstSlot, window.chosenUpTo.next)
    let last = min(accepted.lastSlot, nextSlot.previous)
    var anyChosen = false
    while slot <= last {
      let i = Int(slot.rawValue & mask)
      let before = inFlight[i].votes
      inFlight[i].votes.insert(voter)
      contracts.ensure(
        .process2bPostVoteCountsOnce,
        inFlight[i].votes.count == before.count + (before.contains(voter) ? 0 : 1))
      if !window[slot].isChosen && quorum.isReached(by: inFlight[i].votes) {
        contracts.ensure(
          .process2bPostChosenHasQuorum, inFlight[i].votes.count * 2 > quorum.voters)
        contracts.ensure(
          .process2bPostChosenIsOurVote,
          window[slot].isUsed && window[slot].value.isSame(as: inFlight[i].value))
        window.markChosen(slot)
        anyChosen = true
      }
      slot = slot.next
    }
    return anyChosen
  }

  /// How many proposed slots are not chosen yet.
  public func slotsInFlight(_ window: SlotWindow) -> Int {
    phase == .proposing ? nextSlot.previous - window.chosenUpTo : 0
  }

  /// The next slot from `slot` on whose Accept was sent at or before `before` and is still open: who has not voted.
  public mutating func nextToResend(
    from slot: Slot, sentBefore before: Instant, now: Instant, window: SlotWindow
  ) -> (accept: Accept, voted: VoterSet)? {
    guard phase == .proposing else { return nil }
    var slot = max(slot, window.chosenUpTo.next)
    while slot < nextSlot {
      let i = Int(slot.rawValue & mask)
      if !window.isChosen(slot) && inFlight[i].sentAt <= before {
        inFlight[i].sentAt = now
        let accept = Accept(
          ballot: ballot, slot: slot, value: inFlight[i].value, chosenUpTo: window.chosenUpTo)
        return (accept, inFlight[i].votes)
      }
      slot = slot.next
    }
    return nil
  }
}

extension Proposer {
  mutating func codeState(
    _ coder: inout some StateCoder, logSlots: Int
  ) throws(DecodeError) {
    var tag: UInt64 = phase == .idle ? 0 : phase == .preparing ? 1 : 2
    try coder.word(&tag)
    try coder.check(tag <= 2)
    phase = tag == 0 ? .idle : tag == 1 ? .preparing : .proposing
    try coder.ballot(&ballot)
    try coder.word(&nextSlot)
    try coder.word(&recoveredUpTo)
    try coder.word(&mustLearnUpTo)

    var hasPhase1 = phase1 != nil
    try coder.bool(&hasPhase1)
    try coder.check(hasPhase1 || phase != .preparing)
    if hasPhase1 {
      var shape = phase1?.shape ?? Phase1.Shape()
      try shape.codeState(&coder)
      try coder.check(shape.capacity <= logSlots)
      if coder.isDecoding {
        phase1 = Phase1(
          ballot: shape.ballot, firstSlot: shape.firstSlot, quorum: quorum,
          capacity: shape.capacity)
      }
      try phase1?.codeState(&coder)
    } else {
      phase1 = nil
    }

    let quorum = quorum
    var end: UInt64 = 0
    let untouched = InFlight(value: .noop, votes: VoterSet(), sentAt: .zero)
    var last = Instant.zero
    try coder.sparse(&inFlight, untouched) { coder, slot throws(DecodeError) in
      try coder.value(&slot.value, end: &end)
      try coder.voters(&slot.votes, of: quorum)
      try coder.word(&slot.sentAt, from: last)
      last = slot.sentAt
    }
  }
}
