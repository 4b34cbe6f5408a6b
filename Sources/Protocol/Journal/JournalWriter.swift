/// A segment that still exists, and the highest slot its records speak of.
public struct SegmentSummary: Hashable, Sendable {
  public var number: UInt64
  public var highestSlot: Slot

  public init(number: UInt64, highestSlot: Slot) {
    self.number = number
    self.highestSlot = highestSlot
  }
}

/// What one flush makes durable: taken when its bytes are handed to the device, given back when it is done.
public struct JournalFlush: Hashable, Sendable {
  public var mark: JournalMark
  /// The last record in it, as the replica counts.
  public var position: JournalPosition
}

/// Turns records into the bytes of segments. Pure: the host owns the buffer, the files and the flushes.
///
/// The host's part: (1) begin a segment at every start and flush it, and the segments recovery read, before the replica's
/// first step, but after the replica was made, which refuses a configuration that cannot follow the journal's; when
/// `hasRoom` says no, hand what is in the buffer to the file, begin the next segment under the configuration the replica is
/// in, and write that to its own file. (2) Before each flush `padToBlock`, then take `flush()`; when
/// the device is done, `flushed(_:)` gives the position for the `persisted` event. (3) Delete what `drop` names, lowest
/// number first. Flushes complete in order: one is done only when those before it are, across segments too.
public struct JournalWriter: Hashable, Sendable {
  public let identity: JournalIdentity
  /// A segment is full when its next record would end behind this, in bytes.
  public let segmentLengthMax: Int
  /// A flush ends on a multiple of this, in bytes, so that the next one rewrites no block of it. A power of two; 8 for
  /// memory.
  public let blockLength: Int
  /// The end of what was written.
  public private(set) var end: JournalCut
  /// What is durable.
  public private(set) var durable: JournalMark
  /// The last record appended since this start, as the replica counts.
  public private(set) var position = JournalPosition.zero
  /// The last record that is durable, and the last one of which something behind it says so.
  private var durablePosition = JournalPosition.zero
  private var vouchedPosition = JournalPosition.zero
  /// The segments that exist, in order; the last one is being written.
  public private(set) var segments: [SegmentSummary]

  /// The number that the next segment will have.
  public var nextSegment: UInt64 { nextNumber }
  private var nextNumber: UInt64
  private var stamp: UInt32 = 0
  private var isOpen = false
  /// Of the segment being written, or of the last one that was found; nil for a journal that was never written.
  private var configuration: ConfigurationSpan?
  private var promised: Ballot
  private var promisedEpoch: Epoch
  private var chosenUpTo: Slot
  private var snapshot: SnapshotInfo
  /// Over all records ever, those of deleted segments included.
  private var highestSlot: Slot
  /// The doubts that the next header repeats, until they are cured.
  private var doubt: JournalDoubt?

  /// Goes on behind what recovery found. The host must have flushed the recovered segments first: what was readable
  /// after a process died need not be durable, and from here on it counts as durable.
  public init(
    identity: JournalIdentity, after recovered: RecoveredJournal,
    segmentLengthMax: Int = 64 << 20, blockLength: Int = 512
  ) {
    precondition(blockLength >= 8 && blockLength & (blockLength - 1) == 0, "not a power of two")
    precondition(segmentLengthMax >= SegmentHeader.length && segmentLengthMax <= 1 << 31)
    self.identity = identity
    self.segmentLengthMax = segmentLengthMax
    self.blockLength = blockLength
    end = recovered.end
    durable = recovered.end.mark
    segments = recovered.segments
    nextNumber = recovered.nextSegment
    configuration = recovered.durable.configurations.last
    promised = recovered.durable.promised
    promisedEpoch = recovered.durable.promisedEpoch
    chosenUpTo = recovered.durable.chosenUpTo
    snapshot = recovered.durable.snapshot
    highestSlot = recovered.highestSlot
    // That the first segments are gone, every header says by its highest slot, and how far that goes.
    doubt = recovered.isOnlyCut ? nil : recovered.durable.doubt
  }

  /// Begins the next segment: appends its header and returns its number. What is appended from now on belongs to it, and is
  /// governed by this configuration.
  ///
  /// - Precondition: the configuration is the one before or may follow it.
  public mutating func beginSegment(
    under configuration: ConfigurationSpan, into out: inout [UInt8]
  ) -> UInt64 {
    if let before = self.configuration {
      precondition(configuration.mayFollow(before), "a configuration that is over came back")
    }
    self.configuration = configuration
    let number = nextNumber
    nextNumber += 1
    let header = SegmentHeader(
      identity: identity, number: number, continued: end, durable: durable,
      configuration: configuration, promised: promised, promisedEpoch: promisedEpoch,
      chosenUpTo: chosenUpTo, snapshot: snapshot, highestSlot: highestSlot,
      isPromiseDoubtful: doubt?.isPromiseLost ?? false, areSlotsDoubtful: doubt != nil)
    let checksum = JournalCodec.encode(header, into: &out)
    vouchedPosition = durablePosition
    end = JournalCut(
      mark: JournalMark(segment: number, offset: UInt32(SegmentHeader.length)), link: checksum,
      sequence: end.sequence)
    stamp = JournalCodec.stamp(identity, segment: number)
    segments.append(SegmentSummary(number: number, highestSlot: .zero))
    isOpen = true
    return number
  }

  /// Whether the segment takes the record; false before the first segment was begun, and for a record of another
  /// configuration. An empty segment takes any record of its own.
  public func hasRoom(for record: JournalRecord) -> Bool {
    guard isOpen, record.epoch == configuration?.epoch else { return false }
    guard end.mark.offset > UInt32(SegmentHeader.length) else { return true }
    let length = JournalCodec.encodedLength(
      JournalCodec.type(of: record), payload: Int(record.payload.length))
    return Int(end.mark.offset) + length <= segmentLengthMax
  }

  /// Appends a record and a copy of its payload, and returns its position as the replica counts.
  @discardableResult
  public mutating func append(
    _ record: JournalRecord, payload: RawSpan, into out: inout [UInt8]
  ) -> JournalPosition {
    appendHead(record, payload: payload, into: &out)
    // Every type's fields are a multiple of 8 bytes, so only the payload is to be filled up.
    let filling = -payload.byteCount & 7
    out.extend(by: payload.byteCount + filling) { out in
      out.put(payload)
      out.putZeroes(filling)
    }
    return position
  }

  /// Appends a record without its payload: the host writes `payload` from where it lies, between the bytes before and
  /// after the place returned (an offset in `out`).
  public mutating func appendGathered(
    _ record: JournalRecord, payload: RawSpan, into out: inout [UInt8]
  ) -> Int {
    appendHead(record, payload: payload, into: &out)
    let place = out.count
    out.putZeroes(-payload.byteCount & 7)
    return place
  }

  /// Fills up to the next block, so that the flush that follows ends where the one after it begins.
  public mutating func padToBlock(into out: inout [UInt8]) {
    guard isOpen else { return }
    var gap = -Int(end.mark.offset) & (blockLength - 1)
    guard gap > 0 else { return }
    while gap < JournalCodec.headLength { gap += blockLength }
    put(.padding, nil, length: gap - JournalCodec.headLength, payloadChecksum: 0, into: &out)
    out.putZeroes(gap - JournalCodec.headLength)
  }

  /// Nothing behind the last durable records says that they are: should they rot, they would be taken for a torn tail.
  public var needsVouching: Bool { vouchedPosition < durablePosition }

  /// Appends a block that says what is durable, behind a flush that ended with one; the host has it flushed when there is
  /// nothing else to do. False when the segment has no room for it: the next one's header will say it.
  public mutating func vouch(into out: inout [UInt8]) -> Bool {
    let length = max(blockLength, (JournalCodec.headLength + blockLength - 1) & ~(blockLength - 1))
    guard isOpen, Int(end.mark.offset) + length <= segmentLengthMax else { return false }
    put(.padding, nil, length: length - JournalCodec.headLength, payloadChecksum: 0, into: &out)
    out.putZeroes(length - JournalCodec.headLength)
    return true
  }

  /// What a flush of everything appended so far will make durable.
  public func flush() -> JournalFlush { JournalFlush(mark: end.mark, position: position) }

  /// The device has made `flush` durable, and all flushes before it. Returns the position for the `persisted` event.
  public mutating func flushed(_ flush: JournalFlush) -> JournalPosition {
    precondition(flush.mark <= end.mark && flush.position <= position, "flushed more than written")
    durable = max(durable, flush.mark)
    durablePosition = max(durablePosition, flush.position)
    return flush.position
  }

  /// The segments that are no longer needed when every slot up to `slot` is in a durable snapshot, and forgets them.
  /// Only those whose successor, which repeats the promise, is durable. To be deleted lowest number first.
  public mutating func drop(upTo slot: Slot) -> Range<UInt64> {
    var count = 0
    while count + 1 < segments.count, segments[count].highestSlot <= slot,
      durable
        >= JournalMark(
          segment: segments[count + 1].number, offset: UInt32(SegmentHeader.length))
    {
      count += 1
    }
    let first = segments.first?.number ?? nextNumber
    // Numbers may be missing in between, where damage was found.
    let end = count == 0 ? first : segments[count].number
    segments.removeFirst(count)
    return first..<end
  }

  // MARK: Inner workings

  private mutating func appendHead(
    _ record: JournalRecord, payload: RawSpan, into out: inout [UInt8]
  ) {
    precondition(isOpen, "no segment was begun")
    precondition(record.epoch == configuration?.epoch, "the segment has another configuration")
    precondition(payload.byteCount == Int(record.payload.length), "payload is not the record's")
    let type = JournalCodec.type(of: record)
    put(
      type, record, length: type.fieldsLength + payload.byteCount,
      payloadChecksum: CRC32C.checksum(payload), into: &out)
    position = JournalPosition(position.rawValue + 1)
    note(record)
  }

  private mutating func put(
    _ type: JournalCodec.RecordType, _ record: JournalRecord?, length: Int,
    payloadChecksum: UInt32, into out: inout [UInt8]
  ) {
    let size = JournalCodec.headLength + (length + 7) & ~7
    // A bound no configuration comes near; beyond it offsets would wrap and recovery would misread.
    precondition(Int(end.mark.offset) + size <= Int(UInt32.max), "the segment is too long")
    let head = RecordHead(
      type: type, length: UInt32(length), checksum: 0, previous: end.link,
      sequence: end.sequence &+ 1, ring: identity.ring, payloadChecksum: payloadChecksum,
      durable: durable, epoch: configuration?.epoch ?? Epoch(0))
    vouchedPosition = durablePosition
    end.link = JournalCodec.encodeHead(
      head, record, at: end.mark.offset, stamp: stamp, segment: end.mark.segment, into: &out)
    // Wraps, as recovery does: the number it goes on from was read from a disk.
    end.sequence &+= 1
    end.mark.offset += UInt32(size)
  }

  /// Keeps what the next segment's header repeats.
  private mutating func note(_ record: JournalRecord) {
    switch record.fact {
    case .promised(let ballot): note(ballot, record.epoch)
    case .accepted(let slot, let ballot, _):
      note(ballot, record.epoch)
      note(slot)
    case .learned(let slot, _): note(slot)
    case .chosenUpTo(let slot): chosenUpTo = max(chosenUpTo, slot)
    case .snapshot(let info):
      guard info.slot > snapshot.slot else { return }
      snapshot = info
      chosenUpTo = max(chosenUpTo, info.slot)
    case .cured(let ballot, _):
      note(ballot, record.epoch)
      doubt = nil
    }
  }

  private mutating func note(_ ballot: Ballot, _ epoch: Epoch) {
    guard ballot > promised else { return }
    promised = ballot
    promisedEpoch = epoch
  }

  private mutating func note(_ slot: Slot) {
    highestSlot = max(highestSlot, slot)
    segments[segments.count - 1].highestSlot = max(
      segments[segments.count - 1].highestSlot, slot)
  }
}
