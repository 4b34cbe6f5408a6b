/// Writes replies as RESP3; `RESPReply.convert` makes RESP2 of them.
public struct RESPBuilder: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func simple(_ text: String) { line("+", text) }

  /// An error; line ends in the text, which may come from a client, become spaces.
  public mutating func error(_ text: String) {
    bytes.append(UInt8(ascii: "-"))
    for byte in text.utf8 { bytes.append(byte == 13 || byte == 10 ? 32 : byte) }
    bytes.append(contentsOf: [13, 10])
  }

  public mutating func integer(_ value: Int) { line(":", String(value)) }

  public mutating func bulk(_ text: String) { bulk(text.utf8) }

  public mutating func bulk(_ content: some Collection<UInt8>) {
    line("$", String(content.count))
    bytes.append(contentsOf: content)
    bytes.append(contentsOf: [13, 10])
  }

  public mutating func null() { bytes.append(contentsOf: "_\r\n".utf8) }

  public mutating func array(_ count: Int) { line("*", String(count)) }

  public mutating func map(_ count: Int) { line("%", String(count)) }

  private mutating func line(_ kind: Unicode.Scalar, _ text: String) {
    bytes.append(UInt8(ascii: kind))
    bytes.append(contentsOf: text.utf8)
    bytes.append(contentsOf: [13, 10])
  }
}
