/// A JSON document to be written. Members keep the order in which they are given, so that equal
/// reports are equal bytes.
public enum JSONValue: Equatable, Sendable {
  case null
  case bool(Bool)
  case integer(UInt64)
  case number(Double)
  case string(String)
  case array([JSONValue])
  case object([Member])

  /// One member of an object.
  public struct Member: Equatable, Sendable {
    public var key: String
    public var value: JSONValue

    public init(_ key: String, _ value: JSONValue) {
      self.key = key
      self.value = value
    }
  }

  /// An integer from any count that is not negative.
  public static func count(_ value: Int) -> JSONValue { .integer(UInt64(max(0, value))) }

  /// A count, or `null`.
  public static func optional(_ value: Int?) -> JSONValue { value.map { .count($0) } ?? .null }

  /// Nanoseconds as seconds.
  public static func seconds(_ nanoseconds: UInt64) -> JSONValue {
    .number(Double(nanoseconds) / 1e9)
  }

  /// An object whose values are counts.
  public static func counts(_ pairs: [(name: String, count: UInt64)]) -> JSONValue {
    .object(pairs.map { Member($0.name, .integer($0.count)) })
  }

  /// A string, or `null`.
  public static func optional(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }

  /// The document as text: indented by two spaces, containers of scalars on one line when they are
  /// short, no line end behind it.
  public var text: String {
    var bytes: [UInt8] = []
    write(into: &bytes, indent: 0)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The document on one line.
  public var line: String {
    var bytes: [UInt8] = []
    writeFlat(into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private static let flatWidth = 88

  private func write(into bytes: inout [UInt8], indent: Int) {
    switch self {
    case .array(let items) where !items.isEmpty:
      if writeShort(into: &bytes) { return }
      bytes.append(UInt8(ascii: "["))
      for (i, item) in items.enumerated() {
        Self.breakLine(&bytes, i == 0, indent + 2)
        item.write(into: &bytes, indent: indent + 2)
      }
      Self.breakLine(&bytes, true, indent)
      bytes.append(UInt8(ascii: "]"))
    case .object(let members) where !members.isEmpty:
      bytes.append(UInt8(ascii: "{"))
      for (i, member) in members.enumerated() {
        Self.breakLine(&bytes, i == 0, indent + 2)
        Self.writeString(member.key, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        bytes.append(UInt8(ascii: " "))
        member.value.write(into: &bytes, indent: indent + 2)
      }
      Self.breakLine(&bytes, true, indent)
      bytes.append(UInt8(ascii: "}"))
    default: writeFlat(into: &bytes)
    }
  }

  private static func breakLine(_ bytes: inout [UInt8], _ isFirst: Bool, _ indent: Int) {
    if !isFirst { bytes.append(UInt8(ascii: ",")) }
    bytes.append(UInt8(ascii: "\n"))
    bytes.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent))
  }

  /// Writes a list of scalars on one line if it is short; false when it is not, and nothing is
  /// written then.
  private func writeShort(into bytes: inout [UInt8]) -> Bool {
    guard case .array(let items) = self, items.allSatisfy({ $0.isScalar }) else { return false }
    var line: [UInt8] = []
    writeFlat(into: &line)
    guard line.count <= Self.flatWidth else { return false }
    bytes += line
    return true
  }

  private var isScalar: Bool {
    switch self {
    case .array, .object: false
    default: true
    }
  }

  private func writeFlat(into bytes: inout [UInt8]) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += String(value).utf8
    case .number(let value): bytes += Self.decimal(value).utf8
    case .string(let value): Self.writeString(value, into: &bytes)
    case .array(let items):
      bytes.append(UInt8(ascii: "["))
      for (i, item) in items.enumerated() {
        if i > 0 { bytes += ", ".utf8 }
        item.writeFlat(into: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      for (i, member) in members.enumerated() {
        if i > 0 { bytes += ", ".utf8 }
        Self.writeString(member.key, into: &bytes)
        bytes += ": ".utf8
        member.value.writeFlat(into: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  /// A number with up to six decimals; JSON has no infinity and no NaN, they become null.
  private static func decimal(_ value: Double) -> String {
    guard value.isFinite else { return "null" }
    guard value.magnitude < 1e12 else { return "\(value)" }
    return Decimals.text(value, places: 6, trimmed: true)
  }

  private static func writeString(_ text: String, into bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""): bytes += "\\\"".utf8
      case UInt8(ascii: "\\"): bytes += "\\\\".utf8
      case 0x0A: bytes += "\\n".utf8
      case 0x0D: bytes += "\\r".utf8
      case 0x09: bytes += "\\t".utf8
      case 0..<0x20:
        bytes += "\\u00".utf8
        bytes += Hex.text(UInt64(byte), digits: 2).utf8
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

/// Numbers in hexadecimal, lower case.
enum Hex {
  static func text(_ value: UInt64, digits: Int = 16) -> String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  /// Exactly what `text` with 16 digits wrote, in either case.
  static func value(_ text: some StringProtocol) -> UInt64? {
    text.utf8.count == 16 && !text.hasPrefix("+") && !text.hasPrefix("-")
      ? UInt64(text, radix: 16) : nil
  }
}

/// Decimal fractions without Foundation.
enum Decimals {
  /// `value` rounded to `places` decimals; `trimmed` leaves zeros at the end away.
  static func text(_ value: Double, places: Int, trimmed: Bool = false) -> String {
    var scale: Double = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = UInt64((value.magnitude * scale).rounded())
    let (whole, rest) = scaled.quotientAndRemainder(dividingBy: UInt64(scale))
    var text = (value < 0 && scaled > 0 ? "-" : "") + String(whole)
    guard places > 0 else { return text }
    let digits = String(rest)
    var fraction = String(repeating: "0", count: places - digits.count) + digits
    if trimmed { while fraction.last == "0" { fraction.removeLast() } }
    if !fraction.isEmpty { text += "." + fraction }
    return text
  }

  /// A count with thousands separated by commas.
  static func grouped(_ value: UInt64) -> String {
    var text = ""
    for (i, digit) in String(value).reversed().enumerated() {
      if i > 0 && i % 3 == 0 { text.append(",") }
      text.append(digit)
    }
    return String(text.reversed())
  }

  /// A count in at most five characters: 999, 12.3k, 4.5M, 120G.
  static func short(_ value: UInt64) -> String {
    let units: [(unit: String, size: Double)] = [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)]
    for (unit, size) in units where Double(value) >= size {
      let scaled = Double(value) / size
      return text(scaled, places: scaled < 100 ? 1 : 0) + unit
    }
    return String(value)
  }
}
