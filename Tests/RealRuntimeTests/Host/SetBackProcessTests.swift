import Foundation
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Disks that are sound and one that was set back, under real processes that are killed: nobody but a supervisor starts them.
@Suite(.serialized, .timeLimit(.minutes(20))) struct SetBackProcessTests {
  private static func cluster(_ folder: URL) throws -> LocalCluster {
    var options = LocalCluster.Options(directory: folder.path)
    options.executable = RslProcess.url.path
    // Segments that end soon, so that marks are of many.
    options.flags = ["--journal-segment-bytes", "2MiB"]
    return try LocalCluster(options)
  }

  private static func hasNote(_ replica: LocalCluster.Replica) throws -> Bool {
    try SightingDesk.note.read(in: replica.folder) != nil
  }

  private static func log(_ replica: LocalCluster.Replica) throws -> String {
    try String(contentsOfFile: replica.logPath, encoding: .utf8)
  }

  /// Nobody ended by itself, and nobody was accused.
  private static func expectNoAlarm(_ cluster: LocalCluster) throws {
    for replica in cluster.replicas {
      #expect(cluster.ended(replica) == nil, "\(replica.lastLine)")
      #expect(try !hasNote(replica))
      #expect(try !log(replica).contains("set back"))
      #expect(try !log(replica).contains("suspect"))
    }
  }

  /// Each write needs those that were started just now, and comes from one that was killed a moment later.
  @Test func killsRaiseNoAlarm() async throws {
    try await withFolder { folder in
      let cluster = try Self.cluster(folder)
      try cluster.start()
      let client = cluster.client
      var written: UInt64 = 0
      func write() async throws {
        for _ in 0..<10 {
          written += 1
          #expect(try await client.put(7, [UInt8](repeating: 1, count: 16_000)) == written)
        }
      }
      try await write()
      for _ in 0..<2 {
        for replica in cluster.replicas {
          cluster.kill(replica)
          try await write()
          try cluster.start(replica)
        }
      }
      // Two at once, and one that remembers; then all at once, and nobody does.
      for count in [2, 3] {
        for replica in cluster.replicas.prefix(count) { cluster.kill(replica) }
        try cluster.start()
        try await write()
      }
      try Self.expectNoAlarm(cluster)
      await client.close()
      for replica in cluster.replicas { #expect(cluster.stop(replica) == 0) }
    }
  }

  /// A supervisor that starts whoever has ended is all it takes, while clients go on.
  @Test func aClusterHealsWithoutAnOperator() async throws {
    try await withFolder { folder in
      let cluster = try Self.cluster(folder)
      try cluster.start()
      let client = cluster.client
      var written: UInt64 = 0
      func write(_ count: Int) async throws {
        for _ in 0..<count {
          written += 1
          #expect(try await client.put(7, [UInt8](repeating: 1, count: 500)) == written)
        }
      }
      try await write(20)
      let (victim, witness, third) = (
        cluster.replicas[2], cluster.replicas[0], cluster.replicas[1]
      )
      cluster.kill(victim)
      let copy = folder.appending(path: "copy").path
      try FileManager.default.copyItem(atPath: victim.folder, toPath: copy)
      try cluster.start(victim)
      // Without the third the victim votes, and the witness hears it.
      cluster.kill(third)
      try await write(20)
      try cluster.start(third)
      cluster.kill(victim)
      try FileManager.default.removeItem(atPath: victim.folder)
      try FileManager.default.moveItem(atPath: copy, toPath: victim.folder)

      try cluster.start(victim)
      var ends: [Int32] = []
      try await waitUntil("it is cured") {
        if let status = cluster.ended(victim) {
          ends.append(status)
          try cluster.start(victim)
        }
        try await write(1)
        return try Self.log(victim).contains("cured: votes again") && !Self.hasNote(victim)
      }
      #expect(ends == [5], "found once, and believed afterwards")
      let log = try Self.log(victim)
      #expect(
        log.contains("the disk was set back") && log.contains("has heard of its journal up to"))

      // Its vote decides.
      cluster.kill(third)
      try await write(10)
      cluster.kill(victim)
      try cluster.start(victim)
      try await write(10)
      #expect(try await client.get(7)?.puts == written)
      #expect(cluster.ended(victim) == nil && cluster.ended(witness) == nil)
      await client.close()
      cluster.stop()
    }
  }
}
