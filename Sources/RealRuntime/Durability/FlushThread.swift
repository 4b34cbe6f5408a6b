import CLinux
import Glibc
import Protocol

/// What one flush writes: bytes for one file or, around a change of segments, for two.
final class FlushJob {
  private struct Part {
    var descriptor: Int32
    /// The file as persistent memory; nil where it is written by system calls.
    var mapping: PmemMapping?
    /// Where in the file.
    var offset: Int
    var bytes = GatheredBytes()
  }

  private var parts: [Part] = []
  private var used = 0
  /// A file was added to this directory, which is flushed as well.
  var newSegment: (directory: String, number: UInt64)?
  /// Files are flushed after they were written; not when the writing itself is durable.
  private var flushes = true
  /// Whole blocks are written from memory that the disk can read by itself.
  private var isDirect = false
  /// Names of new files are made durable.
  private var keepsNames = true
  private var probe = WriteProbe()
  var failure: SystemError?
  /// How many fences it took.
  private(set) var fences = 0
  private var vectors: [iovec] = []
  /// What a direct write is copied to, in place of the page cache.
  private lazy var blocks = AlignedBytes()

  var isEmpty: Bool { (0..<used).allSatisfy { parts[$0].bytes.isEmpty } }
  var count: Int { (0..<used).reduce(0) { $0 + parts[$1].bytes.count } }
  var lowestPosition: UInt64? { (0..<used).compactMap { parts[$0].bytes.lowestPosition }.min() }

  /// What the configuration asks for, and who is told of it.
  func obey(_ mode: NodeConfiguration.FlushMode, _ probe: WriteProbe) {
    self.probe = probe
    flushes = mode == .fdatasync
    isDirect = mode == .direct
    keepsNames = mode != .none
  }

  func removeAll() {
    for i in 0..<used {
      parts[i].bytes.removeAll()
      parts[i].mapping = nil
    }
    used = 0
    newSegment = nil
    fences = 0
    failure = nil
  }

  /// What is appended from now on goes to this place.
  func begin(_ descriptor: Int32, _ mapping: PmemMapping?, at offset: Int) {
    if used > 0, parts[used - 1].bytes.isEmpty { used -= 1 }
    if used == parts.count { parts.append(Part(descriptor: descriptor, offset: offset)) }
    parts[used].descriptor = descriptor
    parts[used].mapping = mapping
    parts[used].offset = offset
    used += 1
  }

  /// Appends what `body` writes, and where it says, the payload.
  func append(_ body: (inout GatheredBytes) -> Int, payload: () -> BytesRef) {
    let place = body(&parts[used - 1].bytes)
    parts[used - 1].bytes.insert(payload(), at: place)
  }

  /// Writes and flushes. `log` may be nil when no payload was appended.
  func perform(_ log: LogBuffer.Memory?) throws(SystemError) {
    for i in 0..<used where !parts[i].bytes.isEmpty {
      if let mapping = parts[i].mapping {
        try store(&parts[i], in: mapping, log)
        continue
      }
      try write(&parts[i], log)
      let descriptor = parts[i].descriptor
      if flushes { try check("fdatasync", "journal") { fdatasync(descriptor) } }
      // Otherwise the writing itself is durable, unless nothing is.
      if keepsNames { probe.flushed(descriptor) }
    }
    guard let (directory, number) = newSegment, keepsNames else { return }
    let names = probe.nameChanges
    try DirectoryListing.flush(directory)
    probe.namesFlushed(names)
    do throws(SystemError) {
      probe.notedNewest(number)
      let names = probe.nameChanges
      try SegmentFiles.noteNewest(number, in: directory)
      probe.namesFlushed(names)
    } catch {
      // The witness of the one before stays, which proves less. A full disk must not end a replica that has room in its segments.
      guard error.isNoRoom else { throw error }
    }
  }

  private func store(
    _ part: inout Part, in mapping: PmemMapping, _ log: LogBuffer.Memory?
  ) throws(SystemError) {
    var result = Result<Int, SystemError>.success(0)
    let offset = part.offset
    part.bytes.gather(log, into: &vectors) { vectors in
      result = Result { () throws(SystemError) in
        try mapping.store(vectors, at: offset, probe)
      }
    }
    fences += try result.get()
  }

  private func write(_ part: inout Part, _ log: LogBuffer.Memory?) throws(SystemError) {
    var failure: SystemError?
    let (descriptor, offset) = (part.descriptor, part.offset)
    let total = part.bytes.count
    part.bytes.gather(log, into: &vectors) { vectors in
      if isDirect { fillBlocks(&vectors, total) }
      probe.wrote(descriptor, at: offset, vectors)
      var (first, offset) = (0, offset)
      while first < vectors.count, failure == nil {
        let count = Int32(min(vectors.count - first, 1_024))
        let written = vectors.withUnsafeBufferPointer {
          pwritev(descriptor, $0.baseAddress! + first, count, off_t(offset))
        }
        if written > 0 {
          offset += written
          first = vectors.advance(from: first, by: written)
        } else if written == 0 || errno != EINTR {
          failure = SystemError("pwritev", "journal", code: written == 0 ? ENOSPC : errno)
        }
      }
    }
    if let failure { throw failure }
  }

  /// Replaces the vectors by one of whole blocks. Only the end of a segment does not fill its last one: zeroes follow there,
  /// as everywhere behind the last record.
  private func fillBlocks(_ vectors: inout [iovec], _ total: Int) {
    let length = (total + FileJournal.blockLength - 1) & ~(FileJournal.blockLength - 1)
    blocks.reserve(length)
    var end = 0
    for vector in vectors {
      memcpy(blocks.base + end, vector.iov_base, vector.iov_len)
      end += vector.iov_len
    }
    memset(blocks.base + end, 0, length - end)
    vectors.removeAll(keepingCapacity: true)
    vectors.append(iovec(iov_base: blocks.base, iov_len: length))
  }
}

/// The thread that flushes, so that the loop sends and receives meanwhile. One job at a time.
final class FlushThread {
  private let shared: Shared

  private final class Shared: @unchecked Sendable {
    // Every access to what follows holds the mutex; a job belongs to the thread between `run` and `completed`.
    var mutex = pthread_mutex_t()
    var condition = pthread_cond_t()
    var waiting: (job: FlushJob, log: LogBuffer.Memory)?
    var done: FlushJob?
    var isClosed = false
    let waker: WakeUp
    let mode: NodeConfiguration.FlushMode
    let probe: WriteProbe

    init(_ waker: WakeUp, _ mode: NodeConfiguration.FlushMode, _ probe: WriteProbe) {
      self.waker = waker
      self.mode = mode
      self.probe = probe
      pthread_mutex_init(&mutex, nil)
      pthread_cond_init(&condition, nil)
    }

    func run() {
      while let (job, log) = next() {
        job.obey(mode, probe)
        do throws(SystemError) { try job.perform(log) } catch { job.failure = error }
        pthread_mutex_lock(&mutex)
        done = job
        pthread_mutex_unlock(&mutex)
        waker.wake()
      }
    }

    private func next() -> (FlushJob, LogBuffer.Memory)? {
      pthread_mutex_lock(&mutex)
      defer { pthread_mutex_unlock(&mutex) }
      while waiting == nil && !isClosed { pthread_cond_wait(&condition, &mutex) }
      defer { waiting = nil }
      return waiting
    }
  }

  init(
    waker: WakeUp, mode: NodeConfiguration.FlushMode, probe: WriteProbe
  ) throws(SystemError) {
    let shared = Shared(waker, mode, probe)
    self.shared = shared
    try startThread(name: "rsl-flush") { shared.run() }
  }

  deinit {
    pthread_mutex_lock(&shared.mutex)
    shared.isClosed = true
    pthread_cond_signal(&shared.condition)
    pthread_mutex_unlock(&shared.mutex)
  }

  func run(_ job: FlushJob, _ log: LogBuffer.Memory) {
    pthread_mutex_lock(&shared.mutex)
    precondition(shared.waiting == nil, "one flush at a time")
    shared.waiting = (job, log)
    pthread_cond_signal(&shared.condition)
    pthread_mutex_unlock(&shared.mutex)
  }

  /// The job, when it has ended.
  func completed() -> FlushJob? {
    pthread_mutex_lock(&shared.mutex)
    defer { pthread_mutex_unlock(&shared.mutex) }
    defer { shared.done = nil }
    return shared.done
  }
}
