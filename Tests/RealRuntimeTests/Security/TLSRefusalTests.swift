import Foundation
import InMemoryLogging
import Logging
import Protocol
import Testing

@testable import RealRuntime

/// Whoever must not get in.
@Suite(.timeLimit(.minutes(2))) struct TLSRefusalTests {
  typealias World = TLSBridgeTests.World

  private static func withWorld(
    for port: TLSBridge.Port = .members([ReplicaID(2), ReplicaID(3)]),
    deadline: TimeSpan = .seconds(10), connectionsMax: Int = 100,
    _ body: (World) async throws -> Void
  ) async throws {
    try await TLSBridgeTests.withWorld(
      for: port, deadline: deadline, connectionsMax: connectionsMax, body)
  }

  /// A connection that the listener refuses: at best it ends at once.
  private static func isRefused(
    _ result: Result<TestSocket, TLSBridge.Failure>
  ) async throws -> Bool {
    switch result {
    case .failure: true
    case .success(let socket): try await socket.receiveAll().isEmpty
    }
  }

  @Test func aCallerOfAnotherCAIsRefused() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(
        try World.credentials(world.foreign, .replica(ReplicaID(2)), trusting: world.authority))
      #expect(try await Self.isRefused(await world.connect(caller.bridge)))
      #expect(await world.refusals(.certificate, 1), "\(world.ledger.counts)")
    }
  }

  @Test func aListenerOfAnotherCAIsRefused() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(
        try World.credentials(world.authority, .replica(ReplicaID(2)), trusting: world.foreign))
      let result = await world.connect(caller.bridge)
      guard case .failure(let failure) = result else {
        Issue.record("connected")
        return
      }
      #expect(failure.reason == .certificate)
      #expect(failure.detail == "CERTIFICATE_VERIFY_FAILED")
      #expect(await world.refusals(.refusedByPeer, 1), "\(world.ledger.counts)")
    }
  }

  @Test func aListenerThatIsAnotherMemberIsRefused() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(try World.credentials(world.authority, .replica(ReplicaID(2))))
      let three = PeerIdentity(cluster: TLSBridgeTests.cluster, role: .replica(ReplicaID(3)))
      let result = await world.connect(caller.bridge, expecting: three)
      guard case .failure(let failure) = result else {
        Issue.record("connected")
        return
      }
      #expect(failure == .init(reason: .identity, detail: "the certificate is of another name"))
      #expect(caller.ledger.counts == ["identity": 1])
    }
  }

  @Test(arguments: [
    PeerIdentity.Role.replica(ReplicaID(4)), .replica(ReplicaID(1)), .client("bench"),
    .admin("ops"),
  ]) func whoIsNoOtherMemberIsRefused(role: PeerIdentity.Role) async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(try World.credentials(world.authority, role))
      #expect(try await Self.isRefused(await world.connect(caller.bridge)))
      #expect(await world.refusals(.identity, 1), "\(world.ledger.counts)")
    }
  }

  @Test func anotherClusterIsRefusedEvenByTheSameCA() {
    let other = PeerIdentity(cluster: ClusterID(5), role: .replica(ReplicaID(2)))
    #expect(!TLSBridge.admits(other, .members([ReplicaID(2)]), TLSBridgeTests.cluster))
    #expect(!TLSBridge.admits(other, .certified, TLSBridgeTests.cluster))
    #expect(!TLSBridge.admits(nil, .certified, TLSBridgeTests.cluster))
    #expect(TLSBridge.admits(nil, .open, TLSBridgeTests.cluster))
    #expect(TLSBridge.admits(TLSBridgeTests.two, .certified, TLSBridgeTests.cluster))
  }

  /// Certificates that `TLSCredentials` would not load: openssl's client shows them.
  @Test(arguments: [-10 ..< -1, 5..<10]) func expiredAndEarlyCertificatesAreRefused(
    validity: Range<Int>
  ) async throws {
    try await Self.withWorld { world async throws in
      let issued = try world.authority.issue(.replica(ReplicaID(2)), validity: validity)
      try await Self.call(world, ["-cert", issued.certificate, "-key", issued.key])
      #expect(await world.refusals(.certificate, 1), "\(world.ledger.counts)")
    }
  }

  @Test func aCallerWithoutACertificateIsRefused() async throws {
    try await Self.withWorld { world async throws in
      try await Self.call(world, [])
      #expect(await world.refusals(.certificate, 1), "\(world.ledger.counts)")
    }
  }

  @Test func aCallerWithOldTLSIsRefused() async throws {
    try await Self.withWorld { world async throws in
      let issued = try world.authority.issue(.replica(ReplicaID(2)))
      try await Self.call(world, ["-tls1_2", "-cert", issued.certificate, "-key", issued.key])
      #expect(await world.refusals(.handshake, 1), "\(world.ledger.counts)")
    }
  }

  @Test func theClientPortTakesWhoItIsToldToTake() async throws {
    try await Self.withWorld(for: .certified) { world async throws in
      let caller = world.caller(try World.credentials(world.authority, .client("bench")))
      _ = try await world.connect(caller.bridge).get()
      #expect(try await world.next().bridged.identity?.role == .client("bench"))
      try await Self.call(world, [])
      #expect(await world.refusals(.certificate, 1), "\(world.ledger.counts)")
    }
    try await Self.withWorld(for: .open) { world async throws in
      try await Self.call(world, ["-verify_return_error"])
      #expect(try await world.next().bridged.identity == nil)
      #expect(world.ledger.counts.isEmpty)
    }
  }

  /// Connects with openssl's client, which trusts the CA and ends when its input does.
  private static func call(_ world: World, _ arguments: [String]) async throws {
    let ca = world.authority.caFile
    try await offPool {
      let process = Process()
      process.executableURL = URL(filePath: "/usr/bin/env")
      process.arguments =
        ["openssl", "s_client", "-connect", world.endpoint.description, "-CAfile", ca]
        + arguments
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      process.waitUntilExit()
    }
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "*1\r\n$4\r\nPING\r\n",
    String(repeating: "\u{0}", count: 500),
  ]) func plaintextIsRefused(text: String) async throws {
    try await Self.withWorld { world async throws in
      let socket = try TestSocket(port: world.endpoint.port)
      try? await socket.send(text)
      _ = try await socket.receiveAll()
      #expect(await world.refusals(.plaintext, 1), "\(world.ledger.counts)")
    }
  }

  @Test func aCallerThatSaysNothingIsCutOff() async throws {
    try await Self.withWorld(deadline: .milliseconds(200)) { world async throws in
      let silent = try TestSocket(port: world.endpoint.port)
      let half = try TestSocket(port: world.endpoint.port)
      // The begin of a greeting.
      try? await half.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
      #expect(try await silent.receiveAll().isEmpty)
      #expect(try await half.receiveAll().isEmpty)
      #expect(await world.refusals(.deadline, 2), "\(world.ledger.counts)")
    }
  }

  @Test func aCallerThatLeavesDuringTheHandshakeIsCounted() async throws {
    try await Self.withWorld { world async throws in
      let socket = try TestSocket(port: world.endpoint.port)
      try await socket.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
      socket.finishSending()
      _ = try await socket.receiveAll()
      #expect(await world.refusals(.closed, 1), "\(world.ledger.counts)")
    }
  }

  @Test func connectionsAreBounded() async throws {
    try await Self.withWorld(connectionsMax: 1) { world async throws in
      let (caller, listener) = try await world.pair()
      let second = try TestSocket(port: world.endpoint.port)
      #expect(try await second.receiveAll().isEmpty)
      #expect(await world.refusals(.limit, 1), "\(world.ledger.counts)")
      try await caller.send("undisturbed")
      #expect(try await listener.receive() == Array("undisturbed".utf8))
    }
  }

  @Test func goodCallersGetThroughAStorm() async throws {
    try await Self.withWorld { world async throws in
      var strangers: [TestSocket] = []
      for _ in 0..<50 {
        let stranger = try TestSocket(port: world.endpoint.port)
        try? await stranger.send("garbage garbage garbage")
        strangers.append(stranger)
      }
      let (caller, listener) = try await world.pair()
      try await caller.send("through")
      #expect(try await listener.receive() == Array("through".utf8))
      for stranger in strangers { _ = try await stranger.receiveAll() }
      #expect(await world.refusals(.plaintext, 50), "\(world.ledger.counts)")
    }
  }

  @Test func nobodyThereIsTold() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(try World.credentials(world.authority, .replica(ReplicaID(2))))
      // Held, and nobody listens there: a listener's port that is given back may be another test's by now.
      let port = try #require(try FreePorts.take(1).first)
      let result = await world.connect(caller.bridge, port: port)
      #expect(throws: TLSBridge.Failure(reason: .closed, detail: "Connection refused")) {
        try result.get()
      }
    }
  }

  // MARK: The ledger

  @Test func aSourceIsNamedOnceAndThenCounted() {
    let handler = InMemoryLogHandler()
    let ledger = RefusalLedger(logger: Logger(label: "test") { _ in handler })
    func at(_ seconds: UInt64) -> Instant { .zero + .seconds(seconds) }
    for second: UInt64 in 0..<50 {
      ledger.note(.plaintext, source: "10.0.0.1", "x", now: at(second))
    }
    ledger.note(.deadline, source: "10.0.0.1", "y", now: at(50))
    ledger.note(.plaintext, source: "10.0.0.2", "z", now: at(51))
    ledger.note(.plaintext, source: "10.0.0.1", "x", now: at(61))
    #expect(ledger.counts == ["plaintext": 52, "deadline": 1])
    let said = handler.entries.map { entry in
      ["source", "reason", "times"].map { entry.metadata[$0].map { "\($0)" } ?? "-" }
    }
    #expect(
      said == [
        ["10.0.0.1", "plaintext", "-"], ["10.0.0.1", "deadline", "-"],
        ["10.0.0.2", "plaintext", "-"], ["10.0.0.1", "plaintext", "50"],
      ])
  }

  @Test func manySourcesDoNotFloodTheLog() {
    let handler = InMemoryLogHandler()
    let ledger = RefusalLedger(logger: Logger(label: "test") { _ in handler })
    for source in 0..<5_000 {
      ledger.note(.plaintext, source: "\(source)", "x", now: .zero + .milliseconds(UInt64(source)))
    }
    #expect(handler.entries.count == RefusalLedger.linesMax)
    ledger.note(.plaintext, source: "late", "x", now: .zero + .seconds(100))
    #expect(handler.entries.last?.metadata["others"] == "4990")
    #expect(ledger.counts == ["plaintext": 5_001])
  }
}
