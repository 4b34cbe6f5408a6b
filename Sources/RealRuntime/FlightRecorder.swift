internal import Glibc
public import Protocol

/// Bounds of a flight recorder.
public struct FlightRecorderOptions: Hashable, Sendable {
  /// A file that has grown to this size is ended, and the next begun with a checkpoint. A file may be longer by the
  /// buffers that are full while the disk is busy.
  public var fileBytesMax = 64 << 20
  /// All files of the directory together; the oldest are deleted.
  public var bytesMax = 1 << 30
  /// Steps gather in buffers of this size before the writer gets them.
  public var bufferBytes = 256 << 10
  /// How many buffers there are. When all wait for the disk, the recorder gives the file up.
  public var buffers = 8
  /// A buffer that is not full goes to the writer after this long, as long as there are steps. What is still in a buffer
  /// is lost when the process dies.
  public var flushInterval = TimeSpan.milliseconds(100)
  /// After a gap or a failed write no new file is begun for this long.
  public var retryInterval = TimeSpan.seconds(1)

  public init() {}

  /// A bound that cannot be, or two that contradict each other; says which and what to do.
  public struct Invalid: Error, Equatable, CustomStringConvertible {
    public var description: String
  }

  public func validate() throws(Invalid) {
    func check(_ holds: Bool, _ message: String) throws(Invalid) {
      if !holds { throw Invalid(description: message) }
    }
    try check(bufferBytes >= 4_096, "bufferBytes is \(bufferBytes); it must be at least 4096")
    try check(buffers >= 4, "buffers is \(buffers); a rotation alone takes four")
    try check(
      fileBytesMax >= bufferBytes,
      "fileBytesMax (\(fileBytesMax)) must be at least bufferBytes (\(bufferBytes))")
    try check(
      bytesMax / 2 >= fileBytesMax,
      "bytesMax (\(bytesMax)) must be at least twice fileBytesMax (\(fileBytesMax))")
  }
}

/// What a flight recorder has done so far.
public struct FlightRecorderCounters: Equatable, Sendable {
  public var stepsRecorded: UInt64 = 0
  /// Steps that are in no file, because the disk was too slow, full or broken.
  public var stepsDropped: UInt64 = 0
  /// How often a file was given up.
  public var gaps: UInt64 = 0
  public var filesBegun: UInt64 = 0
  public var bytesWritten: UInt64 = 0
  public var filesDeleted: UInt64 = 0
  public var writesFailed: UInt64 = 0
  /// The system's number of the last failure; 0: none.
  public var lastError: Int32 = 0
}

/// Records every step of one replica into bounded, rotating files that `rsl-sim replay --recording` runs again.
///
/// Belongs to the loop that steps the replica and is called from nowhere else. `record` encodes into memory; a thread of
/// its own computes checksums and writes. The loop never waits for it: when all buffers are full the rest of the file is
/// dropped, and a new file begins with a checkpoint as soon as the disk has caught up.
///
/// docs/flight-recorder.md.
public final class FlightRecorder {
  /// What a step changes. Behind a pointer, because access to a class's property is checked at every step.
  private struct Loop {
    var writer: RecordingWriter
    var buffer: [UInt8] = []
    /// A file is open; otherwise steps are dropped until the next one.
    var isRecording = false
    var fileBytes = 0
    /// The time of the last step, and of the first in the buffer.
    var now = Instant.zero
    var bufferSince = Instant.never
    var nextAttempt = Instant.zero
    var counters = FlightRecorderCounters()
  }

  public let options: FlightRecorderOptions
  private let loop: UnsafeMutablePointer<Loop>
  let disk: RecordingDisk
  private let calendar: () -> UInt64

  /// Files go into `directory`, which is created if need be; those of earlier lives there are kept as long as there is room.
  /// - Throws: `FlightRecorderOptions.Invalid`, `RecordingDisk.Failure`.
  public convenience init(
    directory: String, identity: JournalIdentity, options: FlightRecorderOptions = .init()
  ) throws {
    try options.validate()
    try self.init(
      disk: RecordingDisk(directory: directory, options), identity: identity, options: options)
  }

  init(
    disk: RecordingDisk, identity: JournalIdentity, options: FlightRecorderOptions,
    calendar: @escaping () -> UInt64 = FlightRecorder.calendar
  ) throws {
    self.options = options
    self.disk = disk
    self.calendar = calendar
    loop = .allocate(capacity: 1)
    loop.initialize(to: Loop(writer: RecordingWriter(identity: identity)))
    try disk.start()
  }

  deinit {
    close()
    loop.deinitialize(count: 1)
    loop.deallocate()
  }

  private static func calendar() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// Begins the first file. The replica has taken no step yet that this recorder has not seen.
  public func begin(_ replica: borrowing Replica) {
    precondition(!loop.pointee.isRecording, "begun before")
    beginFile(replica)
  }

  /// Records a step: what went in, when, and what came out.
  @inline(__always)
  public func record(_ event: Event, now: Instant, _ effects: borrowing EffectBuffer) {
    loop.pointee.now = now
    guard loop.pointee.isRecording else { return drop() }
    if loop.pointee.buffer.isEmpty { loop.pointee.bufferSince = now }
    loop.pointee.writer.note(event, now: now, effects, into: &loop.pointee.buffer)
    loop.pointee.counters.stepsRecorded &+= 1
    if loop.pointee.buffer.count >= options.bufferBytes { handOver() }
  }

  /// Between two steps, usually once per turn of the loop: here files are rotated, and begun again after a gap.
  public func turnEnded(_ replica: borrowing Replica) {
    if loop.pointee.isRecording {
      if disk.hasGivenUp { return giveUp() }
      if loop.pointee.fileBytes + loop.pointee.buffer.count >= options.fileBytesMax,
        disk.canBegin
      {
        endFile(.rotated)
        beginFile(replica)
      } else if !loop.pointee.buffer.isEmpty,
        loop.pointee.now - loop.pointee.bufferSince >= options.flushInterval
      {
        handOver()
      }
    } else if loop.pointee.now >= loop.pointee.nextAttempt, loop.pointee.nextAttempt != .never,
      disk.isIdle
    {
      beginFile(replica)
    }
  }

  /// Everything recorded so far is in files when this returns, unless writing fails. Waits for the disk.
  public func flush() {
    disk.waitUntilIdle()
    if loop.pointee.isRecording, !loop.pointee.buffer.isEmpty { handOver() }
    disk.waitUntilIdle()
  }

  /// Ends the file and the writer; what is recorded after this is dropped. Waits for the disk.
  public func close() {
    if loop.pointee.isRecording { endFile(.closed) }
    loop.pointee.nextAttempt = .never
    disk.stop()
  }

  public var counters: FlightRecorderCounters {
    var counters = loop.pointee.counters
    disk.addCounters(to: &counters)
    return counters
  }

  // MARK: Files and buffers

  private func beginFile(_ replica: borrowing Replica) {
    guard let buffer = disk.takeBuffer() else { return }
    loop.pointee.buffer = buffer
    loop.pointee.writer.beginFile(
      replica, recordedAt: calendar(), into: &loop.pointee.buffer)
    loop.pointee.isRecording = true
    loop.pointee.fileBytes = loop.pointee.buffer.count
    loop.pointee.counters.filesBegun &+= 1
    guard let next = disk.begin(loop.pointee.buffer) else {
      loop.pointee.buffer = []
      return giveUp()
    }
    loop.pointee.buffer = next
  }

  /// Gives the buffer to the writer and goes on with another; without another, the rest of the file is dropped.
  private func handOver() {
    loop.pointee.writer.endChunk(into: &loop.pointee.buffer)
    loop.pointee.fileBytes += loop.pointee.buffer.count
    let full = exchange([])
    guard let next = disk.append(full) else { return giveUp() }
    loop.pointee.buffer = next
  }

  private func endFile(_ end: RecordingEnd) {
    loop.pointee.writer.endFile(end, into: &loop.pointee.buffer)
    disk.end(exchange([]))
    loop.pointee.isRecording = false
  }

  private func giveUp() {
    // Steps in the buffer are not handed over any more: the file ends with those that were.
    let lost = loop.pointee.writer.abandonFile()
    loop.pointee.counters.stepsRecorded &-= lost
    loop.pointee.counters.stepsDropped &+= lost
    loop.pointee.counters.gaps &+= 1
    loop.pointee.isRecording = false
    loop.pointee.nextAttempt = loop.pointee.now + options.retryInterval
    disk.gap(nextStep: loop.pointee.writer.nextStep - lost, exchange([]))
  }

  private func drop() {
    loop.pointee.writer.skip()
    loop.pointee.counters.stepsDropped &+= 1
  }

  private func exchange(_ buffer: [UInt8]) -> [UInt8] {
    let before = loop.pointee.buffer
    loop.pointee.buffer = buffer
    loop.pointee.bufferSince = .never
    return before
  }
}
