import NIOCore
import NIOPosix
import Protocol
import RESP
import RESPServer
import RSLClient
import RealRuntime
import TestSupport
import Testing

@testable import KeyValueNode

/// What clients are told when there is no cluster behind the gateway.
@Suite(.timeLimit(.minutes(2))) struct ClusterSubmitterTests {
  /// Runs `body` with a client of a gateway whose cluster is a port at which nobody listens.
  private func withoutCluster<R: Sendable>(
    queueMax: Int = 1_024, _ body: @escaping @Sendable (TestClient) throws -> R
  ) async throws -> R {
    var configuration = ClientConfiguration(
      cluster: ClusterID(7),
      replicas: [
        ReplicaAddress(id: ReplicaID(1), host: "127.0.0.1", port: Int(try FreePorts.take(1)[0]))
      ])
    configuration.sessions = 1
    configuration.options.queueMax = queueMax
    configuration.options.readsMax = 8
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let gateway = try await Gateway.start(GatewayConfiguration(port: 0), on: group) {
      [configuration] in
      ClusterSubmitter(
        on: $0, configuration: configuration, timeout: .milliseconds(300), completed: $1)
    }
    let port = gateway.port
    let result = try await offPool { try body(TestClient(port: port)) }
    try await gateway.close()
    try await group.shutdownGracefully()
    return result
  }

  private static func kinds(of client: TestClient, _ count: Int) throws -> [String: Int] {
    var kinds: [String: Int] = [:]
    for _ in 0..<count {
      guard case .error(let text) = try client.receive() else { return ["an answer": 1] }
      kinds[String(text.prefix { $0 != " " }), default: 0] += 1
    }
    return kinds
  }

  @Test func whatNobodyTakesInTimeIsUnavailable() async throws {
    let kinds = try await withoutCluster { client in
      try client.send(String(repeating: "GET a\r\n", count: 300))
      let reads = try Self.kinds(of: client, 300)
      try client.send(String(repeating: "SET a 1\r\n", count: 300))
      return [reads, try Self.kinds(of: client, 300)]
    }
    #expect(kinds == [["CLUSTERDOWN": 300], ["CLUSTERDOWN": 300]])
  }

  @Test func whatDoesNotFitTheQueueIsRefusedAtOnce() async throws {
    let kinds = try await withoutCluster(queueMax: 10) { client in
      try client.send(String(repeating: "SET a 1\r\n", count: 50))
      let writes = try Self.kinds(of: client, 50)
      try client.send(String(repeating: "GET a\r\n", count: 50))
      return [writes, try Self.kinds(of: client, 50)]
    }
    #expect(kinds[0] == ["CLUSTERDOWN": 10, "OVERLOADED": 40])
    // Eight that were asked, ten that wait.
    #expect(kinds[1] == ["CLUSTERDOWN": 18, "OVERLOADED": 32])
  }

  @Test func everyOutcomeHasItsCounterpart() {
    let pairs: [(ClientOutcome, SubmissionOutcome)] = [
      (.applied(slot: Slot(1)), .answered), (.read(slot: Slot(1)), .answered),
      (.appliedWithoutReply, .performedWithoutReply), (.overloaded, .overloaded),
      (.unavailable, .unavailable), (.unknownOutcome(nil), .unknown),
      (.unknownOutcome(.overloaded), .unknown), (.tooLarge(limit: 64), .tooLarge(limit: 64)),
      (.leasesDisabled, .unavailable), (.noRoom, .noRoom),
    ]
    for (outcome, expected) in pairs { #expect(SubmissionOutcome(outcome) == expected) }
  }
}
