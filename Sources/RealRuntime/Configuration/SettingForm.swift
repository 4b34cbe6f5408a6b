internal import Glibc
internal import Logging
public import Protocol

/// How a value is written: from text, back to text, and what a reader is told it must look like.
///
/// Every source gives text, so that a value means the same in a file, in the environment and as a flag.
public struct SettingForm<Value: Sendable>: Sendable {
  var expected: String
  var parse: @Sendable (String) -> Value?
  var show: @Sendable (Value) -> String
}

extension SettingForm where Value == Bool {
  static var flag: Self {
    SettingForm(
      expected: "true or false",
      parse: { ["true": true, "false": false][$0] },
      show: { $0 ? "true" : "false" })
  }
}

extension SettingForm where Value: FixedWidthInteger & Sendable {
  public static func whole(_ range: ClosedRange<Value>) -> Self {
    SettingForm(
      expected: "a whole number from \(range.lowerBound) to \(range.upperBound)",
      parse: { Value(decimal: $0).flatMap { range.contains($0) ? $0 : nil } },
      show: { "\($0)" })
  }

  /// A number of bytes: `4096`, `64KiB`, `16MiB`, `2GiB`.
  static func bytes(_ range: ClosedRange<Value>, multipleOf unit: Value = 1) -> Self {
    let steps = unit == 1 ? "" : ", a multiple of \(unit)"
    return SettingForm(
      expected: "bytes (1024, 64KiB, 16MiB, 2GiB) from \(showBytes(range.lowerBound))"
        + " to \(showBytes(range.upperBound))\(steps)",
      parse: { text in
        guard let number = scaled(text, by: byteUnits), let value = Value(exactly: number),
          range.contains(value), value % unit == 0
        else { return nil }
        return value
      },
      show: { showBytes($0) })
  }
}

extension SettingForm where Value == TimeSpan {
  /// A length of time: `50us`, `250ms`, `2s`, or `0`.
  public static func span(_ range: ClosedRange<TimeSpan>) -> Self {
    SettingForm(
      expected: "a time (50us, 250ms, 2s) from \(showSpan(range.lowerBound))"
        + " to \(showSpan(range.upperBound))",
      parse: { text in
        guard let number = text == "0" ? 0 : scaled(text, by: timeUnits) else { return nil }
        let span = TimeSpan(nanoseconds: number)
        return range.contains(span) ? span : nil
      },
      show: { showSpan($0) })
  }
}

extension SettingForm where Value == Double {
  static var share: Self {
    SettingForm(
      expected: "a share from 0 to 1, such as 0.001",
      parse: { text in
        guard let first = text.utf8.first, (48...57).contains(first), let number = Double(text)
        else { return nil }
        return (0...1).contains(number) ? number : nil
      },
      show: { $0 == 0 ? "0" : $0 == 1 ? "1" : "\($0)" })
  }
}

extension SettingForm where Value == String {
  static func path(_ what: String) -> Self {
    SettingForm(
      expected: what, parse: { $0.isEmpty || $0.utf8.contains(0) ? nil : $0 }, show: { $0 })
  }
}

extension SettingForm
where Value: CaseIterable & RawRepresentable & Sendable, Value.RawValue == String {
  static var choice: Self {
    SettingForm(
      expected: "one of " + Value.allCases.map(\.rawValue).joined(separator: ", "),
      parse: { Value(rawValue: $0) },
      show: { $0.rawValue })
  }
}

extension SettingForm where Value == ClusterID {
  static var cluster: Self {
    SettingForm(
      expected: "a number in hexadecimal, 1 to 16 digits and not 0, such as 8f2c51a07be34d19",
      parse: { text in
        guard (1...16).contains(text.utf8.count), text.allSatisfy(\.isHexDigit),
          let number = UInt64(text, radix: 16), number != 0
        else { return nil }
        return ClusterID(number)
      },
      show: { $0.hex })
  }
}

extension SettingForm where Value == ReplicaID {
  static var replica: Self {
    SettingForm(
      expected: "a member's number, from 1 to \(UInt32.max)",
      parse: { UInt32(decimal: $0).flatMap { $0 > 0 ? ReplicaID($0) : nil } },
      show: { "\($0.rawValue)" })
  }
}

extension SettingForm where Value == SocketEndpoint {
  public static var endpoint: Self {
    SettingForm(
      expected: "a numeric address and a port, such as 127.0.0.1:7101 or [::1]:7101",
      parse: { SocketEndpoint($0) }, show: { $0.description })
  }
}

extension SettingForm where Value == SocketEndpoint? {
  static var endpointOrNone: Self {
    SettingForm(
      expected: SettingForm<SocketEndpoint>.endpoint.expected + "; or none",
      parse: { text in text == "none" ? .some(nil) : SocketEndpoint(text).map { .some($0) } },
      show: { $0?.description ?? "none" })
  }
}

extension SettingForm where Value == MemberAddress {
  /// `1=10.0.0.1:7101:7201`: ID, host, peer port, client port.
  static var member: Self {
    SettingForm(
      expected:
        "ID=HOST:PEERPORT:CLIENTPORT, such as 1=10.0.0.1:7101:7201 or 2=[fd00::2]:7101:7201",
      parse: { text in
        let halves = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, let id = SettingForm<ReplicaID>.replica.parse(String(halves[0])),
          let (host, rest) = splitHost(String(halves[1])), isHost(host), rest.first == ":"
        else { return nil }
        let ports = rest.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
          .compactMap { UInt16(decimal: $0) }.filter { $0 > 0 }
        guard ports.count == 2, rest.dropFirst().count(where: { $0 == ":" }) == 1 else {
          return nil
        }
        return MemberAddress(id: id, host: host, peerPort: ports[0], clientPort: ports[1])
      },
      show: { "\($0.id.rawValue)=\(bracketed($0.host)):\($0.peerPort):\($0.clientPort)" })
  }
}

/// A numeric address, or a name of letters, digits, dots and hyphens.
private func isHost(_ text: String) -> Bool {
  if IPAddress(text) != nil { return true }
  return !text.isEmpty && text.utf8.count <= 253 && text.first != "-"
    && text.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 45
        || $0 == 46 || $0 == 95
    }
}

extension ClusterID {
  /// From 1 to 16 hexadecimal digits that are not all zero.
  public init?(hex text: String) {
    guard let cluster = SettingForm<ClusterID>.cluster.parse(text) else { return nil }
    self = cluster
  }

  /// Sixteen hexadecimal digits.
  public var hex: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}

private let byteUnits: [(suffix: String, factor: UInt64)] = [
  ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1),
]
private let timeUnits: [(suffix: String, factor: UInt64)] = [
  ("ms", 1_000_000), ("us", 1_000), ("ns", 1), ("s", 1_000_000_000),
]

private func scaled(_ text: String, by units: [(suffix: String, factor: UInt64)]) -> UInt64? {
  guard let unit = units.first(where: { text.hasSuffix($0.suffix) }),
    let number = UInt64(decimal: text.dropLast(unit.suffix.count))
  else { return nil }
  let (product, overflow) = number.multipliedReportingOverflow(by: unit.factor)
  return overflow ? nil : product
}

func showBytes(_ value: some FixedWidthInteger) -> String {
  let number = UInt64(value)
  let unit = byteUnits.first { number != 0 && number % $0.factor == 0 } ?? ("", 1)
  return "\(number / unit.factor)\(unit.suffix)"
}

func showSpan(_ span: TimeSpan) -> String {
  let number = span.nanoseconds
  if number == 0 { return "0" }
  for (suffix, factor) in [("s", UInt64(1_000_000_000)), ("ms", 1_000_000), ("us", 1_000)]
  where number % factor == 0 { return "\(number / factor)\(suffix)" }
  return "\(number)ns"
}
