/// A campaign as JUnit XML, which CI systems show: one test case per failed seed, one per
/// determinism check that failed, and one for all seeds that passed.
public struct JUnitReport: Sendable {
  private let report: CampaignReport

  public init(_ report: CampaignReport) { self.report = report }

  public var xml: String {
    let tally = report.tally
    let broken = report.checks.filter { !$0.passed }
    let errors = tally[.crash]
    let failures = tally.failures - errors + UInt64(broken.count)
    let passing = tally[.passed] > 0 ? 1 : 0
    let tests = tally.failures + UInt64(broken.count) + UInt64(passing)
    let seconds = Decimals.text(Double(report.wallNanoseconds) / 1e9, places: 3)
    var lines = [
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
      "<testsuites>",
      "  <testsuite name=\"rsl-sim \(Self.escaped(report.settings.profile.rawValue))\" "
        + "tests=\"\(tests)\" failures=\"\(failures)\" errors=\"\(errors)\" time=\"\(seconds)\">",
    ]
    if passing > 0 {
      lines.append(
        "    <testcase classname=\"rsl-sim\" name=\"\(tally[.passed]) of \(tally.runs) seeds passed "
          + "(\(Self.escaped(report.selection)))\" time=\"\(seconds)\"/>")
    }
    for run in tally.failedRuns { lines += Self.testCase(run) }
    for check in broken {
      lines += Self.testCase(
        "seed \(check.seed) is deterministic", element: "failure", type: "determinism",
        message: "another digest in a fresh process",
        detail: [check.divergence ?? "", report.settings.replayCommand(seed: check.seed)],
        seconds: 0)
    }
    lines += ["  </testsuite>", "</testsuites>"]
    return lines.joined(separator: "\n") + "\n"
  }

  private static func testCase(_ run: RunRecord) -> [String] {
    testCase(
      "seed \(run.seed)", element: run.outcome == .crash ? "error" : "failure",
      type: run.violation?.checker ?? run.outcome.rawValue, message: run.violation?.sentence ?? "",
      detail: [run.replayCommand, "digest \(run.digestText)", "plan \(run.plan)"],
      seconds: run.wallNanoseconds)
  }

  private static func testCase(
    _ name: String, element: String, type: String, message: String, detail: [String],
    seconds: UInt64
  ) -> [String] {
    let time = Decimals.text(Double(seconds) / 1e9, places: 3)
    return [
      "    <testcase classname=\"rsl-sim\" name=\"\(escaped(name))\" time=\"\(time)\">",
      "      <\(element) type=\"\(escaped(type))\" message=\"\(escaped(message))\">"
        + escaped(detail.filter { !$0.isEmpty }.joined(separator: "\n")) + "</\(element)>",
      "    </testcase>",
    ]
  }

  /// Text for an attribute or an element; what XML 1.0 cannot hold becomes `?`.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\n": result += "&#10;"
      case "\t": result += " "
      default:
        let isLegal = scalar.value >= 0x20 && scalar.value != 0xFFFE && scalar.value != 0xFFFF
        result.unicodeScalars.append(isLegal ? scalar : "?")
      }
    }
    return result
  }
}
