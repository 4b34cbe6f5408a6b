import CLinux
import Glibc
import Protocol

/// The host's log buffer: a ring of memory that holds the bytes of every command the replica still may ask for.
///
/// Positions grow for ever; a position's place is its remainder by the capacity. The memory is mapped twice, one mapping
/// behind the other, so that bytes which run over the ring's end are contiguous all the same. Bytes are written once, when
/// they are received, and only pointed at from then on: by the journal's writes, the sends to peers, and apply.
final class LogBuffer {
  /// In bytes, a power of two and a multiple of the page size.
  let capacity: Int
  /// The lowest position that is still held.
  private(set) var begin: UInt64 = 0
  /// Where the next bytes go.
  private(set) var end: UInt64 = 0
  /// The memory itself, for the thread that writes the journal.
  let memory: Memory
  private let mapping: Mapping
  /// Up to here, in the first round, the kernel has been asked for the memory behind the mapping.
  private var populated = 0

  /// Finds bytes by their position. Which positions are held, the loop knows: whoever else looks at one has been given it
  /// by the loop, which does not release it before it is given back.
  struct Memory: @unchecked Sendable {
    fileprivate let base: UnsafeMutableRawPointer
    fileprivate let mask: UInt64

    func bytes(_ ref: BytesRef) -> UnsafeRawBufferPointer {
      UnsafeRawBufferPointer(start: base + Int(ref.position & mask), count: Int(ref.length))
    }
  }

  /// Both mappings; they end with the last one who uses them.
  private final class Mapping: @unchecked Sendable {
    // Never changes; what lies there is the owner's affair.
    let range: UnsafeMutableRawPointer
    let length: Int

    init(_ range: UnsafeMutableRawPointer, _ length: Int) {
      self.range = range
      self.length = length
    }

    deinit { munmap(range, length) }
  }

  init(capacity: Int) throws(SystemError) {
    precondition(capacity >= 1 << 16 && capacity & (capacity - 1) == 0, "not a power of two")
    self.capacity = capacity
    let file = try check("memfd_create") { rsl_memfd_create("rsl-log") }
    defer { close(file) }
    try check("ftruncate", "log buffer of \(capacity) bytes") { ftruncate(file, capacity) }
    // Reserve both halves as one range, then put the same memory into each.
    guard
      let range = mmap(nil, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      range != MAP_FAILED
    else { throw SystemError("mmap", "log buffer of \(capacity) bytes") }
    memory = Memory(base: range, mask: UInt64(capacity - 1))
    mapping = Mapping(range, 2 * capacity)
    for half in 0..<2 {
      let place = mmap(
        range + half * capacity, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0)
      guard place != MAP_FAILED else {
        throw SystemError("mmap", "log buffer of \(capacity) bytes")
      }
    }
  }

  /// How far ahead of the end memory is asked for, in bytes, and how much at a time.
  private static let piece = 8 << 20

  /// Asks the kernel for the memory that comes next, in the first round: a piece at a time and on a thread that may block,
  /// rather than a page at a time when bytes first come to it. Those faults took a sixth of the loop's time.
  func populateAhead(on worker: WorkerThread) {
    guard populated < capacity, end + UInt64(Self.piece) > populated else { return }
    let (begin, mapping) = (populated, mapping)
    let length = min(Self.piece, capacity - begin)
    populated += length
    worker.run {
      // Kernels before 5.14 do not know the call: there, pages come as they are used.
      _ = rsl_populate(mapping.range + begin, length)
    }
  }

  /// How many bytes are held.
  var count: Int { Int(end - begin) }

  func hasRoom(for length: Int) -> Bool { count + length <= capacity }

  /// Copies bytes to the end and returns their position; nil when there is no room.
  func append(_ bytes: UnsafeRawBufferPointer) -> UInt64? {
    guard hasRoom(for: bytes.count) else { return nil }
    let position = end
    // Within one mapping: source and target never are the same memory under two addresses.
    if let source = bytes.baseAddress {
      (memory.base + Int(position & memory.mask)).copyMemory(from: source, byteCount: bytes.count)
    }
    end += UInt64(bytes.count)
    return position
  }

  /// Takes back what was appended last, when it turned out that nobody wants it.
  func retract(to position: UInt64) {
    precondition(position >= begin && position <= end)
    end = position
  }

  /// The bytes of a handle; valid until they are released.
  func bytes(_ ref: BytesRef) -> UnsafeRawBufferPointer {
    precondition(
      ref.length == 0 || ref.position >= begin && ref.end <= end, "bytes that are not held")
    return memory.bytes(ref)
  }

  /// Nothing below `position` is asked for any more.
  func release(upTo position: UInt64) {
    begin = max(begin, min(position, end))
  }
}
