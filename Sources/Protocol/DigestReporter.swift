/// A follower tells the leader what digest its state has after a slot; the leader puts it into the log (`DigestReport`).
public struct StateDigest: Hashable, Sendable {
  public var slot: Slot
  public var digest: UInt64

  public init(slot: Slot, digest: UInt64) {
    self.slot = slot
    self.digest = digest
  }
}

/// What a replica has to say about its state and has not seen in the log, and, on a leader, what it has put there for whom.
struct DigestReporter: Equatable, Sendable {
  /// As the host told it last.
  private(set) var standing = DigestStanding.none
  /// By voter: the last slot whose report was put into the log in this ballot.
  private(set) var entered: [Slot]
  /// By voter: how often a snapshot was kept from it since it last got slots.
  private var heldBack: [Int]

  /// So often a snapshot is kept from a peer that no agreed digest vouches for. Then it gets this one and all later ones until it
  /// has caught up: where a majority cannot report, because it is down or waits for this very snapshot, nothing ever vouches
  /// for one.
  static let heldBackMax = 4

  init(voters: Int) {
    entered = Array(repeating: .zero, count: voters)
    heldBack = Array(repeating: 0, count: voters)
  }

  /// What is to be reported: the own digest taken last, until a report of it, or of a later one, was applied here.
  var outstanding: StateDigest? {
    guard standing.slot > standing.reportedUpTo else { return nil }
    return StateDigest(slot: standing.slot, digest: standing.digest)
  }

  /// The host says how things stand. True when another digest has been taken.
  mutating func take(_ standing: DigestStanding) -> Bool {
    defer { self.standing = standing }
    return standing.slot > self.standing.slot
  }

  /// A ballot begins to be led: what was entered in earlier ones may be lost.
  mutating func lead() {
    for i in entered.indices { entered[i] = .zero }
  }

  /// Whether a voter's report of this slot goes into the log; notes that it does.
  mutating func enter(_ slot: Slot, of voter: Int) -> Bool {
    guard slot > entered[voter] else { return false }
    entered[voter] = slot
    return true
  }

  /// There was no room for a voter's report: the next one, or the same again, may try.
  mutating func refused(_ voter: Int) { entered[voter] = .zero }

  /// Whether a voter gets the snapshot of the state after `slot`.
  mutating func mayOffer(_ slot: Slot, to voter: Int) -> Bool {
    if slot <= standing.vouchedUpTo || heldBack[voter] == Self.heldBackMax { return true }
    heldBack[voter] += 1
    return false
  }

  /// A voter is so far that it gets slots.
  mutating func servesSlots(to voter: Int) { heldBack[voter] = 0 }
}

// Reports of digests on their way into the log, and what is made of agreed ones.
extension Replica {
  /// The host's application has taken a digest, or seen one applied or agreed.
  mutating func digestsChanged(
    _ standing: DigestStanding, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard options.digestPeriod > 0 else { return }
    let isNew = digests.take(standing)
    guard digests.outstanding != nil else { return deadlines.clear(.digest) }
    if isNew { reportDigest(now: now, &effects) }
  }

  /// Reports the own digest, now and until it is in the log: whatever it takes to get there may be lost.
  private mutating func reportDigest(now: Instant, _ effects: inout EffectBuffer) {
    guard let digest = digests.outstanding else { return }
    let reported = digests.standing.reportedUpTo
    contracts.require(.reportDigestPreIsUnreported, digest.slot > reported)
    deadlines[.digest] = now + options.electionTimeout
    if leads {
      enterReport(digest, of: ownIndex, &effects)
    } else if let leader = election.leader, leader != id {
      effects.append(.send(to: leader, .stateDigest(digest)))
    }
  }

  /// The own digest is not in the log yet.
  mutating func digestDue(now: Instant, _ effects: inout EffectBuffer) {
    guard digests.outstanding != nil else { return }
    contracts.mark(.digestReportRepeated)
    reportDigest(now: now, &effects)
  }

  mutating func receive(
    _ digest: StateDigest, from voter: Int, _ effects: inout EffectBuffer
  ) {
    guard leads, options.digestPeriod > 0 else { return }
    enterReport(digest, of: voter, &effects)
  }

  /// Has the host put a report into the log buffer, from where it comes back as a command.
  private mutating func enterReport(
    _ digest: StateDigest, of voter: Int, _ effects: inout EffectBuffer
  ) {
    let (isLeading, before) = (leads, digests.entered[voter])
    contracts.require(.enterReportPreLeads, isLeading)
    guard transferTarget == nil, digests.enter(digest.slot, of: voter) else { return }
    contracts.ensure(.enterReportPostOncePerBallot, digest.slot > before)
    effects.append(
      .enterReport(
        DigestReport(
          replica: configuration.voters[voter].id, epoch: configuration.epoch,
          voters: UInt32(configuration.voters.count), slot: digest.slot, digest: digest.digest)))
  }

  /// The host has put a report into the log buffer.
  mutating func reportEntered(
    _ command: CommandRef, now: Instant, _ effects: inout EffectBuffer
  ) {
    guard leads, transferTarget == nil else { return }
    switch batcher.add(command, isReport: true, now: now, &contracts) {
    case .added:
      pump(now: now, &effects)
    case .overloaded, .tooLarge:
      guard let replica = UInt32(exactly: command.session.rawValue),
        let voter = index(of: ReplicaID(replica))
      else { return }
      digests.refused(voter)
    }
  }

  /// Offers the own snapshot to a peer, unless it might be one of a diverged state.
  mutating func offerSnapshot(to voter: Int, _ effects: inout EffectBuffer) {
    guard options.digestPeriod == 0 || digests.mayOffer(snapshot.slot, to: voter) else {
      return contracts.mark(.snapshotHeldBack)
    }
    contracts.mark(.snapshotOffered)
    let peer = configuration.voters[voter].id
    effects.append(.send(to: peer, .snapshotOffer(SnapshotOffer(snapshot: snapshot))))
  }
}

extension DigestReporter {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    var standing = standing
    try standing.codeState(&coder)
    self.standing = standing
    try coder.each(&entered) { coder, slot throws(DecodeError) in try coder.word(&slot) }
    try coder.each(&heldBack) { coder, count throws(DecodeError) in
      try coder.count(&count)
      try coder.check(count <= Self.heldBackMax)
    }
  }
}

extension DigestStanding {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.word(&slot)
    try coder.raw(&digest)
    try coder.word(&reportedUpTo)
    try coder.word(&vouchedUpTo)
  }
}
