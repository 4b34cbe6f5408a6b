internal import Glibc

/// A numeric address and a port to listen at. Port 0: the system chooses one.
public struct SocketEndpoint: Hashable, Sendable, CustomStringConvertible {
  /// An IPv4 or IPv6 address in its text form, without brackets.
  public var address: String
  public var port: UInt16

  public init(address: String, port: UInt16) {
    self.address = address
    self.port = port
  }

  /// From `127.0.0.1:7101` or `[::1]:7101`.
  public init?(_ text: String) {
    guard let (host, rest) = splitHost(text), rest.first == ":", IPAddress(host) != nil,
      let port = UInt16(decimal: rest.dropFirst())
    else { return nil }
    self.init(address: host, port: port)
  }

  public var description: String { "\(bracketed(address)):\(port)" }

  public var isLoopback: Bool { IPAddress(address)?.isLoopback ?? false }
}

/// The bytes of a numeric address.
struct IPAddress: Hashable, Sendable {
  /// 4 or 16.
  var bytes: [UInt8]

  init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      bytes = withUnsafeBytes(of: &four) { Array($0) }
    } else if inet_pton(AF_INET6, text, &six) == 1 {
      bytes = withUnsafeBytes(of: &six) { Array($0) }
    } else {
      return nil
    }
  }

  /// 127.0.0.0/8, also as an IPv4 address in IPv6, and ::1.
  var isLoopback: Bool {
    if bytes.count == 4 { return bytes[0] == 127 }
    let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
    if bytes.starts(with: mapped) { return bytes[12] == 127 }
    return bytes.dropLast().allSatisfy { $0 == 0 } && bytes.last == 1
  }
}

/// A host in front of the first colon, or in brackets, and what follows it.
func splitHost(_ text: String) -> (host: String, rest: Substring)? {
  if text.first == "[" {
    guard let end = text.firstIndex(of: "]") else { return nil }
    return (String(text[text.index(after: text.startIndex)..<end]), text[text.index(after: end)...])
  }
  guard let colon = text.firstIndex(of: ":") else { return nil }
  return (String(text[..<colon]), text[colon...])
}

/// An address as it stands before a port.
func bracketed(_ host: String) -> String { host.contains(":") ? "[\(host)]" : host }

extension FixedWidthInteger {
  /// Decimal digits and nothing else: no sign, no space.
  init?(decimal text: some StringProtocol) {
    guard !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    self.init(text, radix: 10)
  }
}
