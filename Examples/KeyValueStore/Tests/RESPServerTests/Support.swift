import Foundation
import KeyValueMachine
import NIOCore
import NIOPosix
import RESP

@testable import RESPServer

/// Runs `body` against a gateway in front of a store in this process.
func withGateway<R>(
  _ configuration: GatewayConfiguration = GatewayConfiguration(port: 0),
  _ body: (Gateway) async throws -> R
) async throws -> R {
  let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  let gateway = try await Gateway.start(configuration, on: group) { eventLoop, completed in
    LocalSubmitter(on: eventLoop, completed: completed)
  }
  let result: R
  do {
    result = try await body(gateway)
  } catch {
    try? await gateway.close()
    try? await group.shutdownGracefully()
    throw error
  }
  try await gateway.close()
  try await group.shutdownGracefully()
  return result
}

/// A blocking socket: what a client sends and receives, without a client library in between.
final class TestClient {
  enum Failure: Error {
    case connect(Int32)
    /// The connection ended, or nothing came for ten seconds.
    case ended
  }

  private let descriptor: Int32
  private var received: [UInt8] = []

  init(port: Int) throws {
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

  func send(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let n = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard n > 0 else { throw Failure.ended }
      sent += n
    }
  }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  /// As redis-cli sends a command.
  func send(words: [[UInt8]]) throws {
    var builder = RESPBuilder()
    builder.array(words.count)
    for word in words { builder.bulk(word) }
    try send(builder.bytes)
  }

  /// Nothing more will be sent.
  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// The next reply.
  func receive() throws -> RESPValue {
    while true {
      if let (value, length) = RESPValue.parse(received[...]) {
        received.removeFirst(length)
        return value
      }
      try receiveMore()
    }
  }

  /// Everything up to the end of the connection.
  func receiveAll() throws -> String {
    while true {
      do {
        try receiveMore()
      } catch Failure.ended {
        return String(decoding: received, as: UTF8.self)
      }
    }
  }

  func perform(_ line: String) throws -> RESPValue {
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

/// Programs of Redis and of its users, where they are installed.
enum Tools {
  static let hasRedisTools = isThere("redis-cli") && isThere("redis-benchmark")
  /// Debian's redis-tools holds the server under another name: which of its programs it is, is decided by argument zero.
  static let hasRedisServer = isThere("redis-server") || isThere("redis-check-rdb")
  static let hasRedisPy = (try? run("python3", ["-c", "import redis"]).status) == 0

  static let missingRedisTools = "redis-tools is not installed (scripts/bootstrap installs it)"
  static let missingRedisPy = "the Python package redis is not installed"

  private static func isThere(_ name: String) -> Bool {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").contains {
      FileManager.default.isExecutableFile(atPath: "\($0)/\(name)")
    }
  }

  static func process(_ name: String, _ arguments: [String]) -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [name] + arguments
    return process
  }

  /// Runs a program to its end, and returns what it wrote.
  static func run(
    _ name: String, _ arguments: [String], input: String = ""
  ) throws -> (status: Int32, output: String, errors: String) {
    let process = process(name, arguments)
    let (stdin, stdout, stderr) = (Pipe(), Pipe(), Pipe())
    process.standardInput = stdin
    process.standardOutput = stdout
    process.standardError = stderr
    try process.run()
    stdin.fileHandleForWriting.write(Data(input.utf8))
    try stdin.fileHandleForWriting.close()
    // The output first: a pipe that nobody reads would stop the program. Errors are short.
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    let errors = stderr.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (
      process.terminationStatus, String(decoding: output, as: UTF8.self),
      String(decoding: errors, as: UTF8.self)
    )
  }
}
