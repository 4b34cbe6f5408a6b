import Foundation
import RESP
import Testing

/// The texts in `Tests/Transcripts`: a command behind `> `, its reply below. All but `expiry.txt` were answered by Redis
/// 7.0 first; a gateway is tested with them as well.
struct Transcript {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Transcripts")

  enum Line {
    case command(String, reply: String, number: Int)
    case clock(UInt64)
  }

  let lines: [Line]

  init(named name: String) throws {
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
  }
}

@Suite struct TranscriptTests {
  @Test(arguments: ["strings", "keys", "lists", "hashes", "transactions", "expiry"])
  func repliesAreTheOnesOfTheTranscript(name: String) throws {
    var store = SingleStore()
    var count = 0
    for line in try Transcript(named: name).lines {
      switch line {
      case .clock(let time): store.time = SingleStore.beginning + time
      case .command(let command, let reply, let number):
        let answer = store.perform(command).description
        #expect(answer == reply, "\(name).txt:\(number): \(command)")
        count += 1
      }
    }
    #expect(count >= 15)
  }
}
