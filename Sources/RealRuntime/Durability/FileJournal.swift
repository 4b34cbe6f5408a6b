import CLinux
import Glibc
import Protocol

/// The journal in files: one for each segment, written ahead of need, so that a flush changes no file's length.
///
/// Everything that was appended since the flush before is one write and one flush, made by a thread of its own while the
/// loop goes on; or, in persistent memory, stored by the loop itself. A segment's file is made beforehand and full of zeroes; one that is no longer needed is made again by
/// voiding its header. Nothing is ever flushed twice: a flush that failed ends the replica.
final class FileJournal {
  /// A flush ends on a multiple of this, in bytes: what a disk writes in one piece.
  static let blockLength = 512
  /// The same for persistent memory.
  static let lineLength = GroupCommit.lineLength

  let directory: String
  let options: NodeConfiguration.Journal
  /// How flushes are made: as configured, or as the file system allows.
  let mode: NodeConfiguration.FlushMode
  /// The configuration the replica is in: of every segment that is begun from now on.
  var configuration: ConfigurationSpan
  /// What a flush in persistent memory relies on; nil in files.
  let persistence: PmemSupport.Persistence?
  private var writer: JournalWriter
  /// Nil in persistent memory, where there is nothing to wait for.
  private let flusher: FlushThread?
  private let worker: WorkerThread
  private let spares: SpareSegments
  private let reserve: JournalReserve
  private(set) var descriptors: [(number: UInt64, descriptor: Int32)] = []
  /// The segment that is being written, when it is persistent memory.
  private var mapping: PmemMapping?

  /// What is appended and not handed to the flusher.
  private var staged: FlushJob
  /// The job that comes back from the flusher is used again.
  private var resting: FlushJob?
  private var isFlushing = false
  /// The next segment's file was asked for.
  private var isSpareWanted = false
  private var flush: JournalFlush?
  /// The lowest position of the log buffer that is still to be written.
  private var lowestInFlight: UInt64?
  private(set) var flushes: UInt64 = 0
  /// At the last call of `vouch`.
  private var flushesBefore: UInt64 = 0
  /// Who is told what is written, in builds with contracts.
  private let probe: WriteProbe
  /// Of persistent memory, two for each flush.
  private(set) var fences: UInt64 = 0
  private(set) var bytesWritten: UInt64 = 0

  /// Throws `PmemSupport.Refusal` when it is to be in persistent memory and cannot, otherwise `SystemError`: when a file cannot
  /// be made or written, for want of space too. It goes on only with a segment to write to.
  init(
    directory: String, options: NodeConfiguration.Journal, identity: JournalIdentity,
    configuration: ConfigurationSpan, recovered: RecoveredJournal, worker: WorkerThread,
    waker: WakeUp, reserve: JournalReserve = JournalReserve(),
    maker: @escaping SpareSegments.Maker = SpareSegments.makeZeroes,
    probe: WriteProbe = WriteProbe()
  ) throws {
    self.directory = directory
    self.probe = probe
    probe.began(recovered)
    self.options = options
    let mode =
      options.flush == .direct && !SegmentFiles.takeDirectWrites(in: directory)
      ? .fdatasync : options.flush
    self.mode = mode
    self.configuration = configuration
    self.worker = worker
    let isMapped = mode == .pmem
    persistence =
      isMapped
      ? try PmemSupport.persistence(
        in: directory, acceptsVolatile: options.acceptsVolatileMemory) : nil
    // What fills the last line of a mapped segment must lie in it as well: a mapping does not grow.
    writer = JournalWriter(
      identity: identity, after: recovered,
      segmentLengthMax: options.segmentBytes - (isMapped ? 2 * Self.lineLength : 0),
      blockLength: isMapped ? Self.lineLength : Self.blockLength)
    flusher = isMapped ? nil : try FlushThread(waker: waker, mode: mode, probe: probe)
    self.reserve = reserve
    spares = try SpareSegments(
      directory: directory, length: options.segmentBytes, mode: mode,
      wanted: reserve.sparesWanted(segmentBytes: options.segmentBytes),
      isNew: recovered.segments.isEmpty, worker: worker, maker: maker, probe: probe)
    staged = FlushJob()
    resting = FlushJob()
    for segment in recovered.segments {
      let path = SegmentFiles.path(directory, segment.number)
      let descriptor = try SegmentFiles.open(path, mode: mode)
      // What could be read need not have been durable; from here on it counts as such.
      try check("fsync", path) { fsync(descriptor) }
      probe.flushed(path)
      descriptors.append((segment.number, descriptor))
    }
    try beginSegment(nil)
    padToBlock()
    // The first step of the replica comes after its journal exists.
    try performStaged(nil)
    // No record yet, but where this life begins: what follows vouches for it, and peers hear of it.
    _ = note(writer.flush())
  }

  deinit { for entry in descriptors { close(entry.descriptor) } }

  var segmentCount: Int { writer.segments.count }
  var hasStaged: Bool { !staged.isEmpty }
  var isIdle: Bool { !isFlushing && staged.isEmpty }

  /// The lowest position of the log buffer that the journal still has to write.
  var lowestPosition: UInt64? {
    switch (staged.lowestPosition, lowestInFlight) {
    case (let a?, let b?): min(a, b)
    case (let a, let b): a ?? b
    }
  }

  func append(_ record: JournalRecord, _ log: LogBuffer) throws(SystemError) {
    probe.appended(record)
    if !writer.hasRoom(for: record) { try beginSegment(log.memory) }
    let payload = record.payload
    staged.append { bytes in
      writer.appendGathered(record, payload: log.bytes(payload).bytes, into: &bytes.bytes)
    } payload: {
      payload
    }
  }

  /// A flush of at most so many bytes is made by the loop itself: handing it to another thread and back would take as long
  /// as the flush, and there is little else to do meanwhile.
  static let inlineMax = 8 << 10

  /// Makes durable what was appended, unless a flush is under way: then the next one takes it. Returns what is durable now
  /// if it was little; otherwise `completed` tells when the flusher is done.
  func submit(_ log: LogBuffer) throws(SystemError) -> JournalPosition? {
    guard !isFlushing, !staged.isEmpty else { return nil }
    padToBlock()
    flush = writer.flush()
    if !isSpareWanted, Int(writer.end.mark.offset) > options.segmentBytes / 4 * 3 {
      isSpareWanted = true
      spares.prepare()
    }
    if bytesLeft < reserve.total, !spares.hasShortage { try spares.makeNow() }
    guard let flusher, staged.count > Self.inlineMax else {
      try performStaged(log.memory)
      return flush.map(note)
    }
    bytesWritten += UInt64(staged.count)
    lowestInFlight = staged.lowestPosition
    isFlushing = true
    flusher.run(staged, log.memory)
    staged = resting ?? FlushJob()
    stage(staged)
    resting = nil
    return nil
  }

  /// Writes behind what was made durable last that it was: without that, damage to it would be taken for a torn write. One
  /// small flush.
  /// - Parameter isLast: nothing else will be written. Otherwise it waits for a call without a flush since the one before.
  func vouch(isLast: Bool = false) throws(SystemError) {
    defer { flushesBefore = flushes }
    guard isIdle, isLast || flushes == flushesBefore, writer.needsVouching else { return }
    var hasRoom = false
    staged.append { bytes in
      hasRoom = writer.vouch(into: &bytes.bytes)
      return 0
    } payload: {
      .empty
    }
    guard hasRoom else { return }
    let flush = writer.flush()
    try performStaged(nil)
    _ = note(flush)
  }

  /// Writes and flushes on this thread.
  private func performStaged(_ log: LogBuffer.Memory?) throws(SystemError) {
    bytesWritten += UInt64(staged.count)
    staged.obey(mode, probe)
    try staged.perform(log)
    flushes += 1
    fences += UInt64(staged.fences)
    recycle(staged)
  }

  /// What is appended to the job from now on belongs behind everything that was written.
  private func stage(_ job: FlushJob) {
    job.begin(
      descriptors[descriptors.count - 1].descriptor, mapping, at: Int(writer.end.mark.offset))
  }

  /// The position up to which everything is durable, when a flush has ended since the last call.
  func completed() throws(SystemError) -> JournalPosition? {
    guard isFlushing, let job = flusher?.completed() else { return nil }
    isFlushing = false
    lowestInFlight = nil
    if let failure = job.failure { throw failure }
    flushes += 1
    recycle(job)
    return flush.map(note)
  }

  /// What was flushed is durable.
  private func note(_ flush: JournalFlush) -> JournalPosition {
    let position = writer.flushed(flush)
    probe.persisted(position)
    return position
  }

  /// Deletes what is not needed when everything up to `slot` is in a durable snapshot.
  func drop(upTo slot: Slot) {
    for number in writer.drop(upTo: slot) {
      guard let first = descriptors.first, first.number == number else { continue }
      descriptors.removeFirst()
      spares.retire(first.descriptor, SegmentFiles.path(directory, number))
    }
  }

  // MARK: At rest

  /// The segments that are kept; the last one is being written.
  var segmentNumbers: [UInt64] { writer.segments.map(\.number) }
  /// What is durable, and will not be written to again.
  var durable: JournalMark { writer.durable }

  /// The highest slot that a segment or one before it speaks of; nil when the segment is not kept any more.
  func highestSlot(upTo number: UInt64) -> Slot? {
    guard writer.segments.contains(where: { $0.number == number }) else { return nil }
    return writer.segments.lazy.filter { $0.number <= number }.map(\.highestSlot).max()
  }

  /// Begins the next segment, if this one is being written: it can be dropped then like any other.
  func leave(_ number: UInt64, _ log: LogBuffer) throws(SystemError) {
    if writer.segments.last?.number == number { try beginSegment(log.memory) }
  }

  // MARK: Room

  /// How much can be written for certain, in bytes.
  var bytesLeft: Int {
    JournalReserve.bytesLeft(
      segmentBytes: options.segmentBytes, offset: Int(writer.end.mark.offset), spares: spares.count)
  }

  var room: JournalRoom {
    reserve.room(bytesLeft: bytesLeft, hasShortage: spares.hasShortage)
  }
  /// There is no space for more segments, and what is left is wanted for what was begun. Cheap.
  var isShortOfRoom: Bool { spares.hasShortage && room.isShort }
  /// The segment that is being written may be left for the next.
  var mayLeaveSegment: Bool {
    reserve.mayLeaveSegment(
      bytesLeft: bytesLeft, spares: spares.count, hasShortage: spares.hasShortage)
  }
  /// What was refused when a segment was to be made.
  var shortage: SystemError? { spares.hasShortage ? spares.shortage : nil }

  /// Tries again to have all spare segments.
  func replenish() { spares.prepare() }

  /// The next flush begins with a block of its own.
  private func padToBlock() {
    staged.append { bytes in
      writer.padToBlock(into: &bytes.bytes)
      return 0
    } payload: {
      .empty
    }
  }

  private func recycle(_ job: FlushJob) {
    job.removeAll()
    if staged === job {
      stage(job)
    } else {
      resting = job
    }
  }

  private func beginSegment(_ log: LogBuffer.Memory?) throws(SystemError) {
    // A group of stores is one segment's: what waits for the one before is made durable first, which takes no time.
    if mode == .pmem, !staged.isEmpty { try performStaged(log) }
    let number = writer.nextSegment
    let path = SegmentFiles.path(directory, number)
    let descriptor = try spares.take(as: path)
    isSpareWanted = false
    descriptors.append((number, descriptor))
    if mode == .pmem { try map(path) }
    staged.begin(descriptor, mapping, at: 0)
    staged.newSegment = (directory, number)
    staged.append { bytes in
      _ = writer.beginSegment(under: configuration, into: &bytes.bytes)
      return 0
    } payload: {
      .empty
    }
  }

  /// The file is written as memory from now on; the one before is given back where that takes nobody's time.
  private func map(_ path: String) throws(SystemError) {
    let (next, before) = (try PmemMapping(path), mapping)
    mapping = next
    worker.run {
      next.populate()
      withExtendedLifetime(before) {}
    }
  }
}

/// Names of segments' files.
enum SegmentFiles {
  static func path(_ directory: String, _ number: UInt64) -> String {
    "\(directory)/\(name(number))"
  }

  static func name(_ number: UInt64) -> String {
    let digits = String(number)
    return "journal-" + String(repeating: "0", count: max(0, 12 - digits.count)) + digits
  }

  static func number(_ name: String) -> UInt64? {
    name.hasPrefix("journal-") ? UInt64(name.dropFirst("journal-".count)) : nil
  }

  /// The numbers of the segments in a directory, in order.
  static func numbers(in directory: String) throws(SystemError) -> [UInt64] {
    try DirectoryListing.names(directory).compactMap(number).sorted()
  }

  /// Names the newest segment, durably, when that is durable itself: should its file be lost, nothing else would know of it.
  static func noteNewest(_ number: UInt64, in directory: String) throws(SystemError) {
    let (link, next) = ("\(directory)/newest", "\(directory)/newest.tmp")
    unlink(next)
    try check("symlink", next) { symlink(name(number), next) }
    try check("rename", link) { rename(next, link) }
    try DirectoryListing.flush(directory)
  }

  /// The segment that was begun last, as far as anything says so.
  static func newest(in directory: String) -> UInt64? {
    var target = [UInt8](repeating: 0, count: 64)
    let count = target.withUnsafeMutableBytes {
      readlink("\(directory)/newest", $0.baseAddress!, $0.count)
    }
    guard count > 0 else { return nil }
    return number(String(decoding: target[..<count], as: UTF8.self))
  }

  /// How long the segments are, and the spare ones: for each as long as all of them, unless that was configured anew.
  static func lengths(in directory: String) throws(SystemError) -> [(path: String, length: Int)] {
    try DirectoryListing.names(directory).compactMap { name in
      guard ["journal-", "spare-"].contains(where: name.hasPrefix), !name.hasSuffix(".tmp") else {
        return nil
      }
      let path = directory + "/" + name
      var status = stat()
      return stat(path, &status) == 0 ? (path, Int(status.st_size)) : nil
    }
  }

  /// Opens a segment's file for writing as `mode` asks.
  static func open(
    _ path: String, mode: NodeConfiguration.FlushMode
  ) throws(SystemError) -> Int32 {
    let flags: Int32 =
      switch mode {
      case .direct: O_DSYNC | rsl_o_direct
      case .dsync: O_DSYNC
      case .fdatasync, .pmem, .none: 0
      }
    return try check("open", path) { Glibc.open(path, O_RDWR | O_CLOEXEC | flags) }
  }

  /// Whether files here take writes of whole blocks past the page cache: a file system in memory does not, and a disk may
  /// have larger blocks.
  static func takeDirectWrites(in directory: String) -> Bool {
    let path = "\(directory)/direct-probe"
    let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | rsl_o_direct, 0o600)
    guard file >= 0 else { return false }
    defer {
      close(file)
      unlink(path)
    }
    let block = AlignedBytes()
    block.reserve(FileJournal.blockLength)
    memset(block.base, 0, FileJournal.blockLength)
    return pwrite(file, block.base, FileJournal.blockLength, 0) == FileJournal.blockLength
  }
}

/// Memory that a disk can read by itself: it begins on a page, grows and never shrinks.
final class AlignedBytes {
  private(set) var base: UnsafeMutableRawPointer
  private(set) var capacity = 0
  private static let alignment = 4_096

  init() { base = .allocate(byteCount: Self.alignment, alignment: Self.alignment) }

  deinit { base.deallocate() }

  /// Makes room for so many bytes; what was there is gone.
  func reserve(_ count: Int) {
    guard count > capacity else { return }
    base.deallocate()
    capacity = max(count, 2 * capacity)
    base = .allocate(byteCount: capacity, alignment: Self.alignment)
  }
}
