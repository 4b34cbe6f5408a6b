import Foundation
import Protocol
import RSLClient
import RealRuntime
import Testing

/// The disk does not give a segment back to the unmodified binary: it starts as a suspect, rather than to end by a signal, and
/// is repaired by its peers.
@Suite(.serialized, .timeLimit(.minutes(10))) struct ReadErrorTests {
  private static func cluster(_ folder: URL, third launcher: [String] = []) throws -> LocalCluster {
    var options = LocalCluster.Options(directory: folder.path)
    options.executable = RslProcess.url.path
    options.flags = ["--journal-segment-bytes", "4MiB", "--logging-format", "text"]
    options.places = [.init(), .init(), .init(launcher: launcher)]
    return try LocalCluster(options)
  }

  private func waitFor(_ line: String, _ replica: LocalCluster.Replica) async throws {
    try await waitUntil(line) {
      try String(contentsOfFile: replica.logPath, encoding: .utf8).contains(line)
    }
  }

  @Test(.enabled(if: Strace.isAllowed, "strace is missing or may not trace here"))
  func aSegmentThatCannotBeRead() async throws {
    try await withFolder { folder in
      // Two lives: the second one's segment says whose journal it is, and how far the first one went.
      for life in 1...2 as ClosedRange<UInt64> {
        let cluster = try Self.cluster(folder)
        try cluster.start()
        let client = cluster.client
        for i in 1...20 as ClosedRange<UInt64> {
          #expect(try await client.put(7, [UInt8(i)]) == (life - 1) * 20 + i)
        }
        await client.close()
        cluster.stop()
      }
      // Its header can be read once, and nothing from then on.
      let failing = try Self.cluster(
        folder,
        third: Strace.launcher(
          "pread64:error=EIO:when=2+", files: [folder.path + "/replica-3/journal-000000000001"]))
      try failing.start()
      let third = failing.replicas[2]
      try await waitFor("4194304 bytes cannot be read: Input/output error", third)
      let client = failing.client
      #expect(try await client.put(7, [1]) == 41)
      try await waitFor("cured: votes again", third)
      // Without one of the others its vote decides.
      failing.stop(failing.replicas[0])
      #expect(try await client.put(7, [2]) == 42)
      #expect(try await client.get(7)?.puts == 42)
      await client.close()
      try Strace.endTraced(by: try #require(third.pid))
      failing.stop()
    }
  }
}
