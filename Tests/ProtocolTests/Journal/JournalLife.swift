import Protocol

/// A journal with its files, its host and its crashes, and what must be true of it: the whole history in a plain array.
struct JournalLife {
  static let identity = JournalIdentity(
    cluster: ClusterID(0xC1), ring: RingID(3), replica: ReplicaID(2), incarnation: Incarnation(1))

  struct File {
    var number: UInt64
    var bytes: [UInt8] = []
    /// How much of it is durable.
    var durable = 0
  }

  struct Written {
    var record: JournalRecord
    /// The journal's count after this record: what `RecoveredJournal.end.sequence` is when it is the last one found.
    var sequence: UInt64
    var payload: [UInt8]
    /// Where it begins.
    var begin: JournalMark
  }

  /// A segment that was begun, and under which configuration: until a crash loses it, or it is dropped.
  struct Begun {
    var number: UInt64
    var configuration: ConfigurationSpan
  }

  var files: [File] = []
  /// Of the next record.
  var configuration = ConfigurationSpan(epoch: Epoch(1))
  var begun: [Begun] = []
  var writer: JournalWriter
  /// Every record of the log, since the first start.
  var history: [Written] = []
  /// How many of them were flushed.
  var acknowledged = 0
  var snapshot = SnapshotInfo.none
  var segmentLengthMax: Int
  var blockLength: Int
  var generator: Generator

  init(seed: UInt64, segmentLengthMax: Int = 1500, blockLength: Int = 512) {
    generator = Generator(seed: seed)
    self.segmentLengthMax = segmentLengthMax
    self.blockLength = blockLength
    writer = JournalWriter(
      identity: Self.identity, after: .fresh, segmentLengthMax: segmentLengthMax,
      blockLength: blockLength)
    beginSegment()
  }

  mutating func beginSegment() {
    var out: [UInt8] = []
    let number = writer.beginSegment(under: configuration, into: &out)
    files.append(File(number: number, bytes: out))
    begun.append(Begun(number: number, configuration: configuration))
  }

  /// From here on the records are of the next configuration, which begins `slots` later than this one.
  mutating func reconfigure(after slots: Int) {
    configuration.epoch = Epoch(configuration.epoch.rawValue + 1)
    configuration.firstSlot = configuration.firstSlot + slots
  }

  mutating func append(_ fact: JournalFact, _ payload: [UInt8] = []) {
    let record = JournalRecord(fact, epoch: configuration.epoch)
    if !writer.hasRoom(for: record) { beginSegment() }
    let begin = writer.end.mark
    var out: [UInt8] = []
    writer.append(record, payload: payload.span.bytes, into: &out)
    files[files.count - 1].bytes += out
    // In the history a value lies where the journal has it, which is what recovery answers by default.
    let fields: UInt32
    var located = record
    func at(_ value: Value, _ fields: UInt32) -> Value {
      var value = value
      if value.bytes.length > 0 {
        value.bytes.position = begin.segment << 32 | UInt64(begin.offset + 48 + fields)
      }
      return value
    }
    switch fact {
    case .accepted(let slot, let ballot, let value):
      fields = 32
      located.fact = .accepted(slot, ballot, at(value, fields))
    case .learned(let slot, let value):
      fields = 24
      located.fact = .learned(slot, at(value, fields))
    case .promised, .chosenUpTo, .snapshot, .cured: break
    }
    history.append(
      Written(record: located, sequence: writer.end.sequence, payload: payload, begin: begin))
  }

  /// Flushes everything written so far, files in order.
  mutating func flush() {
    var out: [UInt8] = []
    writer.padToBlock(into: &out)
    files[files.count - 1].bytes += out
    let flush = writer.flush()
    for i in files.indices { files[i].durable = files[i].bytes.count }
    _ = writer.flushed(flush)
    acknowledged = history.count
  }

  /// A record such as a replica in the middle of its life would write.
  mutating func appendAnything() {
    let top = history.count / 3 + 1
    let slot = Slot(UInt64(max(1, top - generator.below(4) + generator.below(4))))
    let ballot = Ballot(
      round: UInt64(history.count / 10 + generator.below(3)), proposer: ReplicaID(1))
    switch generator.below(8) {
    case 0: append(.promised(ballot))
    case 1: append(.chosenUpTo(Slot(UInt64(generator.below(top)))))
    case 2:
      let (value, payload) = generator.value(lengthMax: 60)
      append(.learned(slot, value), payload)
    default:
      let (value, payload) = generator.value(lengthMax: 60)
      append(.accepted(slot, ballot, value), payload)
    }
  }

  /// Takes a snapshot, notes it, and deletes what it makes superfluous.
  mutating func takeSnapshot() {
    let slot = Slot(UInt64(max(1, history.count / 3 - generator.below(5))))
    guard slot > snapshot.slot else { return }
    snapshot = SnapshotInfo(slot: slot, length: 10, digest: 1)
    append(.snapshot(snapshot))
  }

  mutating func drop() {
    for number in writer.drop(upTo: snapshot.slot) {
      precondition(files[0].number == number)
      files.removeFirst()
      begun.removeAll { $0.number == number }
    }
  }

  enum Tear: CaseIterable {
    case nothing, everything, prefix, pieces, blocks
  }

  /// What the disk may hold after a crash: what was flushed, and any part of what was not.
  mutating func crashed(_ tear: Tear) -> [(number: UInt64, bytes: [UInt8])] {
    files.map { file in
      var bytes = file.bytes
      let pending = file.durable..<bytes.count
      switch tear {
      case .nothing: bytes.removeSubrange(pending)
      case .everything: break
      case .prefix: bytes.removeSubrange((file.durable + generator.below(pending.count + 1))...)
      case .pieces, .blocks:
        let size = tear == .pieces ? 8 : 512
        for begin in stride(from: file.durable, to: bytes.count, by: size)
        where generator.bool() {
          for i in begin..<min(begin + size, bytes.count) { bytes[i] = 0 }
        }
      }
      return (file.number, bytes)
    }
  }

  func recover(
    _ disk: [(number: UInt64, bytes: [UInt8])]
  ) -> Result<RecoveredJournal, JournalDamage> {
    do throws(JournalDamage) {
      return .success(
        try JournalRecovery.recover(disk, identity: Self.identity, snapshot: snapshot))
    } catch {
      return .failure(error)
    }
  }

  /// What recovery says is wrong with this disk, first of all; nil for a sound one.
  func damage(_ disk: [(number: UInt64, bytes: [UInt8])]) -> JournalDamage? {
    switch recover(disk) {
    case .success(let recovered): recovered.damages.first
    case .failure(let damage): damage
    }
  }

  /// Starts again from what recovery found: only those records are the log from now on.
  mutating func restart(_ disk: [(number: UInt64, bytes: [UInt8])], _ recovered: RecoveredJournal) {
    files = disk.map { File(number: $0.number, bytes: $0.bytes, durable: $0.bytes.count) }
    history.removeAll { $0.sequence > recovered.end.sequence }
    // Segments that no cut leads to are void; the cut is in the last one that was found.
    begun.removeAll { $0.number > recovered.end.mark.segment }
    acknowledged = history.count
    writer = JournalWriter(
      identity: Self.identity, after: recovered, segmentLengthMax: segmentLengthMax,
      blockLength: blockLength)
    beginSegment()
  }

  /// What recovery must answer when `records` is the log: written without regard to `DurableState`'s own fold.
  func model(_ records: ArraySlice<Written>, through segment: UInt64 = .max) -> DurableState {
    var promised = JournalRecord(.promised(.zero), epoch: Epoch(0))
    var highest = Ballot.zero
    func promise(_ ballot: Ballot, _ epoch: Epoch) {
      guard ballot > highest else { return }
      highest = ballot
      promised = JournalRecord(.promised(ballot), epoch: epoch)
    }
    var chosenUpTo = snapshot.slot
    var entries: [Slot: DurableState.Entry] = [:]
    for written in records {
      let epoch = written.record.epoch
      switch written.record.fact {
      case .promised(let ballot): promise(ballot, epoch)
      case .chosenUpTo(let slot): chosenUpTo = max(chosenUpTo, slot)
      case .snapshot: break
      case .cured(let ballot): promise(ballot, epoch)
      case .accepted(let slot, let ballot, let value):
        promise(ballot, epoch)
        let wasLearned = entries[slot]?.isLearned ?? false
        entries[slot] = .init(
          slot: slot, epoch: epoch, ballot: ballot, value: value, isLearned: wasLearned)
      case .learned(let slot, let value):
        entries[slot] = .init(
          slot: slot, epoch: epoch, ballot: .zero, value: value, isLearned: true)
      }
    }
    var state = DurableState(snapshot: snapshot)
    for span in configurations(through: segment) { state.begin(span) }
    state.apply(promised)
    for slot in entries.keys.sorted() where slot > snapshot.slot {
      let entry = entries[slot]!
      if entry.isLearned {
        state.apply(JournalRecord(.learned(slot, entry.value), epoch: entry.epoch))
      }
      if !entry.isLearned || entry.ballot != .zero {
        state.apply(JournalRecord(.accepted(slot, entry.ballot, entry.value), epoch: entry.epoch))
      }
    }
    state.apply(JournalRecord(.chosenUpTo(chosenUpTo), epoch: Epoch(0)))
    return state
  }

  /// The configurations of the segments that exist, up to this one, each up to the beginning of the next.
  func configurations(through segment: UInt64) -> [ConfigurationSpan] {
    var spans: [ConfigurationSpan] = []
    for begun in begun where begun.number <= segment {
      if spans.last?.epoch != begun.configuration.epoch { spans.append(begun.configuration) }
    }
    for i in spans.indices.dropFirst() { spans[i - 1].lastSlot = spans[i].firstSlot.previous }
    return spans
  }
}
