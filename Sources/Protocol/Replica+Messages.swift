/// Why a message was put aside before any role saw it.
public enum ScreenReason: Int, CaseIterable, Sendable {
  case notForThisReplica
  case fromItself
  case notAMember
  case otherEpoch
  /// A Prepare, Accept or Heartbeat whose ballot is not its sender's.
  case foreignBallot
  /// A slot 0, a ballot 0 or beyond all use, a range that runs backwards, a round that was never sent, a no-op with bytes.
  case impossible
}

/// How often each reason applied.
public struct ScreenCounters: Equatable, Sendable {
  private var counts = [UInt64](repeating: 0, count: ScreenReason.allCases.count)

  public init() {}

  public subscript(reason: ScreenReason) -> UInt64 { counts[reason.rawValue] }

  mutating func count(_ reason: ScreenReason) { counts[reason.rawValue] += 1 }
}

// Screen, then assert: whatever a peer sends is checked here first; behind this point the contracts are absolute.
extension Replica {
  mutating func receive(
    _ envelope: Envelope, now: Instant, _ effects: inout EffectBuffer
  ) {
    let from = envelope.from
    guard envelope.to == id else { return screened.count(.notForThisReplica) }
    guard from != id else { return screened.count(.fromItself) }
    guard envelope.epoch == configuration.epoch else { return screened.count(.otherEpoch) }
    guard let voter = index(of: from) else { return screened.count(.notAMember) }
    if let reason = Self.screen(envelope.message, from: from, rounds: rounds, proposer: proposer) {
      return screened.count(reason)
    }

    switch envelope.message {
    case .accept(let m): receive(m, from: voter, now: now, &effects)
    case .accepted(let m): receive(m, from: voter, now: now, &effects)
    case .heartbeat(let m): receive(m, from: voter, now: now, &effects)
    case .heartbeatReply(let m): receive(m, from: voter, now: now, &effects)
    case .prepare(let m): receive(m, from: voter, now: now, &effects)
    case .promise(let m): receive(m, from: voter, now: now, &effects)
    case .report(let m): receive(m, from: voter, now: now, &effects)
    case .rejected(let m): receive(m, now: now, &effects)
    case .preVote(let m): receive(m, from: voter, now: now, &effects)
    case .preVoteReply(let m): receive(m, from: voter, now: now, &effects)
    case .standForElection(let m): receive(m, from: from, now: now, &effects)
    case .fetch(let m): receive(m, from: voter, &effects)
    case .learn(let m): receive(m, from: voter, now: now, &effects)
    case .snapshotOffer(let m): receive(m, from: voter, now: now, &effects)
    case .snapshotFetch(let m): receive(m, from: voter, &effects)
    case .snapshotChunk(let m): receive(m, from: voter, now: now, &effects)
    case .inquiry(let m): receive(m, from: from, &effects)
    case .standing(let m): receive(m, from: voter, now: now, &effects)
    case .stateDigest(let m): receive(m, from: voter, &effects)
    }
  }

  /// The reason to put a message aside, nil for one that a correct peer can have sent.
  static func screen(
    _ message: Message, from: ReplicaID, rounds: HeartbeatRounds, proposer: Proposer
  ) -> ScreenReason? {
    if let ballot = highestBallot(in: message), ballot.round > Ballot.roundMax {
      return .impossible
    }
    switch message {
    case .prepare(let m):
      if m.ballot.proposer != from { return .foreignBallot }
      return m.firstSlot == .zero || m.ballot.round == 0 ? .impossible : nil
    case .accept(let m):
      if m.ballot.proposer != from { return .foreignBallot }
      return m.slot == .zero || m.ballot.round == 0 || !m.value.isWellFormed ? .impossible : nil
    case .heartbeat(let m):
      if m.ballot.proposer != from { return .foreignBallot }
      return m.ballot.round == 0 ? .impossible : nil
    case .preVote(let m):
      if m.ballot.proposer != from { return .foreignBallot }
      return m.ballot.round == 0 ? .impossible : nil
    case .standForElection(let m):
      return m.ballot.proposer != from ? .foreignBallot : nil
    case .promise(let m):
      let isInOrder = m.truncatedUpTo <= m.chosenUpTo && m.chosenUpTo <= m.lastSlot
      return m.firstSlot == .zero || !isInOrder ? .impossible : nil
    case .report(let m):
      return m.slot == .zero || m.votedBallot >= m.ballot || !m.value.isWellFormed
        ? .impossible : nil
    case .accepted(let m):
      if m.firstSlot == .zero || m.firstSlot > m.lastSlot { return .impossible }
      return m.ballot == proposer.ballot && m.lastSlot >= proposer.nextSlot ? .impossible : nil
    case .heartbeatReply(let m):
      return m.ballot == proposer.ballot && m.round > rounds.lastSent ? .impossible : nil
    case .fetch(let m):
      return m.firstSlot == .zero || m.limit == 0 ? .impossible : nil
    case .learn(let m):
      return m.slot == .zero || m.slot > m.chosenUpTo || !m.value.isWellFormed
        ? .impossible : nil
    case .snapshotOffer(let m):
      let isPossible = (1...SnapshotInfo.lengthMax).contains(m.snapshot.length)
      return m.snapshot.slot == .zero || !isPossible ? .impossible : nil
    case .preVoteReply(let m):
      return m.isGranted && m.ballot <= m.promised ? .impossible : nil
    case .stateDigest(let m):
      return m.slot == .zero ? .impossible : nil
    case .rejected, .snapshotFetch, .snapshotChunk, .inquiry, .standing:
      return nil
    }
  }
}

extension Replica {
  /// The highest ballot a message makes the receiver aware of.
  private static func highestBallot(in message: Message) -> Ballot? {
    switch message {
    case .prepare(let m): m.ballot
    case .promise(let m): m.ballot
    case .report(let m): m.ballot
    case .accept(let m): m.ballot
    case .accepted(let m): m.ballot
    case .rejected(let m): max(m.ballot, m.promised)
    case .heartbeat(let m): m.ballot
    case .heartbeatReply(let m): m.ballot
    case .preVote(let m): m.ballot
    case .preVoteReply(let m): max(m.ballot, m.promised)
    case .standForElection(let m): m.ballot
    case .standing(let m): max(m.promised, m.leading)
    case .fetch, .learn, .snapshotOffer, .snapshotFetch, .snapshotChunk, .inquiry, .stateDigest: nil
    }
  }
}

extension ScreenCounters {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.each(&counts) { coder, count throws(DecodeError) in try coder.word(&count) }
  }
}
