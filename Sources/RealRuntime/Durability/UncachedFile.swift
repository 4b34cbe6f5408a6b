import CLinux
import Glibc
import Protocol

/// A file as its disk has it, rather than as memory remembers it: what is to find damage must not read the page cache.
///
/// Read by O_DIRECT. Where a file system does not take that, its pages are dropped before they are read, which works for those
/// that were flushed and that nobody holds. A file system in memory (tmpfs) has nothing but memory, and persistent memory under
/// DAX nothing but the medium: there both are one. What a disk keeps in a cache of its own is the disk's.
final class UncachedFile {
  let path: String
  /// In bytes, when it was opened.
  let length: Int
  private var file: Int32
  private var isDirect: Bool
  private let reader: FileReader
  private let memory = AlignedBytes()

  /// What O_DIRECT asks of places, lengths and memory, in bytes: the most that any disk does.
  private static let unit = 4_096

  init(_ path: String, _ reader: FileReader = .system) throws(SystemError) {
    self.path = path
    self.reader = reader
    let flags = O_RDONLY | O_CLOEXEC
    var opened = open(path, flags | rsl_o_direct)
    isDirect = opened >= 0
    if opened < 0, errno == EINVAL { opened = open(path, flags) }
    guard opened >= 0 else { throw SystemError("open", path) }
    file = opened
    var status = stat()
    guard fstat(opened, &status) == 0 else {
      let error = SystemError("fstat", path)
      close(opened)
      throw error
    }
    length = Int(status.st_size)
  }

  deinit { close(file) }

  /// As many bytes as there are from this place on, at most `count`.
  func bytes(at offset: Int, count: Int) throws(SystemError) -> [UInt8] {
    let begin = offset & ~(Self.unit - 1)
    let end = (offset + count + Self.unit - 1) & ~(Self.unit - 1)
    memory.reserve(end - begin)
    let got: Int
    do throws(SystemError) {
      got = try fill(begin, end)
    } catch {
      // Blocks larger than the unit, or a file system that takes the flag and not the read.
      guard error.code == EINVAL, isDirect else { throw error }
      try reopen()
      got = try fill(begin, end)
    }
    let from = min(offset - begin, got)
    return Array(
      UnsafeRawBufferPointer(start: memory.base + from, count: min(count, got - from)))
  }

  /// Reads whole units into the memory; returns how many bytes there were.
  private func fill(_ begin: Int, _ end: Int) throws(SystemError) -> Int {
    if !isDirect { posix_fadvise(file, off_t(begin), off_t(end - begin), POSIX_FADV_DONTNEED) }
    var done = 0
    while done < end - begin {
      let rest = UnsafeMutableRawBufferPointer(
        start: memory.base + done, count: end - begin - done)
      let count = try reader.read(file, path, rest, begin + done)
      done += count
      // Only the end of a file ends within a unit.
      if count == 0 || done % Self.unit != 0 { break }
    }
    return done
  }

  private func reopen() throws(SystemError) {
    let opened = try check("open", path) { open(path, O_RDONLY | O_CLOEXEC) }
    close(file)
    (file, isDirect) = (opened, false)
  }
}
