import Simulator
import Testing

/// What a failing seed has to say: what broke, what happened last, and how to see it again.
struct SimulationIssue: CustomStringConvertible {
  static let linesPerNode = 16

  let description: String

  /// nil when both runs of the seed passed and are alike.
  ///
  /// - Parameters:
  ///   - first: without a trace.
  ///   - second: the same seed with one.
  init?<Report>(
    seed: UInt64, _ first: RunResult<Report>, _ second: RunResult<Report>,
    seeds: ClosedRange<UInt64>, replay: String
  ) {
    var lines: [String] = []
    if first.outcome != .passed {
      lines.append("seed \(seed) of \(seeds): \(first.outcome.rawValue)")
    }
    if let violation = first.violation {
      lines.append("\(violation.checker): \(violation.sentence)")
    }
    if first.digest.value != second.digest.value {
      lines.append(
        "seed \(seed) is not deterministic: two runs gave the digests "
          + "\(String(first.digest.value, radix: 16)) and \(String(second.digest.value, radix: 16)); "
          + "what is it that depends on more than the seed?")
    }
    guard !lines.isEmpty else { return nil }
    let nodes = Self.nodes(second)
    let last = second.trace.lastLines(of: nodes)
    if !last.isEmpty {
      let names = (first.violation?.nodes ?? []).map { $0.description }.joined(separator: ", ")
      lines.append("last events\(names.isEmpty ? "" : " of \(names)"):")
      lines += last.map { "  \($0)" }
    }
    lines.append("plan: \(first.plan)")
    lines.append("replay: \(replay)")
    description = lines.joined(separator: "\n")
  }

  /// The nodes of the violation, or all that there can be.
  private static func nodes<Report>(_ result: RunResult<Report>) -> [NodeIndex] {
    let involved = result.violation?.nodes ?? []
    guard involved.isEmpty else { return involved }
    return (0..<NodeSet.capacity).map { NodeIndex($0) }
  }

  /// The command that runs the current test with this seed alone.
  static func testCommand(_ seed: UInt64) -> String {
    let name = Test.current.map { " --filter '\(filter($0))'" } ?? ""
    return "SIMULATION_SEED=\(seed) swift test\(name)"
  }

  /// The name of a test as `swift test --filter` takes it: suite and function, without its
  /// parameters' list.
  private static func filter(_ test: Test) -> String {
    let parts = "\(test.id)".split(separator: "/").filter { !$0.contains(".swift:") }
    let name = parts.joined(separator: "/")
    return String(name.prefix { $0 != "(" })
  }
}
