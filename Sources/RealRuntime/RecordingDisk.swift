internal import Glibc
internal import Protocol
internal import Synchronization

/// The writer of a flight recorder: a thread, the files of a directory, and the buffers that travel between it and the loop.
///
/// There are so many buffers and no more. One is with the loop; the others wait to be filled or to be written. The lock is
/// held for moving a buffer only, never while the disk works, so that the loop does not wait for the disk.
final class RecordingDisk: @unchecked Sendable {
  /// The directory cannot be used.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// The system's `write`, or what a test puts in its place.
  typealias Write = @Sendable (Int32, UnsafeRawBufferPointer) -> Int

  private enum Work {
    /// The beginning of a new file.
    case begin([UInt8])
    case append([UInt8])
    /// The last bytes of the file.
    case end([UInt8])
    /// The file ends here, because what follows is lost.
    case gap(nextStep: UInt64)
  }

  private struct File {
    var number: UInt64
    var bytes: Int
  }

  private let directory: String
  private let options: FlightRecorderOptions
  private let write: Write

  // Shared, under the lock.
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private var free: [[UInt8]] = []
  private var work: [Work] = []
  private var isWorking = false
  private var isStopping = false
  private var counters = FlightRecorderCounters()

  private let failed = Atomic<Bool>(false)
  private var thread = pthread_t()
  private var isStarted = false

  // The thread's own.
  private var files: [File]
  private var nextNumber: UInt64
  private var descriptor: Int32 = -1
  private var sealer = RecordingSealer()

  init(
    directory: String, _ options: FlightRecorderOptions,
    write: @escaping Write = { Glibc.write($0, $1.baseAddress, $1.count) }
  ) throws(Failure) {
    self.directory = directory
    self.options = options
    self.write = write
    if mkdir(directory, 0o750) != 0 && errno != EEXIST {
      throw Failure(description: "\(directory): \(String(cString: strerror(errno)))")
    }
    files = try Self.files(in: directory)
    nextNumber = (files.last?.number ?? 0) + 1
    lock = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    pthread_cond_init(changed, nil)
    for _ in 0..<options.buffers {
      var buffer: [UInt8] = []
      // Whatever the last step before the limit is, it should fit.
      buffer.reserveCapacity(options.bufferBytes + options.bufferBytes / 4)
      free.append(buffer)
    }
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(lock)
    changed.deallocate()
    lock.deallocate()
  }

  static func name(_ number: UInt64) -> String { "recording-\(number).rslrec" }

  /// The recordings of a directory, oldest first.
  private static func files(in directory: String) throws(Failure) -> [File] {
    guard let stream = opendir(directory) else {
      throw Failure(description: "\(directory): \(String(cString: strerror(errno)))")
    }
    defer { closedir(stream) }
    var files: [File] = []
    while let entry = readdir(stream) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard name.hasPrefix("recording-"), name.hasSuffix(".rslrec"),
        let number = UInt64(name.dropFirst(10).dropLast(7)), Self.name(number) == name
      else { continue }
      var status = stat()
      guard stat(directory + "/" + name, &status) == 0 else { continue }
      files.append(File(number: number, bytes: Int(status.st_size)))
    }
    return files.sorted { $0.number < $1.number }
  }

  // MARK: The loop's side

  /// Begins the thread; `stop` ends it.
  func start() throws(Failure) {
    // Signals are for the process's other threads.
    var (all, before) = (sigset_t(), sigset_t())
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    let result = pthread_create(
      &thread, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<RecordingDisk>.fromOpaque(argument).takeUnretainedValue().run()
        return nil
      }, Unmanaged.passUnretained(self).toOpaque())
    pthread_sigmask(SIG_SETMASK, &before, nil)
    guard result == 0 else {
      throw Failure(description: "no thread to write with: \(String(cString: strerror(result)))")
    }
    isStarted = true
  }

  /// Ends the thread when everything it was given is done.
  func stop() {
    guard isStarted else { return }
    locked { isStopping = true }
    pthread_join(thread, nil)
    isStarted = false
  }

  /// A write has failed since the current file was begun.
  var hasGivenUp: Bool { failed.load(ordering: .relaxed) }

  /// Whether everything has been written.
  var isIdle: Bool { locked { work.isEmpty && !isWorking } }

  /// Whether there are buffers for the end of a file, the beginning of the next, and what follows. Only the loop takes
  /// buffers, so it stays true until it does.
  var canBegin: Bool { locked { free.count >= 2 } }

  func takeBuffer() -> [UInt8]? { locked { free.popLast() } }

  /// Queues the beginning of a file; the answer is a buffer to go on with, if there is one.
  func begin(_ bytes: consuming [UInt8]) -> [UInt8]? {
    // What has failed was an earlier file. The thread says so again when it comes to this one, because the earlier one may
    // fail until then.
    failed.store(false, ordering: .relaxed)
    return queue(.begin(bytes))
  }

  func append(_ bytes: consuming [UInt8]) -> [UInt8]? { queue(.append(bytes)) }

  func end(_ bytes: consuming [UInt8]) {
    let work = Work.end(bytes)
    locked { self.work.append(work) }
  }

  /// Queues the premature end of a file, and takes a buffer back that is not to be written.
  func gap(nextStep: UInt64, _ unused: consuming [UInt8]) {
    var buffer = unused
    locked {
      if buffer.capacity > 0 {
        buffer.removeAll(keepingCapacity: true)
        free.append(buffer)
      }
      work.append(.gap(nextStep: nextStep))
    }
  }

  func waitUntilIdle() {
    guard isStarted else { return }
    pthread_mutex_lock(lock)
    while !work.isEmpty || isWorking { pthread_cond_wait(changed, lock) }
    pthread_mutex_unlock(lock)
  }

  func addCounters(to total: inout FlightRecorderCounters) {
    let counted = locked { counters }
    total.bytesWritten += counted.bytesWritten
    total.filesDeleted += counted.filesDeleted
    total.writesFailed += counted.writesFailed
    total.lastError = counted.lastError
  }

  private func queue(_ item: consuming Work) -> [UInt8]? {
    let item = item
    return locked {
      work.append(item)
      return free.popLast()
    }
  }

  private func locked<T>(_ body: () -> T) -> T {
    pthread_mutex_lock(lock)
    let result = body()
    pthread_cond_broadcast(changed)
    pthread_mutex_unlock(lock)
    return result
  }

  // MARK: The thread's side

  private func run() {
    while true {
      pthread_mutex_lock(lock)
      while work.isEmpty && !isStopping { pthread_cond_wait(changed, lock) }
      guard !work.isEmpty else { return pthread_mutex_unlock(lock).ignored }
      let item = work.removeFirst()
      isWorking = true
      pthread_mutex_unlock(lock)
      let buffer = perform(item)
      locked {
        isWorking = false
        if var buffer {
          buffer.removeAll(keepingCapacity: true)
          free.append(buffer)
        }
      }
    }
  }

  /// Does one piece of work and returns its buffer.
  private func perform(_ item: consuming Work) -> [UInt8]? {
    switch consume item {
    case .begin(var bytes):
      closeFile()
      failed.store(false, ordering: .relaxed)
      sealer = RecordingSealer()
      makeRoom()
      openFile()
      write(&bytes)
      return bytes
    case .append(var bytes):
      write(&bytes)
      return bytes
    case .end(var bytes):
      write(&bytes)
      closeFile()
      return bytes
    case .gap(let nextStep):
      var bytes: [UInt8] = []
      RecordingWriter.appendEnd(.gap, nextStep: nextStep, into: &bytes)
      write(&bytes)
      closeFile()
      return nil
    }
  }

  private func openFile() {
    descriptor = open(
      "\(directory)/\(Self.name(nextNumber))", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { return fail() }
    files.append(File(number: nextNumber, bytes: 0))
    nextNumber += 1
  }

  private func write(_ bytes: inout [UInt8]) {
    // Without a file the rest is dropped.
    guard descriptor >= 0 else { return }
    sealer.seal(&bytes)
    var done = 0
    while done < bytes.count {
      let written = bytes.withUnsafeBytes {
        write(descriptor, UnsafeRawBufferPointer(rebasing: $0[done...]))
      }
      if written < 0 && errno == EINTR { continue }
      guard written > 0 else {
        fail()
        return closeFile()
      }
      done += written
      files[files.count - 1].bytes += written
    }
    locked { counters.bytesWritten += UInt64(bytes.count) }
  }

  private func fail() {
    let error = errno
    locked {
      counters.writesFailed += 1
      counters.lastError = error
    }
    failed.store(true, ordering: .relaxed)
  }

  private func closeFile() {
    if descriptor >= 0 { Glibc.close(descriptor) }
    descriptor = -1
  }

  /// Deletes the oldest files until another one has room.
  private func makeRoom() {
    var total = files.reduce(0) { $0 + $1.bytes }
    while total > options.bytesMax - options.fileBytesMax, let oldest = files.first {
      unlink("\(directory)/\(Self.name(oldest.number))")
      total -= oldest.bytes
      files.removeFirst()
      locked { counters.filesDeleted += 1 }
    }
  }
}

extension Int32 {
  /// For a result that says nothing.
  fileprivate var ignored: Void { () }
}
