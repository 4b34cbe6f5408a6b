import Foundation
import Simulator
import Testing

/// Histories recorded from real systems, whose verdicts are known.
///
/// They live beside the package (`shared/histories`), or where the environment variable
/// `RSL_HISTORIES` says; without them these tests are reported as skipped.
@Suite struct RecordedHistoriesTests {
  static let folder: URL? = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    var candidates = [
      root.appendingPathComponent("../shared/histories"),
      root.appendingPathComponent("../../shared/histories"),
    ]
    if let path = ProcessInfo.processInfo.environment["RSL_HISTORIES"] {
      candidates.insert(URL(fileURLWithPath: path), at: 0)
    }
    return candidates.map { $0.standardizedFileURL }.first {
      FileManager.default.fileExists(atPath: $0.appendingPathComponent("kv").path)
    }
  }()

  static func content(_ name: String) throws -> String {
    let folder = try #require(Self.folder)
    return try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
  }

  @Test(.enabled(if: folder != nil, "no recorded histories: set RSL_HISTORIES"))
  func everyEtcdVerdictIsReproduced() throws {
    let lines = try Self.content("jepsen-etcd/verdicts.tsv").split(separator: "\n")
    #expect(lines.count == 52)
    var verdicts = [0, 0]
    let clock = ContinuousClock()
    var steps = 0
    var slowest = (time: Duration.zero, name: "")
    let total = try clock.measure {
      for line in lines {
        let fields = line.split(separator: "\t")
        let name = String(fields[0])
        let expected = fields[1] == "linearizable"
        verdicts[expected ? 1 : 0] += 1
        let content = try Self.content("jepsen-etcd/\(name)")
        var result: RecordedHistoryCheck.Result?
        let time = try clock.measure { result = try RecordedHistoryCheck().check(content) }
        if time > slowest.time { slowest = (time, name) }
        steps += result?.report.steps ?? 0
        #expect(result?.verdict.answer == expected, "\(name): \(result?.summary ?? "")")
        #expect((result?.explanation == nil) == expected)
      }
    }
    #expect(verdicts[0] > 0 && verdicts[1] > 0)
    print("etcd: \(lines.count) histories, \(steps) steps, \(total), slowest \(slowest)")
  }

  /// We take a failed cas for an observation (the register held something else). The weaker
  /// reading, that it only did not happen, gives the same verdicts here, so the recorded ones rest
  /// on reads and successful cas alone.
  @Test(.enabled(if: folder != nil, "no recorded histories: set RSL_HISTORIES"))
  func noVerdictHangsOnFailedCompareAndSet() throws {
    for line in try Self.content("jepsen-etcd/verdicts.tsv").split(separator: "\n") {
      let fields = line.split(separator: "\t")
      let history = try JepsenLogParser().parse(
        try Self.content("jepsen-etcd/\(String(fields[0]))"))
      let weaker = History(
        history.operations.map { operation in
          var operation = operation
          if case .returned(.swapped(false), let end) = operation.outcome {
            operation.outcome = .failed(at: end)
          }
          return operation
        })
      #expect(weaker != history, "\(fields[0]) has no failed cas")
      let verdict = LinearizabilitySearch(RegisterModel()).check(weaker)
      #expect((verdict.answer == true) == (fields[1] == "linearizable"), "\(fields[0])")
    }
  }

  @Test(
    .enabled(if: folder != nil, "no recorded histories: set RSL_HISTORIES"),
    arguments: ["c01-bad.txt", "c01-ok.txt", "c10-bad.txt", "c10-ok.txt"])
  func everyKeyValueVerdictIsReproduced(name: String) throws {
    let content = try Self.content("kv/\(name)")
    var result: RecordedHistoryCheck.Result?
    let time = try ContinuousClock().measure { result = try RecordedHistoryCheck().check(content) }
    let summary = result?.summary ?? ""
    #expect(result?.verdict.answer == name.hasSuffix("-ok.txt"), "\(summary)")
    print("\(name): \(summary) \(time)")
    if let explanation = result?.explanation { print(explanation) }
  }

  @Test(.enabled(if: folder != nil, "no recorded histories: set RSL_HISTORIES"))
  func theWrongModelIsRefused() throws {
    let content = try Self.content("kv/c01-ok.txt")
    #expect(throws: HistoryParseError.self) {
      try RecordedHistoryCheck().check(content, model: .register)
    }
  }
}
