import Foundation
import Testing

/// Real processes, hurt for as long as a test may take: the long form is `make soak-cluster`.
@Suite(.serialized, .timeLimit(.minutes(4))) struct SoakCommandTests {
  /// What `rsl soak --format json` prints.
  private struct Report: Decodable {
    var verdict: String
    var acknowledged: Int
    var writes: Int
    var lost: Int
    var performedTwice: Int
    var isAudited: Bool
    var partsLinearizable: Int
    var stepsReplayed: Int
    var faults: [String: [Double]]
    var skipped: [String: String]
    var failures: [String]
  }

  private static func soak(
    _ faults: [String], in folder: URL, rslSim: URL? = nil
  ) async throws -> (status: Int32, report: Report, errors: String) {
    let result = try await RslProcess.run(
      [
        // One round.
        "soak", "--duration", "1s", "--rate", "300", "--workers", "16", "--faults",
        faults.joined(separator: ","), "--format", "json", "--directory", folder.path,
      ] + (rslSim.map { ["--rsl-sim", $0.path] } ?? []))
    guard let report = try? JSONDecoder().decode(Report.self, from: Data(result.output.utf8)) else {
      Issue.record("status \(result.status): \(result.errors)\(result.output)")
      throw CancellationError()
    }
    return (result.status, report, result.errors)
  }

  /// Every fault was made or says why not, and nothing was lost.
  private static func expectWell(
    _ result: (status: Int32, report: Report, errors: String), _ faults: [String]
  ) {
    let report = result.report
    #expect(result.status == 0, "\(result.errors)")
    #expect(report.verdict == "linearizable" && report.failures == [])
    #expect(report.isAudited && report.lost == 0 && report.performedTwice == 0)
    #expect(report.acknowledged > 100 && report.writes > 20)
    #expect(report.partsLinearizable > report.faults.count)
    #expect(report.stepsReplayed > report.acknowledged)
    for fault in faults {
      #expect(
        report.faults[fault]?.isEmpty == false || report.skipped[fault]?.isEmpty == false,
        "\(fault) was neither made nor skipped")
    }
  }

  @Test func killedAndStoppedProcessesLoseNothing() async throws {
    try await withFolder { folder async throws in
      let faults = ["kill-leader", "pause-leader", "garbage"]
      let result = try await Self.soak(faults, in: folder)
      Self.expectWell(result, faults)
      #expect(result.report.skipped.isEmpty)
    }
  }

  /// The way from what clients saw to the exit status: a judge that is shown answers which nobody wrote says so.
  @Test func aFalseAnswerIsFound() async throws {
    try await withFolder { folder async throws in
      let judge = folder.appending(path: "judge")
      let rslSim = RslProcess.url.deletingLastPathComponent().appending(path: "rsl-sim").path
      try """
      #!/bin/sh
      for history; do :; done
      if [ "$1" = check ]; then
        sed -i '/:type :ok, :f :get/ s/:value "[^"]*"}/:value "nobody wrote this"}/' "$history"
      fi
      exec '\(rslSim)' "$@"
      """.write(to: judge, atomically: false, encoding: .utf8)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: judge.path)
      let result = try await Self.soak(["garbage"], in: folder, rslSim: judge)
      #expect(result.status == 2, "\(result.errors)")
      #expect(result.report.verdict == "failed")
      #expect(result.report.failures.contains { $0.contains("not linearizable") })
      #expect(result.report.partsLinearizable == 0)
      #expect(result.report.isAudited && result.report.lost == 0)
    }
  }

  @Test func aFailedFlushEndsTheReplicaAndLosesNothing() async throws {
    try await withFolder { folder async throws in
      let result = try await Self.soak(["flush-error"], in: folder)
      Self.expectWell(result, ["flush-error"])
    }
  }

  @Test func aFullDiskEndsNobodyAndLosesNothing() async throws {
    try await withFolder { folder async throws in
      let result = try await Self.soak(["disk-full"], in: folder)
      Self.expectWell(result, ["disk-full"])
    }
  }

  @Test func aPartitionedLeaderLosesNothing() async throws {
    try await withFolder { folder async throws in
      let result = try await Self.soak(["cut-leader"], in: folder)
      Self.expectWell(result, ["cut-leader"])
    }
  }

  @Test func memoryStaysWithinItsBoundUnderTenTimesTheLoad() async throws {
    struct Bench: Decodable {
      var residentMax, memoryMax, refusals, wrongReplies, unavailable: Int
    }
    try await withFolder { folder async throws in
      // Forty-eight thousand commands under way, where window and queue hold two thousand.
      let result = try await RslProcess.run([
        "bench", "--seconds", "2", "--warm-up", "0", "--connections", "12", "--outstanding", "4096",
        "--payload", "256", "--format", "json", "--directory", folder.path, "--log-bytes", "16MiB",
        "--batch-bytes-max", "64KiB", "--limits-frame-bytes", "128KiB",
        "--limits-peer-unsent-bytes", "1MiB", "--sessions-max", "256",
        "--sessions-reply-bytes-max", "64", "--log-window-slots", "8",
        "--batch-queued-max", "2",
      ])
      #expect(result.status == 0, "\(result.errors)")
      let bench = try JSONDecoder().decode(Bench.self, from: Data(result.output.utf8))
      #expect(bench.wrongReplies == 0 && bench.unavailable == 0)
      #expect(bench.refusals > 0)
      #expect(bench.residentMax > 1 << 20 && bench.residentMax <= bench.memoryMax)
      #expect(bench.memoryMax < 256 << 20)
    }
  }

  @Test func whatCannotBeIsRefusedInALine() async throws {
    try await withFolder { folder async throws in
      for (arguments, expected) in [
        (["--faults", "lightning"], "lightning"), (["--duration", "5"], "--duration"),
        (["--rsl-sim", "/nowhere/rsl-sim"], "/nowhere/rsl-sim is missing"),
      ] {
        let result = try await RslProcess.run(["soak", "--directory", folder.path] + arguments)
        #expect(result.status == 1)
        #expect(result.errors.contains(expected), "\(result.errors)")
      }
    }
  }
}
