import Glibc
import Protocol

/// Snapshots in files, one kept: written and verified by the worker thread, read in chunks for peers by the loop.
///
/// A file gets its final name only when all of it is durable; what a crash leaves under a temporary name is removed.
final class SnapshotStore {
  /// What the worker tells the loop.
  enum Completion: Sendable {
    case taken(SnapshotInfo)
    case stored(SnapshotInfo, isValid: Bool)
    /// There was no space for the own one; what was written of it is gone.
    case untaken(SystemError)
    /// There was no space for a peer's; what was received of it is gone.
    case unstored(SnapshotInfo, SystemError)
    case failed(SystemError)
  }

  let directory: String
  /// Of what is found at a start.
  private let reader: FileReader
  private let worker: WorkerThread
  private let completed: @Sendable (Completion) -> Void
  /// The newest snapshot that is durable here.
  private(set) var current = SnapshotInfo.none
  private var currentFile: Int32 = -1
  /// The file a peer's snapshot is received into.
  private var incoming: Int32 = -1

  init(
    directory: String, worker: WorkerThread, reader: FileReader = .system,
    completed: @escaping @Sendable (Completion) -> Void
  ) {
    self.directory = directory
    self.reader = reader
    self.worker = worker
    self.completed = completed
  }

  deinit {
    if currentFile >= 0 { close(currentFile) }
    if incoming >= 0 { close(incoming) }
  }

  private static func path(_ directory: String, _ slot: Slot) -> String {
    "\(directory)/snapshot-\(slot)"
  }

  // MARK: Recovery

  /// Finds the newest snapshot that is whole, removes what is left of unfinished ones, and restores `application`.
  func recover(into application: any ApplicationHosting) throws {
    var slots: [Slot] = []
    for name in try DirectoryListing.names(directory) where name.hasPrefix("snapshot-") {
      if let slot = UInt64(name.dropFirst("snapshot-".count)) {
        slots.append(Slot(slot))
      } else {
        unlink("\(directory)/\(name)")
      }
    }
    for slot in slots.sorted(by: >) {
      let path = Self.path(directory, slot)
      let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
      // What cannot be read is damaged, too: the journal knows that it was there.
      guard let info = try? SnapshotFile.verified(file, path, reader), info.slot == slot else {
        close(file)
        continue
      }
      try check("fsync", path) { fsync(file) }
      (current, currentFile) = (info, file)
      do {
        try restore(application)
        return
      } catch is SystemError {
        // It could be read a moment ago.
        (current, currentFile) = (.none, -1)
        close(file)
      }
    }
  }

  /// Replaces the application's state by the newest snapshot's.
  func restore(_ application: any ApplicationHosting) throws {
    var restoration = application.beginRestore()
    var failure: SnapshotInvalid?
    try SnapshotFile.read(currentFile, current, directory, reader) { piece in
      guard failure == nil else { return }
      do throws(SnapshotInvalid) { try restoration.take(piece) } catch { failure = error }
    }
    if let failure { throw failure }
    try restoration.finish()
  }

  // MARK: Own snapshots

  /// Writes the application's state, frozen now, and answers by `taken`.
  func take(_ source: consuming any SnapshotReading) {
    let (directory, slot, completed) = (directory, source.slot, completed)
    worker.run { [source] in
      let temporary = "\(directory)/snapshot-new.tmp"
      do throws(SystemError) {
        let info = try SnapshotFile.write(source, to: temporary)
        let path = Self.path(directory, slot)
        try check("rename", path) { rename(temporary, path) }
        try DirectoryListing.flush(directory)
        completed(.taken(info))
      } catch {
        guard error.isNoRoom else { return completed(.failed(error)) }
        unlink(temporary)
        completed(.untaken(error))
      }
    }
  }

  /// The snapshot is the newest one from now on, and older files go.
  func adopt(_ info: SnapshotInfo) throws(SystemError) {
    guard info.slot > current.slot else { return }
    let path = Self.path(directory, info.slot)
    let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    if currentFile >= 0 {
      close(currentFile)
      unlink(Self.path(directory, current.slot))
    } else {
      // The first of this life: what was found damaged at its start goes as well.
      for name in try DirectoryListing.names(directory) where name.hasPrefix("snapshot-") {
        guard let slot = UInt64(name.dropFirst("snapshot-".count)), slot < info.slot.rawValue
        else { continue }
        unlink(Self.path(directory, Slot(slot)))
      }
    }
    current = info
    currentFile = file
  }

  /// Appends a piece of the newest snapshot.
  func chunk(
    _ offset: UInt64, lengthMax: Int, into bytes: inout [UInt8]
  ) throws(SystemError) {
    let length = min(lengthMax, Int(current.length - min(offset, current.length)))
    let (file, start) = (currentFile, bytes.count)
    bytes.append(contentsOf: repeatElement(0, count: length))
    var done = 0
    while done < length {
      let read = try check("pread", directory) {
        bytes.withUnsafeMutableBytes {
          pread(
            file, $0.baseAddress! + start + done, length - done,
            off_t(SnapshotFileHeader.length + Int(offset) + done))
        }
      }
      guard read > 0 else { throw SystemError("pread", "snapshot \(current.slot)", code: EIO) }
      done += read
    }
  }

  // MARK: A peer's snapshot

  /// Keeps a piece; the last one has the whole verified, and answered by `stored`. Where there is no space, all of it is
  /// given up, and answered by `unstored`.
  func store(
    _ chunk: SnapshotChunk, _ bytes: RawSpan, isLast: Bool
  ) throws(SystemError) {
    do throws(SystemError) {
      try keep(chunk, bytes, isLast: isLast)
    } catch {
      guard error.isNoRoom else { throw error }
      if incoming >= 0 { close(incoming) }
      incoming = -1
      unlink(incomingPath)
      completed(.unstored(chunk.snapshot, error))
    }
  }

  private var incomingPath: String { "\(directory)/snapshot-incoming.tmp" }

  private func keep(
    _ chunk: SnapshotChunk, _ bytes: RawSpan, isLast: Bool
  ) throws(SystemError) {
    let temporary = incomingPath
    if chunk.offset == 0 {
      if incoming >= 0 { close(incoming) }
      incoming = try check("open", temporary) {
        open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      }
      var head: [UInt8] = []
      SnapshotFileHeader(chunk.snapshot).encode(into: &head)
      try SnapshotFile.write(head.span.bytes, to: incoming, at: 0, temporary)
    }
    // Of one that was given up, and whose sender does not know yet.
    guard incoming >= 0 else { return }
    try SnapshotFile.write(
      bytes, to: incoming, at: SnapshotFileHeader.length + Int(chunk.offset), temporary)
    guard isLast else { return }
    let (directory, file, info, completed) = (directory, incoming, chunk.snapshot, completed)
    incoming = -1
    worker.run {
      defer { close(file) }
      do throws(SystemError) {
        let isValid = try SnapshotFile.verified(file, temporary) == info
        if isValid {
          try check("fsync", temporary) { fsync(file) }
          let path = Self.path(directory, info.slot)
          try check("rename", path) { rename(temporary, path) }
          try DirectoryListing.flush(directory)
        }
        completed(.stored(info, isValid: isValid))
      } catch {
        guard error.isNoRoom else { return completed(.failed(error)) }
        unlink(temporary)
        completed(.unstored(info, error))
      }
    }
  }
}

/// One snapshot's file.
enum SnapshotFile {
  private static let pieceLength = 1 << 20

  /// Writes all of `source`, flushes it, and returns what it is. The head comes last: a file without one is none.
  static func write(
    _ source: any SnapshotReading, to path: String
  ) throws(SystemError) -> SnapshotInfo {
    var source = source
    let file = try check("open", path) { open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600) }
    defer { close(file) }
    var info = SnapshotInfo(slot: source.slot, length: 0, digest: 0)
    var checksum: UInt32 = 0
    var piece: [UInt8] = []
    while source.chunk(limit: pieceLength, into: &piece) {
      checksum = CRC32C.checksum(piece, seed: checksum)
      try write(piece.span.bytes, to: file, at: SnapshotFileHeader.length + Int(info.length), path)
      info.length += UInt64(piece.count)
      piece.removeAll(keepingCapacity: true)
    }
    info.digest = UInt64(checksum)
    var head: [UInt8] = []
    SnapshotFileHeader(info).encode(into: &head)
    try write(head.span.bytes, to: file, at: 0, path)
    try check("fsync", path) { fsync(file) }
    return info
  }

  static func write(
    _ bytes: RawSpan, to file: Int32, at offset: Int, _ path: String
  ) throws(SystemError) {
    var done = 0
    while done < bytes.byteCount {
      let written = try check("pwrite", path) {
        bytes.withUnsafeBytes {
          pwrite(file, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
        }
      }
      guard written > 0 else { throw SystemError("pwrite", path, code: ENOSPC) }
      done += written
    }
  }

  /// What its head says; nil when it has none.
  static func head(
    _ file: Int32, _ path: String, _ reader: FileReader = .system
  ) throws(SystemError) -> SnapshotInfo? {
    let head = try reader.bytes(file, path, at: 0, count: SnapshotFileHeader.length)
    return SnapshotFileHeader(head.span.bytes)?.info
  }

  /// What the file holds, nil when it is not a whole snapshot.
  static func verified(
    _ file: Int32, _ path: String, _ reader: FileReader = .system
  ) throws(SystemError) -> SnapshotInfo? {
    var status = stat()
    try check("fstat", path) { fstat(file, &status) }
    // The length is anything in a damaged head.
    guard let info = try head(file, path, reader),
      UInt64(status.st_size) == UInt64(SnapshotFileHeader.length) &+ info.length
    else { return nil }
    var checksum: UInt32 = 0
    try read(file, info, path, reader) { checksum = CRC32C.checksum($0, seed: checksum) }
    return UInt64(checksum) == info.digest ? info : nil
  }

  /// Hands all of a snapshot's bytes to `body`, piece by piece.
  static func read(
    _ file: Int32, _ info: SnapshotInfo, _ path: String, _ reader: FileReader,
    _ body: (RawSpan) -> Void
  ) throws(SystemError) {
    var offset = 0
    while offset < Int(info.length) {
      let piece = try reader.bytes(
        file, path, at: SnapshotFileHeader.length + offset,
        count: min(pieceLength, Int(info.length) - offset))
      guard !piece.isEmpty else { throw SystemError("pread", path, code: EIO) }
      body(piece.span.bytes)
      offset += piece.count
    }
  }
}
