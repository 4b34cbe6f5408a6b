/// Finds commands in a client's bytes, however they were split on their way: RESP arrays of bulk strings, and inline commands.
///
/// Give `parse` everything that was received and not consumed yet. It copies nothing: `arguments` are ranges of those
/// bytes (of `inlineBytes` for an inline command, whose quotes and escapes have to go). It remembers how far it came,
/// so that a long command is not read again from its beginning with every packet. Total: any bytes give commands, a
/// request for more, or an error after which the connection is to be closed.
public struct RESPCommandParser: Sendable {
  public struct Limits: Hashable, Sendable {
    /// How many words a command has at most.
    public var argumentsMax: Int
    /// How many bytes one word has at most.
    public var bulkLengthMax: Int
    /// How many bytes a command has at most, its lengths included.
    public var commandLengthMax: Int
    /// How long an inline command is at most, and a line with a length.
    public var lineLengthMax: Int

    public init(
      argumentsMax: Int = 1 << 20, bulkLengthMax: Int = 512 << 20, commandLengthMax: Int = 1 << 30,
      lineLengthMax: Int = 64 << 10
    ) {
      precondition(
        argumentsMax > 0 && bulkLengthMax > 0 && commandLengthMax > 0 && lineLengthMax > 0,
        "no command would be within such limits")
      self.argumentsMax = argumentsMax
      self.bulkLengthMax = bulkLengthMax
      self.commandLengthMax = commandLengthMax
      self.lineLengthMax = lineLengthMax
    }
  }

  public enum Outcome: Hashable, Sendable {
    /// A command: `arguments`, of which there is at least one. `consumed` bytes are its.
    case command
    /// `consumed` bytes, possibly none, are done with; more are needed for a command.
    case incomplete
    case invalid(RESPError)
  }

  public let limits: Limits
  /// The words of the command, its name first.
  public private(set) var arguments: [Range<Int>] = []
  /// The command was an inline one: its arguments are ranges of `inlineBytes`.
  public private(set) var isInline = false
  public private(set) var inlineBytes: [UInt8] = []
  /// How many bytes of those given to the last `parse` are done with.
  public private(set) var consumed = 0

  /// How many words are to come; nil before an array's length was read.
  private var wordsExpected: Int?
  /// The length of the bulk string that is coming.
  private var bulkExpected: Int?
  /// Where to go on, in the bytes of the next `parse`.
  private var offset = 0
  /// Where the command that is not complete begins there.
  private var begin = 0
  /// How far a line's end was looked for in vain.
  private var searched = 0

  public init(limits: Limits = Limits()) { self.limits = limits }

  /// Looks for the next command. The bytes given must begin where `consumed` of the call before ended.
  public mutating func parse(_ bytes: UnsafeRawBufferPointer) -> Outcome {
    isInline = false
    consumed = 0
    if wordsExpected == nil {
      switch parseHead(bytes) {
      case .parsed: break
      case .ended(let outcome): return outcome
      }
    }
    while arguments.count < wordsExpected ?? 0 {
      switch parseBulk(bytes) {
      case .parsed: break
      case .ended(let outcome): return outcome
      }
    }
    consumed = offset
    reset()
    return .command
  }

  private enum Step {
    case parsed
    case ended(Outcome)
  }

  /// Reads the length of an array, or an inline command, passing over what is empty.
  private mutating func parseHead(_ bytes: UnsafeRawBufferPointer) -> Step {
    arguments.removeAll(keepingCapacity: true)
    while true {
      guard offset < bytes.count else { return incomplete() }
      begin = offset
      let isArray = bytes[offset] == UInt8(ascii: "*")
      guard let end = lineEnd(bytes) else {
        guard bytes.count - offset <= limits.lineLengthMax else {
          return .ended(.invalid(isArray ? .longArrayLine : .longInline))
        }
        return incomplete()
      }
      if !isArray {
        let isBalanced = parseInline(UnsafeRawBufferPointer(rebasing: bytes[offset..<end]))
        advance(to: end + 1)
        if isBalanced, arguments.isEmpty { continue }
        consumed = offset
        reset()
        return .ended(isBalanced ? .command : .invalid(.unbalancedQuotes))
      }
      guard let count = number(bytes, offset + 1, end), count <= limits.argumentsMax else {
        return .ended(.invalid(.arrayLength))
      }
      advance(to: end + 1)
      if count > 0 {
        wordsExpected = count
        return .parsed
      }
    }
  }

  private mutating func parseBulk(_ bytes: UnsafeRawBufferPointer) -> Step {
    if bulkExpected == nil {
      guard offset < bytes.count else { return incomplete() }
      guard bytes[offset] == UInt8(ascii: "$") else {
        return .ended(.invalid(.notABulk(bytes[offset])))
      }
      guard let end = lineEnd(bytes) else {
        guard bytes.count - offset <= limits.lineLengthMax else {
          return .ended(.invalid(.longBulkLine))
        }
        return incomplete()
      }
      guard let length = number(bytes, offset + 1, end), length >= 0,
        length <= limits.bulkLengthMax
      else { return .ended(.invalid(.bulkLength)) }
      guard end + 1 - begin + length <= limits.commandLengthMax else {
        return .ended(.invalid(.commandLength))
      }
      advance(to: end + 1)
      bulkExpected = length
    }
    guard let length = bulkExpected, bytes.count - offset >= length + 2 else { return incomplete() }
    guard bytes[offset + length] == 13, bytes[offset + length + 1] == 10 else {
      return .ended(.invalid(.bulkEnd))
    }
    arguments.append(offset..<offset + length)
    bulkExpected = nil
    advance(to: offset + length + 2)
    return .parsed
  }

  /// Nothing more to be found in these bytes. What lies before the command that has begun is done with.
  private mutating func incomplete() -> Step {
    if wordsExpected == nil {
      // Only empty lines and empty arrays lie behind, so nothing points there.
      consumed = offset
      searched -= offset
      offset = 0
      begin = 0
    }
    return .ended(.incomplete)
  }

  private mutating func advance(to place: Int) {
    offset = place
    searched = place
  }

  private mutating func reset() {
    wordsExpected = nil
    offset = 0
    begin = 0
    searched = 0
  }

  /// Where the line's feed is; nil when it did not come yet.
  @inline(__always)
  private mutating func lineEnd(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var place = max(searched, offset)
    while place < bytes.count {
      if bytes[place] == 10 { return place }
      place &+= 1
    }
    searched = place
    return nil
  }

  /// The number between `from` and the line's end, which must be a carriage return and the feed at `end`.
  @inline(__always)
  private func number(_ bytes: UnsafeRawBufferPointer, _ from: Int, _ end: Int) -> Int? {
    guard bytes[end &- 1] == 13 else { return nil }
    let last = end &- 1
    var place = from
    let isNegative = place < last && bytes[place] == UInt8(ascii: "-")
    if isNegative { place &+= 1 }
    guard place < last, last &- place <= 15 else { return nil }
    if bytes[place] == 0x30, last &- place > 1 || isNegative { return nil }
    var value = 0
    while place < last {
      let digit = bytes[place] &- 0x30
      guard digit < 10 else { return nil }
      value = value &* 10 &+ Int(digit)
      place &+= 1
    }
    return isNegative ? 0 &- value : value
  }
}

extension RESPCommandParser {
  /// Splits a line at white space, minding quotes, as Redis does; false when a quote is not closed.
  private mutating func parseInline(_ line: UnsafeRawBufferPointer) -> Bool {
    var scanner = InlineScanner(line)
    inlineBytes.removeAll(keepingCapacity: true)
    while scanner.skipSpace() {
      let start = inlineBytes.count
      guard scanner.word(into: &inlineBytes) else { return false }
      arguments.append(start..<inlineBytes.count)
    }
    isInline = !arguments.isEmpty
    return true
  }
}

/// Why a connection cannot go on; the texts are Redis's.
public enum RESPError: Error, Hashable, Sendable, CustomStringConvertible {
  case arrayLength
  case bulkLength
  case commandLength
  case notABulk(UInt8)
  case bulkEnd
  case longArrayLine
  case longBulkLine
  case longInline
  case unbalancedQuotes

  public var description: String {
    switch self {
    case .arrayLength: "Protocol error: invalid multibulk length"
    case .bulkLength: "Protocol error: invalid bulk length"
    case .commandLength: "Protocol error: command is too long"
    case .notABulk(let byte):
      "Protocol error: expected '$', got '\(Unicode.Scalar((32..<127).contains(byte) ? byte : 32))'"
    case .bulkEnd: "Protocol error: expected CRLF at the end of a bulk"
    case .longArrayLine: "Protocol error: too big mbulk count string"
    case .longBulkLine: "Protocol error: too big bulk count string"
    case .longInline: "Protocol error: too big inline request"
    case .unbalancedQuotes: "Protocol error: unbalanced quotes in request"
    }
  }
}
