import CLinux
import Glibc
import Synchronization

/// Files for segments to come, made and filled with zeroes by the worker thread: a flush into written blocks changes
/// nothing but data, and a full disk is noticed before a replica has promised anything with it.
final class SpareSegments: Sendable {
  private let directory: String
  private let length: Int
  private let mode: NodeConfiguration.FlushMode
  private let worker: WorkerThread
  private let state = Mutex(State())

  private struct State {
    var isReady = false
    var isBeingMade = false
  }

  private var path: String { directory + "/spare" }

  init(directory: String, length: Int, mode: NodeConfiguration.FlushMode, worker: WorkerThread) {
    self.directory = directory
    self.length = length
    self.mode = mode
    self.worker = worker
    // Left over from another life: whether it was finished nobody knows.
    unlink(path)
    // The first segment is taken at once, and a process that starts has the time.
    if make() { state.withLock { $0.isReady = true } }
  }

  /// A file for the next segment under its name: the spare one, or an empty one when there is none yet.
  func take(as name: String) throws(SystemError) -> Int32 {
    let isReady = state.withLock { state in
      defer { state.isReady = false }
      return state.isReady
    }
    if isReady {
      try check("rename", name) { rename(path, name) }
    } else {
      // Its length is reserved at least.
      let file = try check("open", name) {
        open(name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      }
      defer { close(file) }
      try check("fallocate", name) { rsl_fallocate(file, 0, Int64(length)) }
      try check("fsync", name) { fsync(file) }
    }
    return try SegmentFiles.open(name, mode: mode)
  }

  /// A segment's file that is not needed any more becomes the spare one, or goes.
  func retire(_ descriptor: Int32, _ name: String) {
    worker.run { [self] in
      close(descriptor)
      let isWanted = state.withLock { state in
        guard !state.isReady, !state.isBeingMade else { return false }
        state.isBeingMade = true
        return true
      }
      guard isWanted else {
        unlink(name)
        return
      }
      let isMade = void(name)
      state.withLock {
        $0.isBeingMade = false
        $0.isReady = isMade
      }
    }
  }

  /// Makes the header of an old segment unreadable before the file can be found under a new name.
  private func void(_ name: String) -> Bool {
    let file = open(name, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    var status = stat()
    let zeroes = [UInt8](repeating: 0, count: 4_096)
    guard fstat(file, &status) == 0, status.st_size == length,
      pwrite(file, zeroes, zeroes.count, 0) == zeroes.count, fsync(file) == 0,
      rename(name, path) == 0
    else {
      unlink(name)
      return false
    }
    return true
  }

  /// Has a spare file made unless there is one. Called when one will soon be needed, not before: a segment that is retired
  /// meanwhile becomes the spare, and nothing has to be written for it.
  func prepare() {
    let isWanted = state.withLock { state in
      guard !state.isReady, !state.isBeingMade else { return false }
      state.isBeingMade = true
      return true
    }
    guard isWanted else { return }
    worker.run { [self] in
      let isMade = make()
      if !isMade { unlink(path) }
      state.withLock {
        $0.isBeingMade = false
        $0.isReady = isMade
      }
    }
  }

  private func make() -> Bool {
    let file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard file >= 0 else { return false }
    defer { close(file) }
    let zeroes = [UInt8](repeating: 0, count: 1 << 20)
    var offset = 0
    while offset < length {
      let written = pwrite(file, zeroes, min(zeroes.count, length - offset), off_t(offset))
      guard written > 0 else { return false }
      offset += written
      // Bit by bit: one long flush would keep the journal's waiting.
      if offset % (4 << 20) == 0, fdatasync(file) != 0 { return false }
    }
    return fsync(file) == 0
  }
}
