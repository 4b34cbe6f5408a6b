import Glibc
import Protocol

/// What a replica's directory holds, read without changing a byte of it: what `rsl inspect` prints.
///
/// It judges by the same code that a replica recovers with, so what is sound here is what a replica would start from.
public struct DirectoryInspection: Codable, Hashable, Sendable {
  public struct Segment: Codable, Hashable, Sendable {
    public var number: UInt64
    /// The file's length.
    public var bytes: Int
    /// Records are numbered through all segments; nil where the header cannot be read, or nothing was recorded.
    public var firstRecord: UInt64?
    public var lastRecord: UInt64?
    /// The configuration it was written in.
    public var epoch: UInt64?
    /// The highest ballot that was promised, as round and proposer, and the last chosen slot, when the segment was begun.
    public var promised: String?
    public var chosenUpTo: UInt64?
    /// The highest slot of the segments before, and the snapshot it builds on.
    public var highestSlotBefore: UInt64?
    public var snapshotSlot: UInt64?
    /// Why its header cannot be read.
    public var headerProblem: String?
  }

  public struct Snapshot: Codable, Hashable, Sendable {
    public var file: String
    public var bytes: Int
    /// Nil when the file has no head.
    public var slot: UInt64?
    public var contentBytes: UInt64?
    /// CRC32C of the content, as the head says.
    public var checksum: String?
    /// Of the format; nil when the file has no head.
    public var version: UInt8?
    /// How many blocks with checksums of their own there are; none in version 1.
    public var blocks: Int?
    /// Those that do not match, or cannot be read, from 0 on.
    public var badBlocks: [Int] = []
    /// What is wrong with it; nil when it is whole.
    public var problem: String?
    /// The file is as long as its head says, its content has its checksums, and its name the slot.
    public var isWhole: Bool
  }

  public struct File: Codable, Hashable, Sendable {
    public var name: String
    public var bytes: Int
  }

  /// What a replica would recover from the journal.
  public struct Journal: Codable, Hashable, Sendable {
    public var lastRecord: UInt64
    /// The place behind the last record.
    public var endSegment: UInt64
    public var endOffset: UInt32
    public var promised: String
    public var chosenUpTo: UInt64
    public var highestSlot: UInt64
    /// Slots above the snapshot that the journal says something about.
    public var slots: Int
    /// What a crash left behind the end, of writes that were never acknowledged.
    public var tornBytes: Int
  }

  public struct Damage: Codable, Hashable, Sendable {
    public var segment: UInt64
    public var offset: Int
    public var what: String

    init(_ damage: JournalDamage) {
      (segment, offset, what) = (damage.segment, damage.offset, damage.reason)
    }
  }

  public var directory: String
  public var cluster: String
  public var replica: UInt32
  public var segments: [Segment] = []
  public var snapshots: [Snapshot] = []
  public var recordings: [File] = []
  /// Nil when nothing can be concluded from it.
  public var journal: Journal?
  public var damages: [Damage] = []
  /// What is wrong with the file that says whose directory it is; a replica's start repairs it from the journal.
  public var identityProblem: String?
  /// What a replica that started from this could not know of its own votes and promises; nil when it would be sound.
  public var doubt: String?

  /// What is damaged, and where; empty when a replica would be sound that started from this.
  ///
  /// A snapshot under a temporary name is what a crash left, and no damage.
  public var problems: [String] {
    let identity = identityProblem.map { [$0] } ?? []
    let journal = damages.map { "journal segment \($0.segment), byte \($0.offset): \($0.what)" }
    return identity + journal
      + snapshots.filter { !$0.isWhole && !$0.file.hasSuffix(".tmp") }.map {
        "\($0.file): not whole, \($0.problem ?? "")"
      }
  }

  /// Reads a directory that no process uses.
  ///
  /// Throws `DataDirectory.Failure` when it is no replica's or is in use, `SystemError` when a file cannot be opened. Damage
  /// is no error: it is what was found.
  public init(directory: String) throws {
    try self.init(directory: directory, reader: .system)
  }

  init(directory: String, reader: FileReader) throws {
    let owner = try DataDirectory.owner(of: directory, reader)
    identityProblem = owner.flaw.map { "\($0)" }
    guard !DataDirectory.isInUse(directory) else { throw DataDirectory.Failure.inUse(directory) }
    self.directory = directory
    let digits = String(owner.cluster.rawValue, radix: 16)
    cluster = String(repeating: "0", count: 16 - digits.count) + digits
    replica = owner.replica.rawValue
    let newest = try readSnapshots(reader)
    recordings = try Self.recordings(in: directory + "/recordings")
    try RecoveredFiles.withSegments(in: directory, reader) { segments in
      self.segments = segments.filter { !$0.isMissing }.map(Self.segment)
      do throws(JournalDamage) {
        let found = try JournalRecovery.recover(
          segments,
          identity: JournalIdentity(cluster: owner.cluster, replica: owner.replica),
          snapshot: newest)
        take(found)
      } catch {
        damages = [Damage(error)]
      }
    }
  }

  /// Returns the newest snapshot that is whole.
  private mutating func readSnapshots(_ reader: FileReader) throws -> SnapshotInfo {
    var newest = SnapshotInfo.none
    for name in try DirectoryListing.names(directory).sorted() where name.hasPrefix("snapshot-") {
      let path = directory + "/" + name
      let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      defer { close(file) }
      let length = try FileReader.length(of: file, path)
      var snapshot = Snapshot(file: name, bytes: length, isWhole: false)
      let found = SnapshotFile.examine(length) { (offset, count) throws(SystemError) in
        try reader.bytes(file, path, at: offset, count: count)
      }
      snapshot.take(found)
      if let info = found.info {
        snapshot.isWhole = name == "snapshot-\(info.slot)"
        if snapshot.isWhole, info.slot > newest.slot { newest = info }
        if !snapshot.isWhole { snapshot.problem = "of slot \(info.slot), and named otherwise" }
      }
      snapshots.append(snapshot)
    }
    return newest
  }

  private static func recordings(in directory: String) throws -> [File] {
    guard access(directory, F_OK) == 0 else { return [] }
    return try DirectoryListing.names(directory).sorted().map { name in
      let path = directory + "/" + name
      var status = stat()
      try check("stat", path) { stat(path, &status) }
      return File(name: name, bytes: Int(status.st_size))
    }
  }

  private static func text(_ ballot: Ballot) -> String {
    "\(ballot.round).\(ballot.proposer.rawValue)"
  }

  private static func segment(_ segment: JournalSegment) -> Segment {
    var found = Segment(number: segment.number, bytes: segment.bytes.count)
    do throws(DecodeError) {
      let header = try SegmentHeader.read(segment.bytes)
      found.firstRecord = header.continued.sequence + 1
      found.epoch = header.configuration.epoch.rawValue
      found.promised = text(header.promised)
      found.chosenUpTo = header.chosenUpTo.rawValue
      found.highestSlotBefore = header.highestSlot.rawValue
      found.snapshotSlot = header.snapshot.slot.rawValue
    } catch {
      found.headerProblem = "\(error.what)"
    }
    return found
  }

  private mutating func take(_ found: RecoveredJournal) {
    damages = found.damages.map(Damage.init)
    doubt = found.durable.doubt.map { "\($0)" }
    var torn = 0
    if case .torn(let bytes) = found.tail { torn = bytes }
    journal = Journal(
      lastRecord: found.end.sequence, endSegment: found.end.mark.segment,
      endOffset: found.end.mark.offset, promised: Self.text(found.durable.promised),
      chosenUpTo: found.durable.chosenUpTo.rawValue, highestSlot: found.highestSlot.rawValue,
      slots: found.durable.entries.count, tornBytes: torn)
    // A segment's records end where the next one says that it goes on, and the last one's where the journal ends.
    var next = found.end.sequence
    for i in segments.indices.reversed() {
      guard let first = segments[i].firstRecord, segments[i].number <= found.end.mark.segment
      else { continue }
      if next >= first { segments[i].lastRecord = next } else { segments[i].firstRecord = nil }
      next = first - 1
    }
  }
}

extension DirectoryInspection.Snapshot {
  fileprivate mutating func take(_ found: SnapshotFile.Examination) {
    problem = found.problem
    badBlocks = found.badBlocks
    guard let head = found.head else { return }
    slot = head.info.slot.rawValue
    contentBytes = head.info.length
    checksum = String(head.info.digest, radix: 16)
    version = head.version
    blocks = head.hasBlockChecksums ? head.blockCount : nil
  }
}
