/// What a replica knows after a crash: the fold of its journal's records over its latest durable snapshot.
///
/// Pure: the same records give the same state. `Replica.init` takes it as its starting point.
public struct DurableState: Equatable, Sendable {
  /// A slot above the snapshot that the journal says something about.
  public struct Entry: Equatable, Sendable {
    public var slot: Slot
    /// `.zero` when the value was learned without a vote.
    public var ballot: Ballot
    public var value: Value
    /// Learned as chosen, rather than only voted for. Slots up to `chosenUpTo` are chosen either way.
    public var isLearned: Bool

    public init(slot: Slot, ballot: Ballot, value: Value, isLearned: Bool) {
      self.slot = slot
      self.ballot = ballot
      self.value = value
      self.isLearned = isLearned
    }
  }

  public var promised: Ballot
  public var chosenUpTo: Slot
  public var snapshot: SnapshotInfo
  /// In order of slots, all above `snapshot.slot`.
  public private(set) var entries: [Entry]

  /// The state of a replica that has never written anything.
  public static let empty = DurableState()

  public init(snapshot: SnapshotInfo = .none) {
    promised = .zero
    chosenUpTo = snapshot.slot
    self.snapshot = snapshot
    entries = []
  }

  /// Folds the next record in.
  public mutating func apply(_ record: JournalRecord) {
    switch record {
    case .promised(let ballot):
      promised = max(promised, ballot)
    case .accepted(let slot, let ballot, let value):
      // A vote implies its promise: a replica that voted at a ballot must not promise below it after a crash.
      promised = max(promised, ballot)
      note(Entry(slot: slot, ballot: ballot, value: value, isLearned: false))
    case .learned(let slot, let value):
      note(Entry(slot: slot, ballot: .zero, value: value, isLearned: true))
    case .chosenUpTo(let slot):
      chosenUpTo = max(chosenUpTo, slot)
    case .snapshot(let info):
      guard info.slot > snapshot.slot else { return }
      snapshot = info
      chosenUpTo = max(chosenUpTo, info.slot)
      entries.removeAll { $0.slot <= info.slot }
    }
  }

  private mutating func note(_ entry: Entry) {
    guard entry.slot > snapshot.slot else { return }
    // Records come nearly in slot order, so the place is nearly always at the end.
    var i = entries.count
    while i > 0 && entries[i - 1].slot > entry.slot { i -= 1 }
    guard i > 0 && entries[i - 1].slot == entry.slot else {
      entries.insert(entry, at: i)
      return
    }
    // A chosen value stays known as chosen when a later ballot votes for it again.
    let wasLearned = entries[i - 1].isLearned
    entries[i - 1] = entry
    entries[i - 1].isLearned = entry.isLearned || wasLearned
    if entry.isLearned { entries[i - 1].ballot = .zero }
  }
}
