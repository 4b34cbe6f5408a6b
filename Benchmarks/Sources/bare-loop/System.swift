import CLinux
import Glibc

/// What ended the measurement before its time: a system call that failed, or bytes that are not what was sent.
struct BareLoopError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// The last failure of this thread.
  init(call: String, _ subject: String = "") {
    description =
      "\(call)\(subject.isEmpty ? "" : " \(subject)"): \(String(cString: strerror(errno)))"
  }
}

/// Runs a system call that says -1 when it failed.
@discardableResult
func check<T: SignedInteger>(
  _ call: String, _ subject: String = "", _ body: () -> T
) throws(BareLoopError) -> T {
  let result = body()
  guard result >= 0 else { throw BareLoopError(call: call, subject) }
  return result
}

enum Clock {
  /// Nanoseconds of the monotonic clock.
  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// Level-triggered epoll.
final class Poller {
  struct Event {
    var token: Int
    /// Bytes can be read, or the end of the stream.
    var isReadable: Bool
    var isWritable: Bool
  }

  private let epoll: Int32
  private var buffer = [epoll_event](repeating: epoll_event(), count: 512)

  init() throws(BareLoopError) {
    epoll = try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
  }

  deinit { close(epoll) }

  func add(_ descriptor: Int32, token: Int) throws(BareLoopError) {
    try set(EPOLL_CTL_ADD, descriptor, token, writable: false)
  }

  /// Whether to say when bytes can be written.
  func watch(_ descriptor: Int32, token: Int, writable: Bool) throws(BareLoopError) {
    try set(EPOLL_CTL_MOD, descriptor, token, writable: writable)
  }

  func remove(_ descriptor: Int32) throws(BareLoopError) {
    try set(EPOLL_CTL_DEL, descriptor, 0, writable: false)
  }

  private func set(
    _ operation: Int32, _ descriptor: Int32, _ token: Int, writable: Bool
  ) throws(BareLoopError) {
    var event = epoll_event()
    event.events = EPOLLIN.rawValue | (writable ? EPOLLOUT.rawValue : 0)
    event.data.u64 = UInt64(token)
    try check("epoll_ctl") { epoll_ctl(epoll, operation, descriptor, &event) }
  }

  /// Waits for at least one event; returns how many there are.
  func wait() throws(BareLoopError) -> Int {
    while true {
      let count = epoll_wait(epoll, &buffer, Int32(buffer.count), -1)
      if count >= 0 { return Int(count) }
      guard errno == EINTR else { throw BareLoopError(call: "epoll_wait") }
    }
  }

  subscript(index: Int) -> Event {
    let ended = EPOLLHUP.rawValue | EPOLLERR.rawValue
    let events = buffer[index].events
    return Event(
      token: Int(buffer[index].data.u64),
      isReadable: events & (EPOLLIN.rawValue | ended) != 0,
      isWritable: events & (EPOLLOUT.rawValue | ended) != 0)
  }
}

/// Receives what is there, at most `count` bytes; nil when nothing is, 0 at the stream's end.
func receive(
  _ descriptor: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int, waits: Bool = false
) throws(BareLoopError) -> Int? {
  while true {
    let received = recv(descriptor, bytes, count, waits ? 0 : Int32(MSG_DONTWAIT))
    if received >= 0 { return received }
    if errno == EAGAIN { return nil }
    guard errno == EINTR else { throw BareLoopError(call: "recv") }
  }
}
