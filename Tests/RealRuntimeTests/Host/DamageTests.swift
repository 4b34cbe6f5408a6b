import Foundation
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Real replicas whose files rot while they are down: they start, are repaired by their peers, and vote again.
@Suite(.serialized) struct DamageTests {
  enum Harm: String, CaseIterable, Sendable { case flip, zero, header, snapshot, lastSegments }

  /// Ruins something of a stopped replica's directory that had been durable for long.
  static func harm(_ harm: Harm, _ directory: String) throws {
    func change(_ path: String, _ change: (inout Data) -> Void) throws {
      var data = try Data(contentsOf: URL(filePath: path))
      change(&data)
      try data.write(to: URL(filePath: path))
    }
    let numbers = try SegmentFiles.numbers(in: directory)
    let first = SegmentFiles.path(directory, try #require(numbers.first))
    switch harm {
    case .flip: try change(first) { $0[4 * 512 + 20] ^= 0x40 }
    case .zero:
      try change(first) { data in for i in 3 * 512..<9 * 512 { data[i] = 0 } }
    case .header:
      try change(SegmentFiles.path(directory, try #require(numbers.last))) { $0[60] ^= 1 }
    case .lastSegments:
      // The middle of what was written last: nothing behind it repeats the promise but votes.
      try change(SegmentFiles.path(directory, try #require(numbers.last))) { data in
        for i in 1024..<1536 { data[i] ^= 0xFF }
      }
    case .snapshot:
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: directory).first {
          $0.hasPrefix("snapshot-") && !$0.hasSuffix(".tmp")
        })
      try change(directory + "/" + name) { $0[$0.count / 2] ^= 1 }
    }
  }

  @Test(arguments: Harm.allCases) func isRepairedByItsPeers(harm: Harm) async throws {
    let cluster = try RealCluster(3, "damage-\(harm)") {
      $0.options.snapshotInterval = harm == .snapshot ? 32 : 2_000
    }
    try cluster.startAll()
    let client = cluster.client
    for i in 1...60 as ClosedRange<UInt64> { #expect(try await client.put(i % 7, [UInt8(i)]) > 0) }
    let victim = try await cluster.leader() % 3 + 1
    if harm == .snapshot {
      try await cluster.until("a snapshot") {
        (try await cluster.status(victim)?.snapshot ?? .zero) > .zero
      }
    }
    try await cluster.stop(victim)
    if harm == .header || harm == .lastSegments {
      // Another life on top, so that later bytes prove the ones that are ruined.
      try cluster.start(victim)
      for i in 0..<5 as Range<UInt64> { _ = try await client.put(90 + i, [1]) }
      try await cluster.until("the replica follows") {
        try await cluster.status(victim)?.leader != nil
      }
      for i in 0..<5 as Range<UInt64> { _ = try await client.put(80 + i, [1]) }
      try await cluster.stop(victim)
    }
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    try Self.harm(harm, directory)
    let found = try DirectoryInspection(directory: directory)
    #expect(!found.problems.isEmpty, "\(harm) is not seen")
    try cluster.start(victim)
    // Writes go on while it is a suspect, and when it is none any more.
    for i in 61...90 as ClosedRange<UInt64> {
      #expect(try await client.put(i % 7, [UInt8(i)]) > 0)
    }
    try await cluster.until("\(harm): sound again") {
      let status = try await cluster.status(victim)
      return status != nil && status?.suspicion == nil
    }
    #expect(try await cluster.node(victim).health().isAlive)
    // With one of the others down its vote decides; everything acknowledged is there.
    let other = try #require([1, 2, 3].first { $0 != victim })
    try await cluster.stop(other)
    for i in 91...120 as ClosedRange<UInt64> {
      #expect(try await client.put(i % 7, [UInt8(i)]) == (i + 6) / 7)
    }
    for key in 0..<7 as Range<UInt64> {
      let puts = (1...120).count { UInt64($0) % 7 == key }
      #expect(try await client.get(key)?.puts == UInt64(puts))
    }
    let third = try #require([1, 2, 3].first { $0 != victim && $0 != other })
    try await cluster.until("both know the same") {
      let (a, b) = (try await cluster.status(victim), try await cluster.status(third))
      return a?.appliedUpTo == b?.appliedUpTo && a?.digest == b?.digest
    }
    // The cure is durable: the next start finds nothing that matters.
    try await cluster.stop(victim)
    #expect(try DirectoryInspection(directory: directory).doubt == nil)
    try cluster.start(victim)
    #expect(try await cluster.status(victim)?.suspicion == nil)
    await client.close()
    try await cluster.stopAll()
  }

  @Test func aSuspectWithoutPeersSaysWhatItWaitsFor() async throws {
    let cluster = try RealCluster(3)
    try cluster.startAll()
    let client = cluster.client
    for i in 1...30 as ClosedRange<UInt64> { _ = try await client.put(i, [1]) }
    await client.close()
    try await cluster.stopAll()
    try Self.harm(.flip, cluster.configurations[2].dataDirectory)
    try cluster.start(3)
    let status = try #require(try await cluster.status(3))
    let text = status.suspicion ?? "sound"
    #expect(text.contains("no answer from r1, r2"), "\(text)")
    let health = try await cluster.node(3).health()
    #expect(
      health.isAlive && !health.isReady && health.reason.hasPrefix("suspect: journal segment 1"))
    try await cluster.stopAll()
  }
}
