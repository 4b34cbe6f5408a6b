/// What a replica knows after a crash: the fold of its journal's records over its latest durable snapshot.
///
/// Pure: the same records give the same state. `Replica.init` takes it as its starting point.
public struct DurableState: Equatable, Sendable {
  /// A slot above the snapshot that the journal says something about.
  public struct Entry: Equatable, Sendable {
    public var slot: Slot
    /// The configuration in which the vote was cast, or in which the value was learned.
    public var epoch: Epoch
    /// `.zero` when the value was learned without a vote.
    public var ballot: Ballot
    public var value: Value
    /// Learned as chosen, rather than only voted for. Slots up to `chosenUpTo` are chosen either way.
    public var isLearned: Bool
    /// A later record of this slot may be lost, so what is noted as chosen from here on need not be this value.
    var isStale = false

    public init(slot: Slot, epoch: Epoch, ballot: Ballot, value: Value, isLearned: Bool) {
      self.slot = slot
      self.epoch = epoch
      self.ballot = ballot
      self.value = value
      self.isLearned = isLearned
    }
  }

  public private(set) var promised: Ballot
  /// The configuration in which it was promised; epoch 0 for the ballot `.zero`.
  public private(set) var promisedEpoch: Epoch
  public internal(set) var chosenUpTo: Slot
  public internal(set) var snapshot: SnapshotInfo
  /// The configurations the journal was written under, oldest first, as far back as it goes; empty for one that was never
  /// written. Each ends where the next begins.
  public private(set) var configurations: [ConfigurationSpan]
  /// In order of slots, all above `snapshot.slot`.
  public private(set) var entries: [Entry]
  /// What the replica cannot know of its own promises and votes; nil for a sound journal.
  public internal(set) var doubt: JournalDoubt?

  /// The state of a replica that has never written anything.
  public static let empty = DurableState()

  public init(snapshot: SnapshotInfo = .none) {
    promised = .zero
    promisedEpoch = Epoch(0)
    chosenUpTo = snapshot.slot
    self.snapshot = snapshot
    configurations = []
    entries = []
  }

  /// The records that follow were written under this configuration.
  ///
  /// - Precondition: it may follow the one before.
  public mutating func begin(_ span: ConfigurationSpan) {
    guard let i = configurations.indices.last else { return configurations.append(span) }
    precondition(span.mayFollow(configurations[i]), "a configuration that is over came back")
    if span.epoch == configurations[i].epoch {
      configurations[i] = span
    } else {
      configurations[i].lastSlot = min(configurations[i].lastSlot, span.firstSlot.previous)
      configurations.append(span)
    }
  }

  /// A promise given in `epoch`.
  mutating func promise(_ ballot: Ballot, in epoch: Epoch) {
    guard ballot > promised else { return }
    promised = ballot
    promisedEpoch = epoch
  }

  /// Folds the next record in.
  public mutating func apply(_ record: JournalRecord) {
    let epoch = record.epoch
    switch record.fact {
    case .promised(let ballot):
      promise(ballot, in: epoch)
    case .accepted(let slot, let ballot, let value):
      // A vote implies its promise: a replica that voted at a ballot must not promise below it after a crash.
      promise(ballot, in: epoch)
      note(Entry(slot: slot, epoch: epoch, ballot: ballot, value: value, isLearned: false))
    case .learned(let slot, let value):
      note(Entry(slot: slot, epoch: epoch, ballot: .zero, value: value, isLearned: true))
    case .chosenUpTo(let slot):
      chosenUpTo = max(chosenUpTo, slot)
    case .snapshot(let info):
      guard info.slot > snapshot.slot else { return }
      snapshot = info
      chosenUpTo = max(chosenUpTo, info.slot)
      entries.removeAll { $0.slot <= info.slot }
    case .cured(let ballot, _):
      promise(ballot, in: epoch)
      doubt = nil
      // Whatever is damaged before this, then or since, is forgiven. So nothing may rest on it but what is known to be
      // chosen: no vote matters any more, and a watermark that comes later speaks of none.
      settleWatermark()
      entries.removeAll { !$0.isLearned }
    }
  }

  /// Records are lost here: what is known to be chosen so far stays so, and no later watermark speaks of these entries.
  /// - Parameter slot: the only one that they were of; nil: any.
  mutating func recordsAreLost(of slot: Slot? = nil) {
    for i in entries.indices where slot == nil || entries[i].slot == slot {
      if entries[i].slot <= chosenUpTo && !entries[i].isStale { entries[i].isLearned = true }
      entries[i].isStale = !entries[i].isLearned
    }
  }

  /// Takes the watermark back to where every slot is known: what it says of slots whose records are lost helps nobody.
  mutating func settleWatermark() {
    var known = snapshot.slot
    for i in entries.indices {
      if entries[i].slot <= chosenUpTo && !entries[i].isStale { entries[i].isLearned = true }
      entries[i].isStale = false
      if entries[i].isLearned && entries[i].slot == known.next { known = known.next }
    }
    chosenUpTo = known
  }

  /// Gives every value that has bytes another position, in order of slots. Forgets those without one: no vote is then cast
  /// before a slot above them is known to be chosen.
  mutating func relocate(_ place: (BytesRef) -> UInt64?) {
    var forgotten = Slot.zero
    for i in entries.indices where entries[i].value.bytes.length > 0 {
      if let position = place(entries[i].value.bytes) {
        entries[i].value.bytes.position = position
      } else {
        forgotten = max(forgotten, entries[i].slot)
        entries[i].slot = .zero
      }
    }
    guard forgotten > .zero else { return }
    entries.removeAll { $0.slot == .zero }
    forgot(upTo: forgotten)
  }

  /// Leaves out where values lie.
  mutating func unplace() {
    for i in entries.indices { entries[i].value.bytes.position = 0 }
  }

  /// Records of slots up to this one were read and are not in `entries`.
  mutating func forgot(upTo slot: Slot) {
    var doubt = doubt ?? JournalDoubt(isPromiseLost: false, slotsUpTo: .zero)
    doubt.includeVotes(upTo: slot)
    self.doubt = doubt
  }

  /// A cure stands for all records before it, also for those that are sound today and may be damaged tomorrow: so a doubt
  /// includes the votes in hand, for whose slots the cure waits as well.
  mutating func includeVotesInHand() {
    guard doubt != nil else { return }
    for entry in entries where entry.ballot > .zero && !entry.isLearned {
      doubt?.includeVotes(upTo: entry.slot)
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
