// A tape as text that can be read, edited and kept under version control:
//
//     rsl-tape 1
//     seed 42
//     network: 17 0*250 3
//     disk: 0 0 2
//
// `v*n` is the value v n times. A stream may go on over several lines; lines that start with # are
// comments.

/// Why a text is not a tape.
public struct TapeParseError: Error, Equatable, CustomStringConvertible {
  /// Counted from 1.
  public var line: Int
  public var reason: String

  public init(line: Int, reason: String) {
    self.line = line
    self.reason = reason
  }

  public var description: String { "tape line \(line): \(reason)" }
}

extension DecisionTape {
  /// The most values a tape may hold; a damaged repeat count must not eat the memory.
  public static var maximumCount: Int { 1 << 28 }
  private static var valuesPerLine: Int { 24 }

  /// The tape as text; `init(text:)` reads it back.
  public var text: String {
    var text = "rsl-tape 1\nseed \(seed)\n"
    for stream in RandomStream.allCases {
      let runs = Self.runs(of: self[stream])
      for start in Swift.stride(from: 0, to: runs.count, by: Self.valuesPerLine) {
        text += stream.name + ":"
        for run in runs[start..<min(runs.count, start + Self.valuesPerLine)] {
          text += run.count == 1 ? " \(run.value)" : " \(run.value)*\(run.count)"
        }
        text += "\n"
      }
    }
    return text
  }

  private static func runs(of values: [UInt64]) -> [(value: UInt64, count: Int)] {
    var runs: [(value: UInt64, count: Int)] = []
    for value in values {
      if let last = runs.last, last.value == value {
        runs[runs.count - 1].count += 1
      } else {
        runs.append((value, 1))
      }
    }
    return runs
  }

  /// Reads what `text` wrote.
  public init(text: String) throws(TapeParseError) {
    var header = false
    var seed: UInt64?
    var tape = DecisionTape(seed: 0)
    var total = 0
    var number = 0
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      number += 1
      let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
      guard let first = words.first, !first.hasPrefix("#") else { continue }
      if !header {
        guard words == ["rsl-tape", "1"] else {
          throw TapeParseError(line: number, reason: "expected \"rsl-tape 1\"")
        }
        header = true
      } else if first == "seed" {
        guard seed == nil else { throw TapeParseError(line: number, reason: "a second seed") }
        guard words.count == 2, let value = UInt64(words[1]) else {
          throw TapeParseError(line: number, reason: "expected \"seed\" and a number")
        }
        seed = value
      } else {
        guard first.hasSuffix(":"), let stream = RandomStream(name: first.dropLast()) else {
          throw TapeParseError(line: number, reason: "no stream is called \"\(first)\"")
        }
        for word in words.dropFirst() {
          guard let run = Self.parseRun(word) else {
            throw TapeParseError(line: number, reason: "\"\(word)\" is not a decision")
          }
          total += run.count
          guard total <= Self.maximumCount else {
            throw TapeParseError(
              line: number, reason: "more than \(Self.maximumCount) decisions")
          }
          tape[stream].append(contentsOf: repeatElement(run.value, count: run.count))
        }
      }
    }
    guard header else { throw TapeParseError(line: 1, reason: "expected \"rsl-tape 1\"") }
    guard let seed else { throw TapeParseError(line: number, reason: "no seed") }
    tape.seed = seed
    self = tape
  }

  private static func parseRun(_ word: Substring) -> (value: UInt64, count: Int)? {
    let parts = word.split(separator: "*", omittingEmptySubsequences: false)
    guard let value = UInt64(parts[0]) else { return nil }
    if parts.count == 1 { return (value, 1) }
    guard parts.count == 2, let count = Int(parts[1]), count > 0, count <= maximumCount else {
      return nil
    }
    return (value, count)
  }
}
