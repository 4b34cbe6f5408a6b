import Foundation
import InMemoryLogging
import Logging
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Snapshots on their way between real replicas: how fast, and what becomes of a transfer that is broken off.
@Suite(.serialized, .timeLimit(.minutes(5))) struct TransferTests {
  /// In bytes; a hundredth of a second's worth of this is less than a chunk.
  private static let rate = 2 << 20
  private static let puts = 96

  /// Three replicas, two of which have a snapshot of some megabytes that the third one lacks.
  private func makeCluster(
    _ name: String, _ change: (inout NodeConfiguration) -> Void = { _ in }
  ) async throws -> (RealCluster, Client, straggler: UInt32, others: [UInt32], SnapshotInfo) {
    let cluster = try RealCluster(3, name) {
      $0.snapshotTransferBytesPerSecond = Self.rate
      $0.options.snapshotInterval = 3_000
      $0.options.snapshotTailSlots = 0
      // By size neither.
      $0.logBytes = 64 << 20
      change(&$0)
    }
    try cluster.startAll()
    let client = cluster.client
    let straggler = try await cluster.leader() % 3 + 1
    let others = [1, 2, 3].filter { $0 != straggler } as [UInt32]
    try await cluster.stop(straggler)
    for key in 0..<UInt64(Self.puts) {
      _ = try await client.put(key, [UInt8](repeating: UInt8(key), count: 32 << 10))
    }
    try await cluster.until("both have applied the same") {
      let (a, b) = (try await cluster.status(others[0]), try await cluster.status(others[1]))
      return a?.appliedUpTo == b?.appliedUpTo
    }
    for number in others { _ = try await cluster.node(number).takeSnapshot() }
    let directory = cluster.configurations[Int(others[0]) - 1].dataDirectory
    let found = try FileManager.default.contentsOfDirectory(atPath: directory)
      .first { $0.hasPrefix("snapshot-") }
    let bytes = [UInt8](
      try Data(contentsOf: URL(filePath: directory + "/" + (try #require(found)))))
    let info = try SnapshotFileHead(bytes.span.bytes).info
    return (cluster, client, straggler, others, info)
  }

  private func incoming(_ number: UInt32, _ cluster: RealCluster) -> String {
    cluster.configurations[Int(number) - 1].dataDirectory + "/snapshot-incoming.tmp"
  }

  /// How much of it is there, in bytes.
  private func received(_ path: String) -> Int {
    var status = stat()
    // Its table of checksums lies behind bytes that have not come yet.
    return stat(path, &status) == 0 ? Int(status.st_blocks) * 512 : 0
  }

  private func untilCaughtUp(
    _ straggler: UInt32, _ other: UInt32, _ cluster: RealCluster
  ) async throws {
    try await cluster.until("it has caught up") {
      let (a, b) = (try await cluster.status(straggler), try await cluster.status(other))
      return a?.snapshot ?? .zero > .zero && a?.appliedUpTo == b?.appliedUpTo
        && a?.digest == b?.digest
    }
  }

  @Test func theRateIsKeptAndCommandsGoOn() async throws {
    let (cluster, client, straggler, others, info) = try await makeCluster("transfer-rate")
    #expect(info.length > 3 << 20)
    let round = try await cluster.status(others[0])?.ballot.round
    let begin = ContinuousClock.now
    try cluster.start(straggler)
    var (puts, longest) = (UInt64(0), Duration.zero)
    while try await cluster.status(straggler)?.snapshot ?? .zero < info.slot {
      let before = ContinuousClock.now
      puts += 1
      #expect(try await client.put(1_000, [1]) == puts)
      longest = max(longest, ContinuousClock.now - before)
    }
    let took = ContinuousClock.now - begin
    // All but what may be saved up.
    #expect(took >= .seconds(Double(info.length) / Double(Self.rate)) - .milliseconds(100))
    #expect(puts > 50 && longest < .seconds(1), "\(puts) puts, the longest took \(longest)")
    try await untilCaughtUp(straggler, others[0], cluster)
    #expect(try await cluster.status(others[0])?.ballot.round == round, "nobody was elected")
    await client.close()
    try await cluster.stopAll()
  }

  @Test func aRestartedReceiverGoesOn() async throws {
    let (cluster, client, straggler, others, info) = try await makeCluster("transfer-restart")
    try cluster.start(straggler)
    let path = incoming(straggler, cluster)
    try await cluster.until("half of it has come") { received(path) > Int(info.length) / 2 }
    try await cluster.stop(straggler)
    let log = InMemoryLogHandler()
    try cluster.start(straggler, logger: Logger(label: "straggler") { _ in log })
    try await untilCaughtUp(straggler, others[0], cluster)
    let came = try #require(try await cluster.status(straggler)).counters.bytesReceived
    #expect(came < info.length * 6 / 10, "\(came) of \(info.length) bytes came again")
    #expect(
      log.entries.contains { $0.message == "a snapshot's transfer goes on where it had stopped" })
    #expect(!FileManager.default.fileExists(atPath: path))
    await client.close()
    try await cluster.stopAll()
  }

  /// Blocks of what was received that have rotted meanwhile come again, and so does everything behind them.
  @Test func whatHasRottenOfItComesAgain() async throws {
    let (cluster, client, straggler, others, info) = try await makeCluster("transfer-rot")
    try cluster.start(straggler)
    let path = incoming(straggler, cluster)
    try await cluster.until("half of it has come") { received(path) > Int(info.length) / 2 }
    try await cluster.stop(straggler)
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    bytes[SnapshotFileHead.lengthMax + 3 * SnapshotFileHead.blockLength + 5] ^= 1
    try Data(bytes).write(to: URL(filePath: path))
    try cluster.start(straggler)
    try await untilCaughtUp(straggler, others[0], cluster)
    let came = try #require(try await cluster.status(straggler)).counters.bytesReceived
    #expect(came > info.length - 4 * UInt64(SnapshotFileHead.blockLength))
    await client.close()
    try await cluster.stopAll()
  }

  @Test func anOlderSnapshotIsSentToItsEnd() async throws {
    let (cluster, client, straggler, others, info) = try await makeCluster("transfer-older")
    try cluster.start(straggler)
    let path = incoming(straggler, cluster)
    // Every sender takes one snapshot after the other meanwhile, as under load.
    var slots: Set<Slot> = []
    while try await cluster.status(straggler)?.snapshot ?? .zero == .zero {
      guard received(path) > 256 << 10 else { continue }
      _ = try await client.put(1_000, [1])
      for number in others { slots.insert(try await cluster.node(number).takeSnapshot()) }
    }
    #expect(slots.count > 2)
    #expect(try await cluster.status(straggler)?.snapshot == info.slot)
    try await untilCaughtUp(straggler, others[0], cluster)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func thePaceIsThatOfTheRate() {
    var pace = TransferPace(bytesPerSecond: 1_000_000)
    func request(_ peer: UInt32, _ offset: UInt64) -> ChunkRequest {
      ChunkRequest(to: ReplicaID(peer), snapshot: .none, offset: offset, lengthMax: 50_000)
    }
    var now = Instant(nanoseconds: 5_000_000_000)
    #expect(pace.next(now: now) == nil && pace.due == .never)
    var sent: [UInt32: Int] = [:]
    var total = 0
    for peer in 1...3 as ClosedRange<UInt32> { pace.add(request(peer, 0)) }
    let end = now + .seconds(3)
    while now < end {
      while let next = pace.next(now: now) {
        pace.sent(50_000)
        total += 50_000
        sent[next.to.rawValue, default: 0] += 1
        pace.add(request(next.to.rawValue, next.offset + 50_000))
      }
      #expect(pace.due > now && pace.due != .never)
      now = max(pace.due, now + .microseconds(1))
    }
    #expect((3_000_000...3_110_000).contains(total), "\(total)")
    #expect(sent.values.max()! - sent.values.min()! <= 1, "\(sent)")
    // One that asks again has one answer.
    pace.add(request(1, 7))
    pace.add(request(1, 8))
    #expect(pace.waiting.count == 3 && pace.waiting.filter { $0.to == ReplicaID(1) }.count == 1)
  }
}
