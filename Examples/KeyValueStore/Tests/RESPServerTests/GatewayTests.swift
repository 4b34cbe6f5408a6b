import NIOCore
import RESP
import TestSupport
import Testing

@testable import RESPServer

@Suite struct GatewayTests {
  @Test(arguments: ["connection", "strings", "keys", "lists", "hashes", "transactions"])
  func repliesAreTheOnesOfTheTranscript(name: String) async throws {
    let transcript = try Transcript(named: name)
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      let differences = try transcript.differences(from: client)
      #expect(differences == [])
    }
  }

  @Test func aClientThatSendsEverythingAtOnceIsAnsweredInOrder() async throws {
    let count = 5000
    try await withGateway(GatewayConfiguration(port: 0, pendingMax: 7)) { gateway in
      let client = try TestClient(port: gateway.port)
      var text = ""
      var expected: [RESPValue] = []
      for i in 0..<count {
        // Reads, writes and what the gateway answers, in every order.
        switch (i * 7919) % 5 {
        case 0, 1:
          text += "INCR n\r\n"
          let last = expected.last { if case .integer = $0 { true } else { false } }
          if case .integer(let value)? = last {
            expected.append(.integer(value + 1))
          } else {
            expected.append(.integer(1))
          }
        case 2, 3:
          text += "GET n\r\n"
          let last = expected.last { if case .integer = $0 { true } else { false } }
          if case .integer(let value)? = last {
            expected.append(.bulk(Array(String(value).utf8)))
          } else {
            expected.append(.null)
          }
        default:
          text += "ECHO \(i)\r\n"
          expected.append(.bulk(Array(String(i).utf8)))
        }
      }
      try client.send(text)
      for i in 0..<count {
        let value = try client.receive()
        guard value == expected[i] else {
          Issue.record("reply \(i): \(value), not \(expected[i])")
          return
        }
      }
    }
  }

  @Test func aClientMayStopSendingAndStillReads() async throws {
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      try client.send("SET a 1\r\nGET a\r\nPING\r\nGET")
      client.finishSending()
      #expect(try client.receiveAll() == "+OK\r\n$1\r\n1\r\n+PONG\r\n")
    }
  }

  @Test func whatIsNoCommandEndsTheConnectionAfterTheReplies() async throws {
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      try client.send("SET a 1\r\n*1\r\n!\r\nSET a 2\r\n")
      #expect(
        try client.receiveAll() == "+OK\r\n-ERR Protocol error: expected '$', got '!'\r\n")
      let other = try TestClient(port: gateway.port)
      #expect(try other.perform("GET a") == .bulk([49]))
      #expect(try await gateway.statistics().protocolErrors == 1)
    }
  }

  @Test func oneClientTooManyIsToldSo() async throws {
    try await withGateway(GatewayConfiguration(port: 0, clientsMax: 2)) { gateway in
      let first = try TestClient(port: gateway.port)
      let second = try TestClient(port: gateway.port)
      #expect(try first.perform("PING") == .simple("PONG"))
      #expect(try second.perform("PING") == .simple("PONG"))
      let third = try TestClient(port: gateway.port)
      #expect(try third.receiveAll() == "-ERR max number of clients reached\r\n")
      #expect(try first.perform("PING") == .simple("PONG"))
      // A place that is free again is given again.
      try second.send("QUIT\r\n")
      #expect(try second.receiveAll() == "+OK\r\n")
      let fourth = try TestClient(port: gateway.port)
      #expect(try fourth.perform("PING") == .simple("PONG"))
      #expect(try await gateway.statistics().connectionsRejected == 1)
    }
  }

  @Test func aClientChoosesItsVersion() async throws {
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      _ = try client.perform("HSET h f v")
      #expect(try client.perform("HGETALL h").description == #"["f" "v"]"#)
      let hello = try client.perform("HELLO 3 SETNAME me").description
      #expect(hello.hasPrefix(#"{"server" "redis" "version" "7.0.15" "proto" (integer) 3 "id""#))
      #expect(try client.perform("HGETALL h").description == #"{"f" "v"}"#)
      #expect(try client.perform("LPOP nothing 1") == .null)
      #expect(try client.perform("CLIENT GETNAME") == .bulk(Array("me".utf8)))
      // Answers to what came before are in the version of that time.
      try client.send("HGETALL h\r\nHELLO 2\r\nHGETALL h\r\n")
      #expect(try client.receive().description == #"{"f" "v"}"#)
      guard case .array = try client.receive() else {
        Issue.record("HELLO 2 is answered in RESP2")
        return
      }
      #expect(try client.receive().description == #"["f" "v"]"#)
    }
  }

  @Test func aLargeReplyAndAClientThatReadsLate() async throws {
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      let value = [UInt8](repeating: 120, count: 1 << 20)
      try client.send(words: [Array("SET".utf8), Array("big".utf8), value])
      #expect(try client.receive() == .simple("OK"))
      // 64 MiB of replies: more than any socket holds, so the gateway has to wait.
      try client.send(String(repeating: "GET big\r\n", count: 64))
      let other = try TestClient(port: gateway.port)
      #expect(try other.perform("STRLEN big") == .integer(1 << 20))
      for _ in 0..<64 { #expect(try client.receive() == .bulk(value)) }
    }
  }

  @Test func aCommandThatIsTooLongIsRefused() async throws {
    let limits = RESPCommandParser.Limits(bulkLengthMax: 1000, commandLengthMax: 1500)
    try await withGateway(GatewayConfiguration(port: 0, limits: limits)) { gateway in
      let client = try TestClient(port: gateway.port)
      try client.send("*2\r\n$4\r\nECHO\r\n$1001\r\n")
      #expect(try client.receiveAll() == "-ERR Protocol error: invalid bulk length\r\n")
      let other = try TestClient(port: gateway.port)
      #expect(try other.perform("MULTI") == .simple("OK"))
      let word = String(repeating: "a", count: 800)
      #expect(try other.perform("SET a \(word)") == .simple("QUEUED"))
      #expect(try other.perform("SET b \(word)") == .error("ERR The transaction is too long"))
      guard case .error(let text) = try other.perform("EXEC") else {
        Issue.record("EXEC must fail")
        return
      }
      #expect(text.hasPrefix("EXECABORT"))
    }
  }

  @Test func informationIsThereForWhoAsks() async throws {
    try await withGateway { gateway in
      let client = try TestClient(port: gateway.port)
      let info = try client.perform("INFO").description
      #expect(info.contains("redis_version:7.0.15") && info.contains("connected_clients:1"))
      let server = try client.perform("INFO clients").description
      #expect(!server.contains("redis_version") && server.contains("maxclients:10000"))
      guard case .array(let commands) = try client.perform("COMMAND") else {
        Issue.record("COMMAND is answered with an array")
        return
      }
      #expect(try client.perform("COMMAND COUNT") == .integer(Int64(commands.count)))
      #expect(
        try client.perform("COMMAND INFO mset").description
          == #"[["mset" (integer) -3 [write] (integer) 1 (integer) -1 (integer) 2]]"#)
      #expect(try client.perform("CLIENT SETINFO LIB-NAME mine") == .simple("OK"))
      let line = try client.perform("CLIENT INFO").description
      #expect(line.contains("lib-name=mine") && line.contains("laddr=127.0.0.1:\(gateway.port)"))
      #expect(try client.perform("CLIENT LIST").description.contains("lib-name=mine"))
      guard case .array(let time) = try client.perform("TIME") else {
        Issue.record("TIME is answered with an array")
        return
      }
      #expect(time.count == 2)
      #expect(
        try client.perform("WATCH a")
          == .error("ERR WATCH is not supported; use MULTI and EXEC alone"))
    }
  }
}
