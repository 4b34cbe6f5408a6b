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
    directory: String, identity: JournalIdentity, snapshot: SnapshotInfo, into log: LogBuffer
  ) throws -> RecoveredJournal {
    try withSegments(in: directory) { segments in
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

  /// Maps the segments of a directory, in order; nothing of them may be kept. Changes nothing.
  static func withSegments<R>(
    in directory: String, _ body: ([JournalSegment]) throws -> R
  ) throws -> R {
    var segments: [JournalSegment] = []
    defer {
      for segment in segments where segment.bytes.count > 0 {
        munmap(
          UnsafeMutableRawPointer(mutating: segment.bytes.baseAddress), segment.bytes.count)
      }
    }
    for number in try SegmentFiles.numbers(in: directory) {
      segments.append(
        JournalSegment(number: number, bytes: try map(SegmentFiles.path(directory, number))))
    }
    return try body(segments)
  }

  private static func map(_ path: String) throws(SystemError) -> UnsafeRawBufferPointer {
    let file = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    defer { close(file) }
    var status = stat()
    try check("fstat", path) { fstat(file, &status) }
    let length = Int(status.st_size)
    guard length > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    guard let base = mmap(nil, length, PROT_READ, MAP_PRIVATE, file, 0), base != MAP_FAILED else {
      throw SystemError("mmap", path)
    }
    return UnsafeRawBufferPointer(start: base, count: length)
  }
}
