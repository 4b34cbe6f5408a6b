/// One segment as it was read back: its number, which the host knows from its name, and all its bytes.
public struct JournalSegment {
  public var number: UInt64
  public var bytes: UnsafeRawBufferPointer
  /// What could not be read of it, in order; zeroes in `bytes`.
  public var unreadable: [UnreadableBytes]
  /// It was begun, and there is no such file.
  public var isMissing: Bool

  public init(
    number: UInt64, bytes: UnsafeRawBufferPointer, unreadable: [UnreadableBytes] = [],
    isMissing: Bool = false
  ) {
    self.isMissing = isMissing
    self.number = number
    self.bytes = bytes
    self.unreadable = unreadable
  }
}

/// A part of a file that the disk did not give back.
public struct UnreadableBytes: Hashable, Sendable {
  /// In bytes from the beginning of the file.
  public var range: Range<Int>
  /// The disk's answer, in words.
  public var why: String

  public init(_ range: Range<Int>, why: String) {
    self.range = range
    self.why = why
  }
}

/// Where a value's bytes lie in the journal.
public struct PayloadLocation: Hashable, Sendable {
  public var segment: UInt64
  /// In bytes from the beginning of the segment.
  public var offset: UInt32
  public var length: UInt32

  public init(segment: UInt64, offset: UInt32, length: UInt32) {
    self.segment = segment
    self.offset = offset
    self.length = length
  }
}

/// How a recovered journal ends.
public enum JournalTail: Hashable, Sendable {
  /// Nothing behind the last record.
  case clean
  /// Behind the last record lay what a crash left of writes that were never flushed: so many bytes, now void.
  case torn(droppedBytes: Int)
}

/// What recovery found.
public struct RecoveredJournal: Equatable, Sendable {
  /// The fold of the records. The positions of values are what the caller's `place` answered.
  public var durable: DurableState
  public var end: JournalCut
  public var nextSegment: UInt64
  public var segments: [SegmentSummary]
  /// The highest slot any record ever spoke of, those of deleted segments included.
  public var highestSlot: Slot
  public var tail: JournalTail
  /// What is damaged and was not cured since. Whether it matters, `durable.doubt` says: damage below a snapshot does not.
  public var damages: [JournalDamage] = []

  /// A journal that was never written.
  public static let fresh = RecoveredJournal(
    durable: .empty, end: .start, nextSegment: 1, segments: [], highestSlot: .zero, tail: .clean)

  /// A journal that is lost as a whole: anything may have been promised and voted for.
  public static let wiped: RecoveredJournal = {
    var journal = fresh
    journal.durable.doubt = .everything
    return journal
  }()

  /// It is whole, and from before: what was promised and voted for since is lost. What it knows to be chosen stays so.
  public mutating func wasSetBack() { durable.doubt = .everything }

  /// Of a new member of a cluster that was founded on a log up to this slot: it has promised nobody anything, and must not help
  /// to choose anything before it holds that log. Recovery takes it for a journal whose first segments are gone.
  public static func joining(upTo slot: Slot) -> RecoveredJournal {
    var journal = fresh
    journal.highestSlot = slot
    return journal
  }

  /// Nothing is damaged but that the first segments are gone.
  var isOnlyCut: Bool {
    !damages.isEmpty
      && damages.allSatisfy { if case .slotsMissing = $0.what { true } else { false } }
  }
}

/// Reads a journal back: a pure fold from bytes to `RecoveredJournal`, or the reason why not.
///
/// A bad record ends the log. It is a *torn tail*, and harmless, unless something later proves that it had been durable:
/// every header and record carries the mark up to which the journal was durable when it was written. With proof it is
/// damage (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, on telling the two apart).
/// What no later write could vouch for, the last flush before the crash, cannot be told apart by anyone.
///
/// Damage does not end the log: the fold goes on with the next record that is whole, and says what may be missing
/// (`JournalFold`). Refused is what nothing can be concluded from: another's journal, a format or a history that is not
/// this one's, no readable header at all.
///
/// Each segment header names the cut its log goes on from; what lies behind a cut is void. So a record that a crash left
/// behind a torn one never comes back to life, whatever is written later.
public struct JournalRecovery {
  /// In order, without gaps: a missing one is empty. The last is one that was begun, if the host knows of it.
  let segments: [JournalSegment]
  private let isMissing: [Bool]
  private let identity: JournalIdentity
  /// One for each segment; nil when its bytes are no header.
  private(set) var headers: [Header?] = []
  private(set) var flaws: [DecodeError.What] = []

  /// More segments than this are not missing one after the other: those are names of something else.
  private static let missingMax: UInt64 = 1_000

  struct Header {
    var header: SegmentHeader
    var checksum: UInt32
  }

  /// A segment of the log, and where the next one goes on from; nil for the last, and where the next one's header is lost.
  struct Live {
    var index: Int
    var end: Int?
    /// All of it up to there had been durable: nothing in it is a torn tail.
    var isDurable = false
  }

  /// Folds `segments`, in order of their numbers, over `snapshot`, the newest one that is durable and verified.
  ///
  /// `place` is asked once for every value in the result, in order of slots, and answers the position its bytes have, or
  /// will have, in the host's log buffer; nil: there is no room, the value is left out and the replica a suspect. The host
  /// must flush every segment it read before the replica acts on the result: bytes can be readable and not durable.
  /// - Parameter damagedBytesMax: of a damaged journal, whose snapshot may be gone, no more bytes of values are placed.
  public static func recover(
    _ segments: [JournalSegment], identity: JournalIdentity, snapshot: SnapshotInfo,
    damagedBytesMax: Int = .max,
    place: (PayloadLocation) -> UInt64? = { $0.segment << 32 | UInt64($0.offset) }
  ) throws(JournalDamage) -> RecoveredJournal {
    let recovery = try JournalRecovery(segments, identity)
    return try recovery.run(snapshot, damagedBytesMax, place)
  }

  init(
    _ segments: [JournalSegment], _ identity: JournalIdentity
  ) throws(JournalDamage) {
    var (filled, isMissing): ([JournalSegment], [Bool]) = ([], [])
    for segment in segments {
      // Names come from a directory: 0 is no segment, and behind the last number there is no next one.
      guard segment.number > 0, segment.number < .max else {
        throw JournalDamage(segment: segment.number, offset: 0, what: .misplaced(segment.number))
      }
      if let last = filled.last?.number {
        guard segment.number > last, segment.number - last <= Self.missingMax else {
          throw JournalDamage(segment: last + 1, offset: 0, what: .segmentMissing)
        }
        for number in last + 1..<segment.number {
          filled.append(
            JournalSegment(number: number, bytes: UnsafeRawBufferPointer(start: nil, count: 0)))
          isMissing.append(true)
        }
      }
      filled.append(segment)
      isMissing.append(segment.isMissing)
    }
    self.segments = filled
    self.isMissing = isMissing
    self.identity = identity
    for segment in filled {
      var header: Header?
      var flaw = DecodeError.What.truncated
      do throws(DecodeError) {
        let (decoded, checksum) = try JournalCodec.decodeHeader(segment.bytes)
        header = Header(header: decoded, checksum: checksum)
      } catch {
        flaw = error.what
      }
      if flaw == .version {
        throw JournalDamage(segment: segment.number, offset: 4, what: .unsupportedVersion)
      }
      if let header = header?.header {
        guard header.identity == identity else {
          throw JournalDamage(segment: segment.number, offset: 8, what: .foreign(header.identity))
        }
        guard header.number == segment.number, header.continued.mark.segment < header.number else {
          throw JournalDamage(segment: segment.number, offset: 32, what: .misplaced(header.number))
        }
      }
      headers.append(header)
      flaws.append(flaw)
    }
  }

  // MARK: Which bytes are the log

  /// The segments the log runs through, first to last, found from the last header backwards by the cuts. A segment whose
  /// header is lost is among them.
  private func liveSegments() -> [Live] {
    var limit = segments.count - 1
    search: while true {
      guard let top = (0...max(0, limit)).last(where: { $0 <= limit && headers[$0] != nil }) else {
        return []
      }
      var live = [Live(index: top, end: nil)]
      for index in top..<limit where wasDurable(index + 1) {
        live.append(Live(index: index + 1, end: nil))
      }
      while live[0].index > 0 || headers[live[0].index] != nil {
        guard let header = headers[live[0].index]?.header else {
          // Nothing says where the lost header went on: whatever the segment before it holds is read.
          live.insert(Live(index: live[0].index - 1, end: nil), at: 0)
          continue
        }
        guard header.continued.mark.segment >= segments[0].number else { break }
        let index = Int(header.continued.mark.segment - segments[0].number)
        if headers[index] == nil, !wasDurable(index) {
          // The header this one builds on is gone, because neither was durable: the log ends before both.
          limit = index - 1
          continue search
        }
        live.insert(Live(index: index, end: Int(header.continued.mark.offset)), at: 0)
      }
      return live
    }
  }

  /// Whether the beginning of a segment without a header had been durable.
  private func wasDurable(_ index: Int) -> Bool {
    isMissing[index] || isUnreadable(index, 0..<SegmentHeader.length)
      || proven(from: index, offset: 0) > JournalMark(segment: segments[index].number, offset: 0)
  }

  /// Whether the disk did not give all of these bytes back. No crash does that: whatever was there may have been durable.
  private func isUnreadable(_ index: Int, _ range: Range<Int>) -> Bool {
    segments[index].unreadable.contains { $0.range.overlaps(range) }
  }

  /// Up to where anything from this place on proves that the journal had been durable.
  private func proven(from index: Int, offset: Int) -> JournalMark {
    var proven = JournalMark.zero
    for i in index..<segments.count {
      if i > index, let header = headers[i]?.header { proven = max(proven, header.durable) }
      proven = max(proven, highestMark(in: segments[i], from: i == index ? offset : 0))
    }
    return proven
  }

  /// The highest mark any record in these bytes vouches for.
  private func highestMark(in segment: JournalSegment, from begin: Int) -> JournalMark {
    var highest = JournalMark.zero
    forEachHead(in: segment, from: begin) { head, _ in
      highest = max(highest, head.durable)
      return true
    }
    return highest
  }

  /// Calls `body` with every head that is whole, wherever it lies, until it answers false. Records begin at multiples of 8.
  private func forEachHead(
    in segment: JournalSegment, from begin: Int, _ body: (RecordHead, Int) -> Bool
  ) {
    let stamp = JournalCodec.stamp(identity, segment: segment.number)
    for offset in stride(from: begin, through: segment.bytes.count - JournalCodec.headLength, by: 8)
    {
      // A look at the magic first: most of what is searched is zeroes or payload.
      let magic = segment.bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
      guard magic.littleEndian == JournalCodec.recordMagic else { continue }
      if let head = try? JournalCodec.decodeHead(
        segment.bytes, at: offset, stamp: stamp, segment: segment.number)
      {
        guard body(head, offset) else { return }
      }
    }
  }

  private func isZero(_ index: Int, from offset: Int) -> Bool {
    let bytes = segments[index].bytes
    return bytes[min(offset, bytes.count)...].allSatisfy { $0 == 0 }
  }

  // MARK: The fold

  private func run(
    _ snapshot: SnapshotInfo, _ damagedBytesMax: Int, _ place: (PayloadLocation) -> UInt64?
  ) throws(JournalDamage) -> RecoveredJournal {
    let live = liveSegments()
    var fold = JournalFold(segments, snapshot)
    guard !live.isEmpty else {
      try refuseWithoutHeaders(snapshot)
      var result = fold.finish()
      result.tail = tail(from: 0, offset: 0)
      return result
    }
    let configurations = live.compactMap { headers[$0.index]?.header.configuration }
    var last = 0
    for (i, part) in live.enumerated() {
      last = part.index
      let before = fold.damageCount
      if let header = headers[part.index] {
        try fold.begin(header.header, checksum: header.checksum, part.index, isFirst: i == 0)
      } else {
        let what =
          isMissing[part.index] ? .segmentMissing : JournalDamage.What.header(flaws[part.index])
        fold.beginWithoutHeader(damage(part.index, 0, what), configurations.first)
      }
      let hasNext = i + 1 < live.count
      guard try read(part, hasNext: hasNext, into: &fold), hasNext else { break }
      if let next = headers[live[i + 1].index]?.header, next.continued != fold.end {
        // Only damage explains that the log is not what the next segment goes on from.
        guard fold.damageCount > before, next.continued.sequence >= fold.end.sequence else {
          throw damage(part.index, Int(fold.end.mark.offset), .outOfChain)
        }
        fold.end = next.continued
      }
    }
    let end = fold.end.mark
    if end.segment > 0, end.segment >= segments[0].number {
      last = Int(end.segment - segments[0].number)
    }
    var result = fold.finish()
    result.segments = result.segments.enumerated().filter { !isMissing[$0.offset] }.map(\.element)
    result.tail = tail(from: last, offset: Int(end.offset))
    let bytesMax = result.damages.isEmpty ? Int.max : damagedBytesMax
    var bytes = 0
    result.durable.relocate { packed in
      bytes += Int(packed.length)
      guard bytes <= bytesMax else { return nil }
      return place(
        PayloadLocation(
          segment: segments[Int(packed.position >> 32)].number,
          offset: UInt32(truncatingIfNeeded: packed.position), length: packed.length))
    }
    result.durable.includeVotesInHand()
    // Said first, and even where nothing of the log was: the disk fails.
    result.damages.insert(contentsOf: unreadable, at: 0)
    return result
  }

  var unreadable: [JournalDamage] {
    segments.flatMap { segment in
      segment.unreadable.map {
        JournalDamage(
          segment: segment.number, offset: $0.range.lowerBound,
          what: .unreadable(bytes: $0.range.count, why: $0.why))
      }
    }
  }

  /// Nothing but torn headers: the first start of a replica, unless something says that there was more.
  private func refuseWithoutHeaders(_ snapshot: SnapshotInfo) throws(JournalDamage) {
    if !segments.isEmpty, wasDurable(0) {
      throw damage(0, 0, isMissing[0] ? .segmentMissing : .header(flaws[0]))
    }
    let number = segments.first?.number ?? 1
    guard number == 1 else {
      throw JournalDamage(segment: number &- 1, offset: 0, what: .segmentMissing)
    }
    guard snapshot == .none, !isMissing.contains(true) else {
      throw JournalDamage(segment: 1, offset: 0, what: .segmentMissing)
    }
  }

  /// What lies at a place of the log.
  private enum Found {
    /// nil for padding.
    case record(JournalRecord?, RecordHead, end: Int)
    /// The head is whole and the next one; the value behind it is not.
    case lostValue(Slot, JournalFact, RecordHead, end: Int)
    case bad(JournalDamage.What)

    /// The bytes that this was found by.
    func looked(at offset: Int) -> Range<Int> {
      switch self {
      case .record(_, _, let end), .lostValue(_, _, _, let end): offset..<end
      // It is whole.
      case .bad(.outOfChain): offset..<offset
      case .bad: offset..<offset + JournalCodec.headMax
      }
    }
  }

  /// Folds one segment's records in. False when the log ends in it.
  func read(
    _ part: Live, hasNext: Bool, into fold: inout JournalFold
  ) throws(JournalDamage) -> Bool {
    let (index, number) = (part.index, segments[part.index].number)
    let stamp = JournalCodec.stamp(identity, segment: number)
    // Behind a lost header, as behind every gap, the next record is found by looking for it.
    var offset = headers[index] == nil ? 0 : SegmentHeader.length
    if headers[index] == nil {
      guard let next = nextRecord(from: 0, part, after: fold.end.sequence) else { return hasNext }
      offset = next
    }
    while offset != part.end {
      let found = found(at: offset, part, stamp: stamp, fold)
      switch found {
      case .record(let record, let head, let end):
        try fold.take(record, head, at: offset, index, end: end)
        offset = end
        continue
      case .lostValue, .bad: break
      }
      let isLost = isUnreadable(index, found.looked(at: offset))
      if part.end == nil, hasNext, !isLost, isZero(index, from: offset) { return true }
      let isProven =
        isLost || part.isDurable
        || proven(from: index, offset: offset)
          > JournalMark(segment: number, offset: UInt32(clamping: offset))
      guard isProven else { return false }
      switch found {
      case .record: break
      case .lostValue(let slot, let fact, let head, let end):
        try fold.lose(slot, fact, head, damage(index, offset, .value(slot)), index, end: end)
        offset = end
      case .bad(let what):
        // Whole and in the place of another: this is not the history of this journal.
        if what == .outOfChain { throw damage(index, offset, what) }
        fold.lose(damage(index, offset, what))
        guard let next = nextRecord(from: offset + 8, part, after: fold.end.sequence &+ 1) else {
          return hasNext
        }
        offset = next
      }
    }
    return part.end != nil
  }

  private func found(at offset: Int, _ part: Live, stamp: UInt32, _ fold: JournalFold) -> Found {
    let bytes = segments[part.index].bytes
    do throws(DecodeError) {
      let head = try JournalCodec.decodeHead(
        bytes, at: offset, stamp: stamp, segment: segments[part.index].number)
      let (record, payload, end) = try JournalCodec.decodeFields(head, bytes, at: offset)
      guard fold.isNext(head), head.ring == identity.ring, end <= part.end ?? .max,
        end <= Int(UInt32.max)
      else { return .bad(.outOfChain) }
      guard let record, !payload.isEmpty else { return .record(record, head, end: end) }
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[payload]))
      guard checksum != head.payloadChecksum else { return .record(record, head, end: end) }
      switch record.fact {
      case .accepted(let slot, _, _), .learned(let slot, _):
        return .lostValue(slot, record.fact, head, end: end)
      case .promised, .chosenUpTo, .snapshot, .cured: return .record(record, head, end: end)
      }
    } catch {
      return .bad(.record(error.what))
    }
  }

  /// Where the next record of the log lies whose head is whole and whose number is above this one.
  private func nextRecord(from begin: Int, _ part: Live, after sequence: UInt64) -> Int? {
    var place: Int?
    forEachHead(in: segments[part.index], from: begin) { head, offset in
      guard offset < part.end ?? .max else { return false }
      if head.sequence > sequence, head.ring == identity.ring { place = offset }
      return place == nil
    }
    return place
  }

  /// What lies behind the end of the log, up to the last byte that is not zero.
  private func tail(from index: Int, offset: Int) -> JournalTail {
    var dropped = 0
    for i in index..<max(index, segments.count) {
      let begin = i == index ? offset : 0
      var end = segments[i].bytes.count
      while end > begin, segments[i].bytes[end - 1] == 0 { end -= 1 }
      dropped += max(0, end - begin)
    }
    return dropped == 0 ? .clean : .torn(droppedBytes: dropped)
  }

  func damage(_ index: Int, _ offset: Int, _ what: JournalDamage.What) -> JournalDamage {
    JournalDamage(segment: segments[index].number, offset: offset, what: what)
  }
}

extension JournalRecovery {
  /// The same over arrays: for tests and simulated disks.
  public static func recover(
    _ segments: [(number: UInt64, bytes: [UInt8])], identity: JournalIdentity,
    snapshot: SnapshotInfo,
    unreadable: [(segment: UInt64, bytes: UnreadableBytes)] = [],
    place: (PayloadLocation) -> UInt64? = { $0.segment << 32 | UInt64($0.offset) }
  ) throws(JournalDamage) -> RecoveredJournal {
    func lost(in number: UInt64) -> [UnreadableBytes] {
      unreadable.filter { $0.segment == number }.map(\.bytes)
    }
    // One buffer for all: arrays lend their bytes only within a closure each.
    var ranges: [Range<Int>] = []
    var all: [UInt8] = []
    all.reserveCapacity(segments.reduce(0) { $0 + $1.bytes.count })
    for segment in segments {
      ranges.append(all.count..<all.count + segment.bytes.count)
      all += segment.bytes
    }
    return try all.span.bytes.withUnsafeBytes { buffer throws(JournalDamage) -> RecoveredJournal in
      let views = zip(segments, ranges).map {
        JournalSegment(
          number: $0.number, bytes: UnsafeRawBufferPointer(rebasing: buffer[$1]),
          unreadable: lost(in: $0.number))
      }
      return try recover(views, identity: identity, snapshot: snapshot, place: place)
    }
  }
}
