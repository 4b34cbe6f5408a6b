import Foundation
import NIOCore
import Protocol
import RESP
import TestSupport
import Testing

@testable import RESPServer

/// The clients people use, unmodified, against a gateway in this process.
@Suite struct RealClientTests {
  @Test(.enabled(if: Tools.hasRedisTools, Comment(rawValue: Tools.missingRedisTools)))
  func redisCLITalksToIt() async throws {
    try await withGateway { gateway in
      for version in [2, 3] {
        let shown = try RedisCLI.converse(port: gateway.port, version: version)
        #expect(shown == RedisCLI.expected(version: version), "redis-cli -\(version)")
      }
      let keys = try Tools.run("redis-cli", ["-p", "\(gateway.port)", "--scan", "--pattern", "g*"])
      #expect(keys.output == "greeting\n")
    }
  }

  @Test(.enabled(if: Tools.hasRedisTools, Comment(rawValue: Tools.missingRedisTools)))
  func redisBenchmarkRunsWithoutAnError() async throws {
    try await withGateway { gateway in
      let (status, output, errors) = try Tools.run(
        "redis-benchmark",
        [
          "-p", "\(gateway.port)", "-t",
          "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,lrange_100,mset", "-n", "3000", "-P",
          "16", "-c", "20", "--csv",
        ])
      #expect(status == 0, "\(errors)")
      #expect(!(output + errors).localizedCaseInsensitiveContains("error"), "\(output)\(errors)")
      let tests = output.split(separator: "\n").filter { $0.hasPrefix("\"") }
      // The head, two kinds of PING, LPUSH once more for LRANGE, and one line for each of the others.
      #expect(tests.count == 15, "\(output)")
      let statistics = try await gateway.statistics()
      #expect(statistics.commandsSubmitted >= 30_000)
      #expect(statistics.readsSubmitted >= 6000)
    }
  }

  @Test(.enabled(if: Tools.hasRedisPy, Comment(rawValue: Tools.missingRedisPy)))
  func redisPyTalksToIt() async throws {
    try await withGateway { gateway in
      let said = try RedisPy.converse(port: gateway.port)
      #expect(said == "fine\n")
    }
  }

  /// Starts Redis itself on a port that was free a moment ago.
  private static func withRedis<R>(_ body: (Int) throws -> R) throws -> R {
    let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutableBytes(of: &address) { bytes in
      let pointer = bytes.baseAddress!.assumingMemoryBound(to: sockaddr.self)
      _ = bind(probe, pointer, length)
      _ = getsockname(probe, pointer, &length)
      return Int(
        in_port_t(bigEndian: bytes.loadUnaligned(fromByteOffset: 2, as: in_port_t.self)))
    }
    close(probe)
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
      "redis-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let process = Tools.process(
      "bash",
      [
        "-c",
        "exec -a redis-server \"$(command -v redis-server redis-check-rdb | head -n 1)\" \"$@\"",
        "redis", "--port", "\(port)", "--bind", "127.0.0.1", "--save", "", "--dir", folder.path,
      ])
    let output = Pipe()
    process.standardOutput = output
    try process.run()
    defer {
      // Not SIGTERM, which it inherits blocked from the thread it is started on.
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
    }
    // Its log says when it listens.
    var log = ""
    while !log.contains("Ready to accept connections") {
      let data = output.fileHandleForReading.availableData
      if data.isEmpty { throw TestClient.Failure.ended }
      log += String(decoding: data, as: UTF8.self)
    }
    return try body(port)
  }

  @Test(
    .enabled(if: Tools.hasRedisServer, Comment(rawValue: Tools.missingRedisTools)),
    arguments: [UInt64](0..<6))
  func itAnswersAsRedisDoes(seed: UInt64) async throws {
    try await withGateway { gateway in
      try Self.withRedis { port in
        let (ours, theirs) = (try TestClient(port: gateway.port), try TestClient(port: port))
        var generator = CommandGenerator(seed: seed)
        if seed % 2 == 0 { generator.keys = 4 }
        var compared = 0
        for step in 0..<4000 {
          let texts = generator.texts()
          // Two clocks are never the same; expiry is tested against the model.
          if texts.contains("PX") || texts[0] == "PEXPIRE" { continue }
          let words = texts.map { Array($0.utf8) }
          try ours.send(words: words)
          try theirs.send(words: words)
          let (our, their) = (try ours.receive(), try theirs.receive())
          compared += 1
          guard Self.inOrder(our, texts[0]) == Self.inOrder(their, texts[0]) else {
            Issue.record("seed \(seed) step \(step): \(texts) → \(our), Redis: \(their)")
            return
          }
        }
        #expect(compared > 3000)
      }
    }
  }

  /// Large hashes come in an order of their own.
  private static func inOrder(_ value: RESPValue, _ command: String) -> [String] {
    guard ["HGETALL", "HKEYS", "HVALS"].contains(command), case .array(let values) = value else {
      return [value.description]
    }
    return values.map(\.description).sorted()
  }
}
