import Foundation
import Testing

@Suite struct BenchCommandTests {
  private struct Report: Decodable {
    struct Process: Decodable {
      var name: String
      var role: String
      var userNanosecondsPerOperation: Double
      var systemNanosecondsPerOperation: Double
      var journalBytesWritten: UInt64?
      var journalFlushes: UInt64?
    }

    var operations: UInt64
    var operationsInAll: UInt64
    var operationsPerSecond: Double
    var wrongReplies: UInt64
    var processes: [Process]
  }

  @Test func everyProcessSaysWhatAnOperationCost() async throws {
    try await withFolder { folder async throws in
      let result = try await RslProcess.run(
        "bench", "--seconds", "0.5", "--warm-up", "0.1", "--outstanding", "16", "--payload", "64",
        "--directory", folder.path, "--format", "json")
      #expect(result.status == 0, "\(result.errors)")
      let report = try JSONDecoder().decode(Report.self, from: Data(result.output.utf8))
      #expect(report.wrongReplies == 0)
      #expect(report.operations > 0 && report.operationsPerSecond > 0)
      #expect(report.operationsInAll >= report.operations)
      #expect(report.processes.map(\.name) == ["client", "replica-1", "replica-2", "replica-3"])
      #expect(
        report.processes.map(\.role).sorted() == ["client", "follower", "follower", "leader"])
      for process in report.processes {
        #expect(process.userNanosecondsPerOperation + process.systemNanosecondsPerOperation > 0)
        guard process.role == "leader" else { continue }
        // A leader's journal has every command; a follower may be behind when it ends.
        let bytes = try #require(process.journalBytesWritten)
        let flushes = try #require(process.journalFlushes)
        #expect(bytes >= 64 * report.operationsInAll)
        // A closed loop fills no more than its window between two flushes, and what others made durable may be under way here.
        #expect(flushes + 2 >= report.operationsInAll / 16 && flushes * 512 <= bytes)
      }
      // Its folder is gone.
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == [])
    }
  }

  @Test func aSettingThatReplicasRefuseIsReportedAtOnce() async throws {
    try await withFolder { folder async throws in
      let result = try await RslProcess.run(
        "bench", "--directory", folder.path, "--journal-flush", "sometimes")
      #expect(result.status == 1)
      #expect(result.errors.contains("journal.flush"), "\(result.errors)")
    }
  }
}
