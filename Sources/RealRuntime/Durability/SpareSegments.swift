import CLinux
import Glibc
import Synchronization

/// Files for segments to come, made and filled with zeroes by the worker thread: a flush into written blocks changes
/// nothing but data, and a full disk is noticed before a replica has promised anything with it.
///
/// Some are kept at any time, through restarts too: what must be written while the disk is full goes there.
final class SpareSegments: Sendable {
  /// Makes a new file of so many zero bytes, which are its own from then on.
  typealias Maker = @Sendable (_ path: String, _ length: Int) throws(SystemError) -> Void

  private let directory: String
  private let length: Int
  private let mode: NodeConfiguration.FlushMode
  /// How many there are when nothing is wrong.
  let wanted: Int
  private let worker: WorkerThread
  private let maker: Maker
  private let probe: WriteProbe
  private let state = Mutex(State())
  // What the loop looks at every turn: without the lock.
  private let readyCount = Atomic(0)
  private let isShort = Atomic(false)

  private struct State {
    /// Paths of files that are finished.
    var ready: [String] = []
    var isBeingMade = false
    /// Of the next file's name.
    var number = 0
    /// Why the last file could not be made: there is no space.
    var shortage: SystemError?
  }

  /// Takes over what is left from another life. Has all files at hand when it returns if the replica `isNew`, else two if
  /// they can be made; the worker makes the others.
  ///
  /// Throws when there is no space for the first one, or for all of a new replica's: one that has promised nothing yet does not
  /// begin on a disk that is full.
  init(
    directory: String, length: Int, mode: NodeConfiguration.FlushMode, wanted: Int, isNew: Bool,
    worker: WorkerThread, maker: @escaping Maker = SpareSegments.makeZeroes,
    probe: WriteProbe = WriteProbe()
  ) throws(SystemError) {
    self.directory = directory
    self.length = length
    self.mode = mode
    self.wanted = wanted
    self.worker = worker
    self.maker = maker
    self.probe = probe
    for name in try DirectoryListing.names(directory) where name.hasPrefix("spare") {
      let path = directory + "/" + name
      if let number = Int(name.dropFirst("spare-".count)), count < wanted, isWhole(path) {
        state.withLock { $0.number = max($0.number, number + 1) }
        probe.flushed(path)
        add(path)
      } else {
        unlink(path)
        probe.removed(path)
      }
    }
    while count < (isNew ? wanted : 2) {
      do throws(SystemError) {
        try make()
      } catch {
        guard error.isNoRoom, count > 0, !isNew else { throw error }
        return
      }
    }
    prepare()
  }

  /// How many files are ready.
  var count: Int { readyCount.load(ordering: .relaxed) }
  /// The last file could not be made, because there is no space.
  var hasShortage: Bool { isShort.load(ordering: .relaxed) }
  var shortage: SystemError? { state.withLock { $0.shortage } }

  /// A file for the next segment under its name: a spare one, or an empty one when there is none.
  func take(as name: String) throws(SystemError) -> Int32 {
    let spare = state.withLock { state in
      defer { readyCount.store(state.ready.count, ordering: .relaxed) }
      return state.ready.popLast()
    }
    if let spare {
      try check("rename", name) { rename(spare, name) }
      probe.renamed(spare, to: name)
    } else {
      try Self.reserve(name, length)
      probe.added(name)
    }
    return try SegmentFiles.open(name, mode: mode)
  }

  /// A segment's file that is not needed any more becomes a spare one, or goes.
  func retire(_ descriptor: Int32, _ name: String) {
    worker.run { [self] in
      close(descriptor)
      if count < wanted, void(name) { return }
      unlink(name)
      probe.removed(name)
      // Its space may be what another one lacked.
      if hasShortage { makeMissing() }
    }
  }

  /// Has the worker make what is missing. Called when a file will soon be needed, not before: a segment that is retired
  /// meanwhile becomes a spare, and nothing has to be written for it.
  func prepare() {
    guard count < wanted else { return }
    let isWanted = state.withLock { state in
      defer { state.isBeingMade = true }
      return !state.isBeingMade
    }
    guard isWanted else { return }
    worker.run { [self] in
      makeMissing()
      state.withLock { $0.isBeingMade = false }
    }
  }

  /// Makes one at once, of space that is only reserved: the worker does not keep pace, and no journal may go on without one.
  ///
  /// Throws what is not want of space, which `hasShortage` tells of.
  func makeNow() throws(SystemError) {
    let path = newPath()
    do throws(SystemError) {
      try noting { () throws(SystemError) in try Self.reserve(path, length) }
      probe.added(path)
      add(path)
    } catch {
      unlink(path)
      if !error.isNoRoom { throw error }
    }
  }

  // MARK: Making

  private func makeMissing() {
    while count < wanted {
      guard (try? make()) != nil else { return }
    }
  }

  private func make() throws(SystemError) {
    let path = newPath()
    let unfinished = Self.unfinished(path)
    do throws(SystemError) {
      try noting { () throws(SystemError) in
        try maker(unfinished, length)
        try check("rename", path) { rename(unfinished, path) }
      }
    } catch {
      unlink(unfinished)
      throw error
    }
    probe.added(path)
    add(path)
  }

  /// Remembers whether what `body` lacked was space.
  private func noting(_ body: () throws(SystemError) -> Void) throws(SystemError) {
    do throws(SystemError) {
      try body()
    } catch {
      if error.isNoRoom { note(error) }
      throw error
    }
    note(nil)
  }

  private func note(_ shortage: SystemError?) {
    state.withLock { $0.shortage = shortage }
    isShort.store(shortage != nil, ordering: .relaxed)
  }

  private func newPath() -> String {
    state.withLock { state in
      defer { state.number += 1 }
      return directory + "/spare-" + String(state.number)
    }
  }

  private func add(_ path: String) {
    let count = state.withLock { state in
      state.ready.append(path)
      readyCount.store(state.ready.count, ordering: .relaxed)
      return state.ready.count
    }
    if count >= wanted { note(nil) }
  }

  /// A file whose header was voided, or never written; durable as it is, whatever became of it before.
  private func isWhole(_ path: String) -> Bool {
    let file = open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    var status = stat()
    var head = [UInt8](repeating: 1, count: 4_096)
    return fstat(file, &status) == 0 && status.st_size == length
      && status.st_blocks * 512 >= length && pread(file, &head, head.count, 0) == head.count
      && head.allSatisfy { $0 == 0 } && fsync(file) == 0
  }

  /// Makes the header of an old segment unreadable. Before that it loses its name, durably: recovery takes a segment of the
  /// journal without a header for damage.
  private func void(_ name: String) -> Bool {
    let path = newPath()
    let unfinished = Self.unfinished(path)
    guard rename(name, unfinished) == 0 else { return false }
    probe.renamed(name, to: unfinished)
    guard isVoided(unfinished), rename(unfinished, path) == 0 else {
      unlink(unfinished)
      probe.removed(unfinished)
      return false
    }
    probe.renamed(unfinished, to: path)
    add(path)
    return true
  }

  /// Writes zeroes over the header, when the file's new name is durable.
  private func isVoided(_ path: String) -> Bool {
    let file = open(path, O_RDWR | O_CLOEXEC)
    guard file >= 0 else { return false }
    defer { close(file) }
    var status = stat()
    guard fstat(file, &status) == 0, status.st_size == length else { return false }
    let names = probe.nameChanges
    guard (try? DirectoryListing.flush(directory)) != nil else { return false }
    probe.namesFlushed(names)
    var zeroes = [UInt8](repeating: 0, count: 4_096)
    let isWritten = zeroes.withUnsafeMutableBytes { zeroes in
      probe.wrote(path, at: 0, [iovec(iov_base: zeroes.baseAddress, iov_len: zeroes.count)])
      return pwrite(file, zeroes.baseAddress, zeroes.count, 0) == zeroes.count
    }
    guard isWritten, fsync(file) == 0 else { return false }
    probe.flushed(path)
    return true
  }

  /// What a file is called until it may be used; one that is left over is removed.
  private static func unfinished(_ path: String) -> String { path + ".tmp" }

  /// An empty file whose space is reserved.
  private static func reserve(_ path: String, _ length: Int) throws(SystemError) {
    let file = try check("open", path) {
      open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    try check("fallocate", path) { rsl_fallocate(file, 0, Int64(length)) }
    try check("fsync", path) { fsync(file) }
  }

  /// A file whose every block was written.
  static let makeZeroes: Maker = { (path, length) throws(SystemError) in
    let file = try check("open", path) {
      open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    }
    defer { close(file) }
    // All or nothing, so that a disk without space is not filled to its last block again and again.
    if rsl_fallocate(file, 0, Int64(length)) != 0, errno != EOPNOTSUPP {
      throw SystemError("fallocate", path)
    }
    let zeroes = [UInt8](repeating: 0, count: 1 << 20)
    var offset = 0
    while offset < length {
      let written = try check("pwrite", path) {
        pwrite(file, zeroes, min(zeroes.count, length - offset), off_t(offset))
      }
      guard written > 0 else { throw SystemError("pwrite", path, code: ENOSPC) }
      offset += written
      // Bit by bit: one long flush would keep the journal's waiting.
      if offset % (4 << 20) == 0 { try check("fdatasync", path) { fdatasync(file) } }
    }
    try check("fsync", path) { fsync(file) }
  }
}

extension SystemError {
  /// There is no space: of the disk, or of a quota.
  var isNoRoom: Bool { code == ENOSPC || code == EDQUOT }
}
