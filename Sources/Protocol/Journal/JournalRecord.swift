/// What a replica makes durable. The order of records is part of their meaning: recovery folds them from first to last.
public enum JournalFact: Hashable, Sendable {
  /// No ballot below this one will be voted for.
  case promised(Ballot)
  /// A vote. Implies the promise of its ballot.
  case accepted(Slot, Ballot, Value)
  /// A slot learned to be chosen without a vote of this replica for that value.
  case learned(Slot, Value)
  /// The last vote or learned value of every slot up to here is what was chosen. Written lazily: never waited for.
  case chosenUpTo(Slot)
  /// A snapshot up to its slot is durable; records of those slots no longer matter.
  case snapshot(SnapshotInfo)
  /// What damage hid before this record is repaired: no promise lies above this ballot, which is promised from here on,
  /// and a durable snapshot covers every slot that a lost vote could matter in.
  case cured(Ballot)
}

/// One entry of the journal: a fact, and the configuration that the replica was in when it noted it. A promise or a vote is
/// given to the members of that configuration and to nobody else.
public struct JournalRecord: Hashable, Sendable {
  public var epoch: Epoch
  public var fact: JournalFact

  public init(_ fact: JournalFact, epoch: Epoch) {
    self.epoch = epoch
    self.fact = fact
  }

  /// The bytes that belong to the record: a value's.
  public var payload: BytesRef {
    switch fact {
    case .accepted(_, _, let value), .learned(_, let value): value.bytes
    case .promised, .chosenUpTo, .snapshot, .cured: .empty
    }
  }
}
