import CLinux
import Glibc

/// A ring of memory that is mapped twice, one mapping behind the other, so that no bytes are ever split at its end.
///
/// Positions grow for ever. Nothing is moved within the ring: a copy between the two mappings of the same bytes would not
/// see that source and target overlap.
final class LogRing {
  /// In bytes, a power of two.
  let capacity: Int
  private let base: UnsafeMutableRawPointer

  /// - Parameter atLeast: rounded up to a power of two, and to 1 MiB.
  init(atLeast: Int) throws(BareLoopError) {
    var capacity = 1 << 20
    while capacity < atLeast { capacity *= 2 }
    self.capacity = capacity
    let file = try check("memfd_create") { rsl_memfd_create("bare-loop") }
    defer { close(file) }
    try check("ftruncate", "a log of \(capacity) bytes") { ftruncate(file, capacity) }
    guard let range = mmap(nil, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      range != MAP_FAILED
    else { throw BareLoopError(call: "mmap", "a log of \(capacity) bytes") }
    base = range
    for half in 0..<2 {
      let place = mmap(
        range + half * capacity, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0)
      guard place != MAP_FAILED else {
        throw BareLoopError(call: "mmap", "a log of \(capacity) bytes")
      }
    }
    // Fault every page in, through both mappings, before anything is measured.
    for offset in stride(from: 0, to: 2 * capacity, by: 4096) {
      base.storeBytes(of: 0, toByteOffset: offset, as: UInt8.self)
    }
  }

  deinit { munmap(base, 2 * capacity) }

  @inline(__always)
  func at(_ position: UInt64) -> UnsafeMutableRawPointer {
    base + Int(position & UInt64(capacity - 1))
  }

  func bytes(_ begin: UInt64, _ end: UInt64) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: at(begin), count: Int(end - begin))
  }
}
