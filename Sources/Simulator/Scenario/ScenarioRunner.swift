/// Runs data-driven scenarios: text files that script a cluster step by step and hold the output that is expected.
///
/// Pure: the content of a file goes in, what it should contain comes out. Reading and writing files is the caller's. The
/// language is described in `docs/scenarios.md`; its model is the interaction tests of etcd-io/raft.
public enum ScenarioRunner {
  /// Runs every block of a scenario in order.
  /// - Parameter content: the whole file.
  /// - Throws: the first line that cannot be understood, and what to do about it.
  public static func run(_ content: String) throws(ScenarioError) -> ScenarioResult {
    let file = try ScenarioFile(content)
    var world = ScenarioWorld()
    var lines: [String] = []
    var mismatches: [ScenarioMismatch] = []
    var copiedUpTo = 0

    for block in file.blocks {
      for command in block.commands { try world.run(command) }
      let output = world.takeOutput()
      lines += file.lines[copiedUpTo..<block.outputStart]
      lines += output
      copiedUpTo = block.outputEnd
      let expected = Array(file.lines[block.outputStart..<block.outputEnd])
      if expected != output {
        mismatches.append(
          ScenarioMismatch(block: block, expected: expected, actual: output))
      }
    }
    lines += file.lines[copiedUpTo...]
    while let last = lines.last, last.isEmpty { lines.removeLast() }
    return ScenarioResult(
      actual: lines.joined(separator: "\n") + "\n", mismatches: mismatches,
      blocks: file.blocks.count)
  }
}

/// What a scenario led to.
public struct ScenarioResult: Equatable, Sendable {
  /// The file with the output of every block as it is now: writing it back is the rewrite mode.
  public let actual: String
  /// The blocks whose output is not the expected one; empty when the scenario passes.
  public let mismatches: [ScenarioMismatch]
  /// How many blocks the file has.
  public let blocks: Int
}

/// A block whose output is not the expected one.
public struct ScenarioMismatch: Equatable, Sendable, CustomStringConvertible {
  /// The line of the file, counted from 1, where the two part.
  public let line: Int
  /// The block's last command.
  public let command: String
  /// The first line that differs; nil where the expected output ends early.
  public let expected: String?
  /// The first line that differs; nil where the actual output ends early.
  public let actual: String?

  init(block: ScenarioFile.Block, expected: [String], actual: [String]) {
    var i = 0
    while i < expected.count && i < actual.count && expected[i] == actual[i] { i += 1 }
    line = block.outputStart + i + 1
    command = block.commands.last?.text ?? ""
    self.expected = i < expected.count ? expected[i] : nil
    self.actual = i < actual.count ? actual[i] : nil
  }

  /// `line 12, after "flush r1": expected "…", got "…"`.
  public var description: String {
    func quoted(_ text: String?) -> String { text.map { "\"\($0)\"" } ?? "the end of the output" }
    return "line \(line), after \"\(command)\": expected \(quoted(expected)), got \(quoted(actual))"
  }
}

/// A scenario that cannot be run: where, why, and what to do.
public struct ScenarioError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The line of the file, counted from 1.
  public let line: Int
  public let message: String

  public init(line: Int, message: String) {
    self.line = line
    self.message = message
  }

  /// `line 12: …`.
  public var description: String { "line \(line): \(message)" }
}
