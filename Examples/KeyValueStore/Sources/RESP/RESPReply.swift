/// The version of the protocol a client speaks.
public enum RESPVersion: Int, Hashable, Sendable {
  case two = 2
  case three = 3
}

/// Makes of a reply, as the state machine wrote it, what a client of either version understands.
///
/// Replies are RESP3, with `*-1` where RESP2 knows a null array. A client of RESP2 gets nulls as `$-1`, maps and sets as
/// arrays; one of RESP3 gets `_` for `*-1`.
public enum RESPReply {
  /// Whether a reply is the same for clients of this version, so that it can be passed on as it is: a look at one byte.
  @inlinable
  public static func isPlain(_ reply: UnsafeRawBufferPointer) -> Bool {
    guard let first = reply.first else { return true }
    switch first {
    case UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: ":"), UInt8(ascii: "$"): return true
    default: return false
    }
  }

  /// Appends a reply for a client of this version. Bytes that are no reply are appended as they are.
  public static func convert(
    _ reply: UnsafeRawBufferPointer, to version: RESPVersion, into out: inout [UInt8]
  ) {
    var offset = 0
    while offset < reply.count, let end = lineEnd(reply, offset) {
      let head = UnsafeRawBufferPointer(rebasing: reply[offset..<end])
      var next = end + 2
      switch (head[0], version) {
      case (UInt8(ascii: "_"), .two): out.append(contentsOf: "$-1".utf8)
      case (UInt8(ascii: "*"), .three) where head.count == 3 && head[1] == UInt8(ascii: "-"):
        out.append(UInt8(ascii: "_"))
      case (UInt8(ascii: "~"), .two):
        out.append(UInt8(ascii: "*"))
        out.append(contentsOf: head.dropFirst())
      case (UInt8(ascii: "%"), .two):
        out.append(UInt8(ascii: "*"))
        out.append(contentsOf: String(2 * (length(head) ?? 0)).utf8)
      default: out.append(contentsOf: head)
      }
      out.append(13)
      out.append(10)
      if head[0] == UInt8(ascii: "$"), let length = length(head), length <= reply.count - next - 2 {
        out.append(contentsOf: reply[next..<next + length + 2])
        next += length + 2
      }
      offset = next
    }
    if offset < reply.count { out.append(contentsOf: reply[offset...]) }
  }

  /// The number behind the first byte of a line; nil when there is none, or a negative one.
  private static func length(_ head: UnsafeRawBufferPointer) -> Int? {
    guard head.count > 1, head.count < 17 else { return nil }
    var value = 0
    for byte in head.dropFirst() {
      let digit = byte &- 0x30
      guard digit < 10 else { return nil }
      value = value * 10 + Int(digit)
    }
    return value
  }

  private static func lineEnd(_ bytes: UnsafeRawBufferPointer, _ from: Int) -> Int? {
    var place = from + 1
    while place + 1 < bytes.count {
      if bytes[place] == 13, bytes[place + 1] == 10 { return place }
      place += 1
    }
    return nil
  }
}

/// A reply as a tree, for those who read replies rather than pass them on.
public indirect enum RESPValue: Hashable, Sendable {
  case simple(String)
  case error(String)
  case integer(Int64)
  case bulk([UInt8])
  case null
  case nullArray
  case array([RESPValue])
  case map([RESPValue])
  case set([RESPValue])
  case push([RESPValue])

  /// The value at the beginning of `bytes`, and how many bytes it takes; nil when they are none, or not all of it.
  public static func parse(_ bytes: ArraySlice<UInt8>) -> (value: RESPValue, length: Int)? {
    parse(bytes, depth: 0)
  }

  private static func parse(
    _ bytes: ArraySlice<UInt8>, depth: Int
  ) -> (value: RESPValue, length: Int)? {
    guard depth < 32, let feed = bytes.firstIndex(of: 10), feed > bytes.startIndex + 1,
      bytes[feed - 1] == 13
    else { return nil }
    let text = String(decoding: bytes[(bytes.startIndex + 1)..<(feed - 1)], as: UTF8.self)
    let headLength = feed + 1 - bytes.startIndex
    switch bytes[bytes.startIndex] {
    case UInt8(ascii: "+"): return (.simple(text), headLength)
    case UInt8(ascii: "-"): return (.error(text), headLength)
    case UInt8(ascii: ":"): return Int64(text).map { (.integer($0), headLength) }
    case UInt8(ascii: "_"): return (.null, headLength)
    case UInt8(ascii: "$"):
      if text == "-1" { return (.null, headLength) }
      guard let count = Int(text), count >= 0, bytes.endIndex - feed - 1 >= 2,
        count <= bytes.endIndex - feed - 3
      else { return nil }
      return (.bulk(Array(bytes[(feed + 1)..<(feed + 1 + count)])), headLength + count + 2)
    case UInt8(ascii: "*"):
      if text == "-1" { return (.nullArray, headLength) }
      return aggregate(bytes, headLength, Int(text), depth).map { (.array($0), $1) }
    case UInt8(ascii: "%"):
      // Doubled only where that cannot overflow; `aggregate` refuses the rest.
      let count = Int(text).map { (0...bytes.count).contains($0) ? 2 * $0 : $0 }
      return aggregate(bytes, headLength, count, depth).map { (.map($0), $1) }
    case UInt8(ascii: "~"):
      return aggregate(bytes, headLength, Int(text), depth).map { (.set($0), $1) }
    case UInt8(ascii: ">"):
      return aggregate(bytes, headLength, Int(text), depth).map { (.push($0), $1) }
    default: return nil
    }
  }

  private static func aggregate(
    _ bytes: ArraySlice<UInt8>, _ headLength: Int, _ count: Int?, _ depth: Int
  ) -> ([RESPValue], Int)? {
    // Every element takes at least three bytes.
    guard let count, count >= 0, count <= bytes.count / 3 else { return nil }
    var values: [RESPValue] = []
    var length = headLength
    for _ in 0..<count {
      guard let (value, n) = parse(bytes.dropFirst(length), depth: depth + 1) else { return nil }
      values.append(value)
      length += n
    }
    return (values, length)
  }
}

extension RESPValue: CustomStringConvertible {
  /// On one line: `OK`, `(integer) 1`, `"text"`, `(nil)`, `["a" "b"]`, `{"a" "b"}` for a map, `<"a">` for a set.
  public var description: String {
    switch self {
    case .simple(let text): text
    case .error(let text): "(error) " + text
    case .integer(let value): "(integer) \(value)"
    case .bulk(let bytes): Self.quoted(bytes)
    case .null: "(nil)"
    case .nullArray: "(nil array)"
    case .array(let values): "[" + values.map(\.description).joined(separator: " ") + "]"
    case .map(let values): "{" + values.map(\.description).joined(separator: " ") + "}"
    case .set(let values): "<" + values.map(\.description).joined(separator: " ") + ">"
    case .push(let values): ">[" + values.map(\.description).joined(separator: " ") + "]"
    }
  }

  private static func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for byte in bytes {
      switch byte {
      case UInt8(ascii: "\""): text += "\\\""
      case UInt8(ascii: "\\"): text += "\\\\"
      case 10: text += "\\n"
      case 13: text += "\\r"
      case 9: text += "\\t"
      case 0x20..<0x7F: text += String(Unicode.Scalar(byte))
      default: text += "\\x" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
      }
    }
    return text + "\""
  }
}
