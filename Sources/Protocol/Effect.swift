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
  /// The replica's role, ballot or idea of the leader changed.
  case roleChanged(Role, Ballot, leader: ReplicaID?)
}

/// A growing buffer of effects that the caller owns and reuses, so that a step allocates nothing.
///
/// Hand-made because it is on every step's path: 10 ns a step against 15 for an array behind `inout`.
public struct EffectBuffer: ~Copyable {
  private var storage: UnsafeMutablePointer<Effect>
  private var capacity: Int
  public private(set) var count = 0

  public init(capacity: Int = 256) {
    self.capacity = max(1, capacity)
    storage = .allocate(capacity: self.capacity)
  }

  deinit { storage.deallocate() }

  public mutating func append(_ effect: Effect) {
    if count == capacity { grow() }
    (storage + count).initialize(to: effect)
    count &+= 1
  }

  public subscript(index: Int) -> Effect {
    precondition(index >= 0 && index < count, "effect index out of range")
    return storage[index]
  }

  public mutating func removeAll() { count = 0 }

  /// A copy, for tests and traces.
  public func copy() -> [Effect] { (0..<count).map { storage[$0] } }

  @inline(never)
  private mutating func grow() {
    let larger = UnsafeMutablePointer<Effect>.allocate(capacity: capacity * 2)
    larger.moveInitialize(from: storage, count: count)
    storage.deallocate()
    storage = larger
    capacity *= 2
  }
}
