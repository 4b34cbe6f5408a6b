/// A scenario file taken apart: prose, and blocks of commands with their expected output.
struct ScenarioFile {
  struct Block {
    var commands: [ScenarioCommand]
    /// Indices into `lines`: the first line behind `----`, and the one behind the expected output.
    var outputStart: Int
    var outputEnd: Int
  }

  static let separator = "----"

  /// The file's lines, without their line ends.
  let lines: [String]
  let blocks: [Block]

  init(_ content: String) throws(ScenarioError) {
    var lines: [String] = []
    for bytes in content.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    {
      var bytes = bytes
      if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
      lines.append(String(decoding: bytes, as: UTF8.self))
    }
    var blocks: [Block] = []
    var commands: [ScenarioCommand] = []
    var i = 0
    while i < lines.count {
      let line = lines[i]
      if line == Self.separator {
        guard !commands.isEmpty else {
          throw ScenarioError(
            line: i + 1, message: "---- without a command above it; write the command, or delete it"
          )
        }
        let end = try Self.endOfOutput(lines, from: i + 1)
        blocks.append(Block(commands: commands, outputStart: i + 1, outputEnd: end))
        commands = []
        i = end
        continue
      }
      if line.isBlank {
        try Self.checkSeparated(commands)
      } else if !line.hasPrefix("#") {
        commands.append(try ScenarioCommand(line, at: i + 1))
      }
      i += 1
    }
    try Self.checkSeparated(commands)
    self.lines = lines
    self.blocks = blocks
  }

  /// Output ends at a blank line. A second separator in it means that the blank line was forgotten: rewriting would then
  /// swallow commands.
  private static func endOfOutput(_ lines: [String], from start: Int) throws(ScenarioError) -> Int {
    var end = start
    while end < lines.count && !lines[end].isBlank {
      if lines[end] == separator {
        throw ScenarioError(
          line: end + 1,
          message: "a second ---- in one block; end the output above with a blank line")
      }
      end += 1
    }
    return end
  }

  private static func checkSeparated(_ commands: [ScenarioCommand]) throws(ScenarioError) {
    guard let last = commands.last else { return }
    throw ScenarioError(
      line: last.line,
      message: "no line ---- follows \"\(last.text)\"; add it, or begin prose with #")
  }
}

extension String {
  fileprivate var isBlank: Bool { utf8.allSatisfy { $0 == UInt8(ascii: " ") } }
}
