import Glibc

/// Items of one length on their way to a socket, in a ring of as many as may be outstanding.
///
/// An item's place is used again when as many were written after it. Both ends wait for an item's answer before that, so
/// its bytes were sent long before.
final class Outbox {
  let descriptor: Int32
  let itemLength: Int
  private let bytes: UnsafeMutableRawBufferPointer
  private var written: UInt64 = 0
  private var sent: UInt64 = 0
  private let capacity: UInt64
  private var place = 0
  /// The socket takes nothing at present; the poller tells when it does.
  private(set) var isBlocked = false

  init(_ descriptor: Int32, items: Int, itemLength: Int) {
    self.descriptor = descriptor
    self.itemLength = itemLength
    bytes = .allocate(byteCount: items * itemLength, alignment: 64)
    bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
    capacity = UInt64(bytes.count)
  }

  deinit { bytes.deallocate() }

  var hasUnsent: Bool { sent < written }

  /// The next item's place; what is not overwritten holds filler.
  @inline(__always)
  func append(_ first: UInt64, _ second: UInt64) {
    let item = bytes.baseAddress.unsafelyUnwrapped + place
    item.storeBytes(of: first, as: UInt64.self)
    item.storeBytes(of: second, toByteOffset: 8, as: UInt64.self)
    place += itemLength
    if place == bytes.count { place = 0 }
    written += UInt64(itemLength)
  }

  /// Sends what the socket takes, in one call. The poller watches for the rest.
  func flush(_ poller: Poller, token: Int) throws(BareLoopError) {
    var blocked = false
    while sent < written {
      let begin = Int(sent % capacity)
      let count = Int(written - sent)
      let first = min(count, bytes.count - begin)
      let base = bytes.baseAddress.unsafelyUnwrapped
      var pieces = (
        iovec(iov_base: base + begin, iov_len: first), iovec(iov_base: base, iov_len: count - first)
      )
      let result = withUnsafeMutablePointer(to: &pieces) { pieces in
        pieces.withMemoryRebound(to: iovec.self, capacity: 2) { pieces in
          var message = msghdr()
          message.msg_iov = pieces
          message.msg_iovlen = first < count ? 2 : 1
          return sendmsg(
            descriptor, &message, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
        }
      }
      if result >= 0 {
        sent += UInt64(result)
      } else if errno == EAGAIN {
        blocked = true
        break
      } else if errno != EINTR {
        throw BareLoopError(call: "sendmsg")
      }
    }
    if blocked != isBlocked {
      try poller.watch(descriptor, token: token, writable: blocked)
      isBlocked = blocked
    }
  }
}
