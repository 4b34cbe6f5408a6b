/// What replicas have reported of their states, and the last state that a majority of them agree on.
///
/// Part of the replicated state: a fold of the log like sessions are, hence the same on every replica that has applied as
/// much. Of each voter the last few reports are kept, not only the last: a voter that is always one period behind the others
/// would otherwise never be compared with them.
///
/// The idea is that of etcd's and of Paxos Made Live's checksums of databases, agreed through the log itself.
public struct DigestTable: Hashable, Sendable {
  /// One report that is kept.
  public struct Entry: Hashable, Sendable {
    public var replica: ReplicaID
    public var slot: Slot
    public var digest: UInt64
  }

  /// What a report came to.
  public enum Outcome: Hashable, Sendable {
    /// Older than what its replica has reported, of an earlier epoch, or one that no member can have made.
    case ignored
    case noted
    /// A majority has now reported this digest for this slot.
    case agreed
    /// No majority can report the same digest for this slot any more.
    case split
  }

  /// How many reports of one voter are kept.
  public static let keptOfEach = 4

  /// Of the reports in the table; a later one empties it.
  public internal(set) var epoch = Epoch(0)
  /// How many voters that epoch has, as its first report says.
  public internal(set) var voters: UInt32 = 0
  /// By replica, and of each in order of slots.
  public internal(set) var entries: [Entry] = []
  /// The last slot whose state is agreed; `.zero` before there is one.
  public internal(set) var agreedSlot = Slot.zero
  public internal(set) var agreedDigest: UInt64 = 0

  public init() {}

  /// Nothing was ever reported.
  public var isEmpty: Bool { self == DigestTable() }

  /// The last slot that this replica has reported on.
  public func reportedUpTo(by replica: ReplicaID) -> Slot {
    entries.last { $0.replica == replica }?.slot ?? .zero
  }

  /// Folds a report in that stands in `slot` of the log.
  package mutating func take(
    _ report: DigestReport, in slot: Slot, _ contracts: inout ContractRecorder
  ) -> Outcome {
    guard report.slot > .zero, report.slot < slot, report.epoch >= epoch,
      (1...UInt32(Configuration.votersMax)).contains(report.voters)
    else { return .ignored }
    if report.epoch > epoch {
      (epoch, voters) = (report.epoch, report.voters)
      entries.removeAll(keepingCapacity: true)
    }
    guard report.voters == voters, note(report) else { return .ignored }
    let before = agreedSlot
    let outcome = judge(report)
    let (after, count, limit) = (agreedSlot, entries.count, Int(voters) * Self.keptOfEach)
    contracts.ensure(.foldReportPostTableBounded, count <= limit)
    contracts.ensure(.foldReportPostAgreedAdvances, after >= before)
    contracts.ensure(
      .foldReportPostMajorityAgrees,
      outcome != .agreed || voices(for: report.digest, at: report.slot) > Int(voters) / 2)
    return outcome
  }

  /// Keeps a report that is newer than what its replica has reported.
  private mutating func note(_ report: DigestReport) -> Bool {
    let entry = Entry(replica: report.replica, slot: report.slot, digest: report.digest)
    let end = entries.firstIndex { $0.replica > report.replica } ?? entries.count
    let begin = entries.firstIndex { $0.replica == report.replica } ?? end
    if begin == end {
      guard replicas < Int(voters) else { return false }
    } else {
      guard entries[end - 1].slot < report.slot else { return false }
    }
    entries.insert(entry, at: end)
    if end - begin == Self.keptOfEach { entries.remove(at: begin) }
    return true
  }

  private mutating func judge(_ report: DigestReport) -> Outcome {
    guard report.slot > agreedSlot else { return .noted }
    let needed = Quorum(voters: Int(voters)).size
    if entries.count(where: { $0.slot == report.slot && $0.digest == report.digest }) >= needed {
      (agreedSlot, agreedDigest) = (report.slot, report.digest)
      return .agreed
    }
    // Who has reported on a later slot will not report on this one.
    var (most, silent) = (0, Int(voters) - replicas)
    for i in entries.indices {
      let entry = entries[i]
      if entry.slot == report.slot {
        most = max(most, voices(for: entry.digest, at: entry.slot))
      }
      let isLast = i + 1 == entries.count || entries[i + 1].replica != entry.replica
      if isLast && entry.slot < report.slot { silent += 1 }
    }
    return most + silent < needed ? .split : .noted
  }

  /// How many replicas have reported this digest for this slot.
  private func voices(for digest: UInt64, at slot: Slot) -> Int {
    var voices = 0
    for i in entries.indices where entries[i].slot == slot && entries[i].digest == digest {
      // No replica has two voices, whatever else is wrong with the table.
      if i > 0, entries[i - 1].replica == entries[i].replica, entries[i - 1].slot == slot {
        continue
      }
      voices += 1
    }
    return voices
  }

  /// How many replicas have reported anything.
  private var replicas: Int {
    var count = 0
    for i in entries.indices where i == 0 || entries[i - 1].replica != entries[i].replica {
      count += 1
    }
    return count
  }

  /// A digest of the table; what an application without reports has is left as it is.
  func mixed(into digest: UInt64) -> UInt64 {
    guard !isEmpty else { return digest }
    var mixed = SessionTable.mix(digest, SessionTable.mix(epoch.rawValue, UInt64(voters)))
    mixed = SessionTable.mix(mixed, SessionTable.mix(agreedSlot.rawValue, agreedDigest))
    for entry in entries {
      mixed = SessionTable.mix(
        mixed,
        SessionTable.mix(
          UInt64(entry.replica.rawValue), SessionTable.mix(entry.slot.rawValue, entry.digest)))
    }
    return mixed
  }
}

// The table's block of a snapshot: epoch, agreed slot, agreed digest u64, voters u32, entries u32; then for each entry
// replica u32, zero u32, slot u64, digest u64.
extension DigestTable {
  static let headLength = 32
  static let entryLength = 24
  static let lengthMax = headLength + Configuration.votersMax * keptOfEach * entryLength

  func encode(into bytes: inout [UInt8]) {
    bytes.put(epoch.rawValue)
    bytes.put(agreedSlot.rawValue)
    bytes.put(agreedDigest)
    bytes.put(voters)
    bytes.put(UInt32(entries.count))
    for entry in entries {
      bytes.put(entry.replica.rawValue)
      bytes.put(UInt32(0))
      bytes.put(entry.slot.rawValue)
      bytes.put(entry.digest)
    }
  }

  /// The table in a block of a snapshot of the state after `slot`; nil for bytes that are none.
  init?(_ bytes: RawSpan, slot: Slot) {
    func word(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    guard bytes.byteCount >= Self.headLength, bytes.byteCount <= Self.lengthMax else { return nil }
    self.init()
    epoch = Epoch(word(0))
    agreedSlot = Slot(word(8))
    agreedDigest = word(16)
    voters = UInt32(truncatingIfNeeded: word(24))
    let count = Int(word(24) >> 32)
    guard bytes.byteCount == Self.headLength + count * Self.entryLength,
      (1...UInt32(Configuration.votersMax)).contains(voters), agreedSlot < slot
    else { return nil }
    for i in 0..<count {
      let at = Self.headLength + i * Self.entryLength
      let entry = Entry(
        replica: ReplicaID(UInt32(truncatingIfNeeded: word(at))), slot: Slot(word(at + 8)),
        digest: word(at + 16))
      guard word(at) >> 32 == 0, entry.slot > .zero, entry.slot < slot else { return nil }
      if let last = entries.last {
        guard (last.replica, last.slot) < (entry.replica, entry.slot) else { return nil }
      }
      entries.append(entry)
    }
    guard count > 0, replicas <= Int(voters) else { return nil }
    for i in entries.indices.dropFirst(Self.keptOfEach)
    where entries[i].replica == entries[i - Self.keptOfEach].replica {
      return nil
    }
  }
}
