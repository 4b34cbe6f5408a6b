/// Why a request was not taken. A client may retry at once elsewhere, unless the outcome is unknown.
public enum Rejection: Hashable, Sendable {
  /// Not the leader; `leader` is a hint, nil when none is known.
  case notLeader(leader: ReplicaID?)
  /// The queue in front of the pipeline is full.
  case overloaded
  /// The leader is handing over; retry there.
  case transferring(to: ReplicaID)
  /// Longer than a batch may be.
  case tooLarge(limit: UInt32)
  /// A local read's slot was not applied here in time.
  case notApplied(appliedUpTo: Slot)
  /// The lease read was asked for, but leases are off here.
  case leasesDisabled
  /// Fewer than a quorum of the replicas have room on their disks for more commands. A host says so; a replica never does.
  case noRoom
}

/// What a replica is in the eyes of its host and its clients.
public enum Role: Hashable, Sendable {
  case follower
  case preCandidate
  case candidate
  /// Phase 1 is complete; earlier slots are still being settled.
  case recoveringLeader
  case leader
}

/// Everything a step can ask of its host. Plain values, performed in order and completely before the next event.
public enum Effect: Hashable, Sendable {
  /// Append to the journal; positions count from 1 in the order of these effects. Answered by `persisted`.
  case persist(JournalRecord)
  case send(to: ReplicaID, Message)
  /// Send to every other voter.
  case broadcast(Message)
  /// Hand the slot's value to the application; in slot order, each slot once.
  case apply(Slot, Value)
  /// Answer this read from the application's state as it is now: it has applied everything up to `appliedUpTo`.
  case serveRead(RequestID, appliedUpTo: Slot)
  case reject(RequestID, Rejection)
  /// Wake the replica by `deadlineReached` at this time; replaces the deadline set before.
  case setDeadline(Instant)
  /// Make the application's state, which is now exactly after `slot`, durable as a snapshot.
  case takeSnapshot(Slot)
  /// Read a chunk of the own snapshot at this offset, at most `lengthMax` bytes, and send it as a SnapshotChunk.
  case sendSnapshotChunk(to: ReplicaID, SnapshotInfo, offset: UInt64, lengthMax: UInt32)
  /// Keep this chunk of a peer's snapshot; `isLast`: make the whole durable, verify it, answer by `snapshotStored`.
  case storeSnapshotChunk(SnapshotChunk, isLast: Bool)
  /// Replace the application's state by the stored snapshot.
  case restoreSnapshot(SnapshotInfo)
  /// Log bytes and journal segments up to this slot are no longer needed.
  case truncate(upTo: Slot)
  /// The replica's role, ballot or idea of the leader changed. On `follower` nothing that clients wait for here will be
  /// rejected one by one: the host tells them all to ask elsewhere, under the same sequence numbers.
  case roleChanged(Role, Ballot, leader: ReplicaID?)
  /// Encode this report into the log buffer as a command; answered by `reportEntered`.
  case enterReport(DigestReport)
}

/// The effects of one step. The caller owns and reuses it, so that a step allocates nothing in the steady state.
public struct EffectBuffer: Sendable {
  /// The first `count` are effects of this step; what lies behind them is left over from earlier ones. Forgetting them by
  /// their number is cheaper than emptying an array at every step.
  private var effects: [Effect] = []
  public private(set) var count = 0

  public init(capacity: Int = 256) { effects.reserveCapacity(capacity) }

  public var isEmpty: Bool { count == 0 }
  public subscript(index: Int) -> Effect {
    precondition(index < count, "no such effect")
    return effects[index]
  }

  public mutating func append(_ effect: Effect) {
    if count < effects.count { effects[count] = effect } else { effects.append(effect) }
    count += 1
  }
  public mutating func removeAll() { count = 0 }

  /// The effects as an array, for tests and traces.
  public var all: [Effect] { Array(effects[..<count]) }
}
