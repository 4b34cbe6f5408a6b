import Protocol

// A reply is RESP3, with one addition: `*-1` where RESP2 says "null array" and RESP3 just null. The gateway makes RESP2 of
// it for clients that did not ask for RESP3 (`RESPDowngrade`).

extension ReplyWriter {
  mutating func text(_ text: StaticString) {
    append(
      contentsOf: UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func ok() { text("+OK\r\n") }

  mutating func simple(_ word: StaticString) {
    append(UInt8(ascii: "+"))
    text(word)
    text("\r\n")
  }

  mutating func null() { text("_\r\n") }

  mutating func nullArray() { text("*-1\r\n") }

  mutating func integer(_ value: Int64) { head(":", value) }

  mutating func integer(_ value: Int) { head(":", Int64(value)) }

  mutating func flag(_ value: Bool) { text(value ? ":1\r\n" : ":0\r\n") }

  mutating func bulk(_ bytes: ByteView) {
    head("$", Int64(bytes.count))
    append(contentsOf: bytes)
    text("\r\n")
  }

  mutating func bulk(_ bytes: [UInt8]) { bytes.withUnsafeBytes { bulk($0) } }

  mutating func bulk(orNull bytes: [UInt8]?) {
    if let bytes { bulk(bytes) } else { null() }
  }

  mutating func array(_ count: Int) { head("*", Int64(count)) }

  mutating func map(_ count: Int) { head("%", Int64(count)) }

  mutating func set(_ count: Int) { head("~", Int64(count)) }

  mutating func error(_ sentence: StaticString) {
    append(UInt8(ascii: "-"))
    text(sentence)
    text("\r\n")
  }

  mutating func wrongType() {
    error("WRONGTYPE Operation against a key holding the wrong kind of value")
  }

  mutating func notAnInteger() { error("ERR value is not an integer or out of range") }

  mutating func syntaxError() { error("ERR syntax error") }

  mutating func wrongCount(_ verb: Verb) {
    text("-ERR wrong number of arguments for '")
    text(verb.traits.name)
    text("' command\r\n")
  }

  mutating func invalidExpiry(_ verb: Verb) {
    text("-ERR invalid expire time in '")
    text(verb.traits.name)
    text("' command\r\n")
  }

  private mutating func head(_ kind: Unicode.Scalar, _ value: Int64) {
    append(UInt8(ascii: kind))
    Decimal.withDigits(of: value) { append(contentsOf: $0) }
    text("\r\n")
  }
}
