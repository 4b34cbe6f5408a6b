// The journal's bytes: docs/journal-format.md. A journal is a sequence of segments, each a header and records.

/// Whose journal it is. Bytes of another one are refused, never folded.
public struct JournalIdentity: Hashable, Sendable {
  public var cluster: ClusterID
  public var ring: RingID
  public var replica: ReplicaID
  public var incarnation: Incarnation

  public init(cluster: ClusterID, ring: RingID, replica: ReplicaID, incarnation: Incarnation) {
    self.cluster = cluster
    self.ring = ring
    self.replica = replica
    self.incarnation = incarnation
  }
}

/// A place in the journal: every byte before `offset` of `segment`, and every earlier segment.
public struct JournalMark: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var segment: UInt64
  /// In bytes from the beginning of the segment; below 4 GiB.
  public var offset: UInt32

  public init(segment: UInt64, offset: UInt32) {
    self.segment = segment
    self.offset = offset
  }

  public static let zero = JournalMark(segment: 0, offset: 0)
  public static func < (a: Self, b: Self) -> Bool {
    a.segment != b.segment ? a.segment < b.segment : a.offset < b.offset
  }

  public var description: String { "segment \(segment), byte \(offset)" }
}

/// Where a journal goes on: the end of what is valid, and what the next record must be chained to.
public struct JournalCut: Hashable, Sendable {
  public var mark: JournalMark
  /// Checksum of the record, or of the segment header, that ends at the mark; 0 before the first segment.
  public var link: UInt32
  /// How many records the journal has had up to here, in all its lives, padding included.
  public var sequence: UInt64

  public init(mark: JournalMark, link: UInt32, sequence: UInt64) {
    self.mark = mark
    self.link = link
    self.sequence = sequence
  }

  /// Before the first segment.
  public static let start = JournalCut(mark: .zero, link: 0, sequence: 0)
}

/// What a segment says about itself and about everything before it, so that older segments can be deleted.
public struct SegmentHeader: Hashable, Sendable {
  public var identity: JournalIdentity
  /// Grows by one with every segment, counted from 1; every start of the replica begins a new one.
  public var number: UInt64
  /// The end of the log this segment goes on from. What lies behind it there is void for ever.
  public var continued: JournalCut
  /// What was certainly durable when the header was written.
  public var durable: JournalMark
  /// Governs every record of this segment.
  public var configuration: ConfigurationSpan
  public var promised: Ballot
  /// The configuration in which that was promised.
  public var promisedEpoch: Epoch
  public var chosenUpTo: Slot
  public var snapshot: SnapshotInfo
  /// The highest slot any record before this segment speaks of: without a snapshot of it, those are needed.
  public var highestSlot: Slot
  /// Written by a suspect: its promise may be lower than one it gave.
  public var isPromiseDoubtful = false
  /// Written by a suspect: votes may be lost, also above `highestSlot`.
  public var areSlotsDoubtful = false

  public static let length = 160

  /// The header at the beginning of a segment's bytes, which says nothing about whether it continues any other segment.
  public static func read(_ segment: UnsafeRawBufferPointer) throws(DecodeError) -> SegmentHeader {
    try JournalCodec.decodeHeader(segment).0
  }
}

/// What precedes every record's fields.
struct RecordHead: Hashable, Sendable {
  var type: JournalCodec.RecordType
  /// Bytes of fields and payload, without the filling up to a multiple of 8.
  var length: UInt32
  var checksum: UInt32
  /// The checksum of the record or segment header before this one.
  var previous: UInt32
  var sequence: UInt64
  var ring: RingID
  var payloadChecksum: UInt32
  /// What was certainly durable when the record was written: how recovery tells a torn tail from rot.
  var durable: JournalMark
  var epoch: Epoch
}

/// Encoder and decoder of segment headers and records. Decoding is total.
enum JournalCodec {
  static let version: UInt8 = 2
  /// "RSLJ" in order of bytes.
  static let segmentMagic: UInt32 = 0x4A4C_5352
  /// "RJ" in order of bytes.
  static let recordMagic: UInt16 = 0x4A52
  static let headLength = 48
  /// The longest head with fields: all a checksum of a head ever covers.
  static let headMax = headLength + 32

  enum RecordType: UInt8, CaseIterable, Sendable {
    case padding = 1
    case promised
    case accepted
    case learned
    case chosenUpTo
    case snapshot
    case cured

    var fieldsLength: Int {
      switch self {
      case .padding: 0
      case .promised: 16
      case .accepted: 32
      case .learned, .snapshot, .cured: 24
      case .chosenUpTo: 8
      }
    }

    /// Whether bytes may follow the fields.
    var hasPayload: Bool {
      switch self {
      case .padding, .accepted, .learned: true
      case .promised, .chosenUpTo, .snapshot, .cured: false
      }
    }
  }

  static func type(of record: JournalRecord) -> RecordType {
    switch record.fact {
    case .promised: .promised
    case .accepted: .accepted
    case .learned: .learned
    case .chosenUpTo: .chosenUpTo
    case .snapshot: .snapshot
    case .cured: .cured
    }
  }

  /// The seed of every record checksum of a segment: a record that was written elsewhere, for another replica or into a
  /// file that was reused, is never valid here, not even when the header that would tell is lost.
  static func stamp(_ identity: JournalIdentity, segment: UInt64) -> UInt32 {
    func fold(_ crc: UInt32, _ word: UInt64) -> UInt32 {
      withUnsafeBytes(of: word.littleEndian) { CRC32C.checksum($0, seed: crc) }
    }
    var crc = fold(0, identity.cluster.rawValue)
    crc = fold(crc, UInt64(identity.ring.rawValue) << 32 | UInt64(identity.replica.rawValue))
    crc = fold(crc, UInt64(identity.incarnation.rawValue))
    return fold(crc, segment)
  }

  // MARK: Segment headers

  static func encode(_ header: SegmentHeader, into out: inout [UInt8]) -> UInt32 {
    let start = out.count
    out.extend(by: SegmentHeader.length - 4) { out in
      out.put(segmentMagic)
      out.put(version)
      out.put((header.isPromiseDoubtful ? 1 : 0) | (header.areSlotsDoubtful ? 2 : 0) as UInt8)
      out.putZeroes(2)
      out.put(header.identity.cluster.rawValue)
      out.put(header.identity.ring.rawValue)
      out.put(header.identity.replica.rawValue)
      out.put(header.identity.incarnation.rawValue)
      out.put(header.continued.mark.offset)
      out.put(header.number)
      out.put(header.continued.mark.segment)
      out.put(header.continued.sequence)
      out.put(header.promised)
      out.put(header.continued.link)
      out.put(header.chosenUpTo)
      out.put(header.snapshot)
      out.put(header.highestSlot)
      out.put(header.configuration.epoch.rawValue)
      out.put(header.configuration.firstSlot)
      out.put(header.configuration.lastSlot)
      out.put(header.promisedEpoch.rawValue)
      out.put(header.durable.segment)
      out.put(header.durable.offset)
    }
    let checksum = out.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[start...]))
    }
    out.put(checksum)
    return checksum
  }

  static func decodeHeader(
    _ buffer: UnsafeRawBufferPointer
  ) throws(DecodeError) -> (SegmentHeader, checksum: UInt32) {
    var r = ByteReader(buffer, in: 0..<SegmentHeader.length)
    guard r.remaining == SegmentHeader.length else { throw DecodeError(.truncated, at: 0) }
    guard try r.u32() == segmentMagic else { throw DecodeError(.unknownTag, at: 0) }
    let covered = UnsafeRawBufferPointer(rebasing: buffer[..<(SegmentHeader.length - 4)])
    let computed = CRC32C.checksum(covered)
    let version = try r.u8()
    var last = ByteReader(buffer, in: covered.count..<SegmentHeader.length)
    guard try last.u32() == computed else { throw DecodeError(.checksum, at: covered.count) }
    // Only now: a version in damaged bytes says nothing.
    guard version == Self.version else { throw DecodeError(.version, at: 4) }
    let doubts = try r.u8()
    guard doubts <= 3 else { throw DecodeError(.unknownTag, at: 5) }
    try r.zeroes(2)
    let cluster = ClusterID(try r.u64())
    let ring = RingID(try r.u32())
    let replica = ReplicaID(try r.u32())
    let incarnation = Incarnation(try r.u32())
    let continuedOffset = try r.u32()
    let number = try r.u64()
    let continuedSegment = try r.u64()
    let sequence = try r.u64()
    let promised = try r.ballot()
    let link = try r.u32()
    let chosenUpTo = try r.slot()
    let snapshot = try r.snapshotInfo()
    let highestSlot = try r.slot()
    let configuration = ConfigurationSpan(
      epoch: Epoch(try r.u64()), firstSlot: try r.slot(), lastSlot: try r.slot())
    let promisedEpoch = Epoch(try r.u64())
    guard configuration.firstSlot <= configuration.lastSlot, promisedEpoch <= configuration.epoch
    else { throw DecodeError(.contradiction, at: 112) }
    let durableSegment = try r.u64()
    let header = SegmentHeader(
      identity: JournalIdentity(
        cluster: cluster, ring: ring, replica: replica, incarnation: incarnation),
      number: number,
      continued: JournalCut(
        mark: JournalMark(segment: continuedSegment, offset: continuedOffset), link: link,
        sequence: sequence),
      durable: JournalMark(segment: durableSegment, offset: try r.u32()),
      configuration: configuration, promised: promised, promisedEpoch: promisedEpoch,
      chosenUpTo: chosenUpTo, snapshot: snapshot, highestSlot: highestSlot,
      isPromiseDoubtful: doubts & 1 != 0, areSlotsDoubtful: doubts & 2 != 0)
    return (header, computed)
  }

  // MARK: Records

  /// How many bytes a record of this type takes in the journal.
  static func encodedLength(_ type: RecordType, payload: Int) -> Int {
    headLength + (type.fieldsLength + payload + 7) & ~7
  }

  /// Appends head and fields, and returns the head's checksum. `record` is nil for padding of `length` bytes.
  static func encodeHead(
    _ head: RecordHead, _ record: JournalRecord?, at offset: UInt32, stamp: UInt32,
    segment: UInt64, into out: inout [UInt8]
  ) -> UInt32 {
    let start = out.count
    out.extend(by: headLength + head.type.fieldsLength) { out in
      out.put(recordMagic)
      out.put(version)
      out.put(head.type.rawValue)
      out.put(head.length)
      out.put(UInt32(0))  // the checksum, known at the end
      out.put(head.previous)
      out.put(head.sequence)
      out.put(head.ring.rawValue)
      out.put(head.payloadChecksum)
      out.put(UInt32(clamping: segment - head.durable.segment))
      out.put(head.durable.offset)
      out.put(head.epoch.rawValue)
      switch record?.fact {
      case nil: break
      case .promised(let ballot):
        out.put(ballot)
        out.putZeroes(4)
      case .cured(let ballot, let slot):
        out.put(slot)
        out.put(ballot)
        out.putZeroes(4)
      case .accepted(let slot, let ballot, let value):
        out.put(slot)
        out.put(ballot)
        out.put(value.count)
        out.put(value.digest)
      case .learned(let slot, let value):
        out.put(slot)
        out.put(value.digest)
        out.put(value.count)
        out.putZeroes(4)
      case .chosenUpTo(let slot): out.put(slot)
      case .snapshot(let info): out.put(info)
      }
    }
    let checksum = out.withUnsafeBytes {
      headChecksum(UnsafeRawBufferPointer(rebasing: $0[start...]), seed: stamp ^ offset)
    }
    out.set(checksum, at: start + 8)
    return checksum
  }

  /// Over head and fields, without the checksum's own four bytes.
  ///
  /// The seed is the segment's stamp and the record's offset: another seed never gives the same checksum, so a record that a
  /// misdirected write has put elsewhere, even in the same segment, is none.
  private static func headChecksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32) -> UInt32 {
    let first = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<8]), seed: seed)
    return CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[12...]), seed: first)
  }

  /// The head at `offset`, whose checksum is right: these bytes were written as a record of this segment. Says nothing
  /// about the payload.
  static func decodeHead(
    _ buffer: UnsafeRawBufferPointer, at offset: Int, stamp: UInt32, segment: UInt64
  ) throws(DecodeError) -> RecordHead {
    var r = ByteReader(buffer, in: max(0, min(offset, buffer.count))..<buffer.count)
    guard try r.u16() == recordMagic else { throw DecodeError(.unknownTag, at: offset) }
    let version = try r.u8()
    let tag = try r.u8()
    let length = try r.u32()
    let checksum = try r.u32()
    let previous = try r.u32()
    let sequence = try r.u64()
    let ring = RingID(try r.u32())
    let payloadChecksum = try r.u32()
    let back = UInt64(try r.u32())
    let durableOffset = try r.u32()
    let epoch = Epoch(try r.u64())
    guard version == Self.version else { throw DecodeError(.version, at: offset + 2) }
    guard let type = RecordType(rawValue: tag) else {
      throw DecodeError(.unknownTag, at: offset + 3)
    }
    guard Int(length) >= type.fieldsLength, type.hasPayload || Int(length) == type.fieldsLength
    else { throw DecodeError(.length, at: offset + 4) }
    let fields = try r.skip(type.fieldsLength)
    let covered = UnsafeRawBufferPointer(rebasing: buffer[offset..<fields.upperBound])
    guard headChecksum(covered, seed: stamp ^ UInt32(truncatingIfNeeded: offset)) == checksum,
      back <= segment
    else {
      throw DecodeError(.checksum, at: offset + 8)
    }
    return RecordHead(
      type: type, length: length, checksum: checksum, previous: previous, sequence: sequence,
      ring: ring, payloadChecksum: payloadChecksum,
      durable: JournalMark(segment: segment - back, offset: durableOffset), epoch: epoch)
  }

  /// The record whose head was decoded at `offset`, nil for padding, and where its payload lies, which nobody has looked at:
  /// what a head that is whole says of a value that may not be. The value's position is the payload's offset.
  static func decodeFields(
    _ head: RecordHead, _ buffer: UnsafeRawBufferPointer, at offset: Int
  ) throws(DecodeError) -> (JournalRecord?, payload: Range<Int>, end: Int) {
    var r = ByteReader(buffer, in: offset + headLength..<buffer.count)
    guard r.remaining >= (Int(head.length) + 7) & ~7 else {
      throw DecodeError(.truncated, at: buffer.count)
    }
    let end = offset + headLength + (Int(head.length) + 7) & ~7
    let payloadOffset = offset + headLength + head.type.fieldsLength
    let payloadLength = Int(head.length) - head.type.fieldsLength
    let payload = payloadOffset..<payloadOffset + payloadLength
    let reference =
      payloadLength == 0
      ? BytesRef.empty
      : BytesRef(position: UInt64(payloadOffset), length: UInt32(payloadLength))
    let fact: JournalFact
    switch head.type {
    case .padding: return (nil, payload, end)
    case .promised: fact = .promised(try r.ballot())
    case .accepted:
      let slot = try r.slot()
      let ballot = try r.ballot()
      let count = try r.u32()
      fact = .accepted(slot, ballot, try value(count, try r.u64(), reference, at: offset))
    case .learned:
      let slot = try r.slot()
      let digest = try r.u64()
      fact = .learned(slot, try value(try r.u32(), digest, reference, at: offset))
    case .chosenUpTo: fact = .chosenUpTo(try r.slot())
    case .snapshot: fact = .snapshot(try r.snapshotInfo())
    case .cured:
      let slot = try r.slot()
      fact = .cured(try r.ballot(), slot)
    }
    return (JournalRecord(fact, epoch: head.epoch), payload, end)
  }

  private static func value(
    _ count: UInt32, _ digest: UInt64, _ bytes: BytesRef, at offset: Int
  ) throws(DecodeError) -> Value {
    guard Value.isConsistent(count: count, digest: digest, length: bytes.length) else {
      throw DecodeError(.contradiction, at: offset)
    }
    return Value(bytes: bytes, count: count, digest: digest)
  }
}
