/// A value of EDN, the notation of Clojure data, as far as recorded histories need it.
///
/// Collections, symbols, characters and fractions are read over and come back as `other`.
enum EDNValue: Equatable {
  case null
  case number(Int64)
  /// With its colon.
  case keyword(String)
  case string(ByteString)
  case other

  /// Reads the next value of a line.
  static func read(
    _ cursor: inout TextCursor, line number: Int
  ) throws(HistoryParseError) -> EDNValue {
    cursor.skipBlanks(or: UInt8(ascii: ","))
    switch cursor.peek {
    case UInt8(ascii: "\""): return .string(try string(&cursor, number))
    case UInt8(ascii: "["), UInt8(ascii: "("), UInt8(ascii: "{"):
      try skipCollection(&cursor, number)
      return .other
    default:
      let before = cursor
      guard let word = cursor.word() else {
        throw HistoryParseError(line: number, .malformed(expected: "a value", found: before.rest))
      }
      if word == "nil" { return .null }
      if word.utf8.first == UInt8(ascii: ":") { return .keyword(word) }
      // A tag or a set's mark stands before the value it belongs to.
      if word.utf8.first == UInt8(ascii: "#") {
        _ = try read(&cursor, line: number)
        return .other
      }
      return Int64(word).map { .number($0) } ?? .other
    }
  }

  /// Keeps the open brackets in a list instead of recursing: nesting is limited by the line and not
  /// by the stack.
  private static func skipCollection(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) {
    let before = cursor
    var closers: [UInt8] = []
    repeat {
      switch cursor.peek {
      case UInt8(ascii: "\""):
        _ = try string(&cursor, number)
        continue
      case UInt8(ascii: "["): closers.append(UInt8(ascii: "]"))
      case UInt8(ascii: "("): closers.append(UInt8(ascii: ")"))
      case UInt8(ascii: "{"): closers.append(UInt8(ascii: "}"))
      case let byte where byte == closers.last: closers.removeLast()
      case nil, UInt8(ascii: "]"), UInt8(ascii: ")"), UInt8(ascii: "}"):
        throw HistoryParseError(
          line: number, .malformed(expected: "a closed collection", found: before.rest))
      default: break
      }
      _ = cursor.take()
    } while !closers.isEmpty
  }

  private static func string(
    _ cursor: inout TextCursor, _ number: Int
  ) throws(HistoryParseError) -> ByteString {
    let before = cursor
    _ = cursor.take()
    var bytes: [UInt8] = []
    while let byte = cursor.take() {
      switch byte {
      case UInt8(ascii: "\""): return ByteString(bytes)
      case UInt8(ascii: "\\"): try escape(&cursor, number, into: &bytes)
      default: bytes.append(byte)
      }
    }
    throw HistoryParseError(
      line: number, .malformed(expected: "a closed string", found: before.rest))
  }

  private static func escape(
    _ cursor: inout TextCursor, _ number: Int, into bytes: inout [UInt8]
  ) throws(HistoryParseError) {
    let before = cursor
    switch cursor.take() {
    case UInt8(ascii: "n"): bytes.append(UInt8(ascii: "\n"))
    case UInt8(ascii: "t"): bytes.append(UInt8(ascii: "\t"))
    case UInt8(ascii: "r"): bytes.append(UInt8(ascii: "\r"))
    case UInt8(ascii: "\""): bytes.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): bytes.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "u"):
      var code: UInt32 = 0
      for _ in 0..<4 {
        let digit = cursor.take().flatMap { Character(Unicode.Scalar($0)).hexDigitValue }
        guard let digit else {
          throw HistoryParseError(
            line: number, .malformed(expected: "four hexadecimal digits", found: before.rest))
        }
        code = code << 4 | UInt32(digit)
      }
      guard let scalar = Unicode.Scalar(code) else {
        throw HistoryParseError(
          line: number, .malformed(expected: "a Unicode scalar", found: before.rest))
      }
      bytes.append(contentsOf: UTF8.encode(scalar)!)
    default:
      throw HistoryParseError(
        line: number, .malformed(expected: "a known escape after '\\'", found: before.rest))
    }
  }
}
