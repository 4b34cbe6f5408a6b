import CLinux
import Glibc
import Protocol

/// Plain stream sockets, non-blocking and closed on exec.
enum Socket {
  /// Looks a name up and listens at the first address that works. Blocks while the name is looked up.
  static func listen(
    host: String, port: UInt16, backlog: Int32 = 1_024
  ) throws(SystemError) -> Int32 {
    try withAddresses(host, port, passive: true) { (address) throws(SystemError) in
      let descriptor = try open(address)
      do throws(SystemError) {
        try set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
        try check("bind", "\(host):\(port)") {
          bind(descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen)
        }
        try check("listen", "\(host):\(port)") { Glibc.listen(descriptor, backlog) }
      } catch {
        close(descriptor)
        throw error
      }
      return descriptor
    }
  }

  /// Looks a name up and begins to connect; the descriptor is writable when it is decided. Blocks during the look-up.
  static func connect(host: String, port: UInt16) throws(SystemError) -> Int32 {
    try withAddresses(host, port, passive: false) { (address) throws(SystemError) in
      let descriptor = try open(address)
      let result = Glibc.connect(
        descriptor, address.pointee.ai_addr, address.pointee.ai_addrlen)
      if result < 0, errno != EINPROGRESS {
        let error = SystemError("connect", "\(host):\(port)")
        close(descriptor)
        throw error
      }
      return descriptor
    }
  }

  /// The next connection that waits at a listener, nil when none does.
  static func accept(_ listener: Int32) throws(SystemError) -> Int32? {
    while true {
      let descriptor = rsl_accept(listener, nil, nil)
      if descriptor >= 0 { return descriptor }
      switch errno {
      case EINTR, ECONNABORTED, EPROTO: continue
      case EAGAIN: return nil
      default: throw SystemError("accept")
      }
    }
  }

  /// The result of a connection attempt that has become writable: 0, or the `errno` of its failure.
  static func connectResult(_ descriptor: Int32) -> Int32 {
    var code: Int32 = 0
    var length = socklen_t(MemoryLayout<Int32>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else { return errno }
    return code
  }

  /// Small messages leave at once: batching is the loop's business. Sockets without TCP underneath do not know the option.
  static func sendAtOnce(_ descriptor: Int32) {
    try? set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  /// The kernel gives a connection up when what was sent is not acknowledged for so long. It would try for a quarter of an hour,
  /// twice as rarely each time, and notice a healed network as late as it had been cut.
  static func giveUp(_ descriptor: Int32, after span: TimeSpan) {
    try? set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, milliseconds(span))
  }

  static func milliseconds(_ span: TimeSpan) -> Int32 {
    Int32(clamping: span.nanoseconds / 1_000_000)
  }

  /// The numeric address of the other side without its port, for logs and limits; "local" for a socket pair.
  static func peerHost(_ descriptor: Int32) -> String {
    name(descriptor, Glibc.getpeername)?.host ?? "local"
  }

  /// The port a socket has here: of a connection that was accepted, the listener's.
  static func localPort(_ descriptor: Int32) -> UInt16? {
    name(descriptor, Glibc.getsockname)?.port
  }

  private static func name(
    _ descriptor: Int32,
    _ get: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
  ) -> (host: String, port: UInt16)? {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    var host = [CChar](repeating: 0, count: 64)
    var service = [CChar](repeating: 0, count: 16)
    let isNamed = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        get(descriptor, address, &length) == 0
          && address.pointee.sa_family != sa_family_t(AF_UNIX)
          && getnameinfo(
            address, length, &host, socklen_t(host.count), &service, socklen_t(service.count),
            NI_NUMERICHOST | NI_NUMERICSERV) == 0
      }
    }
    guard isNamed else { return nil }
    func text(_ characters: [CChar]) -> String {
      String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return (text(host), UInt16(text(service)) ?? 0)
  }

  private static func open(_ address: UnsafePointer<addrinfo>) throws(SystemError) -> Int32 {
    try check("socket") {
      socket(
        address.pointee.ai_family,
        Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    }
  }

  private static func set(
    _ descriptor: Int32, _ level: Int32, _ option: Int32, _ value: Int32
  ) throws(SystemError) {
    var value = value
    try check("setsockopt") {
      setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// Tries `body` with each address of a name until one works; throws the last failure.
  private static func withAddresses(
    _ host: String, _ port: UInt16, passive: Bool,
    _ body: (UnsafePointer<addrinfo>) throws(SystemError) -> Int32
  ) throws(SystemError) -> Int32 {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = passive ? AI_PASSIVE : 0
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &list) == 0, let first = list else {
      throw SystemError("resolve", "\(host):\(port)", code: EHOSTUNREACH)
    }
    defer { freeaddrinfo(first) }
    var failure = SystemError("resolve", "\(host):\(port)", code: EHOSTUNREACH)
    var next: UnsafeMutablePointer<addrinfo>? = first
    while let address = next {
      do throws(SystemError) { return try body(address) } catch { failure = error }
      next = address.pointee.ai_next
    }
    throw failure
  }
}
