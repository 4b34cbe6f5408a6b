internal import Protocol

/// One process of the simulated cluster: a replica and its host, which performs the replica's effects.
///
/// What a real host has threads, sockets and files for is here a few arrays. The journal, its recovery, the application
/// with its sessions and the snapshots are the code that ships.
struct PaxosNode: Sendable {
  /// A client's request that this node will answer.
  struct Waiting: Sendable {
    var request: RequestID
    var client: NodeIndex
    /// A read's question; empty for a command.
    var query: BytesRef
  }

  /// What a flush of the disk stands for.
  enum DiskWork: Sendable {
    /// With the highest mark that any record in it was stamped with.
    case journal(JournalFlush, stamp: JournalMark)
    case snapshotTaken(SnapshotInfo)
    case snapshotStored(SnapshotInfo, isValid: Bool)
    /// In the place of one that was found damaged: its bytes, then its name.
    case snapshotRewritten(SnapshotInfo)
    /// A segment that is not needed has the name of a spare one; then it is void.
    case segmentRetired(String)
    case segmentVoided(String)
    /// The removal of all snapshots.
    case quarantine
  }

  /// Not optional, because reading one out of an optional copies all of it; means nothing while `isRunning` is false.
  var replica: Replica
  /// The process is up, its journal open, and `replica` its state.
  var isRunning = false
  var application: Application<RegisterMachine>
  var region = ByteArena.Region()
  var commands: [Waiting] = []
  var reads: [Waiting] = []
  /// What the replica was told of digests.
  var told = DigestStanding.none
  /// Reports in the log buffer that the replica has not been told of.
  var entered: [CommandRef] = []
  /// Its state had diverged, and no agreed digest has confirmed the one it has now. A real host keeps this in a file.
  var hasDiverged = false

  // Journal.
  var writer: JournalWriter?
  /// Written by the replica and not yet handed to the disk.
  var staged: [UInt8] = []
  /// Name of the file that `staged` belongs to.
  var segmentFile = ""
  /// Of a segment in persistent memory.
  var memory = SegmentMemory()
  /// Records on their way, in order of their positions; for the checkers.
  var undurable: [JournalRecord] = []
  var durablePosition: UInt64 = 0
  /// The mark that the last record or header written was stamped with; they only rise.
  private(set) var stamp = JournalMark.zero
  /// Records and headers that say which snapshot was durable: where they end, and which.
  private var snapshotNotes: [(end: JournalMark, slot: Slot)] = []
  /// What of the disk may be damaged; outlives a crash.
  private(set) var vouched = Vouched()
  /// How far the journal was durable when the process ended, which is what a peer's host may have heard.
  private(set) var durableEnd = JournalMark.zero
  var flushes: [(ticket: UInt64, work: DiskWork)] = []
  /// When the last flush of the journal was issued, by the node's own clock.
  var journalFlushIssued = Instant.zero
  /// When the replica last began to lead, by the node's own clock.
  var ledSince = Instant.zero

  // Snapshots.
  var snapshot = SnapshotInfo.none
  /// The slot of the newest one whose record is durable.
  var durableSnapshot = Slot.zero
  var scrub = ScrubState()
  /// A peer's snapshot as far as it has come.
  var incoming: [UInt8] = []

  init(_ replica: Replica, _ limits: SessionTable.Limits) {
    self.replica = replica
    application = Application(machine: RegisterMachine(), limits: limits)
  }

  /// The process is gone; only its disk remains.
  mutating func crash() {
    let (vouched, hasDiverged) = (vouched, hasDiverged)
    let durableEnd = writer?.durable ?? durableEnd
    self = PaxosNode(replica, application.sessions.limits)
    (self.vouched, self.hasDiverged, self.durableEnd) = (vouched, hasDiverged, durableEnd)
  }

  /// Begins a segment; what is staged must have been handed to the disk before.
  mutating func beginSegment(under configuration: ConfigurationSpan) {
    segmentFile = PaxosFiles.journal(writer!.beginSegment(under: configuration, into: &staged))
    stamp = writer!.durable
    if snapshot.slot > .zero { snapshotNotes.append((writer!.end.mark, snapshot.slot)) }
  }

  mutating func stage(_ record: JournalRecord, _ payload: RawSpan) {
    writer!.append(record, payload: payload, into: &staged)
    undurable.append(record)
    stamp = writer!.durable
    if case .snapshot(let info) = record.fact {
      snapshotNotes.append((writer!.end.mark, info.slot))
    }
  }

  /// Fills the last block, so that the next flush does not touch what this one makes durable.
  mutating func stagePadding() {
    let before = staged.count
    writer!.padToBlock(into: &staged)
    if staged.count > before { stamp = writer!.durable }
  }

  /// Something that was stamped with this mark is durable.
  mutating func proved(_ mark: JournalMark) {
    vouched.journal = max(vouched.journal, mark)
    while let note = snapshotNotes.first, note.end <= mark {
      vouched.snapshot = max(vouched.snapshot, note.slot)
      snapshotNotes.removeFirst()
    }
  }

  // What is asked at every step. Mutating, because a question put to an element of an array is put to a copy of it.
  mutating func stateDigest() -> UInt64 { application.digest }
  mutating func mustTellDigests() -> Bool { told != application.digestStanding }

  mutating func diskReplaced() { (vouched, durableEnd) = (Vouched(), .zero) }

  var isJournalFlushing: Bool {
    flushes.contains { if case .journal = $0.work { true } else { false } }
  }
}

/// What durable and undamaged bytes of a disk prove to have been durable, as its host knows it and whatever recovery makes of
/// it: every record and header says up to where the journal was durable when it was written.
struct Vouched: Sendable {
  var journal = JournalMark.zero
  /// The newest snapshot whose record or header is proven.
  var snapshot = Slot.zero

  /// The files of a disk that may be damaged.
  func files(_ disk: SimulatedDisk) -> [VouchedFile] {
    var files: [VouchedFile] = []
    for name in disk.names {
      let size = disk.size(of: name) ?? 0
      if let number = PaxosFiles.number(name, prefix: "journal-") {
        if number < journal.segment {
          files.append(VouchedFile(name: name, count: size, isWhole: true))
        } else if number == journal.segment {
          files.append(
            VouchedFile(name: name, count: min(size, Int(journal.offset)), isWhole: false))
        }
      } else if let slot = PaxosFiles.number(name, prefix: "snapshot-"), slot <= snapshot.rawValue {
        files.append(VouchedFile(name: name, count: size, isWhole: true, isCheckpoint: true))
      }
    }
    return files
  }
}

/// Names of files, and a snapshot's file as a whole.
enum PaxosFiles {
  static func journal(_ segment: UInt64) -> String { "journal-\(segment)" }
  static func snapshot(_ slot: Slot) -> String { "snapshot-\(slot)" }
  /// What names of files for segments to come begin with.
  static let spare = "spare-"

  /// The number behind `prefix`, nil for other files.
  static func number(_ name: String, prefix: String) -> UInt64? {
    // By bytes: characters are several times as slow, and every start and every snapshot asks this of every file.
    name.utf8.starts(with: prefix.utf8)
      ? UInt64(Substring(name.utf8.dropFirst(prefix.utf8.count))) : nil
  }

  /// The snapshot in a file; nil for one that a crash has left incomplete, or that is damaged. The name is all that vouches for
  /// its slot.
  static func unframe(_ file: [UInt8], slot: Slot) -> (SnapshotInfo, [UInt8])? {
    guard let check = SnapshotFileHead.check(file), check.head.info.slot == slot, check.isWhole
    else { return nil }
    return (check.head.info, Array(file[check.head.length..<check.head.tableOffset]))
  }
}
