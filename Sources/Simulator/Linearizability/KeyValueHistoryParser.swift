/// Reads key-value histories with one EDN map per line.
///
/// A line such as `{:process 0, :type :invoke, :f :append, :key "3", :value "x 0 1 y"}` gives one
/// event. `:type` is `:invoke`, `:ok`, `:fail` or `:info`, `:f` is `:get`, `:put` or `:append`;
/// keys may come in any order and others are passed over, as are blank lines, comments (`;`) and
/// events whose process is not a number (the nemesis). A get that answers nil found nothing, which
/// the model reads as the empty string. A failed operation did not happen; one that ends in
/// `:info`, or not at all, may take effect at any later time or never.
public struct KeyValueHistoryParser: Sendable {
  public typealias ParsedHistory = History<KeyValueModel.Input, KeyValueModel.Output>

  /// The entries of one line's map that matter.
  private struct Event {
    var process: EDNValue?
    var type: EDNValue?
    var function: EDNValue?
    var key: EDNValue?
    var value: EDNValue?
  }

  public init() {}

  /// The history in `content`, with line numbers as positions.
  public func parse(_ content: String) throws(HistoryParseError) -> ParsedHistory {
    var underWay = OperationsUnderWay<KeyValueModel.Input, KeyValueModel.Output>()
    try ContentLines(content).eachLine { (number, line) throws(HistoryParseError) in
      var cursor = TextCursor(line)
      cursor.skipBlanks()
      if cursor.isAtEnd || cursor.peek == UInt8(ascii: ";") { return }
      let event = try Self.event(&cursor, number)
      try Self.record(event, line: line, number: number, into: &underWay)
    }
    return underWay.history
  }

  private static func event(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> Event {
    guard cursor.skip("{") else { throw malformed(number, "'{'", cursor.rest) }
    var event = Event()
    while true {
      cursor.skipBlanks(or: UInt8(ascii: ","))
      if cursor.skip("}") { break }
      let before = cursor
      guard case .keyword(let name) = try EDNValue.read(&cursor, line: number) else {
        throw malformed(number, "a keyword or '}'", before.rest)
      }
      let value = try EDNValue.read(&cursor, line: number)
      switch name {
      case ":process": event.process = value
      case ":type": event.type = value
      case ":f": event.function = value
      case ":key": event.key = value
      case ":value": event.value = value
      default: break
      }
    }
    cursor.skipBlanks()
    if !cursor.isAtEnd && cursor.peek != UInt8(ascii: ";") {
      throw malformed(number, "end of line", cursor.rest)
    }
    return event
  }

  private static func record(
    _ event: Event, line: ArraySlice<UInt8>, number: Int,
    into underWay: inout OperationsUnderWay<KeyValueModel.Input, KeyValueModel.Output>
  ) throws(HistoryParseError) {
    guard let who = event.process else { throw malformed(number, ":process", "'\(line.text)'") }
    guard case .number(let long) = who else { return }
    guard let process = Int(exactly: long) else {
      throw malformed(number, "a process number", "\(long)")
    }
    guard case .keyword(let type) = event.type ?? .null else {
      throw malformed(number, ":type with a keyword", "'\(line.text)'")
    }
    switch type {
    case ":invoke":
      let input = try self.input(event, line: line, number: number)
      try underWay.invoke(process: process, input, line: number)
    case ":ok", ":fail", ":info":
      let open = try underWay.close(process: process, line: number)
      let input = underWay.input(open)
      guard agrees(event, input, isOK: type == ":ok") else {
        throw HistoryParseError(
          line: number,
          .returnDisagrees(
            process: process, since: open.line,
            invoked: "key \(input.key) \(KeyValueModel().describe(input, nil))",
            returned: "'\(line.text)'"))
      }
      if type == ":fail" { underWay.fail(open, line: number) }
      if type == ":ok" {
        let output = try self.output(event, input, number: number)
        underWay.complete(open, output, line: number)
      }
    default:
      throw malformed(number, ":invoke, :ok, :fail or :info", type)
    }
  }

  private static func input(
    _ event: Event, line: ArraySlice<UInt8>, number: Int
  ) throws(HistoryParseError) -> KeyValueModel.Input {
    guard case .string(let key) = event.key ?? .null else {
      throw malformed(number, ":key with a string", "'\(line.text)'")
    }
    switch (event.function, event.value ?? .null) {
    case (.keyword(":get"), .null):
      return KeyValueModel.Input(key: key, .get)
    case (.keyword(":put"), .string(let value)):
      return KeyValueModel.Input(key: key, .put(value))
    case (.keyword(":append"), .string(let value)):
      return KeyValueModel.Input(key: key, .append(value))
    default:
      throw malformed(
        number, ":f :get with :value nil, or :f :put or :append with a string", "'\(line.text)'")
    }
  }

  private static func output(
    _ event: Event, _ input: KeyValueModel.Input, number: Int
  ) throws(HistoryParseError) -> KeyValueModel.Output {
    if input.operation != .get { return .done }
    switch event.value ?? .null {
    case .string(let value): return .value(value)
    case .null: return .value(ByteString())
    default: throw malformed(number, "a get that answers a string or nil", "another value")
    }
  }

  /// Whether a return belongs to what its process began. A failed one may carry an error for a
  /// value.
  private static func agrees(_ event: Event, _ input: KeyValueModel.Input, isOK: Bool) -> Bool {
    if let key = event.key, key != .string(input.key) { return false }
    switch input.operation {
    case .get:
      return event.function == .keyword(":get")
    case .put(let value):
      return event.function == .keyword(":put") && (!isOK || event.value == .string(value))
    case .append(let value):
      return event.function == .keyword(":append") && (!isOK || event.value == .string(value))
    }
  }

  private static func malformed(
    _ number: Int, _ expected: String, _ found: String
  ) -> HistoryParseError {
    HistoryParseError(line: number, .malformed(expected: expected, found: found))
  }
}
