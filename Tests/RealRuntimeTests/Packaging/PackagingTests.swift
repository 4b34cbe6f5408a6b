import Foundation
import Testing

@testable import RealRuntime

/// Files for operators, judged by the programs that read them. Where those are missing, the test says so.
@Suite struct PackagingTests {
  private static func find(_ program: String) -> String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
      .map { "\($0)/\(program)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Runs a program with this input; its exit status and what it said.
  private static func run(
    _ program: String, _ arguments: [String], input: String = ""
  ) async throws -> (status: Int32, text: String) {
    try await withFolder { folder in
      let (into, from) = (folder.appending(path: "in"), folder.appending(path: "out"))
      try Data(input.utf8).write(to: into)
      try Data().write(to: from)
      let status = try await offPool {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.standardInput = try FileHandle(forReadingFrom: into)
        let output = try FileHandle(forWritingTo: from)
        (process.standardOutput, process.standardError) = (output, output)
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
      }
      return (status, try String(contentsOf: from, encoding: .utf8))
    }
  }

  @Test(.enabled(if: find("systemd-analyze") != nil, "systemd-analyze is not installed"))
  func systemdTakesTheUnit() async throws {
    let unit = try String(
      contentsOf: checkout.appending(path: "packaging/rsl.service"), encoding: .utf8)
    try await withFolder { folder async throws in
      let file = folder.appending(path: "rsl.service")
      // The program itself is not installed here.
      try unit.replacing("/usr/bin/rsl ", with: "/bin/true ")
        .write(to: file, atomically: true, encoding: .utf8)
      let verdict = try await Self.run(
        try #require(Self.find("systemd-analyze")), ["verify", file.path])
      #expect(verdict.status == 0 && verdict.text.isEmpty, "\(verdict.text)")
    }
  }

  @Test(.enabled(if: find("promtool") != nil, "promtool is not installed"))
  func promtoolTakesTheMetrics() async throws {
    let registry = PrometheusRegistry()
    registry.describe("test.requests", "Requests.")
    registry.makeCounter(label: "test.requests", dimensions: [("a", "x\"\\\n")]).increment(by: 1)
    registry.describe("test.wait", "Waiting.")
    registry.makeTimer(label: "test.wait", dimensions: []).recordNanoseconds(5)
    let backend = FakeBackend { $0.status.certificateExpiry = 1_900_000_000 }
    let answer = await AdminRouter(backend: backend, registry: registry).answer(
      AdminRequest(method: .GET, uri: "/metrics", body: "", mayControl: false, isFromPage: false))
    let verdict = try await Self.run(
      try #require(Self.find("promtool")), ["check", "metrics"], input: answer.body)
    #expect(verdict.status == 0, "\(verdict.text)")
  }
}
