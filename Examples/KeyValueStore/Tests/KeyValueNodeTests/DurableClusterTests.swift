import Foundation
import RESP
import RealRuntime
import TestSupport
import Testing

/// The store as it is deployed: three processes, each with a replica and a gateway.
@Suite(.serialized, .timeLimit(.minutes(5))) struct DurableClusterTests {
  @Test func everyNodeAnswersAsTheTranscriptsSay() async throws {
    try await DurableCluster.run { cluster async throws in
      let names = ["connection", "strings", "keys", "lists", "hashes", "transactions"]
      for (i, name) in names.enumerated() {
        let (transcript, port) = (try Transcript(named: name), cluster.ports[i % 3])
        let differences = try await offPool {
          let client = try TestClient(port: port)
          #expect(try client.perform("FLUSHALL") == .simple("OK"))
          return try transcript.differences(from: client)
        }
        #expect(differences == [])
      }
    }
  }

  @Test(.enabled(if: Tools.hasRedisTools, Comment(rawValue: Tools.missingRedisTools)))
  func redisCLIAndRedisBenchmarkTalkToEveryNode() async throws {
    try await DurableCluster.run { cluster async throws in
      for (node, port) in cluster.ports.enumerated() {
        for version in [2, 3] {
          let shown = try await offPool { try RedisCLI.converse(port: port, version: version) }
          #expect(shown == RedisCLI.expected(version: version), "node \(node + 1), -\(version)")
        }
        let (status, output, errors) = try await offPool {
          try Tools.run(
            "redis-benchmark",
            [
              "-p", "\(port)", "-t", "set,get,incr,lpush", "-n", "4000", "-P", "16", "-c", "20",
              "--csv",
            ])
        }
        #expect(status == 0, "\(errors)")
        #expect(!(output + errors).localizedCaseInsensitiveContains("error"), "\(output)\(errors)")
        // The head and four tests.
        #expect(output.split(separator: "\n").count { $0.hasPrefix("\"") } == 5, "\(output)")
      }
    }
  }

  @Test(.enabled(if: Tools.hasRedisPy, Comment(rawValue: Tools.missingRedisPy)))
  func redisPyTalksToANode() async throws {
    try await DurableCluster.run { cluster async throws in
      let port = cluster.ports[1]
      #expect(try await offPool { try RedisPy.converse(port: port) } == "fine\n")
    }
  }

  @Test func whatOneNodeAcknowledgedEveryNodeShowsAtOnce() async throws {
    try await DurableCluster.run { cluster async throws in
      let ports = cluster.ports
      try await offPool {
        let clients = try ports.map { try TestClient(port: $0) }
        for round in 0..<60 {
          let writer = round % 3
          #expect(try clients[writer].perform("SET round \(round)") == .simple("OK"))
          for client in clients {
            #expect(try client.perform("GET round") == .bulk(Array("\(round)".utf8)))
          }
        }
        // Reads of one client far beyond what the session has places for, on a node that hardly leads.
        try clients[2].send(String(repeating: "GET round\r\n", count: 3_000))
        for _ in 0..<3_000 { #expect(try clients[2].receive() == .bulk(Array("59".utf8))) }
      }
    }
  }

  @Test func metricsOfTheGatewayAreScrapedWithTheReplicas() async throws {
    try await DurableCluster.run { cluster async throws in
      #expect(try await cluster.ask(0, "PING") == .simple("PONG"))
      let admin = AdminClient(endpoint: cluster.processes.replicas[0].admin)
      // The client has gone, which the gateway may not have seen yet.
      try await until("nobody is connected") {
        try await admin.page("/metrics").body.split(separator: "\n").contains("resp_clients 0")
      }
      let page = try await admin.page("/metrics").body
      #expect(page.split(separator: "\n").contains { $0.hasPrefix("rsl_applied_slot ") })
    }
  }

  @Test func nothingAcknowledgedIsLostWhenTheLeaderIsKilled() async throws {
    try await DurableCluster.run { cluster async throws in
      let writers = Writers(count: 6, ports: cluster.ports)
      writers.start()
      try await until("everybody writes") { writers.leastAcknowledged >= 20 }
      let leader = try await cluster.leader()
      cluster.processes.kill(cluster.processes.replicas[leader])
      let before = writers.acknowledged
      try await until("everybody writes without that leader") {
        zip(writers.acknowledged, before).allSatisfy { $0 >= $1 + 20 }
      }
      try cluster.processes.start(cluster.processes.replicas[leader])
      try await cluster.isServing(leader)
      try await writers.stop()
      #expect(writers.regressions == [])
      for node in 0..<3 {
        for (writer, acknowledged) in writers.acknowledged.enumerated() {
          let reply = try await cluster.ask(node, "GET writer:\(writer)")
          guard case .bulk(let bytes) = reply,
            let value = Int(String(decoding: bytes, as: UTF8.self))
          else {
            Issue.record("node \(node + 1), writer \(writer): \(reply)")
            continue
          }
          #expect(value >= acknowledged, "node \(node + 1) lost writes of writer \(writer)")
          #expect(value <= writers.attempted[writer], "a command was performed twice")
        }
      }
    }
  }

  @Test func aNodeThatIsStoppedAnswersWhatItTookAndTheDataStays() async throws {
    try await DurableCluster.run { cluster async throws in
      let leader = try await cluster.leader()
      let client = try TestClient(port: cluster.ports[leader])
      try client.send(String(repeating: "INCR n\r\n", count: 5_000))
      let first = try await offPool { [client = Sent(client)] in try client.value.receive() }
      #expect(first == .integer(1))
      #expect(cluster.processes.stop(cluster.processes.replicas[leader]) == 0)
      let rest = try await offPool { [client = Sent(client)] in try client.value.receiveAll() }
      let replies = rest.split(separator: "\r\n")
      #expect(replies.indices.allSatisfy { replies[$0] == ":\($0 + 2)" }, "\(replies.suffix(3))")
      let performed = RESPValue.bulk(Array("\(replies.count + 1)".utf8))
      let other = (leader + 1) % 3
      try await cluster.isServing(other)
      #expect(try await cluster.ask(other, "GET n") == performed)
      // All of them, so that nothing is left but the files.
      cluster.processes.stop()
      try cluster.processes.start()
      for node in 0..<3 {
        try await cluster.isServing(node)
        #expect(try await cluster.ask(node, "GET n") == performed)
      }
    }
  }
}

/// A client on its way to another thread; one thread at a time uses it.
private struct Sent: @unchecked Sendable {
  let value: TestClient
  init(_ value: TestClient) { self.value = value }
}
