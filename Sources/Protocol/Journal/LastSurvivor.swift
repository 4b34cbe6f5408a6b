/// What one replica's journal gives a new cluster when most members of its own are gone for good.
///
/// In the old cluster nothing more can be chosen, and nobody is left who knows all that was. So the new one goes on from what
/// this replica knows to be chosen and, above that, from what it has voted for, without a gap: of the slots it voted in, the
/// last vote is what was chosen, if anything was and it heard of it. It is a guess, and everything that it may be wrong about
/// is named here. The new cluster has a number of its own, so that no member and no packet of the old one can take part in it.
public struct LastSurvivor: Equatable, Sendable {
  /// The newest whole snapshot; `.none` where there is none.
  public let snapshot: SnapshotInfo
  /// No ballot that this replica has promised or voted at is higher.
  public let promised: Ballot
  /// Up to here it knew every slot to be chosen.
  public let chosenUpTo: Slot
  /// Up to here it has a value for every slot, and that is the log of the new cluster.
  public let foundedUpTo: Slot
  /// The slots of that log whose values nobody told it to be chosen, in order. Others may have been chosen there, or none.
  public let votedOnly: [Slot]
  /// The slots behind the first one that it has nothing of, in order. What it knows of them has no place in a log.
  public let dropped: [Slot]
  /// What it cannot know of its own votes, where its journal is damaged; nil for a sound one.
  public let doubt: JournalDoubt?
  private let entries: [DurableState.Entry]

  /// Looks at what recovery found.
  ///
  /// - Parameter recovered: with positions that `journal` can find the bytes by.
  public init(_ recovered: RecoveredJournal) {
    let durable = recovered.durable
    snapshot = durable.snapshot
    promised = durable.promised
    doubt = durable.doubt
    var end = durable.snapshot.slot
    var count = 0
    for entry in durable.entries {
      guard entry.slot == end.next else { break }
      end = entry.slot
      count += 1
    }
    foundedUpTo = end
    // A watermark above a gap speaks of slots that are not there.
    let known = min(durable.chosenUpTo, end)
    chosenUpTo = known
    entries = Array(durable.entries[..<count])
    votedOnly = entries.filter { !$0.isLearned && $0.slot > known }.map(\.slot)
    dropped = durable.entries[count...].map(\.slot)
  }

  /// Nothing of the application's state is known: there is nothing to go on from.
  public var isEmpty: Bool { foundedUpTo == .zero }

  /// The journal that the replica has in the new cluster, as one segment: header, promise, every slot as learned, watermark.
  /// Nil when that does not fit into a segment.
  ///
  /// - Parameters:
  ///   - identity: of the replica in the new cluster.
  ///   - span: the new cluster's first configuration.
  ///   - bytes: the bytes of a value, by what recovery said of their place.
  public func journal(
    of identity: JournalIdentity, under span: ConfigurationSpan, blockLength: Int = 512,
    bytes: (BytesRef) -> UnsafeRawBufferPointer
  ) -> [UInt8]? {
    var start = RecoveredJournal.fresh
    start.durable = DurableState(snapshot: snapshot)
    start.highestSlot = snapshot.slot
    var writer = JournalWriter(
      identity: identity, after: start, segmentLengthMax: 1 << 31, blockLength: blockLength)
    var out: [UInt8] = []
    _ = writer.beginSegment(under: span, into: &out)
    var facts: [JournalFact] = promised > .zero ? [.promised(promised)] : []
    facts += entries.map { .learned($0.slot, $0.value) }
    facts.append(.chosenUpTo(foundedUpTo))
    for fact in facts {
      let record = JournalRecord(fact, epoch: span.epoch)
      guard writer.hasRoom(for: record) else { return nil }
      let payload = record.payload
      let found =
        payload.length > 0 ? bytes(payload) : UnsafeRawBufferPointer(start: nil, count: 0)
      writer.append(record, payload: found.bytes, into: &out)
    }
    writer.padToBlock(into: &out)
    return out
  }
}
