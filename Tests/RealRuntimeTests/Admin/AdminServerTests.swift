import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// The admin endpoint over real sockets.
@Suite(.timeLimit(.minutes(2))) struct AdminServerTests {
  private static func withServer<T>(
    _ backend: FakeBackend = FakeBackend(), registry: PrometheusRegistry? = nil,
    limits: AdminServer.Limits = AdminServer.Limits(),
    _ body: (AdminServer) async throws -> T
  ) async throws -> T {
    let server = try await AdminServer.start(
      at: SocketEndpoint(address: "127.0.0.1", port: 0), backend: backend, registry: registry,
      limits: limits)
    do {
      let result = try await body(server)
      await server.stop()
      return result
    } catch {
      await server.stop()
      throw error
    }
  }

  /// One request on a connection of its own; status, head and body of the answer.
  private static func ask(
    _ server: AdminServer, _ line: String, headers: String = "", body: String = ""
  ) async throws -> (status: String, head: String, body: String) {
    let socket = try TestSocket(port: server.address.port)
    try await socket.send(
      "\(line) HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n"
        + "\(headers)\r\n\(body)")
    let answer = String(decoding: try await socket.receiveAll(), as: UTF8.self)
    let parts = answer.split(separator: "\r\n\r\n", maxSplits: 1)
    let head = String(parts.first ?? "")
    let status = head.split(separator: "\r\n").first.map { String($0.dropFirst(9)) } ?? ""
    return (status, head, parts.count > 1 ? String(parts[1]) : "")
  }

  @Test func statusIsJSON() async throws {
    let backend = FakeBackend()
    try await Self.withServer(backend) { server async throws in
      let answer = try await Self.ask(server, "GET /status")
      #expect(answer.status == "200 OK")
      #expect(answer.head.contains("Content-Type: application/json"))
      let status = try JSONDecoder().decode(NodeStatus.self, from: Data(answer.body.utf8))
      var expected = backend.state.withLock { $0.status }
      expected.stages = await backend.stages().times
      #expect(status == expected)
      #expect(status.stages.first { $0.stage == .chosen }?.count == 10)
      #expect(try await AdminClient(endpoint: server.address).status() == expected)
    }
  }

  @Test func tracesAreAnsweredAsTheyAreRemembered() async throws {
    let backend = FakeBackend()
    try await Self.withServer(backend) { server async throws in
      let trace = try await AdminClient(endpoint: server.address).trace()
      #expect(try await trace == backend.trace())
    }
  }

  @Test func metricsArePrometheusText() async throws {
    let registry = PrometheusRegistry()
    registry.makeCounter(label: "own", dimensions: []).increment(by: 3)
    try await Self.withServer(registry: registry) { server async throws in
      let answer = try await Self.ask(server, "GET /metrics")
      #expect(answer.status == "200 OK")
      #expect(answer.head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"))
      let lines = answer.body.split(separator: "\n")
      for line in [
        "rsl_build_info{cluster=\"8f2c51a07be34d19\",replica=\"2\",version=\"0.1.0\"} 1",
        "rsl_is_leader 1", "rsl_chosen_slot 1234", "rsl_journal_flushes_total 99",
        "rsl_journal_fences_total 198",
        "rsl_journal_bytes 4096", "rsl_journal_written_bytes_total 777",
        "rsl_peer_connected{peer=\"3\"} 0", "rsl_peer_lag_slots{peer=\"1\"} 4",
        "rsl_rejections_total{reason=\"overloaded\"} 5",
        "rsl_stage_latency_seconds_count{stage=\"chosen\"} 10", "own_total 3",
      ] {
        #expect(lines.contains(line[...]), "\(line)")
      }
      // A family is written once, and nothing has a name of its own without a type.
      let types = lines.filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] }
      #expect(Set(types).count == types.count)
      for line in lines where !line.hasPrefix("#") {
        let name = line.prefix { $0 != "{" && $0 != " " }
        #expect(types.contains { name.hasPrefix($0) }, "\(line)")
      }
    }
  }

  @Test func healthIsTold() async throws {
    let backend = FakeBackend {
      $0.health = NodeHealth(isAlive: true, isReady: false, reason: "catching up")
    }
    try await Self.withServer(backend) { server async throws in
      #expect(try await Self.ask(server, "GET /livez").status == "200 OK")
      let ready = try await Self.ask(server, "GET /readyz")
      #expect(ready.status == "503 Service Unavailable")
      #expect(ready.body == "catching up\n")
      backend.state.withLock {
        $0.health = NodeHealth(isAlive: false, isReady: true, reason: "journal")
      }
      #expect(try await Self.ask(server, "GET /livez").body == "journal\n")
      #expect(try await Self.ask(server, "GET /readyz").status == "503 Service Unavailable")
      let head = try await Self.ask(server, "HEAD /livez")
      #expect(head.status == "503 Service Unavailable")
      #expect(head.body.isEmpty)
    }
  }

  @Test func controlReachesTheNode() async throws {
    let backend = FakeBackend()
    try await Self.withServer(backend) { server async throws in
      let client = AdminClient(endpoint: server.address)
      #expect(try await client.moveLeader(to: ReplicaID(1)) == ReplicaID(1))
      #expect(try await client.moveLeader(to: nil) == ReplicaID(3))
      #expect(try await client.takeSnapshot() == Slot(1_233))
      #expect(
        try await Self.ask(server, "PUT /log-level?level=debug").body == "{\"level\":\"debug\"}\n")
      #expect(try await Self.ask(server, "PUT /log-level", body: "trace\n").status == "200 OK")
      #expect(
        backend.calls == ["move 1", "move any", "snapshot", "log debug", "log trace"])
    }
  }

  @Test func refusalsAreTyped() async throws {
    let backend = FakeBackend { $0.refusal = .notLeader(leader: ReplicaID(3)) }
    try await Self.withServer(backend) { server async throws in
      let client = AdminClient(endpoint: server.address)
      await #expect(
        throws: AdminClient.Failure.refused(
          status: 409, message: "this node does not lead", leader: 3)
      ) { try await client.moveLeader(to: nil) }
      backend.state.withLock { $0.refusal = .unavailable("the disk is full") }
      await #expect(
        throws: AdminClient.Failure.refused(
          status: 503, message: "the disk is full", leader: nil)
      ) { try await client.takeSnapshot() }
    }
  }

  @Test(arguments: [
    ("GET /nowhere", "404 Not Found", "there is no such page"),
    ("POST /status", "405 Method Not Allowed", "use GET"),
    ("GET /snapshot", "405 Method Not Allowed", "use POST"),
    ("POST /leader/move?to=x", "400 Bad Request", "to=x: expected a member's number"),
    ("POST /leader/move?from=1", "400 Bad Request", "unknown parameter from"),
    ("PUT /log-level?level=loud", "400 Bad Request", "level=loud: expected one of trace"),
  ]) func wrongRequestsAreExplained(line: String, status: String, message: String) async throws {
    let backend = FakeBackend()
    try await Self.withServer(backend) { server async throws in
      let answer = try await Self.ask(server, line)
      #expect(answer.status == status)
      #expect(answer.body.hasPrefix("{\"error\":\"\(message)"), "\(answer.body)")
      #expect(backend.calls.isEmpty)
    }
  }

  @Test func webPagesDoNotControl() async throws {
    let backend = FakeBackend()
    try await Self.withServer(backend) { server async throws in
      let answer = try await Self.ask(
        server, "POST /leader/move", headers: "Origin: https://evil.example\r\n")
      #expect(answer.status == "403 Forbidden")
      #expect(backend.calls.isEmpty)
    }
  }

  @Test func aConnectionServesSeveralRequests() async throws {
    try await Self.withServer { server async throws in
      let socket = try TestSocket(port: server.address.port)
      let request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
      // The second and the third are sent before the first is answered.
      try await socket.send(
        request + request + request.replacing("\r\n\r\n", with: "\r\nConnection: close\r\n\r\n"))
      let answer = String(decoding: try await socket.receiveAll(), as: UTF8.self)
      #expect(answer.components(separatedBy: "200 OK").count == 4)
    }
  }

  // MARK: Limits

  @Test func aLongBodyIsRefused() async throws {
    try await Self.withServer { server async throws in
      let long = String(repeating: "x", count: 4_097)
      #expect(
        try await Self.ask(server, "PUT /log-level", body: long).status == "413 Payload Too Large")
      let socket = try TestSocket(port: server.address.port)
      try await socket.send(
        "PUT /log-level HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
      let chunk = "1000\r\n" + String(repeating: "y", count: 4_096) + "\r\n"
      try await socket.send(chunk + chunk)
      let answer = String(decoding: try await socket.receiveAll(), as: UTF8.self)
      #expect(answer.hasPrefix("HTTP/1.1 413 "))
    }
  }

  @Test(arguments: [
    "GET /status HTTP/1.1\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n",
    "GET /status HTTP/1.1\r\n"
      + (0..<100).map { "X-\($0): 1\r\n" }.joined() + "\r\n", "\u{1}\u{2}garbage\r\n\r\n",
    "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{FC}\u{3}",
  ]) func garbageClosesTheConnection(bytes: String) async throws {
    try await Self.withServer { server async throws in
      let socket = try TestSocket(port: server.address.port)
      // The server may close before everything is sent.
      try? await socket.send(bytes)
      let answer = String(decoding: try await socket.receiveAll(), as: UTF8.self)
      #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 4"))
      #expect(try await Self.ask(server, "GET /livez").status == "200 OK")
    }
  }

  @Test func slowCallersAreCutOff() async throws {
    var limits = AdminServer.Limits()
    limits.deadline = .milliseconds(200)
    try await Self.withServer(limits: limits) { server async throws in
      let silent = try TestSocket(port: server.address.port)
      let half = try TestSocket(port: server.address.port)
      // It may be cut off already when the machine is busy.
      try? await half.send("GET /livez HTTP/1.1\r\nHost:")
      #expect(try await silent.receiveAll().isEmpty)
      #expect(try await half.receiveAll().isEmpty)
    }
  }

  @Test func idleCallersAreCutOff() async throws {
    var limits = AdminServer.Limits()
    limits.idle = .milliseconds(100)
    try await Self.withServer(limits: limits) { server async throws in
      let idle = try TestSocket(port: server.address.port)
      try await idle.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
      #expect(String(decoding: try await idle.receiveAll(), as: UTF8.self).contains("200 OK"))
    }
  }

  @Test(arguments: ["/leader/move", "/snapshot", "/log-level?level=info"])
  func controlIsNotForEverybody(uri: String) async {
    let backend = FakeBackend()
    let router = AdminRouter(backend: backend, registry: nil)
    let answer = await router.answer(
      AdminRequest(
        method: uri.hasPrefix("/log") ? .PUT : .POST, uri: uri, body: "", mayControl: false,
        isFromPage: false))
    #expect(answer.status == .forbidden)
    #expect(backend.calls.isEmpty)
  }

  @Test func aStuckNodeIsSaidToBeStuckAndLeftAlone() async throws {
    var limits = AdminServer.Limits()
    limits.deadline = .milliseconds(200)
    let (cancelled, cancel) = AsyncStream.makeStream(of: Void.self)
    let backend = FakeBackend { $0.whenStuck = { cancel.finish() } }
    try await Self.withServer(backend, limits: limits) { server async throws in
      #expect(try await Self.ask(server, "GET /status").status == "504 Gateway Timeout")
      // The node is no longer waited for.
      for await _ in cancelled {}
    }
  }

  @Test func connectionsAreBounded() async throws {
    var limits = AdminServer.Limits()
    limits.connections = 2
    try await Self.withServer(limits: limits) { server async throws in
      let request = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
      let first = try TestSocket(port: server.address.port)
      let second = try TestSocket(port: server.address.port)
      for socket in [first, second] {
        try await socket.send(request)
        #expect(try await !socket.receive().isEmpty)
      }
      let third = try TestSocket(port: server.address.port)
      try? await third.send(request)
      #expect(try await third.receiveAll().isEmpty)
      // The others are not disturbed.
      try await first.send(request)
      #expect(try await !first.receive().isEmpty)
    }
  }

  @Test func nobodyThereIsSaid() async throws {
    // Held, and nobody listens there: a server's port that is given back may be another test's by now.
    let port = try #require(try FreePorts.take(1).first)
    let client = AdminClient(endpoint: SocketEndpoint(address: "127.0.0.1", port: port))
    await #expect(
      throws: AdminClient.Failure.unreachable("127.0.0.1:\(port): Connection refused")
    ) { try await client.status() }
  }
}
