/// Reads Jepsen logs of one integer register.
///
/// A line that matters has `jepsen.util`, a process number, `:invoke`, `:ok`, `:fail` or `:info`,
/// then `:read`, `:write` or `:cas` with its value. Everything else (the nemesis, other loggers,
/// progress) is passed over; a line that begins like an operation and goes on otherwise is an
/// error, because guessing would change the verdict.
///
/// - `:ok` is an answer.
/// - `:fail` did not happen. For `:cas` with its two values it is an observation too: the register
///   did not hold the expected value. A failed read says nothing.
/// - `:info` may have happened or may still happen, at any later time or never.
/// - An invocation without a return is the same as `:info`.
public struct JepsenLogParser: Sendable {
  public typealias ParsedHistory = History<RegisterOperation, RegisterOutcome>

  private enum Kind {
    case invoke, ok, fail, info
  }

  private enum Function: String {
    case read = ":read"
    case write = ":write"
    case cas = ":cas"
  }

  private enum Value: Equatable {
    case number(Int64?)
    case pair(Int64?, Int64?)
    /// A keyword such as `:timed-out`.
    case reason
  }

  public init() {}

  /// The history in `content`, with line numbers as positions.
  public func parse(_ content: String) throws(HistoryParseError) -> ParsedHistory {
    var underWay = OperationsUnderWay<RegisterOperation, RegisterOutcome>()
    try ContentLines(content).eachLine { (number, line) throws(HistoryParseError) in
      try Self.read(line, number: number, into: &underWay)
    }
    return underWay.history
  }

  private static func read(
    _ line: ArraySlice<UInt8>, number: Int,
    into underWay: inout OperationsUnderWay<RegisterOperation, RegisterOutcome>
  ) throws(HistoryParseError) {
    var cursor = TextCursor(line)
    guard cursor.skipPast("jepsen.util") else { return }
    cursor.skipBlanks()
    // Older logs have a dash between the logger and the process.
    if cursor.skip("- ") { cursor.skipBlanks() }
    guard let word = cursor.word(), let process = Int(word) else { return }

    let kind = try self.kind(&cursor, number)
    let function = try self.function(&cursor, number)
    let value = try self.value(&cursor, number)
    cursor.skipBlanks()
    // A reason may go on in words; a number must be the last thing on its line.
    if value != .reason && !cursor.isAtEnd {
      throw malformed(number, "end of line", cursor)
    }

    if kind == .invoke {
      guard let input = operation(function, value) else {
        throw malformed(number, expectation(of: function), cursor, found: "\(line.text)")
      }
      try underWay.invoke(process: process, input, line: number)
      return
    }
    let open = try underWay.close(process: process, line: number)
    let input = underWay.input(open)
    guard agrees(input, function, value, isOK: kind == .ok) else {
      throw HistoryParseError(
        line: number,
        .returnDisagrees(
          process: process, since: open.line, invoked: RegisterRules.describe(input),
          returned: "'\(line.text)'"))
    }
    switch (kind, function, value) {
    case (.ok, .read, .number(let found)): underWay.complete(open, .value(found), line: number)
    case (.ok, .write, _): underWay.complete(open, .done, line: number)
    case (.ok, .cas, _): underWay.complete(open, .swapped(true), line: number)
    case (.fail, .cas, .pair): underWay.complete(open, .swapped(false), line: number)
    case (.fail, _, _): underWay.fail(open, line: number)
    default: break
    }
  }

  private static func kind(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> Kind {
    cursor.skipBlanks()
    let before = cursor
    switch cursor.word() {
    case ":invoke": return .invoke
    case ":ok": return .ok
    case ":fail": return .fail
    case ":info": return .info
    default: throw malformed(number, ":invoke, :ok, :fail or :info", before)
    }
  }

  private static func function(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> Function {
    cursor.skipBlanks()
    let before = cursor
    guard let function = cursor.word().flatMap(Function.init(rawValue:)) else {
      throw malformed(number, ":read, :write or :cas", before)
    }
    return function
  }

  private static func value(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> Value {
    cursor.skipBlanks()
    if cursor.skip("[") {
      let expected = try self.number(&cursor, number)
      let new = try self.number(&cursor, number)
      cursor.skipBlanks()
      guard cursor.skip("]") else { throw malformed(number, "']' after two values", cursor) }
      return .pair(expected, new)
    }
    if cursor.peek == UInt8(ascii: ":") {
      _ = cursor.word()
      return .reason
    }
    return .number(try self.number(&cursor, number))
  }

  private static func number(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> Int64? {
    cursor.skipBlanks(or: UInt8(ascii: ","))
    let before = cursor
    guard let word = cursor.word() else { throw malformed(number, "a number or nil", before) }
    if word == "nil" { return nil }
    guard let value = Int64(word) else { throw malformed(number, "a number or nil", before) }
    return value
  }

  private static func operation(_ function: Function, _ value: Value) -> RegisterOperation? {
    switch (function, value) {
    case (.read, .number(nil)): .read
    case (.write, .number(let new)): .write(new)
    case (.cas, .pair(let expected, let new)): .compareAndSet(expected: expected, new: new)
    default: nil
    }
  }

  /// Whether a return belongs to what its process began: the same function and, when it repeats
  /// them, values.
  private static func agrees(
    _ input: RegisterOperation, _ function: Function, _ value: Value, isOK: Bool
  ) -> Bool {
    switch (input, function) {
    case (.read, .read):
      if isOK, case .number = value { return true }
      return !isOK
    case (.write, .write), (.compareAndSet, .cas):
      return operation(function, value) == input || (!isOK && value == .reason)
    default:
      return false
    }
  }

  private static func expectation(of function: Function) -> String {
    switch function {
    case .read: "':read nil'"
    case .write: "':write' with a number"
    case .cas: "':cas' with [expected new]"
    }
  }

  private static func malformed(
    _ number: Int, _ expected: String, _ cursor: TextCursor, found: String? = nil
  ) -> HistoryParseError {
    HistoryParseError(
      line: number,
      .malformed(expected: expected, found: found.map { "'\($0)'" } ?? cursor.rest))
  }
}

extension ArraySlice<UInt8> {
  /// The bytes as text, for messages.
  var text: String { String(decoding: self, as: UTF8.self) }
}
