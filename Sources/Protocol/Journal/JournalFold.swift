/// What the records of a log add up to, and what is missing where some of them are lost. Knows nothing of bytes.
///
/// A replica may have promised and voted in lost records. Two things bound that. Ballots of promises and votes only rise,
/// so a later record with a ballot, or a header, repeats every promise before it. And a header names the highest slot of
/// all records before it. Both hold for headers that a sound replica wrote; one that a suspect wrote repeats its doubts.
struct JournalFold {
  /// The end of what was read so far.
  var end: JournalCut
  private(set) var damageCount = 0
  private var result: RecoveredJournal
  private var isPromiseLost = false
  /// Votes are lost, and no header behind them says in how high a slot.
  private var areSlotsOpen = false
  private var slotsUpTo = Slot.zero
  /// The newest snapshot that was recorded and is not there.
  private var missing = Slot.zero
  /// The record before the next one is known.
  private var isLinked = true

  init(_ segments: [JournalSegment], _ snapshot: SnapshotInfo) {
    result = .fresh
    result.durable = DurableState(snapshot: snapshot)
    result.segments = segments.map { SegmentSummary(number: $0.number, highestSlot: .zero) }
    result.nextSegment = (segments.last?.number ?? 0) &+ 1
    end = .start
  }

  /// Whether the record with this head may be the next one of the log.
  func isNext(_ head: RecordHead) -> Bool {
    isLinked
      ? head.previous == end.link && head.sequence == end.sequence &+ 1
      : head.sequence > end.sequence
  }

  // MARK: Headers

  /// A segment begins. Its header stands for all records before it.
  mutating func begin(
    _ header: SegmentHeader, checksum: UInt32, _ index: Int, isFirst: Bool
  ) throws(JournalDamage) {
    let configuration = header.configuration
    if let before = result.durable.configurations.last, !configuration.mayFollow(before) {
      throw JournalDamage(
        segment: header.number, offset: 112,
        what: .configurationOutOfOrder(configuration, after: before))
    }
    result.durable.begin(configuration)
    result.highestSlot = max(result.highestSlot, header.highestSlot)
    result.durable.promise(header.promised, in: header.promisedEpoch)
    isPromiseLost = header.isPromiseDoubtful
    if header.areSlotsDoubtful {
      if !areSlotsOpen, slotsUpTo == .zero {
        note(JournalDamage(segment: header.number, offset: 5, what: .notCured))
        result.durable.recordsAreLost()
      }
      areSlotsOpen = true
    } else if areSlotsOpen {
      areSlotsOpen = false
      slotsUpTo = max(slotsUpTo, header.highestSlot)
    }
    let found = result.durable.snapshot.slot
    if isFirst, header.highestSlot > found {
      loseSlots(
        upTo: header.highestSlot,
        JournalDamage(
          segment: header.number, offset: 0,
          what: .slotsMissing(upTo: header.highestSlot, snapshot: found)))
    }
    missSnapshot(header.snapshot.slot, header.number, 0)
    result.durable.chosenUpTo = max(result.durable.chosenUpTo, header.chosenUpTo)
    end = JournalCut(
      mark: JournalMark(segment: header.number, offset: UInt32(SegmentHeader.length)),
      link: checksum, sequence: header.continued.sequence)
    isLinked = true
  }

  /// A segment begins whose header is lost. `configuration` is any other segment's: all of them, mostly.
  mutating func beginWithoutHeader(
    _ damage: JournalDamage, _ configuration: ConfigurationSpan?
  ) {
    lose(damage)
    if result.durable.configurations.isEmpty, let configuration {
      result.durable.begin(configuration)
    }
    end = JournalCut(
      mark: JournalMark(segment: damage.segment, offset: 0), link: 0, sequence: end.sequence)
  }

  // MARK: Records

  /// The next record; nil for padding.
  mutating func take(
    _ record: JournalRecord?, _ head: RecordHead, at offset: Int, _ index: Int, end place: Int
  ) throws(JournalDamage) {
    try advance(head, at: offset, index, to: place)
    guard let record else { return }
    switch record.fact {
    case .promised:
      isPromiseLost = false
      result.durable.apply(record)
    case .accepted(let slot, let ballot, let value):
      isPromiseLost = false
      note(slot, index)
      result.durable.apply(
        JournalRecord(.accepted(slot, ballot, located(value, index)), epoch: record.epoch))
    case .learned(let slot, let value):
      note(slot, index)
      result.durable.apply(
        JournalRecord(.learned(slot, located(value, index)), epoch: record.epoch))
    case .chosenUpTo: result.durable.apply(record)
    case .snapshot(let info):
      // Without the snapshot itself, votes below it may be of values that were never chosen: nothing may stand on them.
      missSnapshot(info.slot, result.segments[index].number, offset)
    case .cured:
      (isPromiseLost, areSlotsOpen, slotsUpTo) = (false, false, .zero)
      result.damages.removeAll()
      result.durable.apply(record)
    }
  }

  private mutating func advance(
    _ head: RecordHead, at offset: Int, _ index: Int, to place: Int
  ) throws(JournalDamage) {
    // It is whole and the next one: no crash leaves that.
    if let governing = result.durable.configurations.last, head.epoch != governing.epoch {
      throw JournalDamage(
        segment: result.segments[index].number, offset: offset,
        what: .unknownEpoch(head.epoch, governing: governing))
    }
    end.mark = JournalMark(segment: result.segments[index].number, offset: UInt32(place))
    end.link = head.checksum
    end.sequence = head.sequence
    isLinked = true
  }

  private func located(_ value: Value, _ index: Int) -> Value {
    guard value.bytes.length > 0 else { return value }
    var value = value
    value.bytes.position |= UInt64(index) << 32
    return value
  }

  private mutating func note(_ slot: Slot, _ index: Int) {
    result.highestSlot = max(result.highestSlot, slot)
    result.segments[index].highestSlot = max(result.segments[index].highestSlot, slot)
  }

  // MARK: Losses

  private mutating func note(_ damage: JournalDamage) {
    damageCount += 1
    result.damages.append(damage)
  }

  /// Records are lost here, and nobody knows how many or which.
  mutating func lose(_ damage: JournalDamage) {
    note(damage)
    isPromiseLost = true
    areSlotsOpen = true
    isLinked = false
    result.durable.recordsAreLost()
  }

  /// The next record is a vote or a chosen value whose bytes are lost, and nothing else.
  mutating func lose(
    _ slot: Slot, _ fact: JournalFact, _ head: RecordHead, _ damage: JournalDamage, _ index: Int,
    end place: Int
  ) throws(JournalDamage) {
    try advance(head, at: damage.offset, index, to: place)
    note(damage)
    note(slot, index)
    slotsUpTo = max(slotsUpTo, slot)
    result.durable.recordsAreLost(of: slot)
    guard case .accepted(_, let ballot, _) = fact else { return }
    isPromiseLost = false
    result.durable.apply(JournalRecord(.promised(ballot), epoch: head.epoch))
  }

  private mutating func loseSlots(upTo slot: Slot, _ damage: JournalDamage) {
    note(damage)
    slotsUpTo = max(slotsUpTo, slot)
    result.durable.recordsAreLost()
  }

  private mutating func missSnapshot(_ slot: Slot, _ segment: UInt64, _ offset: Int) {
    let found = result.durable.snapshot.slot
    guard slot > max(found, missing) else { return }
    missing = slot
    loseSlots(
      upTo: slot,
      JournalDamage(
        segment: segment, offset: offset, what: .snapshotMissing(recorded: slot, found: found)))
  }

  // MARK: The result

  mutating func finish() -> RecoveredJournal {
    result.end = end
    guard !result.damages.isEmpty else { return result }
    result.durable.settleWatermark()
    if isPromiseLost || areSlotsOpen || slotsUpTo > result.durable.snapshot.slot {
      result.durable.doubt = JournalDoubt(
        isPromiseLost: isPromiseLost, slotsUpTo: areSlotsOpen ? nil : slotsUpTo)
    }
    return result
  }
}
