import Foundation
import Protocol
import RSLClient
import RealRuntime
import Testing

/// The disk fails one write of the journal, of a real replica and under the unmodified binary: whatever was acknowledged
/// before is there after a restart, and nothing is acknowledged from then on (Rebello et al., "Can Applications Recover from
/// fsync Failures?", ATC 2020).
@Suite(.serialized, .timeLimit(.minutes(60))) struct FlushErrorTests {
  /// Which of its writes fails. `FLUSH_ERRORS=200` asks for each of the first 200 (no name that begins with RSL_: replicas would
  /// take it for a key of their configuration).
  static let numbers: [Int] =
    ProcessInfo.processInfo.environment["FLUSH_ERRORS"].flatMap { Int($0) }.map {
      Array(1...max(1, $0))
    } ?? [1, 2, 3, 17, 60]

  private static func cluster(_ folder: URL, _ launcher: [String]) throws -> LocalCluster {
    var options = LocalCluster.Options(directory: folder.path)
    // Alone: each acknowledgement rests on its own writes.
    options.replicas = 1
    options.executable = RslProcess.url.path
    options.places = [LocalCluster.Place(launcher: launcher)]
    return try LocalCluster(options)
  }

  private static func client(_ cluster: LocalCluster) -> Client {
    let replica = cluster.replicas[0]
    return Client(
      ClientConfiguration(
        cluster: cluster.id,
        replicas: [
          ReplicaAddress(
            id: replica.id, host: replica.address.host, port: Int(replica.address.clientPort))
        ]), timeout: .seconds(1))
  }

  @Test(
    .enabled(if: Strace.isAllowed, "strace is missing or may not trace here"), arguments: numbers)
  func nothingIsAcknowledgedBehindAFailedWrite(number: Int) async throws {
    try await withFolder { folder in
      let failing = try Self.cluster(
        folder, Strace.launcher("pwritev:error=EIO:when=\(number)"))
      try failing.start()
      let writer = Self.client(failing)
      var acknowledged: UInt64 = 0
      var status: Int32?
      // Far more than a replica needs to come to its end.
      for _ in 0..<10_000 {
        status = failing.ended(failing.replicas[0])
        if status != nil { break }
        if let count = try? await writer.put(7, [1, 2, 3]) { acknowledged = count }
      }
      await writer.close(grace: .zero)
      #expect(status == 5 || (status == 1 && acknowledged == 0), "status \(status ?? 0)")
      // Each one needed a write that did not fail.
      #expect(acknowledged < number)
      #expect(failing.replicas[0].lastLine.contains("the journal failed") || status == 1)

      let healed = try Self.cluster(folder, [])
      try healed.start()
      let reader = Self.client(healed)
      var puts: UInt64?
      for _ in 0..<60 where puts == nil {
        // The last one may have been on its way.
        puts = try? await reader.get(7).map(\.puts) ?? 0
      }
      let found = try #require(
        puts, "the replica did not come back: \(healed.replicas[0].lastLine)")
      #expect((acknowledged...acknowledged + 1).contains(found))
      #expect(try await reader.put(7, [4]) == found + 1)
      await reader.close()
      #expect(healed.stop(healed.replicas[0]) == 0)
    }
  }
}
