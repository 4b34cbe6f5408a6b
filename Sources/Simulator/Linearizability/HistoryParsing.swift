// What the parsers of recorded histories share. They take content, never files, and use line
// numbers (from 1) as the positions of the history, so that an explanation can be read next to the
// file.

/// Why a recorded history cannot be read.
public struct HistoryParseError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Reason: Equatable, Sendable {
    /// The line is not what the format has there.
    case malformed(expected: String, found: String)
    /// A process returned from an operation it had not begun.
    case returnWithoutInvoke(process: Int)
    /// A process began an operation before its previous one, begun on line `since`, was over.
    case invokeWhilePending(process: Int, since: Int)
    /// A process returned from another operation than the one it began on line `since`.
    case returnDisagrees(process: Int, since: Int, invoked: String, returned: String)
    /// The content has no line of any known format.
    case unknownFormat
  }

  /// Line in the content, from 1.
  public var line: Int
  public var reason: Reason

  public init(line: Int, _ reason: Reason) {
    self.line = line
    self.reason = reason
  }

  public var description: String {
    switch reason {
    case .malformed(let expected, let found):
      "line \(line): expected \(expected), found \(found)"
    case .returnWithoutInvoke(let process):
      "line \(line): process \(process) returns but has no operation under way"
    case .invokeWhilePending(let process, let since):
      "line \(line): process \(process) begins an operation while that of line \(since) is pending"
    case .returnDisagrees(let process, let since, let invoked, let returned):
      "line \(line): process \(process) returns from \(returned) but began \(invoked) "
        + "on line \(since)"
    case .unknownFormat:
      "line \(line): neither a Jepsen log nor a key-value history"
    }
  }
}

/// The formats of recorded histories.
public enum HistoryFormat: String, Equatable, Sendable, CaseIterable {
  /// Log lines of Jepsen: one integer register with read, write and cas.
  case jepsenLog = "jepsen-log"
  /// One EDN map per line: a key-value store with get, put and append.
  case keyValue = "key-value"

  /// Recognises a format by the first line that belongs to one; nil when none does.
  public static func detect(_ content: String) -> HistoryFormat? {
    var format: HistoryFormat?
    ContentLines(content).eachLine { _, line in
      if format != nil { return }
      var cursor = TextCursor(line)
      cursor.skipBlanks()
      if cursor.peek == UInt8(ascii: "{") {
        format = .keyValue
      } else if cursor.skipPast("jepsen.util") {
        format = .jepsenLog
      }
    }
    return format
  }
}

/// The lines of a content, numbered from 1, without their line ends (either LF or CR LF).
struct ContentLines {
  private let bytes: [UInt8]

  init(_ content: String) { bytes = [UInt8](content.utf8) }

  func eachLine<E: Error>(_ body: (Int, ArraySlice<UInt8>) throws(E) -> Void) throws(E) {
    var number = 0
    var start = 0
    while start < bytes.count {
      var end = start
      while end < bytes.count && bytes[end] != UInt8(ascii: "\n") { end += 1 }
      let next = end + 1
      if end > start && bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
      number += 1
      try body(number, bytes[start..<end])
      start = next
    }
  }
}

/// A place in one line of text.
struct TextCursor {
  private let line: ArraySlice<UInt8>
  private var place: Int

  init(_ line: ArraySlice<UInt8>) {
    self.line = line
    place = line.startIndex
  }

  var isAtEnd: Bool { place == line.endIndex }
  var peek: UInt8? { isAtEnd ? nil : line[place] }

  /// What is left of the line, for error messages.
  var rest: String {
    isAtEnd ? "end of line" : "'\(String(decoding: line[place...], as: UTF8.self))'"
  }

  mutating func take() -> UInt8? {
    guard let byte = peek else { return nil }
    place += 1
    return byte
  }

  /// Skips spaces and tabs, and whatever else the format takes for blank.
  mutating func skipBlanks(or other: UInt8 = UInt8(ascii: " ")) {
    while let byte = peek, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") || byte == other
    {
      place += 1
    }
  }

  /// Moves behind `text` when it comes next; otherwise stays.
  mutating func skip(_ text: StaticString) -> Bool {
    text.withUTF8Buffer { wanted in
      guard line.endIndex - place >= wanted.count else { return false }
      for offset in 0..<wanted.count where line[place + offset] != wanted[offset] { return false }
      place += wanted.count
      return true
    }
  }

  /// Moves behind the first occurrence of `text`; stays when there is none.
  mutating func skipPast(_ text: StaticString) -> Bool {
    var probe = self
    while true {
      if probe.skip(text) {
        self = probe
        return true
      }
      if probe.take() == nil { return false }
    }
  }

  /// A run of bytes up to a blank, comma, bracket, brace, parenthesis or quote; nil when there is
  /// none.
  mutating func word() -> String? {
    let start = place
    while let byte = peek, !Self.endsWord(byte) { place += 1 }
    return place == start ? nil : String(decoding: line[start..<place], as: UTF8.self)
  }

  private static func endsWord(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: ","), UInt8(ascii: "\""),
      UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: "{"), UInt8(ascii: "}"),
      UInt8(ascii: "("), UInt8(ascii: ")"):
      true
    default: false
    }
  }
}

/// The operations under way while a file is read, by process.
///
/// As many as processes at work, so a list that is searched is enough.
struct OperationsUnderWay<Input: Equatable & Sendable, Output: Equatable & Sendable> {
  struct Open {
    var process: Int
    var index: Int
    var line: Int
  }

  private(set) var history = History<Input, Output>()
  private var open: [Open] = []

  mutating func invoke(
    process: Int, _ input: Input, line: Int
  ) throws(HistoryParseError) {
    if let other = open.first(where: { $0.process == process }) {
      throw HistoryParseError(line: line, .invokeWhilePending(process: process, since: other.line))
    }
    let index = history.invoke(process: process, input, at: line)
    open.append(Open(process: process, index: index, line: line))
  }

  /// Ends the operation of a process; the result says which it was.
  mutating func close(process: Int, line: Int) throws(HistoryParseError) -> Open {
    guard let place = open.firstIndex(where: { $0.process == process }) else {
      throw HistoryParseError(line: line, .returnWithoutInvoke(process: process))
    }
    return open.remove(at: place)
  }

  func input(_ open: Open) -> Input { history.operations[open.index].input }

  mutating func complete(_ open: Open, _ output: Output, line: Int) {
    history.complete(open.index, output, at: line)
  }

  mutating func fail(_ open: Open, line: Int) { history.fail(open.index, at: line) }
}
