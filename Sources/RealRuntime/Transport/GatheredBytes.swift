import Glibc
import Protocol

/// Bytes to be written that lie in two places: heads and fixed parts here, payloads where they were received.
///
/// The log buffer's bytes are gathered by the system call, never copied by this program, unless the other side is too
/// slow to take them: what it did not take is copied, because the log buffer does not wait for it.
struct GatheredBytes {
  /// What is not a payload, in order.
  var bytes: [UInt8] = []
  private var cuts: [Cut] = []
  private(set) var payloadCount = 0

  private struct Cut {
    /// The payload belongs before this offset of `bytes`.
    var place: Int
    var payload: BytesRef
  }

  var isEmpty: Bool { bytes.isEmpty }
  var count: Int { bytes.count + payloadCount }
  /// The lowest position of the log buffer that is still needed here.
  var lowestPosition: UInt64? { cuts.lazy.map(\.payload.position).min() }

  mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    cuts.removeAll(keepingCapacity: true)
    payloadCount = 0
  }

  mutating func insert(_ payload: BytesRef, at place: Int) {
    guard payload.length > 0 else { return }
    cuts.append(Cut(place: place, payload: payload))
    payloadCount += Int(payload.length)
  }

  /// Hands everything in order to `body`; the vectors are valid until it returns. `log` is needed for payloads.
  func gather(
    _ log: LogBuffer.Memory?, into vectors: inout [iovec], _ body: (inout [iovec]) -> Void
  ) {
    bytes.withUnsafeBytes { own in
      vectors.removeAll(keepingCapacity: true)
      var begin = 0
      func add(_ base: UnsafeRawPointer?, _ count: Int) {
        guard count > 0 else { return }
        vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: base), iov_len: count))
      }
      for cut in cuts {
        add(own.baseAddress.map { $0 + begin }, cut.place - begin)
        let payload = log!.bytes(cut.payload)
        add(payload.baseAddress, payload.count)
        begin = cut.place
      }
      add(own.baseAddress.map { $0 + begin }, own.count - begin)
      body(&vectors)
    }
  }
}

extension [iovec] {
  /// Takes `count` bytes off, beginning with element `first`; returns the first element that is left.
  mutating func advance(from first: Int, by count: Int) -> Int {
    var (i, left) = (first, count)
    while i < self.count, left >= self[i].iov_len {
      left -= self[i].iov_len
      i += 1
    }
    if left > 0 {
      self[i].iov_base += left
      self[i].iov_len -= left
    }
    return i
  }
}
