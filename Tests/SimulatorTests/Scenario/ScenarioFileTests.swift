import Foundation
import Simulator
import Testing

/// Every file of Tests/Scenarios, run and compared. With `REWRITE_SCENARIOS=1` the files are rewritten instead; the
/// difference is then reviewed like code.
@Suite struct ScenarioFileTests {
  static let folder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Scenarios")

  static let files: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
    .filter { $0.hasSuffix(".txt") }.sorted()

  @Test(arguments: files)
  func outputIsTheExpectedOne(_ file: String) throws {
    let url = Self.folder.appending(path: file)
    let content = try String(contentsOf: url, encoding: .utf8)
    let result = try ScenarioRunner.run(content)
    if ProcessInfo.processInfo.environment["REWRITE_SCENARIOS"] == "1" {
      try result.actual.write(to: url, atomically: true, encoding: .utf8)
      return
    }
    #expect(result.blocks > 0, "\(file) has no block")
    for mismatch in result.mismatches { Issue.record("\(file) \(mismatch)") }
    #expect(result.mismatches.isEmpty == (result.actual == content), "\(file): rewriting is stable")
  }

  @Test func thereAreScenarios() {
    #expect(Self.files.count >= 30)
  }
}
