import ArgumentParser
import CLinux
import Glibc

/// How a write becomes durable.
enum Flush: String, ExpressibleByArgument, CaseIterable, Codable {
  /// pwrite, then fdatasync.
  case fdatasync
  /// The file is open with O_DSYNC: pwrite returns when it is durable.
  case dsync
  /// With O_DIRECT and O_DSYNC: the same, past the page cache.
  case direct
  /// Written, and left to the system.
  case none

  /// What a write begins and ends on, in bytes.
  var block: Int { self == .direct ? 4096 : 512 }

  fileprivate var openFlags: Int32 {
    switch self {
    case .fdatasync, .none: 0
    case .dsync: O_DSYNC
    case .direct: O_DSYNC | rsl_o_direct
    }
  }
}

/// One file of fixed length, written from begin to end again and again. It has no name: it goes when the process does.
final class Journal {
  static let length = 64 << 20

  private let descriptor: Int32
  private let flush: Flush
  private var offset = 0
  private(set) var bytesWritten: UInt64 = 0
  private(set) var flushes: UInt64 = 0

  /// Makes the file and writes all of it once, so that no later write changes where its blocks are.
  init(directory: String, name: String, flush: Flush) throws(BareLoopError) {
    self.flush = flush
    let path = "\(directory)/bare-loop-\(getpid())-\(name)"
    descriptor = try check("open", path) {
      open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | flush.openFlags, 0o600)
    }
    unlink(path)
    let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { chunk.deallocate() }
    chunk.initializeMemory(as: UInt8.self, repeating: 0)
    for offset in stride(from: 0, to: Self.length, by: chunk.count) {
      try write(UnsafeRawBufferPointer(chunk), at: offset)
    }
    try check("fsync", path) { fsync(descriptor) }
  }

  deinit { close(descriptor) }

  /// Writes whole blocks and returns when they are durable.
  func append(_ bytes: UnsafeRawBufferPointer) throws(BareLoopError) {
    if offset + bytes.count > Self.length { offset = 0 }
    try write(bytes, at: offset)
    if flush == .fdatasync { try check("fdatasync") { Glibc.fdatasync(descriptor) } }
    offset += bytes.count
    bytesWritten += UInt64(bytes.count)
    flushes += flush == .none ? 0 : 1
  }

  private func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(BareLoopError) {
    var done = 0
    while done < bytes.count {
      let written = pwrite(
        descriptor, bytes.baseAddress.unsafelyUnwrapped + done, bytes.count - done, offset + done)
      if written < 0, errno == EINTR { continue }
      guard written > 0 else { throw BareLoopError(call: "pwrite", "journal, --flush \(flush)") }
      done += written
    }
  }
}
