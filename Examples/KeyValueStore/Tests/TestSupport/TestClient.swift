import Foundation
public import RESP

/// A blocking socket: what a client sends and receives, without a client library in between.
public final class TestClient {
  public enum Failure: Error {
    case connect(Int32)
    /// The connection ended, or nothing came for ten seconds.
    case ended
  }

  private let descriptor: Int32
  private var received: [UInt8] = []

  public init(port: Int) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeBytes(of: &address) {
      connect(descriptor, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), length)
    }
    guard result == 0 else { throw Failure.connect(errno) }
    var limit = timeval(tv_sec: 10, tv_usec: 0)
    setsockopt(
      descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  public func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let n = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard n > 0 else { throw Failure.ended }
      sent += n
    }
  }

  public func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// As redis-cli sends a command.
  public func send(words: [[UInt8]]) throws {
    var builder = RESPBuilder()
    builder.array(words.count)
    for word in words { builder.bulk(word) }
    try send(builder.bytes)
  }

  /// Nothing more will be sent.
  public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The next reply.
  public func receive() throws -> RESPValue {
    while true {
      if let (value, length) = RESPValue.parse(received[...]) {
        received.removeFirst(length)
        return value
      }
      try receiveMore()
    }
  }

  /// Everything up to the end of the connection.
  public func receiveAll() throws -> String {
    while true {
      do {
        try receiveMore()
      } catch Failure.ended {
        return String(decoding: received, as: UTF8.self)
      }
    }
  }

  public func perform(_ line: String) throws -> RESPValue {
    try send(line + "\r\n")
    return try receive()
  }

  private func receiveMore() throws {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let n = recv(descriptor, &buffer, buffer.count, 0)
    guard n > 0 else { throw Failure.ended }
    received.append(contentsOf: buffer[..<n])
  }
}
