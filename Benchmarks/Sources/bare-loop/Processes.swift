import Foundation
import Glibc

/// A connected pair of TCP sockets on the loopback device, both closed when another program is started.
struct TCPPair {
  var near: Int32
  var far: Int32

  init() throws(BareLoopError) {
    let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let listener = try check("socket") { socket(AF_INET, type, 0) }
    defer { close(listener) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    near = try check("socket") { socket(AF_INET, type, 0) }
    let (client, size) = (near, length)
    try withUnsafeMutablePointer(to: &address) { address throws(BareLoopError) in
      try address.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        address throws(BareLoopError) in
        try check("bind") { bind(listener, address, size) }
        try check("listen") { listen(listener, 1) }
        try check("getsockname") { getsockname(listener, address, &length) }
        try check("connect") { connect(client, address, size) }
      }
    }
    far = try check("accept") { accept(listener, nil, nil) }
    for socket in [near, far] {
      var one: Int32 = 1
      try check("setsockopt", "TCP_NODELAY") {
        setsockopt(socket, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
      }
      try check("fcntl") { fcntl(socket, F_SETFD, FD_CLOEXEC) }
    }
  }
}

/// A replica: this program again, in a process of its own, with the sockets that it needs and no others.
struct ReplicaProcess {
  let name: String
  private let pid: pid_t
  private let output: Int32

  /// - Parameters:
  ///   - arguments: the subcommand and its options, without the descriptor it reports to.
  ///   - inheriting: the descriptors it is given, under the same numbers.
  init(_ name: String, arguments: [String], inheriting descriptors: [Int32]) throws(BareLoopError) {
    self.name = name
    var ends: [Int32] = [0, 0]
    try check("pipe") { pipe(&ends) }
    defer { close(ends[1]) }
    try check("fcntl") { fcntl(ends[0], F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    // Onto itself: that keeps a descriptor open which would be closed.
    for descriptor in descriptors {
      posix_spawn_file_actions_adddup2(&actions, descriptor, descriptor)
    }
    let words = ["bare-loop"] + arguments + ["--report", "\(ends[1])"]
    var pointers = words.map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var pid: pid_t = 0
    let status = posix_spawn(&pid, "/proc/self/exe", &actions, nil, &pointers, environ)
    guard status == 0 else {
      throw BareLoopError("\(name) cannot be started: \(String(cString: strerror(status)))")
    }
    self.pid = pid
    output = ends[0]
  }

  /// Waits until its files are made and its loop begins.
  func waitUntilReady() throws(BareLoopError) {
    var byte: UInt8 = 0
    guard try check("read", "", { read(output, &byte, 1) }) == 1 else { throw failed() }
  }

  /// Waits for its end.
  func report() throws(BareLoopError) -> RoleReport {
    let bytes = FileHandle(fileDescriptor: output, closeOnDealloc: true).readDataToEndOfFile()
    guard let report = try? JSONDecoder().decode(RoleReport.self, from: bytes) else {
      throw failed()
    }
    waitpid(pid, nil, 0)
    return report
  }

  private func failed() -> BareLoopError {
    waitpid(pid, nil, 0)
    return BareLoopError("\(name) ended before its time")
  }
}

/// The other side of `ReplicaProcess`.
struct ReportPipe {
  let descriptor: Int32

  func ready() throws(BareLoopError) {
    var byte: UInt8 = 0
    try check("write") { write(descriptor, &byte, 1) }
  }

  func end(_ report: RoleReport) throws {
    try FileHandle(fileDescriptor: descriptor).write(contentsOf: JSONEncoder().encode(report))
  }
}
