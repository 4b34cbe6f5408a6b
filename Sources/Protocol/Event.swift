/// How a read may be answered, strongest first.
public enum ReadMode: Hashable, Sendable {
  /// Linearizable: the leader confirms with a quorum that it still leads (read index, Ongaro's thesis §6.4).
  case quorum
  /// Linearizable as long as clocks drift less than the configured bound: the leader's lease answers without a round.
  case lease
  /// Any replica, from its own state, as soon as it has applied `atLeast`; may be stale.
  case local(atLeast: Slot)
}

/// Identifies one request of a client: a command or a read.
public struct RequestID: Hashable, Sendable {
  public var session: SessionID
  public var sequence: SequenceNumber

  public init(session: SessionID, sequence: SequenceNumber) {
    self.session = session
    self.sequence = sequence
  }
}

/// Everything that can happen to a replica. Named in the past tense; the only way in is `Replica.step`.
public enum Event: Hashable, Sendable {
  /// The host recovered (or freshly made) the replica and starts it.
  case started
  case messageReceived(Envelope)
  /// Every record up to `position` survives a crash from now on.
  case persisted(upTo: JournalPosition)
  /// The deadline asked for by `setDeadline` has come.
  case deadlineReached
  case commandReceived(CommandRef)
  case readReceived(RequestID, ReadMode)
  /// The application's state after `snapshot.slot` is durable in the snapshot store.
  case snapshotTaken(SnapshotInfo)
  /// A snapshot transferred from a peer is complete, verified and durable (or was refused by its digest).
  case snapshotStored(SnapshotInfo, isValid: Bool)
  /// The operator, or this host's shutdown, wants another leader.
  case transferRequested(to: ReplicaID)
  /// The operator wants a snapshot now, due or not.
  case snapshotRequested
  /// The application allows or forbids this replica to lead.
  case leadershipPermitted(Bool)
  /// The application has taken a digest of its state, or seen one applied or agreed.
  case digestsChanged(DigestStanding)
  /// The report that `enterReport` asked for lies in the log buffer, as a command.
  case reportEntered(CommandRef)
}
