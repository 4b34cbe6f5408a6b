import Foundation
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Whole replicas over real sockets and files. One after the other: each has threads of its own that must get their turn.
@Suite(.serialized) struct ClusterTests {
  @Test func whatIsWrittenIsRead() async throws {
    let cluster = try RealCluster()
    try cluster.startAll()
    let client = cluster.client
    for i in 1...50 as ClosedRange<UInt64> {
      #expect(try await client.put(i % 5, [UInt8(i)]) == (i + 4) / 5)
    }
    let found = try #require(try await client.get(0))
    #expect(found.puts == 10 && found.value == [50])
    #expect(try await client.get(77) == nil)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func aStoppedLeaderHandsOverAndComesBack() async throws {
    let cluster = try RealCluster()
    try cluster.startAll()
    let client = cluster.client
    for i in 1...20 as ClosedRange<UInt64> { _ = try await client.put(1, [UInt8(i)]) }
    let first = try await cluster.leader()
    try await cluster.stop(first)
    for i in 21...40 as ClosedRange<UInt64> { #expect(try await client.put(1, [UInt8(i)]) == i) }
    try cluster.start(first)
    let other = try await cluster.leader()
    #expect(other != first)
    let target = try #require(try await cluster.status(other)).appliedUpTo
    try await cluster.until("the old leader has caught up") {
      (try await cluster.status(first)?.appliedUpTo ?? .zero) >= target
    }
    let (a, b) = (try await cluster.status(first), try await cluster.status(other))
    if a?.appliedUpTo == b?.appliedUpTo { #expect(a?.digest == b?.digest) }
    await client.close()
    try await cluster.stopAll()
  }

  @Test func everythingSurvivesAStopOfAll() async throws {
    let cluster = try RealCluster { $0.options.snapshotInterval = 64 }
    try cluster.startAll()
    var client = cluster.client
    // Enough for snapshots, truncation and several lives.
    for life in 0..<3 as Range<UInt64> {
      await withTaskGroup { group in
        for key in 0..<20 as Range<UInt64> {
          group.addTask { [client] in
            for i in 1...10 as ClosedRange<UInt64> {
              let puts = try? await client.put(key, [UInt8](repeating: UInt8(key), count: 100))
              #expect(puts == life * 10 + i)
            }
          }
        }
      }
      await client.close()
      try await cluster.stopAll()
      try cluster.startAll()
      client = cluster.client
    }
    for key in 0..<20 as Range<UInt64> {
      let found = try #require(try await client.get(key))
      #expect(found.puts == 30 && found.value == [UInt8](repeating: UInt8(key), count: 100))
    }
    await client.close()
    try await cluster.stopAll()
  }

  @Test func operatorsChangeTheLevelOfAllLinesAndSeeWhoIsBehind() async throws {
    let cluster = try RealCluster()
    try cluster.start(1)
    try cluster.start(2)
    let log = LogOutput(level: .error, format: .text) { _ in }
    let third = try ReplicaNode.start(
      configuration: cluster.configurations[2], machine: ByteStore(), logger: log.logger("test"),
      log: log)
    try await third.setLogLevel(.critical)
    #expect(log.level == .critical)
    let client = cluster.client
    _ = try await client.put(1, [1])
    third.stop()
    try await third.ended()
    // Whoever has ended keeps nobody waiting.
    #expect(await third.stages().counts.count == Stage.allCases.count)
    for i in 1...20 as ClosedRange<UInt64> { _ = try await client.put(1, [UInt8(i)]) }
    let leader = try await cluster.leader()
    // A member that runs tells with every heartbeat.
    try await cluster.until("one member has everything, and the other one does not") {
      let peers = try await (cluster.node(leader).status() as NodeStatus).peers
      return peers.contains { $0.id != 3 && $0.lagSlots == 0 }
        && peers.contains { $0.id == 3 && ($0.lagSlots ?? 0) >= 20 }
    }
    await client.close()
    try await cluster.stopAll()
  }

  @Test func aStragglerInstallsASnapshot() async throws {
    let cluster = try RealCluster {
      $0.options.snapshotInterval = 32
      $0.options.snapshotTailSlots = 4
    }
    try cluster.start(1)
    try cluster.start(2)
    let client = cluster.client
    for i in 1...200 as ClosedRange<UInt64> { _ = try await client.put(i, [UInt8(i)]) }
    try await cluster.until("truncation") {
      (try await cluster.status(1)?.truncatedUpTo ?? .zero) > Slot(100)
    }
    try cluster.start(3)
    let target = try #require(try await cluster.status(1)).appliedUpTo
    try await cluster.until("the straggler has caught up") {
      (try await cluster.status(3)?.appliedUpTo ?? .zero) >= target
    }
    #expect(try #require(try await cluster.status(3)).snapshot > .zero)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func garbageOnEveryPortDisturbsNobody() async throws {
    let cluster = try RealCluster { $0.limits.handshakeDeadline = .milliseconds(200) }
    try cluster.startAll()
    let client = cluster.client
    _ = try await client.put(1, [1])
    let before = try #require(try await cluster.status(1)).counters.connectionsRefused
    let endpoints = [
      cluster.configurations[0].listen.peer, cluster.configurations[0].listen.client,
    ]
    var random = SeededRandom(seed: 3)
    var sockets: [Int32] = []
    for endpoint in endpoints {
      for kind in 0..<4 {
        let socket = try Socket.connect(host: endpoint.address, port: endpoint.port)
        sockets.append(socket)
        let bytes: [UInt8] =
          switch kind {
          case 0: (0..<4_096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
          case 1: Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
          case 2: Array("RSLF".utf8)  // A frame that never goes on.
          default: []  // Says nothing at all.
          }
        try await cluster.until("the bytes are taken") {
          bytes.isEmpty || send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL)) >= 0
            || errno == EPIPE || errno == ECONNRESET
        }
      }
    }
    try await cluster.until("every one of them is refused") {
      let refused = try await cluster.status(1)?.counters.connectionsRefused ?? 0
      return refused >= before + 4
    }
    // Those that said nothing are shown the door as well: reading finds the end.
    for socket in sockets {
      var byte: UInt8 = 0
      try await cluster.until("the end of a refused connection") {
        let count = recv(socket, &byte, 1, 0)
        return count == 0 || count < 0 && errno == ECONNRESET
      }
      close(socket)
    }
    #expect(try await client.put(1, [2]) == 2)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func aLogBufferThatIsFullRefusesAndRecovers() async throws {
    // So little that snapshots must make room again and again.
    let cluster = try RealCluster {
      $0.logBytes = 2 << 20
      $0.options.snapshotTailSlots = 0
    }
    try cluster.startAll()
    let client = cluster.client
    await withTaskGroup { group in
      for key in 0..<16 as Range<UInt64> {
        group.addTask {
          for _ in 0..<40 {
            do {
              _ = try await client.put(key, [UInt8](repeating: 9, count: 30_000))
            } catch {
              #expect(error as? ClientError == .overloaded, "\(error)")
            }
          }
        }
      }
    }
    for number in 1...3 as ClosedRange<UInt32> {
      #expect(try #require(try await cluster.status(number)).logBytes <= 2 << 20)
    }
    #expect(try await client.put(99, [1]) == 1)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func whatWasRecordedReplaysWithoutADifference() async throws {
    let cluster = try RealCluster { $0.recorder.isEnabled = true }
    try cluster.startAll()
    let client = cluster.client
    for i in 1...30 as ClosedRange<UInt64> { _ = try await client.put(i, [UInt8(i)]) }
    let leader = try await cluster.leader()
    try await cluster.stop(leader)
    for i in 31...60 as ClosedRange<UInt64> { _ = try await client.put(i, [UInt8(i)]) }
    await client.close()
    try await cluster.stopAll()
    for configuration in cluster.configurations {
      let folder = configuration.dataDirectory + "/recordings"
      let names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
      #expect(!names.isEmpty)
      for name in names where name.hasSuffix(".rslrec") {
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
        var replay = try RecordingReplay(RecordingReader(bytes))
        while try replay.next() != nil, replay.difference == nil {}
        #expect(replay.difference == nil, "\(name)")
        #expect(replay.steps > 50)
      }
    }
  }
}
