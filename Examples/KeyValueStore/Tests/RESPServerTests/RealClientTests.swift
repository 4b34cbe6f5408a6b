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
    let script = """
      SET greeting "hello world"
      GET greeting
      GET nothing
      LPUSH l a b c
      LRANGE l 0 -1
      HSET h one 1 two 2
      HGETALL h
      MULTI
      INCR n
      INCR n
      EXEC
      LPUSH greeting x
      TTL greeting
      DBSIZE
      """
    let expected = """
      OK
      hello world

      3
      c
      b
      a
      2
      one
      1
      two
      2
      OK
      QUEUED
      QUEUED
      1
      2
      WRONGTYPE Operation against a key holding the wrong kind of value

      -1
      4

      """
    try await withGateway { gateway in
      for version in ["-2", "-3"] {
        let (status, output, errors) = try Tools.run(
          "redis-cli", [version, "-p", "\(gateway.port)"], input: "FLUSHALL\n" + script + "\n")
        #expect(status == 0, "\(errors)")
        // redis-cli shows a map's keys and values side by side, an array's one below the other.
        let shown =
          version == "-2"
          ? expected
          : expected.replacingOccurrences(of: "one\n1\ntwo\n2\n", with: "one 1\ntwo 2\n")
        #expect(output == "OK\n" + shown, "redis-cli \(version)")
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
    let script = """
      import redis, sys
      for protocol in (2, 3):
          r = redis.Redis(port=int(sys.argv[1]), protocol=protocol, decode_responses=True)
          r.flushall()
          assert r.ping()
          assert r.set("a", "1") and r.get("a") == "1" and r.get("b") is None
          assert r.set("a", "2", nx=True) is None
          assert r.incr("a") == 2 and r.incrby("a", 5) == 7
          assert r.mset({"x": "1", "y": "2"}) and r.mget("x", "y", "z") == ["1", "2", None]
          assert r.rpush("l", "a", "b", "c") == 3 and r.lrange("l", 0, -1) == ["a", "b", "c"]
          assert r.lpop("l", 2) == ["a", "b"] and r.lpop("none") is None
          assert r.hset("h", mapping={"f": "1", "g": "2"}) == 2
          assert r.hgetall("h") == {"f": "1", "g": "2"}
          assert r.sadd("s", "m", "n") == 2 and r.smembers("s") == {"m", "n"}
          assert r.expire("a", 100) and 0 < r.ttl("a") <= 100 and r.persist("a")
          for i in range(200): r.set(f"key:{i}", i)
          assert sorted(r.scan_iter(match="key:*")) == sorted(f"key:{i}" for i in range(200))
          with r.pipeline(transaction=True) as p:
              p.incr("n").incr("n").hgetall("h").get("none")
              assert p.execute() == [1, 2, {"f": "1", "g": "2"}, None]
          with r.pipeline(transaction=False) as p:
              for i in range(1000): p.incr("m")
              p.get("m")
              assert p.execute()[-1] == "1000"
          try:
              r.lpush("a", "x")
              raise SystemExit("no error")
          except redis.ResponseError as e:
              assert str(e).startswith("WRONGTYPE"), e
          assert r.info()["role"] == "master" and r.config_get("save") == {"save": ""}
          assert r.client_setname("me") and r.client_getname() == "me"
          assert r.dbsize() == 208, r.dbsize()
      print("fine")
      """
    try await withGateway { gateway in
      let (status, output, errors) = try Tools.run(
        "python3", ["-c", script, "\(gateway.port)"])
      #expect(status == 0, "\(errors)")
      #expect(output == "fine\n")
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
