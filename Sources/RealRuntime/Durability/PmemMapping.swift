import CLinux
import CPmem
import Glibc
import Protocol

/// A segment's file as memory: bytes are stored where they belong, without a system call, and durable after a fence.
final class PmemMapping: @unchecked Sendable {
  // Never changes; one thread stores at a time, and what another one does, `populate`, changes no byte.
  private let base: UnsafeMutableRawPointer
  let length: Int
  /// Stores that were flushed survive a loss of power. Where they do not, the kernel is asked to write them back.
  let isPersistent: Bool
  private let path: String

  /// Maps all of a file, which has its length and its blocks. Only where `PmemSupport.unavailable` is nil.
  init(_ path: String) throws(SystemError) {
    var (length, isPersistent) = (0, Int32(0))
    guard let base = rsl_pmem_map(path, &length, &isPersistent) else {
      throw SystemError("pmem_map_file", path)
    }
    self.base = base
    self.length = length
    self.isPersistent = isPersistent == 1
    self.path = path
  }

  deinit { rsl_pmem_unmap(base, length) }

  /// Takes the page faults that the first stores would take, on a thread that may wait.
  func populate() {
    // Kernels before 5.14 do not know the call: there, pages come as they are used.
    _ = rsl_populate(base, length)
  }

  /// Makes a group of bytes durable at a multiple of 8, all of it or nothing (`GroupCommit`), and returns how many fences that
  /// took.
  func store(
    _ vectors: [iovec], at offset: Int, _ probe: WriteProbe
  ) throws(SystemError) -> Int {
    let total = vectors.reduce(0) { $0 + $1.iov_len }
    guard total <= length - offset else { throw SystemError("pmem store", path, code: ENOSPC) }
    precondition(
      offset % GroupCommit.wordLength == 0 && vectors[0].iov_len >= GroupCommit.wordLength,
      "a group begins with a head")
    var fences = 0
    var commit = GroupCommit(length: total)
    while let step = commit.next() {
      switch step {
      case .store(let part):
        probe.wrote(path, at: offset + part.lowerBound, Self.cut(vectors, to: part))
        copy(vectors, part, at: offset)
      case .publish:
        let head = vectors[0].iov_base!
        probe.wrote(path, at: offset, Self.cut(vectors, to: 0..<GroupCommit.wordLength))
        rsl_pmem_publish(base + offset, head.loadUnaligned(as: UInt64.self))
      case .fence:
        rsl_pmem_drain()
        probe.flushed(path)
        fences += 1
      }
    }
    if !isPersistent {
      try check("pmem_msync", path) { rsl_pmem_msync(base + offset, total) }
    }
    return fences
  }

  /// Stores some bytes of a group that begins at `offset`; durable after the next fence.
  private func copy(_ vectors: [iovec], _ part: Range<Int>, at offset: Int) {
    var start = 0
    for vector in vectors {
      let end = start + vector.iov_len
      let (from, to) = (max(start, part.lowerBound), min(end, part.upperBound))
      if from < to {
        rsl_pmem_copy(base + offset + from, vector.iov_base + (from - start), to - from)
      }
      start = end
    }
  }

  /// Only for who is told what is written.
  private static func cut(_ vectors: [iovec], to part: Range<Int>) -> [iovec] {
    var start = 0
    var parts: [iovec] = []
    for vector in vectors {
      let end = start + vector.iov_len
      let (from, to) = (max(start, part.lowerBound), min(end, part.upperBound))
      if from < to {
        parts.append(iovec(iov_base: vector.iov_base + (from - start), iov_len: to - from))
      }
      start = end
    }
    return parts
  }
}

/// Whether a journal can be kept in persistent memory here.
enum PmemSupport {
  /// How far a store has to get to be durable.
  enum Persistence: String {
    /// Out of the processor's caches.
    case memory = "ADR"
    /// Into the processor's caches, which are written back when power is lost.
    case caches = "eADR"
    /// No store is durable by itself.
    case volatile
  }

  enum Refusal: Error, CustomStringConvertible {
    case unavailable(String)
    case notPersistent(String)
    case system(SystemError)

    var description: String {
      switch self {
      case .unavailable(let reason):
        "journal.flush is pmem, and libpmem is unavailable (\(reason)); install it (Debian: libpmem1), or set journal.flush "
          + "to direct"
      case .notPersistent(let directory):
        "journal.flush is pmem, and \(directory) is not on persistent memory; put data-directory on a file system that is "
          + "mounted with DAX, or set journal.flush to direct, or, for a trial whose data may be lost with the machine, "
          + "set journal.pmem-accept-volatile"
      case .system(let error): "journal.flush is pmem, and no file can be mapped: \(error)"
      }
    }
  }

  /// Why libpmem cannot be used; nil when it can.
  static var unavailable: String? { rsl_pmem_unavailable().map { String(cString: $0) } }

  /// Tries a file in `directory`. Throws when it is not persistent memory, unless that is accepted.
  static func persistence(
    in directory: String, acceptsVolatile: Bool
  ) throws(Refusal) -> Persistence {
    if let unavailable { throw .unavailable(unavailable) }
    let isPersistent: Bool
    do throws(SystemError) { isPersistent = try probe(directory) } catch { throw .system(error) }
    guard isPersistent else {
      guard acceptsVolatile else { throw .notPersistent(directory) }
      return .volatile
    }
    return rsl_pmem_has_auto_flush() == 1 ? .caches : .memory
  }

  private static func probe(_ directory: String) throws(SystemError) -> Bool {
    let path = "\(directory)/pmem-probe"
    let file = try check("open", path) { open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
    defer {
      close(file)
      unlink(path)
    }
    try check("fallocate", path) { rsl_fallocate(file, 0, 4_096) }
    return try PmemMapping(path).isPersistent
  }
}
