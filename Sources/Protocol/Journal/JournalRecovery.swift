/// One segment as it was read back: its number, which the host knows from its name, and all its bytes.
public struct JournalSegment {
  public var number: UInt64
  public var bytes: UnsafeRawBufferPointer

  public init(number: UInt64, bytes: UnsafeRawBufferPointer) {
    self.number = number
    self.bytes = bytes
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

  /// A journal that was never written.
  public static let fresh = RecoveredJournal(
    durable: .empty, end: .start, nextSegment: 1, segments: [], highestSlot: .zero, tail: .clean)
}

/// Why a journal cannot be trusted: something that was acknowledged may be gone, so the replica must not vote by it.
public struct JournalDamage: Error, Hashable, Sendable, CustomStringConvertible {
  public enum What: Hashable, Sendable {
    /// Numbers that do not follow one another.
    case segmentMissing
    /// Bytes that were durable are not a header.
    case header(DecodeError.What)
    /// Bytes that were durable are not a record.
    case record(DecodeError.What)
    /// A record that is whole, but not the next one.
    case outOfChain
    /// The journal of another replica, ring, cluster or life.
    case foreign(JournalIdentity)
    /// The segment calls itself by another number.
    case misplaced(UInt64)
    /// A record of a configuration that is not its segment's: nothing says which members it was given to.
    case unknownEpoch(Epoch, governing: ConfigurationSpan)
    /// A segment of a configuration that cannot follow the one before.
    case configurationOutOfOrder(ConfigurationSpan, after: ConfigurationSpan)
    /// A format this code does not read.
    case unsupportedVersion
    /// Slots up to here were recorded in segments that are gone, and the snapshot ends before.
    case slotsMissing(upTo: Slot, snapshot: Slot)
    /// A snapshot was recorded as durable, and the newest one found is older.
    case snapshotMissing(recorded: Slot, found: Slot)
  }

  public var segment: UInt64
  /// In bytes from the beginning of the segment.
  public var offset: Int
  public var what: What

  public init(segment: UInt64, offset: Int, what: What) {
    self.segment = segment
    self.offset = offset
    self.what = what
  }

  public var description: String { "segment \(segment), byte \(offset): \(what)" }
}

/// Reads a journal back: a pure fold from bytes to `RecoveredJournal`, or the reason why not.
///
/// A bad record ends the log. It is a *torn tail*, and harmless, unless something later proves that it had been durable:
/// every header and record carries the mark up to which the journal was durable when it was written. With proof it is
/// damage (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST 2018, on telling the two apart).
/// What no later write could vouch for, the last flush before the crash, cannot be told apart by anyone.
///
/// Each segment header names the cut its log goes on from; what lies behind a cut is void. So a record that a crash left
/// behind a torn one never comes back to life, whatever is written later.
public struct JournalRecovery {
  private let segments: [JournalSegment]
  private let identity: JournalIdentity
  /// One for each segment; nil when its bytes are no header.
  private var headers: [Header?] = []
  private var flaws: [DecodeError.What] = []

  private struct Header {
    var header: SegmentHeader
    var checksum: UInt32
  }

  /// A segment of the log, and where the next one goes on from; nil for the last.
  private struct Live {
    var index: Int
    var end: Int?
  }

  /// Folds `segments`, in order of their numbers, over `snapshot`, the newest one that is durable and verified.
  ///
  /// `place` is asked once for every value in the result, in order of slots, and answers the position its bytes have, or
  /// will have, in the host's log buffer. The host must flush every segment it read before the replica acts on the
  /// result: bytes can be readable and not durable.
  public static func recover(
    _ segments: [JournalSegment], identity: JournalIdentity, snapshot: SnapshotInfo,
    place: (PayloadLocation) -> UInt64 = { $0.segment << 32 | UInt64($0.offset) }
  ) throws(JournalDamage) -> RecoveredJournal {
    let recovery = try JournalRecovery(segments, identity)
    return try recovery.run(snapshot, place)
  }

  private init(
    _ segments: [JournalSegment], _ identity: JournalIdentity
  ) throws(JournalDamage) {
    self.segments = segments
    self.identity = identity
    for (i, segment) in segments.enumerated() {
      // Names come from a directory: 0 is no segment, and behind the last number there is no next one.
      guard segment.number > 0, segment.number < .max else {
        throw JournalDamage(segment: segment.number, offset: 0, what: .misplaced(segment.number))
      }
      if i > 0, segment.number != segments[i - 1].number + 1 {
        throw JournalDamage(
          segment: segments[i - 1].number + 1, offset: 0, what: .segmentMissing)
      }
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

  /// The segments the log runs through, first to last, found from the last header backwards by the cuts.
  private func liveSegments() throws(JournalDamage) -> [Live] {
    var top = segments.count - 1
    search: while true {
      while top >= 0, headers[top] == nil { top -= 1 }
      guard top >= 0, let first = segments.first else { return [] }
      var live = [Live(index: top, end: nil)]
      while let header = headers[live[0].index]?.header,
        header.continued.mark.segment >= first.number
      {
        let index = Int(header.continued.mark.segment - first.number)
        guard headers[index] != nil else {
          // The header this one builds on is gone. Either neither was durable, and the log ends before both, or damage.
          try refuseIfDurable(index, offset: 0, .header(flaws[index]))
          top = index - 1
          continue search
        }
        live.insert(Live(index: index, end: Int(header.continued.mark.offset)), at: 0)
      }
      return live
    }
  }

  /// Throws when anything behind this place proves that the bytes there had been durable.
  private func refuseIfDurable(
    _ index: Int, offset: Int, _ what: JournalDamage.What
  ) throws(JournalDamage) {
    let number = segments[index].number
    let place = JournalMark(segment: number, offset: UInt32(clamping: offset))
    var proven = JournalMark.zero
    for i in index..<segments.count {
      if i > index, let header = headers[i]?.header { proven = max(proven, header.durable) }
      proven = max(proven, highestMark(in: segments[i], from: i == index ? offset : 0))
    }
    guard proven > place else { return }
    // When this segment simply ends here, what is bad is the header of the next one.
    if proven.segment > number, headers[index + 1] == nil, isZero(index, from: offset) {
      throw damage(index + 1, 0, .header(flaws[index + 1]))
    }
    throw damage(index, offset, what)
  }

  /// The highest mark any record in these bytes vouches for. Records begin at multiples of 8.
  private func highestMark(in segment: JournalSegment, from begin: Int) -> JournalMark {
    let stamp = JournalCodec.stamp(identity, segment: segment.number)
    var highest = JournalMark.zero
    for offset in stride(from: begin, through: segment.bytes.count - JournalCodec.headLength, by: 8)
    {
      // A look at the magic first: most of what is searched is zeroes or payload.
      let magic = segment.bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
      guard magic.littleEndian == JournalCodec.recordMagic else { continue }
      if let head = try? JournalCodec.decodeHead(
        segment.bytes, at: offset, stamp: stamp, segment: segment.number)
      {
        highest = max(highest, head.durable)
      }
    }
    return highest
  }

  private func isZero(_ index: Int, from offset: Int) -> Bool {
    let bytes = segments[index].bytes
    return bytes[min(offset, bytes.count)...].allSatisfy { $0 == 0 }
  }

  // MARK: The fold

  private func run(
    _ snapshot: SnapshotInfo, _ place: (PayloadLocation) -> UInt64
  ) throws(JournalDamage) -> RecoveredJournal {
    let live = try liveSegments()
    var result = RecoveredJournal.fresh
    result.durable = DurableState(snapshot: snapshot)
    result.segments = segments.map { SegmentSummary(number: $0.number, highestSlot: .zero) }
    result.nextSegment = (segments.last?.number ?? 0) &+ 1
    guard !live.isEmpty else {
      try refuseWithoutHeaders(snapshot)
      result.tail = tail(from: 0, offset: 0)
      return result
    }
    for (i, part) in live.enumerated() {
      guard let header = headers[part.index] else { break }
      if i == 0 {
        result.highestSlot = header.header.highestSlot
        result.end = header.header.continued
      }
      let next = i + 1 < live.count ? headers[live[i + 1].index]?.header : nil
      let isWhole = try fold(part, header, isFirst: i == 0, into: &result)
      guard isWhole, let next else {
        result.tail = tail(from: part.index, offset: Int(result.end.mark.offset))
        break
      }
      guard next.continued == result.end else {
        throw damage(part.index, Int(result.end.mark.offset), .outOfChain)
      }
    }
    result.durable = relocated(result.durable, place)
    return result
  }

  /// Nothing but torn headers: the first start of a replica, unless something says that there was more.
  private func refuseWithoutHeaders(_ snapshot: SnapshotInfo) throws(JournalDamage) {
    if !segments.isEmpty { try refuseIfDurable(0, offset: 0, .header(flaws[0])) }
    let number = segments.first?.number ?? 1
    guard number == 1 else {
      throw JournalDamage(segment: number &- 1, offset: 0, what: .segmentMissing)
    }
    guard snapshot == .none else {
      throw JournalDamage(segment: 1, offset: 0, what: .segmentMissing)
    }
  }

  /// Folds one segment in. False when the log ends in it before its cut, or it is the last.
  private func fold(
    _ part: Live, _ header: Header, isFirst: Bool, into result: inout RecoveredJournal
  ) throws(JournalDamage) -> Bool {
    let found = result.durable.snapshot.slot
    if isFirst, header.header.highestSlot > found {
      throw damage(
        part.index, 0, .slotsMissing(upTo: header.header.highestSlot, snapshot: found))
    }
    if header.header.snapshot.slot > found {
      throw damage(
        part.index, 0, .snapshotMissing(recorded: header.header.snapshot.slot, found: found))
    }
    let configuration = header.header.configuration
    if let before = result.durable.configurations.last, !configuration.mayFollow(before) {
      throw damage(part.index, 112, .configurationOutOfOrder(configuration, after: before))
    }
    result.durable.begin(configuration)
    // The header stands for the records before it.
    result.durable.promise(header.header.promised, in: header.header.promisedEpoch)
    result.durable.chosenUpTo = max(result.durable.chosenUpTo, header.header.chosenUpTo)
    result.end = JournalCut(
      mark: JournalMark(
        segment: segments[part.index].number, offset: UInt32(SegmentHeader.length)),
      link: header.checksum, sequence: header.header.continued.sequence)
    let bytes = segments[part.index].bytes
    let stamp = JournalCodec.stamp(identity, segment: segments[part.index].number)
    var offset = SegmentHeader.length
    while offset != part.end {
      var what = JournalDamage.What.outOfChain
      var next: (record: JournalRecord?, end: Int, link: UInt32, epoch: Epoch)?
      do throws(DecodeError) {
        let head = try JournalCodec.decodeHead(
          bytes, at: offset, stamp: stamp, segment: segments[part.index].number)
        let (record, end) = try JournalCodec.decodeRecord(head, bytes, at: offset)
        if head.previous == result.end.link, head.sequence == result.end.sequence &+ 1,
          head.ring == identity.ring, end <= part.end ?? .max, end <= Int(UInt32.max)
        {
          next = (record, end, head.checksum, head.epoch)
        }
      } catch {
        what = .record(error.what)
      }
      guard let next else {
        try refuseIfDurable(part.index, offset: offset, what)
        return false
      }
      // It is whole and the next one: no crash leaves that.
      guard next.epoch == configuration.epoch else {
        throw damage(part.index, offset, .unknownEpoch(next.epoch, governing: configuration))
      }
      if let record = next.record {
        try apply(record, at: offset, part.index, into: &result)
      }
      offset = next.end
      result.end.mark.offset = UInt32(offset)
      result.end.link = next.link
      result.end.sequence &+= 1
    }
    return part.end != nil
  }

  private func apply(
    _ record: JournalRecord, at offset: Int, _ index: Int, into result: inout RecoveredJournal
  ) throws(JournalDamage) {
    func located(_ value: Value) -> Value {
      guard value.bytes.length > 0 else { return value }
      var value = value
      value.bytes.position |= UInt64(index) << 32
      return value
    }
    func note(_ slot: Slot) {
      result.highestSlot = max(result.highestSlot, slot)
      result.segments[index].highestSlot = max(result.segments[index].highestSlot, slot)
    }
    var record = record
    switch record.fact {
    case .promised, .chosenUpTo: break
    case .accepted(let slot, let ballot, let value):
      note(slot)
      record.fact = .accepted(slot, ballot, located(value))
    case .learned(let slot, let value):
      note(slot)
      record.fact = .learned(slot, located(value))
    case .snapshot(let info):
      // Without the snapshot itself, votes below it may be of values that were never chosen: nothing may stand on them.
      guard info.slot <= result.durable.snapshot.slot else {
        throw damage(
          index, offset,
          .snapshotMissing(recorded: info.slot, found: result.durable.snapshot.slot))
      }
      return
    }
    result.durable.apply(record)
  }

  /// The same state, its values where the host wants them.
  private func relocated(
    _ state: DurableState, _ place: (PayloadLocation) -> UInt64
  ) -> DurableState {
    var result = state
    result.relocate { packed in
      place(
        PayloadLocation(
          segment: segments[Int(packed.position >> 32)].number,
          offset: UInt32(truncatingIfNeeded: packed.position), length: packed.length))
    }
    return result
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

  private func damage(_ index: Int, _ offset: Int, _ what: JournalDamage.What) -> JournalDamage {
    JournalDamage(segment: segments[index].number, offset: offset, what: what)
  }
}

extension JournalRecovery {
  /// The same over arrays: for tests and simulated disks.
  public static func recover(
    _ segments: [(number: UInt64, bytes: [UInt8])], identity: JournalIdentity,
    snapshot: SnapshotInfo,
    place: (PayloadLocation) -> UInt64 = { $0.segment << 32 | UInt64($0.offset) }
  ) throws(JournalDamage) -> RecoveredJournal {
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
          number: $0.number, bytes: UnsafeRawBufferPointer(rebasing: buffer[$1]))
      }
      return try recover(views, identity: identity, snapshot: snapshot, place: place)
    }
  }
}
