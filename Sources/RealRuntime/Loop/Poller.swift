import CLinux
import Glibc
import Protocol

/// What happened to a watched file descriptor.
struct PollEvent {
  /// What it was registered under.
  var token: UInt64
  var isReadable: Bool
  var isWritable: Bool
  /// The other side is gone, or the descriptor is broken: reading tells how.
  var isClosed: Bool
}

/// Level-triggered epoll, and a way for other threads to wake its waiter.
final class Poller {
  static let wakeToken = UInt64.max

  private let epoll: Int32
  private let wakeUp: WakeUp
  private var buffer = [epoll_event](repeating: epoll_event(), count: 256)

  init() throws(SystemError) {
    epoll = try check("epoll_create1") { epoll_create1(Int32(EPOLL_CLOEXEC)) }
    wakeUp = try WakeUp()
    try add(wakeUp.descriptor, token: Self.wakeToken)
  }

  deinit { close(epoll) }

  /// Safe to use from any thread.
  var waker: WakeUp { wakeUp }

  func add(_ descriptor: Int32, token: UInt64, writable: Bool = false) throws(SystemError) {
    var event = Self.event(token, writable)
    try check("epoll_ctl") { epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) }
  }

  func modify(_ descriptor: Int32, token: UInt64, readable: Bool = true, writable: Bool) {
    var event = Self.event(token, writable, readable)
    // Fails only for a descriptor that is not registered, which is a mistake in this program.
    precondition(epoll_ctl(epoll, EPOLL_CTL_MOD, descriptor, &event) == 0)
  }

  /// Before the descriptor is closed.
  func remove(_ descriptor: Int32) {
    var event = epoll_event()
    _ = epoll_ctl(epoll, EPOLL_CTL_DEL, descriptor, &event)
  }

  /// Waits until something happens or `deadline` comes, and hands every event to `body`.
  func wait(until deadline: Instant, _ body: (PollEvent) -> Void) throws(SystemError) {
    var count: Int32
    if deadline == .never {
      count = epoll_wait(epoll, &buffer, Int32(buffer.count), -1)
    } else {
      let left = (deadline - MonotonicClock.now()).nanoseconds
      var time = timespec(
        tv_sec: Int(left / 1_000_000_000), tv_nsec: Int(left % 1_000_000_000))
      count = epoll_pwait2(epoll, &buffer, Int32(buffer.count), &time, nil)
    }
    if count < 0 {
      guard errno == EINTR else { throw SystemError("epoll_wait") }
      count = 0
    }
    for i in 0..<Int(count) {
      let (events, token) = (buffer[i].events, buffer[i].data.u64)
      if token == Self.wakeToken { wakeUp.clear() }
      body(
        PollEvent(
          token: token, isReadable: events & EPOLLIN.rawValue != 0,
          isWritable: events & EPOLLOUT.rawValue != 0,
          isClosed: events & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0))
    }
  }

  private static func event(
    _ token: UInt64, _ writable: Bool, _ readable: Bool = true
  ) -> epoll_event {
    var event = epoll_event()
    event.events = (readable ? EPOLLIN.rawValue : 0) | (writable ? EPOLLOUT.rawValue : 0)
    event.data.u64 = token
    return event
  }
}

/// An eventfd: any thread may wake the loop that watches it.
final class WakeUp: Sendable {
  let descriptor: Int32

  init() throws(SystemError) {
    descriptor = try check("eventfd") { eventfd(0, Int32(EFD_NONBLOCK) | Int32(EFD_CLOEXEC)) }
  }

  deinit { close(descriptor) }

  func wake() {
    var one: UInt64 = 1
    // Only a full counter is refused, and then a wake-up is pending anyway.
    _ = write(descriptor, &one, 8)
  }

  func clear() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
  }
}
