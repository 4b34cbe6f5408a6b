import Foundation
import Testing

@testable import Simulator

/// The files of `traces/` are what the simulation does today. With `REWRITE_TRACES=1` they are
/// rewritten instead; the difference is then reviewed like code. See traces/README.md.
@Suite struct GoldenTraceTests {
  static let folder = Executable.package.appending(path: "traces")

  @Test(arguments: GoldenTrace.all.map { $0.name })
  func theTraceIsTheRecordedOne(_ name: String) throws {
    let trace = try #require(GoldenTrace.all.first { $0.name == name })
    let url = Self.folder.appending(path: "\(name).txt")
    let actual = trace.render()
    if ProcessInfo.processInfo.environment["REWRITE_TRACES"] == "1" {
      try url.write(actual)
      return
    }
    let expected = try url.text
    let (a, b) = (expected.split(separator: "\n"), actual.split(separator: "\n"))
    let common = zip(a, b).prefix { $0 == $1 }.count
    #expect(
      expected == actual,
      """
      line \(common + 1 + 1): expected "\(common < a.count ? String(a[common]) : "the end")", got \
      "\(common < b.count ? String(b[common]) : "the end")"; REWRITE_TRACES=1 takes it over
      """)
  }

  @Test func everyFileHasItsSituation() throws {
    let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder.path)
      .filter { $0.hasSuffix(".txt") }.sorted()
    #expect(files == GoldenTrace.all.map { "\($0.name).txt" }.sorted())
  }

  @Test(
    arguments: [
      ("election", ["pre-vote", "prepare", "promise", "becomes leader"]),
      ("steady-pipeline", ["accept ", "accepted", "chosen"]),
      ("fail-over", ["prepare", "no-op", "crash", "becomes leader"]),
      ("catch-up", ["fetch slots", "apply slot"]),
      ("snapshot-install", ["snapshot-offer", "snapshot-chunk", "restore snapshot"]),
      ("torn-flush", ["crash", "start 2", "flush"]),
    ])
  func theSituationIsReallyThere(_ name: String, _ words: [String]) throws {
    let trace = try #require(GoldenTrace.all.first { $0.name == name }).render()
    let body = trace.split(separator: "\n").filter { !$0.hasPrefix("#") }
    for word in words {
      #expect(body.contains { $0.localizedCaseInsensitiveContains(word) }, "\(word)")
    }
    #expect(body.count < 400, "a trace that nobody reads")
  }
}
