import Glibc
import Protocol

/// Why a snapshot was given up, to be tried again. The one before is as it was.
enum SnapshotSetback: Error, Sendable, CustomStringConvertible {
  case noRoom(SystemError)
  /// What was read back is not what was written.
  case misread(path: String, problem: String)

  /// What the disk said when there was no space; nil for anything else.
  var shortage: SystemError? { if case .noRoom(let error) = self { error } else { nil } }

  var description: String {
    switch self {
    case .noRoom(let error): "\(error)"
    case .misread(let path, let problem):
      "\(path) was written, and read back it is not what it was: \(problem); look for errors of the disk in the kernel's log"
    }
  }
}

/// A file of which nothing can be made.
enum SnapshotRefusal: Error, CustomStringConvertible {
  case newer(path: String)

  var description: String {
    switch self {
    case .newer(let path):
      "\(path) was written by a later version of this program, which this one does not read; start that one. Nothing was changed"
    }
  }
}

/// Snapshots in files, one kept: written and verified by the worker thread, read in chunks for peers by the loop.
///
/// A file gets its final name only when all of it is durable and was read back from the disk; what a crash leaves under a
/// temporary name is removed. That name, and the journal's record of it, are the whole manifest (docs/journal-format.md).
final class SnapshotStore {
  /// What the worker tells the loop.
  enum Completion: Sendable {
    case taken(SnapshotInfo)
    case stored(SnapshotInfo, isValid: Bool)
    /// The own one was given up; what was written of it is gone.
    case untaken(SnapshotSetback)
    /// A peer's was given up, on this disk's account; what was received of it is gone.
    case unstored(SnapshotInfo, SnapshotSetback)
    case failed(SystemError)
  }

  let directory: String
  let reader: FileReader
  private let worker: WorkerThread
  private let changes: FileChanges
  private let completed: @Sendable (Completion) -> Void
  /// The newest snapshot that is durable here.
  var current: SnapshotInfo { open?.head.info ?? .none }
  private var open: OpenSnapshot?
  /// Earlier ones that peers are still reading: by name they are gone.
  private var kept: [OpenSnapshot] = []
  /// A peer's, on its way here.
  private var incoming: IncomingSnapshot?

  /// More peers than this do not hold on to different ones.
  private static let keptMax = 4

  init(
    directory: String, worker: WorkerThread, reader: FileReader = .system,
    changes: FileChanges = .system, completed: @escaping @Sendable (Completion) -> Void
  ) {
    self.directory = directory
    self.reader = reader
    self.worker = worker
    self.changes = changes
    self.completed = completed
  }

  static func path(_ directory: String, _ slot: Slot) -> String {
    "\(directory)/snapshot-\(slot)"
  }

  private var incomingPath: String { "\(directory)/snapshot-incoming.tmp" }

  /// Of the snapshots in the directory, in no particular order.
  private func slots() throws(SystemError) -> [Slot] {
    try DirectoryListing.names(directory).compactMap { name in
      name.hasPrefix("snapshot-") ? UInt64(name.dropFirst("snapshot-".count)).map { Slot($0) } : nil
    }
  }

  // MARK: Recovery

  /// Finds the newest snapshot that is whole, removes older ones and what is left of unfinished ones, and restores
  /// `application`. A newer one that is damaged stays until there is another, for whoever wants to look at it.
  func recover(into application: any ApplicationHosting) throws {
    for name in try DirectoryListing.names(directory) where name.hasPrefix("snapshot-") {
      let path = "\(directory)/\(name)"
      if path != incomingPath, UInt64(name.dropFirst("snapshot-".count)) == nil {
        changes.remove(path)
      }
    }
    try recoverNewest(into: application)
    incoming = IncomingSnapshot(leftAt: incomingPath, changes, reader)
    if incoming == nil { changes.remove(incomingPath) }
    removeIncoming()
  }

  private func recoverNewest(into application: any ApplicationHosting) throws {
    for slot in try slots().sorted(by: >) {
      let path = Self.path(directory, slot)
      let file = try check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
      let found = SnapshotFile.examine(try FileReader.length(of: file, path), reading(file, path))
      // What cannot be read is damaged, too: the journal knows that it was there.
      guard let info = found.info, info.slot == slot else {
        close(file)
        if found.isNewer { throw SnapshotRefusal.newer(path: path) }
        continue
      }
      try changes.flush(file, path)
      open = OpenSnapshot(file, found.head!, path, reader, worker)
      do {
        try restore(application)
      } catch is SystemError {
        // It could be read a moment ago.
        open = nil
        continue
      }
      // The name may have been readable and not durable.
      try changes.flushDirectory(directory)
      try removeOlder()
      return
    }
  }

  private func reading(_ file: Int32, _ path: String) -> SnapshotFile.Read {
    let reader = reader
    return { (offset, count) throws(SystemError) in
      try reader.bytes(file, path, at: offset, count: count)
    }
  }

  /// What an earlier life has received of one that is not needed any more.
  private func removeIncoming() {
    guard let left = incoming, left.isUntouched, left.head.info.slot <= current.slot else { return }
    incoming = nil
    changes.remove(incomingPath)
  }

  private func removeOlder() throws(SystemError) {
    for slot in try slots() where slot < current.slot { changes.remove(Self.path(directory, slot)) }
  }

  /// Replaces the application's state by the newest snapshot's.
  func restore(_ application: any ApplicationHosting) throws {
    guard let open else { preconditionFailure("no snapshot to restore") }
    var restoration = application.beginRestore()
    var failure: SnapshotInvalid?
    try open.read { piece in
      guard failure == nil else { return }
      do throws(SnapshotInvalid) { try restoration.take(piece) } catch { failure = error }
    }
    if let failure { throw failure }
    try restoration.finish()
  }

  // MARK: Own snapshots

  /// Writes the application's state, frozen now, reads it back, and answers by `taken`.
  func take(_ source: consuming any SnapshotReading) {
    let (directory, slot, completed) = (directory, source.slot, completed)
    let (changes, reader) = (changes, reader)
    worker.run { [source] in
      let temporary = "\(directory)/snapshot-new.tmp"
      do throws(SystemError) {
        let info = try SnapshotFile.write(source, to: temporary, changes)
        if let problem = SnapshotFile.problem(of: temporary, info, reader) {
          changes.remove(temporary)
          return completed(.untaken(.misread(path: temporary, problem: problem)))
        }
        try changes.rename(temporary, Self.path(directory, slot))
        try changes.flushDirectory(directory)
        completed(.taken(info))
      } catch {
        guard error.isNoRoom else { return completed(.failed(error)) }
        changes.remove(temporary)
        completed(.untaken(.noRoom(error)))
      }
    }
  }

  /// The snapshot is the newest one from now on, and older files go. One of the same slot takes the place of what was there:
  /// a file that was damaged.
  func adopt(_ info: SnapshotInfo) throws(SystemError) {
    guard info.slot >= current.slot else { return }
    let path = Self.path(directory, info.slot)
    let file = try check("open", path) { Glibc.open(path, O_RDONLY | O_CLOEXEC) }
    guard let head = try? SnapshotFile.head(reading(file, path)), head.info == info else {
      close(file)
      throw SystemError("pread", path, code: EIO)
    }
    if let open, open.servedAt > .zero, open.head.info != info {
      kept.append(open)
      if kept.count > Self.keptMax { kept.removeFirst() }
    }
    open = OpenSnapshot(file, head, path, reader, worker)
    try removeOlder()
    removeIncoming()
  }

  /// Removes all of them for good: of a state that turned out to be wrong. Nothing may be on its way to the worker.
  func discard() throws(SystemError) {
    open = nil
    kept = []
    for slot in try slots() { changes.remove(Self.path(directory, slot)) }
    try changes.flushDirectory(directory)
  }

  // MARK: For peers

  /// Whether it can be read from here, although there may be a newer one: a transfer that takes longer than the next snapshot
  /// shall come to its end.
  func keeps(_ info: SnapshotInfo) -> Bool { file(of: info) != nil }

  private func file(of info: SnapshotInfo) -> OpenSnapshot? {
    info == current ? open : kept.last { $0.head.info == info }
  }

  /// Appends a piece of a snapshot that is kept, when every block of it is what it was; otherwise says what is wrong, and
  /// appends nothing: no peer is given damaged bytes.
  func chunk(
    of info: SnapshotInfo, _ offset: UInt64, lengthMax: Int, now: Instant,
    into bytes: inout [UInt8]
  ) -> String? {
    guard let file = file(of: info) else { return "it is not kept any more" }
    file.servedAt = max(now, Instant(nanoseconds: 1))
    return file.chunk(offset, lengthMax: lengthMax, into: &bytes)
  }

  /// Gives up earlier ones that no peer has asked for since then.
  func forget(unreadSince time: Instant) { kept.removeAll { $0.servedAt < time } }

  // MARK: A peer's snapshot

  /// Keeps a piece; the last one has the whole verified, and answered by `stored`. Where there is no space, all of it is
  /// given up, and answered by `unstored`.
  func store(
    _ chunk: SnapshotChunk, _ bytes: RawSpan, isLast: Bool
  ) throws(SystemError) {
    do throws(SystemError) {
      if chunk.offset == 0, incoming?.head.info != chunk.snapshot || incoming?.isUntouched == false
      {
        incoming = try IncomingSnapshot(chunk.snapshot, incomingPath, changes)
      }
      // Of one that was given up, and whose sender does not know yet.
      guard let file = incoming, file.head.info == chunk.snapshot else { return }
      try file.append(bytes, at: Int(chunk.offset))
      if isLast { finish(file) }
    } catch {
      guard error.isNoRoom else { throw error }
      incoming = nil
      changes.remove(incomingPath)
      completed(.unstored(chunk.snapshot, .noRoom(error)))
    }
  }

  /// Bytes of a peer's snapshot that an earlier life has received; empty where there are none from this place on.
  func atHand(_ fetch: SnapshotFetch, lengthMax: Int) -> [UInt8] {
    guard let incoming, incoming.head.info == fetch.snapshot else { return [] }
    return incoming.bytes(at: Int(fetch.offset), lengthMax: lengthMax, reader)
  }

  /// All of it is there: has it made durable, read back and named.
  private func finish(_ file: IncomingSnapshot) {
    incoming = nil
    let (info, isSent) = (file.head.info, file.isWhole)
    let (directory, changes, reader, completed) = (directory, changes, reader, completed)
    let job = IncomingJob(file)
    worker.run {
      let path = job.file.path
      do throws(SystemError) {
        guard isSent else {
          changes.remove(path)
          return completed(.stored(info, isValid: false))
        }
        try job.file.finish()
        if let problem = SnapshotFile.problem(of: path, info, reader) {
          changes.remove(path)
          return completed(.unstored(info, .misread(path: path, problem: problem)))
        }
        try changes.rename(path, Self.path(directory, info.slot))
        try changes.flushDirectory(directory)
        completed(.stored(info, isValid: true))
      } catch {
        guard error.isNoRoom else { return completed(.failed(error)) }
        changes.remove(path)
        completed(.unstored(info, .noRoom(error)))
      }
    }
  }
}

/// Handed from the loop to the worker, and touched by nobody else from then on.
private struct IncomingJob: @unchecked Sendable {
  let file: IncomingSnapshot
  init(_ file: IncomingSnapshot) { self.file = file }
}
