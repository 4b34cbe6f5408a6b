// What replicas say to each other, in phase order. Every message is a few words without references, so that moving one
// costs a copy; what is longer than that (a window of votes, a snapshot) travels as several messages.

/// Phase 1a: "promise me `ballot` and report what you voted from `firstSlot` on".
public struct Prepare: Hashable, Sendable {
  public var ballot: Ballot
  /// The lowest slot the proposer does not know the outcome of.
  public var firstSlot: Slot
  /// The leader of this ballot asked for the election (leader transfer) and gave its lease up: vows to it, and to
  /// leaders before it, do not stand in the way. `.zero` when nobody did. It names the ballot, lest an old request that
  /// turns up again break the lease of a later one.
  public var releasedLease: Ballot

  public init(ballot: Ballot, firstSlot: Slot, releasedLease: Ballot = .zero) {
    self.ballot = ballot
    self.firstSlot = firstSlot
    self.releasedLease = releasedLease
  }
}

/// Phase 1b, head: the acceptor's promise, and which slots it reports on.
///
/// One Report follows for every slot of the range above `truncatedUpTo` and from `firstSlot` to `lastSlot`, also where it
/// has nothing to tell. Votes below a promised ballot cannot change any more, so reports that belong to different answers
/// of one acceptor to the same ballot complement each other: a lost one is made good by the next answer.
public struct Promise: Hashable, Sendable {
  public var ballot: Ballot
  /// Echo of the Prepare.
  public var firstSlot: Slot
  /// Everything up to here the acceptor knows to be chosen.
  public var chosenUpTo: Slot
  /// Everything up to here it no longer keeps slot by slot: no reports below.
  public var truncatedUpTo: Slot
  /// The highest slot it has voted in or knows to be chosen.
  public var lastSlot: Slot

  public init(
    ballot: Ballot, firstSlot: Slot, chosenUpTo: Slot, truncatedUpTo: Slot, lastSlot: Slot
  ) {
    self.ballot = ballot
    self.firstSlot = firstSlot
    self.chosenUpTo = chosenUpTo
    self.truncatedUpTo = truncatedUpTo
    self.lastSlot = lastSlot
  }
}

/// Phase 1b, one slot: the vote with the highest ballot the acceptor cast there, or what it knows to be chosen.
public struct Report: Hashable, Sendable {
  /// The promised ballot that this report belongs to.
  public var ballot: Ballot
  public var slot: Slot
  /// `.zero` when the acceptor has not voted in this slot; the value is the no-op then.
  public var votedBallot: Ballot
  public var value: Value
  public var isChosen: Bool

  public init(ballot: Ballot, slot: Slot, votedBallot: Ballot, value: Value, isChosen: Bool) {
    self.ballot = ballot
    self.slot = slot
    self.votedBallot = votedBallot
    self.value = value
    self.isChosen = isChosen
  }
}

/// Phase 2a: "vote for `value` in `slot`", and how far the leader knows the log to be chosen.
public struct Accept: Hashable, Sendable {
  public var ballot: Ballot
  public var slot: Slot
  public var value: Value
  public var chosenUpTo: Slot

  public init(ballot: Ballot, slot: Slot, value: Value, chosenUpTo: Slot) {
    self.ballot = ballot
    self.slot = slot
    self.value = value
    self.chosenUpTo = chosenUpTo
  }
}

/// Phase 2b: durable votes at `ballot` in every slot of `firstSlot...lastSlot`.
public struct Accepted: Hashable, Sendable {
  public var ballot: Ballot
  public var firstSlot: Slot
  public var lastSlot: Slot

  public init(ballot: Ballot, firstSlot: Slot, lastSlot: Slot) {
    self.ballot = ballot
    self.firstSlot = firstSlot
    self.lastSlot = lastSlot
  }
}

/// The answer to a Prepare, Accept or Heartbeat below the acceptor's promise.
public struct Rejected: Hashable, Sendable {
  /// The ballot that was too low.
  public var ballot: Ballot
  public var promised: Ballot

  public init(ballot: Ballot, promised: Ballot) {
    self.ballot = ballot
    self.promised = promised
  }
}

/// The leader lives: keeps followers from standing, carries the chosen watermark, and opens a confirmation round.
public struct Heartbeat: Hashable, Sendable {
  public var ballot: Ballot
  /// Rounds grow with each heartbeat of one ballot; a quorum that answered round n has confirmed the leader at a time
  /// after round n was sent.
  public var round: UInt64
  public var chosenUpTo: Slot

  public init(ballot: Ballot, round: UInt64, chosenUpTo: Slot) {
    self.ballot = ballot
    self.round = round
    self.chosenUpTo = chosenUpTo
  }
}

/// A follower that has promised nothing higher answers a Heartbeat.
public struct HeartbeatReply: Hashable, Sendable {
  public var ballot: Ballot
  public var round: UInt64
  /// Everything up to here the follower knows to be chosen.
  public var chosenUpTo: Slot

  public init(ballot: Ballot, round: UInt64, chosenUpTo: Slot) {
    self.ballot = ballot
    self.round = round
    self.chosenUpTo = chosenUpTo
  }
}

/// "Would you promise `ballot`?" Changes nothing at the receiver (Ongaro's thesis §9.6).
public struct PreVote: Hashable, Sendable {
  public var ballot: Ballot
  public var chosenUpTo: Slot

  public init(ballot: Ballot, chosenUpTo: Slot) {
    self.ballot = ballot
    self.chosenUpTo = chosenUpTo
  }
}

/// The answer to a PreVote, with what the candidate should know before it stands.
public struct PreVoteReply: Hashable, Sendable {
  /// Echo of the PreVote.
  public var ballot: Ballot
  public var isGranted: Bool
  public var promised: Ballot
  public var chosenUpTo: Slot

  public init(ballot: Ballot, isGranted: Bool, promised: Ballot, chosenUpTo: Slot) {
    self.ballot = ballot
    self.isGranted = isGranted
    self.promised = promised
    self.chosenUpTo = chosenUpTo
  }
}

/// The leader of `ballot` asks the receiver to stand at once, without a pre-vote.
public struct StandForElection: Hashable, Sendable {
  public var ballot: Ballot

  public init(ballot: Ballot) { self.ballot = ballot }
}

/// "Send me what was chosen from `firstSlot` on, at most `limit` slots."
public struct Fetch: Hashable, Sendable {
  public var firstSlot: Slot
  public var limit: UInt32

  public init(firstSlot: Slot, limit: UInt32) {
    self.firstSlot = firstSlot
    self.limit = limit
  }
}

/// One chosen slot, in answer to a Fetch.
public struct Learn: Hashable, Sendable {
  public var slot: Slot
  public var value: Value
  /// Everything up to here the sender knows to be chosen.
  public var chosenUpTo: Slot

  public init(slot: Slot, value: Value, chosenUpTo: Slot) {
    self.slot = slot
    self.value = value
    self.chosenUpTo = chosenUpTo
  }
}

/// Identity of a snapshot: the state after `slot`, how long it is, and a digest of its bytes.
public struct SnapshotInfo: Hashable, Sendable {
  public var slot: Slot
  public var length: UInt64
  /// CRC32C over the whole snapshot; a transfer whose bytes do not match it is refused.
  public var digest: UInt64

  public init(slot: Slot, length: UInt64, digest: UInt64) {
    self.slot = slot
    self.length = length
    self.digest = digest
  }

  public static let none = SnapshotInfo(slot: .zero, length: 0, digest: 0)

  /// In bytes. No file is as long, and sums of offsets do not wrap below it.
  public static let lengthMax: UInt64 = 1 << 60
}

/// In answer to a Fetch below the truncation point: "I no longer keep that slot, take this snapshot".
public struct SnapshotOffer: Hashable, Sendable {
  public var snapshot: SnapshotInfo

  public init(snapshot: SnapshotInfo) { self.snapshot = snapshot }
}

/// The receiver asks for the chunk at `offset`; it sets the pace, and goes on where it stopped.
public struct SnapshotFetch: Hashable, Sendable {
  public var snapshot: SnapshotInfo
  public var offset: UInt64

  public init(snapshot: SnapshotInfo, offset: UInt64) {
    self.snapshot = snapshot
    self.offset = offset
  }
}

/// One chunk of a snapshot.
public struct SnapshotChunk: Hashable, Sendable {
  public var snapshot: SnapshotInfo
  public var offset: UInt64
  public var bytes: BytesRef

  public init(snapshot: SnapshotInfo, offset: UInt64, bytes: BytesRef) {
    self.snapshot = snapshot
    self.offset = offset
    self.bytes = bytes
  }
}

/// A suspect asks what its lost records may have been part of.
public struct Inquiry: Hashable, Sendable {
  /// Drawn anew in every life, so that no answer to an earlier one counts.
  public var nonce: UInt64

  public init(nonce: UInt64) { self.nonce = nonce }
}

/// The answer to an Inquiry: where the sender stands.
public struct Standing: Hashable, Sendable {
  /// Echo of the Inquiry.
  public var nonce: UInt64
  /// False for a suspect; the rest counts for nothing then.
  public var isSound: Bool
  public var promised: Ballot
  /// The ballot it leads, phase 1 complete; `.zero` when it does not lead.
  public var leading: Ballot
  /// The highest slot it has voted or proposed in, or knows to be chosen.
  public var lastSlot: Slot

  public init(nonce: UInt64, isSound: Bool, promised: Ballot, leading: Ballot, lastSlot: Slot) {
    self.nonce = nonce
    self.isSound = isSound
    self.promised = promised
    self.leading = leading
    self.lastSlot = lastSlot
  }
}

/// Everything a replica can say to another.
public enum Message: Hashable, Sendable {
  case prepare(Prepare)
  case promise(Promise)
  case report(Report)
  case accept(Accept)
  case accepted(Accepted)
  case rejected(Rejected)
  case heartbeat(Heartbeat)
  case heartbeatReply(HeartbeatReply)
  case preVote(PreVote)
  case preVoteReply(PreVoteReply)
  case standForElection(StandForElection)
  case fetch(Fetch)
  case learn(Learn)
  case snapshotOffer(SnapshotOffer)
  case snapshotFetch(SnapshotFetch)
  case snapshotChunk(SnapshotChunk)
  case inquiry(Inquiry)
  case standing(Standing)
  case stateDigest(StateDigest)

  /// The bytes that travel behind the message's fixed part: a value's or a snapshot chunk's.
  public var payload: BytesRef {
    switch self {
    case .report(let m): m.value.bytes
    case .accept(let m): m.value.bytes
    case .learn(let m): m.value.bytes
    case .snapshotChunk(let m): m.bytes
    case .prepare, .promise, .accepted, .rejected, .heartbeat, .heartbeatReply, .preVote,
      .preVoteReply, .standForElection, .fetch, .snapshotOffer, .snapshotFetch, .inquiry, .standing,
      .stateDigest:
      .empty
    }
  }
}

/// A message with its route. Ring, cluster and incarnation are the frame's business (`Wire/Framing`).
public struct Envelope: Hashable, Sendable {
  public var from: ReplicaID
  public var to: ReplicaID
  public var epoch: Epoch
  public var message: Message

  public init(from: ReplicaID, to: ReplicaID, epoch: Epoch, message: Message) {
    self.from = from
    self.to = to
    self.epoch = epoch
    self.message = message
  }
}
