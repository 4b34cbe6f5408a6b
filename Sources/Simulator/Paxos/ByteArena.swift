internal import Protocol

/// All bytes of a run that travel or lie in a log buffer, append only, so that a handle means the same on every node.
///
/// A shortcut of the simulation: a real host copies a received payload into its own log buffer, which changes only the
/// position. Each node's commands still lie back to back in regions of its own, so batches form as they do in a host.
struct ByteArena: Sendable {
  var bytes: [UInt8] = []

  /// A region of one node into which it receives commands.
  struct Region: Sendable {
    var next = 0
    var end = 0
  }

  private static let regionLength = 4_096

  mutating func append(_ new: UnsafeRawBufferPointer) -> BytesRef {
    let position = bytes.count
    bytes.append(contentsOf: new)
    return BytesRef(position: UInt64(position), length: UInt32(new.count))
  }

  mutating func append(_ new: some Collection<UInt8>) -> BytesRef {
    let position = bytes.count
    bytes.append(contentsOf: new)
    return BytesRef(position: UInt64(position), length: UInt32(new.count))
  }

  /// What was appended to `bytes` from `start` on.
  func since(_ start: Int) -> BytesRef {
    BytesRef(position: UInt64(start), length: UInt32(bytes.count - start))
  }

  /// Copies bytes of the arena behind what `region` holds; begins a new region when they do not fit.
  mutating func receive(_ range: Range<Int>, into region: inout Region) -> BytesRef {
    if region.next + range.count > region.end {
      region.next = bytes.count
      region.end = bytes.count + max(Self.regionLength, range.count)
      bytes.append(contentsOf: repeatElement(0, count: region.end - region.next))
    }
    let position = region.next
    region.next += range.count
    bytes.withUnsafeMutableBytes { all in
      let target = UnsafeMutableRawBufferPointer(rebasing: all[position..<position + range.count])
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: all[range]))
    }
    return BytesRef(position: UInt64(position), length: UInt32(range.count))
  }

  /// Calls `body` with the bytes of a handle.
  func with<R>(_ ref: BytesRef, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    bytes.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[Int(ref.position)..<Int(ref.end)]))
    }
  }

  func range(_ ref: BytesRef) -> Range<Int> { Int(ref.position)..<Int(ref.end) }
}
