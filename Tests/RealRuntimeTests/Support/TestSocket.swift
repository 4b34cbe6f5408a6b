import Foundation
import Glibc
import RealRuntime
import Testing

/// A blocking socket of a test. Every wait ends after ten seconds, so that a test that hangs fails.
final class TestSocket: @unchecked Sendable {
  let descriptor: Int32

  init(owning descriptor: Int32) {
    self.descriptor = descriptor
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(descriptor, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let flags = fcntl(descriptor, F_GETFL)
    _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
  }

  /// Connects to a port of 127.0.0.1.
  convenience init(port: UInt16) throws {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
    self.init(owning: descriptor)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
  }

  deinit { close(descriptor) }

  func send(_ text: String) async throws { try await send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) async throws {
    try await offPool { [self] in
      var sent = 0
      while sent < bytes.count {
        let count = bytes[sent...].withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        sent += count
      }
    }
  }

  /// At most this many bytes; none at the end of the stream.
  func receive(_ count: Int = 65_536) async throws -> [UInt8] {
    try await offPool { [self] in try receiveNow(count) }
  }

  /// Everything until the other side ends.
  func receiveAll() async throws -> [UInt8] {
    try await offPool { [self] in
      var all: [UInt8] = []
      while true {
        let bytes = try receiveNow(1 << 20)
        if bytes.isEmpty { return all }
        all += bytes
      }
    }
  }

  private func receiveNow(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    while true {
      let received = bytes.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
      if received < 0 && errno == EINTR { continue }
      // A connection that is cut off has ended as well.
      if received < 0 && errno == ECONNRESET { return [] }
      guard received >= 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
      return Array(bytes[..<received])
    }
  }

  /// Sends the pattern over and over until nothing more is taken for a while, or until so many bytes were; returns how
  /// many.
  func sendUntilHeldBack(_ pattern: [UInt8], atMost limitBytes: Int) async throws -> Int {
    try await offPool { [self] in
      var limit = timeval(tv_sec: 0, tv_usec: 500_000)
      let size = socklen_t(MemoryLayout<timeval>.size)
      setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
      defer {
        limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
      }
      var sent = 0
      while sent < limitBytes {
        let count = pattern[(sent % pattern.count)...].withUnsafeBytes {
          Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count < 0 && errno == EINTR { continue }
        if count < 0 && errno == EAGAIN { return sent }
        guard count > 0 else { throw POSIXError(.init(rawValue: errno) ?? .EIO) }
        sent += count
      }
      return sent
    }
  }

  /// Neither sends nor receives any more, as if it were closed.
  func end() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }
}

/// Does what blocks in a thread of its own: Swift's pool has as many threads as there are cores, and what is tested runs
/// in it.
func offPool<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
  try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
  }
}

/// Looks at a condition again and again; fails the test when it never holds.
func waitUntil(_ what: String, _ condition: () async throws -> Bool) async throws {
  let end = ContinuousClock.now + .seconds(60)
  var attempts = 0
  // Also by number: other tests may keep the threads that look from looking.
  while ContinuousClock.now < end || attempts < 1_000 {
    attempts += 1
    if try await condition() { return }
    // What is waited for happens on other threads and tells nobody.
    try await Task.sleep(for: .milliseconds(2))
  }
  Issue.record("never: \(what)")
  throw CancellationError()
}

/// A folder that is gone afterwards.
func withFolder<T>(_ body: (URL) async throws -> T) async throws -> T {
  let folder = FileManager.default.temporaryDirectory.appending(path: "rsl-tests-\(UUID())")
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: folder) }
  return try await body(folder)
}
