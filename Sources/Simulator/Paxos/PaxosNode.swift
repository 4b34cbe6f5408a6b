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
    case journal(JournalFlush)
    case snapshotTaken(SnapshotInfo)
    case snapshotStored(SnapshotInfo, isValid: Bool)
  }

  /// Not optional, because reading one out of an optional copies all of it; means nothing while `isRunning` is false.
  var replica: Replica
  /// The process is up, its journal open, and `replica` its state.
  var isRunning = false
  var application: Application<RegisterMachine>
  var region = ByteArena.Region()
  var commands: [Waiting] = []
  var reads: [Waiting] = []

  // Journal.
  var writer: JournalWriter?
  /// Written by the replica and not yet handed to the disk.
  var staged: [UInt8] = []
  /// Name of the file that `staged` belongs to.
  var segmentFile = ""
  /// Records on their way, in order of their positions; for the checkers.
  var undurable: [JournalRecord] = []
  var durablePosition: UInt64 = 0
  var flushes: [(ticket: UInt64, work: DiskWork)] = []
  /// When the last flush of the journal was issued, by the node's own clock.
  var journalFlushIssued = Instant.zero
  /// When the replica last began to lead, by the node's own clock.
  var ledSince = Instant.zero

  // Snapshots.
  var snapshot = SnapshotInfo.none
  /// A peer's snapshot as far as it has come.
  var incoming: [UInt8] = []

  init(_ replica: Replica, _ limits: SessionTable.Limits) {
    self.replica = replica
    application = Application(machine: RegisterMachine(), limits: limits)
  }

  /// The process is gone; only its disk remains.
  mutating func crash() { self = PaxosNode(replica, application.sessions.limits) }

  /// Begins a segment; what is staged must have been handed to the disk before.
  mutating func beginSegment(under configuration: ConfigurationSpan) {
    segmentFile = PaxosFiles.journal(writer!.beginSegment(under: configuration, into: &staged))
  }

  mutating func stage(_ record: JournalRecord, _ payload: RawSpan) {
    writer!.append(record, payload: payload, into: &staged)
    undurable.append(record)
  }

  /// Fills the last block, so that the next flush does not touch what this one makes durable.
  mutating func stagePadding() {
    writer!.padToBlock(into: &staged)
  }

  var isJournalFlushing: Bool {
    flushes.contains { if case .journal = $0.work { true } else { false } }
  }
}

/// Names of files, and a snapshot's file as a whole.
enum PaxosFiles {
  static func journal(_ segment: UInt64) -> String { "journal-\(segment)" }
  static func snapshot(_ slot: Slot) -> String { "snapshot-\(slot)" }

  /// The number behind `prefix`, nil for other files.
  static func number(_ name: String, prefix: String) -> UInt64? {
    name.hasPrefix(prefix) ? UInt64(name.dropFirst(prefix.count)) : nil
  }

  static func frame(_ info: SnapshotInfo, _ bytes: [UInt8]) -> [UInt8] {
    var file: [UInt8] = []
    file.reserveCapacity(SnapshotFileHeader.length + bytes.count)
    SnapshotFileHeader(info).encode(into: &file)
    file.append(contentsOf: bytes)
    return file
  }

  /// The snapshot in a file; nil for one that a crash has left incomplete.
  static func unframe(_ file: [UInt8]) -> (SnapshotInfo, [UInt8])? {
    guard let info = SnapshotFileHeader(file.span.bytes)?.info else { return nil }
    let bytes = Array(file[SnapshotFileHeader.length...])
    guard UInt64(bytes.count) == info.length, UInt64(CRC32C.checksum(bytes)) == info.digest
    else { return nil }
    return (info, bytes)
  }
}
