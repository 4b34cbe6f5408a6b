import CLinux
import Glibc
import Protocol

/// The calls by which snapshots change a directory: the system's, or what a test puts in their place to stop between any two.
struct FileChanges: Sendable {
  /// Makes a file, or empties the one of this name.
  var create: @Sendable (_ path: String) throws(SystemError) -> Int32
  /// Opens a file that is there, to go on with it.
  var open: @Sendable (_ path: String) throws(SystemError) -> Int32
  /// As `pwrite`: how many bytes were taken.
  var write:
    @Sendable (
      _ file: Int32, _ path: String, _ bytes: UnsafeRawBufferPointer, _ offset: Int
    ) throws(SystemError) -> Int
  /// Has bytes written to the disk now, and given back in memory; they need not be durable. What is written without that goes to
  /// the disk all at once when it is flushed, and a journal that writes to the same disk waits for all of it.
  var writeBack:
    @Sendable (_ file: Int32, _ path: String, _ bytes: Range<Int>) throws(SystemError) -> Void
  /// Makes what was written durable.
  var flush: @Sendable (_ file: Int32, _ path: String) throws(SystemError) -> Void
  var rename: @Sendable (_ from: String, _ to: String) throws(SystemError) -> Void
  /// Nothing happens where there is no such file.
  var remove: @Sendable (_ path: String) -> Void
  /// Makes names durable.
  var flushDirectory: @Sendable (_ path: String) throws(SystemError) -> Void

  static let system = FileChanges(
    create: { path throws(SystemError) in
      try check("open", path) {
        Glibc.open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
      }
    },
    open: { path throws(SystemError) in
      try check("open", path) { Glibc.open(path, O_RDWR | O_CLOEXEC) }
    },
    write: { (file, path, bytes, offset) throws(SystemError) in
      try check("pwrite", path) { pwrite(file, bytes.baseAddress, bytes.count, off_t(offset)) }
    },
    writeBack: { (file, path, bytes) throws(SystemError) in
      try check("sync_file_range", path) {
        rsl_write_back(file, Int64(bytes.lowerBound), Int64(bytes.count))
      }
    },
    flush: { (file, path) throws(SystemError) in try check("fsync", path) { fsync(file) } },
    rename: { (from, to) throws(SystemError) in
      try check("rename", to) { Glibc.rename(from, to) }
    },
    remove: { _ = unlink($0) },
    flushDirectory: { path throws(SystemError) in try DirectoryListing.flush(path) })

  /// All of the bytes.
  func write(
    _ bytes: RawSpan, to file: Int32, at offset: Int, _ path: String
  ) throws(SystemError) {
    let result = bytes.withUnsafeBytes { bytes in
      Result { () throws(SystemError) in
        var done = 0
        while done < bytes.count {
          let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
          let written = try write(file, path, rest, offset + done)
          guard written > 0 else { throw SystemError("pwrite", path, code: ENOSPC) }
          done += written
        }
      }
    }
    try result.get()
  }
}
