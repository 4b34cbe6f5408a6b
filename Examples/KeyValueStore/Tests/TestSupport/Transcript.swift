import Foundation

/// The texts in `Tests/Transcripts`: a command behind `> `, its reply below. All but `expiry.txt` were answered by Redis
/// 7.0 first; a gateway is tested with them as well.
public struct Transcript: Sendable {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Transcripts")

  public enum Line: Sendable {
    case command(String, reply: String, number: Int)
    case clock(UInt64)
  }

  public let lines: [Line]
  private let name: String

  public init(named name: String) throws {
    let text = try String(
      contentsOf: Self.folder.appendingPathComponent(name + ".txt"), encoding: .utf8)
    var lines: [Line] = []
    var command: String?
    for (i, line) in text.split(separator: "\n").enumerated() {
      if line.hasPrefix("#") { continue }
      if line.hasPrefix("> ") {
        command = String(line.dropFirst(2))
      } else if line.hasPrefix("@ "), let time = UInt64(line.dropFirst(2)) {
        lines.append(.clock(time))
      } else if let sent = command {
        lines.append(.command(sent, reply: String(line), number: i + 1))
        command = nil
      } else {
        fatalError("\(name).txt:\(i + 1): a reply without a command")
      }
    }
    self.lines = lines
    self.name = name
  }

  /// Sends every command, and returns one line for each reply that is another than the text's.
  public func differences(from client: TestClient) throws -> [String] {
    var differences: [String] = []
    for case .command(let command, let reply, let number) in lines {
      let answer = try client.perform(command).description
      if answer != reply {
        differences.append("\(name).txt:\(number): \(command): \(answer), not \(reply)")
      }
    }
    return differences
  }
}
