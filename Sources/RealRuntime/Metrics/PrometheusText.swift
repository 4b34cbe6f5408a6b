/// Writes the Prometheus text exposition format, version 0.0.4.
///
/// One family after the other: `family`, then its samples. Names are made valid, values escaped.
public struct PrometheusText: Sendable {
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  public enum Kind: String, Sendable {
    case counter, gauge, histogram, summary
  }

  public typealias Label = (name: String, value: String)

  public private(set) var text = ""
  private var family = ""

  public init() {}

  /// Begins a family. `help` is one sentence.
  public mutating func family(_ name: String, _ kind: Kind, help: String) {
    family = Self.validName(name)
    if !help.isEmpty {
      text += "# HELP \(family) "
      text += help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
      text += "\n"
    }
    text += "# TYPE \(family) \(kind.rawValue)\n"
  }

  /// One sample of the family; `suffix` is `_sum`, `_count` or `_bucket`.
  public mutating func sample(
    _ value: some BinaryInteger, _ labels: [Label] = [], suffix: String = ""
  ) {
    write(labels, suffix, "\(value)")
  }

  public mutating func sample(_ value: Double, _ labels: [Label] = [], suffix: String = "") {
    write(labels, suffix, Self.number(value))
  }

  private mutating func write(_ labels: [Label], _ suffix: String, _ value: String) {
    text += family
    text += suffix
    if !labels.isEmpty {
      text += "{"
      for (place, label) in labels.enumerated() {
        if place > 0 { text += "," }
        text += "\(Self.validLabel(label.name))=\"\(Self.escaped(label.value))\""
      }
      text += "}"
    }
    text += " \(value)\n"
  }

  /// Letters, digits, underscores and colons; no digit in front.
  public static func validName(_ name: String) -> String { valid(name, colons: true) }

  static func validLabel(_ name: String) -> String { valid(name, colons: false) }

  private static func valid(_ name: String, colons: Bool) -> String {
    var bytes = name.utf8.map { byte -> UInt8 in
      switch byte {
      case 48...57, 65...90, 97...122, 95: byte
      case 58 where colons: byte
      default: 95
      }
    }
    if bytes.first.map({ (48...57).contains($0) }) ?? true { bytes.insert(95, at: 0) }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func escaped(_ value: String) -> String {
    value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
  }

  /// As Go writes it: `+Inf`, `-Inf`, `NaN`.
  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if let whole = Int64(exactly: value), abs(value) < 1e15 { return "\(whole)" }
    return "\(value)"
  }
}
