import Glibc
import Protocol

/// Reads a replica's journal back from its files.
enum RecoveredFiles {
  /// A journal that nothing can be concluded from, or a log buffer that cannot hold it.
  enum Failure: Error, CustomStringConvertible {
    case damage(JournalDamage, directory: String)
    case logBufferTooSmall(capacity: Int)

    var description: String {
      switch self {
      case .damage(let damage, let directory):
        "nothing can be concluded from the journal in \(directory): \(damage). Nothing was changed. Restore the folder "
          + "from a copy of this very replica, or replace the replica by a new member"
      case .logBufferTooSmall(let capacity):
        "the journal's slots do not fit into the log buffer (\(capacity) bytes); raise log.bytes"
      }
    }
  }

  /// Folds the journal in `directory`, and puts the bytes of its values into the log buffer.
  static func recover(
    directory: String, identity: JournalIdentity, snapshot: SnapshotInfo, into log: LogBuffer,
    reader: FileReader = .system
  ) throws -> RecoveredJournal {
    try withSegments(in: directory, reader) { segments in
      var isFull = false
      let recovered: RecoveredJournal
      do throws(JournalDamage) {
        // Where the snapshot is gone the journal may hold more than a replica usually has in hand, and a suspect must have
        // room left for what it learns.
        recovered = try JournalRecovery.recover(
          segments, identity: identity, snapshot: snapshot, damagedBytesMax: log.capacity / 2
        ) { place in
          // Not by its number: segments may be missing.
          let all = segments.first { $0.number == place.segment }!.bytes
          let bytes = UnsafeRawBufferPointer(
            rebasing: all[Int(place.offset)..<Int(place.offset) + Int(place.length)])
          guard let position = log.append(bytes) else {
            isFull = true
            return nil
          }
          return position
        }
      } catch {
        throw Failure.damage(error, directory: directory)
      }
      if isFull, recovered.damages.isEmpty {
        throw Failure.logBufferTooSmall(capacity: log.capacity)
      }
      return recovered
    }
  }

  /// Reads the segments of a directory, in order; nothing of them may be kept. Changes nothing. What cannot be read of a
  /// segment is no error: the segment says so itself.
  static func withSegments<R>(
    in directory: String, _ reader: FileReader = .system, _ body: ([JournalSegment]) throws -> R
  ) throws -> R {
    var segments: [JournalSegment] = []
    defer {
      for segment in segments where segment.bytes.count > 0 {
        munmap(
          UnsafeMutableRawPointer(mutating: segment.bytes.baseAddress), segment.bytes.count)
      }
    }
    let (numbers, lengths) = (
      try SegmentFiles.numbers(in: directory), try SegmentFiles.lengths(in: directory)
    )
    for number in numbers {
      let path = SegmentFiles.path(directory, number)
      // All files have their full length before the first record comes. A last one that is shorter than all others was cut,
      // and so may be what it held; of those before, the next one's header says how far they went.
      let others = number == numbers.last ? lengths.filter { $0.path != path } : []
      segments.append(try read(path, number, others.map(\.length).min() ?? 0, reader))
    }
    if let newest = SegmentFiles.newest(in: directory), newest > segments.last?.number ?? 0 {
      let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
      segments.append(JournalSegment(number: newest, bytes: nothing, isMissing: true))
    }
    return try body(segments)
  }

  private static func read(
    _ path: String, _ number: UInt64, _ lengthMin: Int, _ reader: FileReader
  ) throws(SystemError) -> JournalSegment {
    let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    defer { close(file) }
    var status = stat()
    try check("fstat", path) { fstat(file, &status) }
    let length = max(Int(status.st_size), lengthMin)
    guard length > 0 else {
      return JournalSegment(number: number, bytes: UnsafeRawBufferPointer(start: nil, count: 0))
    }
    guard
      let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      base != MAP_FAILED
    else { throw SystemError("mmap", path) }
    let unreadable = reader.fill(
      UnsafeMutableRawBufferPointer(start: base, count: length), file, path)
    return JournalSegment(
      number: number, bytes: UnsafeRawBufferPointer(start: base, count: length),
      unreadable: unreadable)
  }
}
