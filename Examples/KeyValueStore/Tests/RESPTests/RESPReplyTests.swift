import RESP
import Testing

@Suite struct RESPReplyTests {
  private func converted(_ reply: String, to version: RESPVersion) -> String {
    var out: [UInt8] = []
    var text = reply
    text.withUTF8 {
      RESPReply.convert(UnsafeRawBufferPointer($0), to: version, into: &out)
    }
    return String(decoding: out, as: UTF8.self)
  }

  @Test(arguments: [
    ("+OK\r\n", "+OK\r\n", "+OK\r\n"),
    ("-ERR no\r\n", "-ERR no\r\n", "-ERR no\r\n"),
    (":-5\r\n", ":-5\r\n", ":-5\r\n"),
    ("$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n"),
    ("_\r\n", "$-1\r\n", "_\r\n"),
    ("*-1\r\n", "*-1\r\n", "_\r\n"),
    ("*0\r\n", "*0\r\n", "*0\r\n"),
    (
      "%2\r\n+a\r\n:1\r\n+b\r\n_\r\n", "*4\r\n+a\r\n:1\r\n+b\r\n$-1\r\n",
      "%2\r\n+a\r\n:1\r\n+b\r\n_\r\n"
    ),
    ("~1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n", "~1\r\n$1\r\na\r\n"),
    ("*2\r\n*-1\r\n~0\r\n", "*2\r\n*-1\r\n*0\r\n", "*2\r\n_\r\n~0\r\n"),
    // What lies inside of a bulk string is nobody's business.
    (
      "*2\r\n$5\r\n_\r\n%1\r\n_\r\n", "*2\r\n$5\r\n_\r\n%1\r\n$-1\r\n",
      "*2\r\n$5\r\n_\r\n%1\r\n_\r\n"
    ),
  ])
  func repliesAreWhatTheClientUnderstands(reply: String, two: String, three: String) {
    #expect(converted(reply, to: .two) == two)
    #expect(converted(reply, to: .three) == three)
    var text = reply
    let isPlain = text.withUTF8 { RESPReply.isPlain(UnsafeRawBufferPointer($0)) }
    if isPlain { #expect(two == reply && three == reply) }
  }

  @Test func garbagePassesWithoutATrap() {
    let alphabet = Array("*$%~_:+-\r\n0123456789a".utf8)
    var parsed = 0
    for seed in 0..<5000 {
      var random = Generator(state: UInt64(seed))
      let bytes = (0..<random.below(40)).map { _ in alphabet[random.below(alphabet.count)] }
      var out: [UInt8] = []
      bytes.withUnsafeBytes { RESPReply.convert($0, to: .two, into: &out) }
      #expect(bytes.isEmpty == out.isEmpty)
      if let (_, length) = RESPValue.parse(bytes[...]) {
        parsed += 1
        #expect(length <= bytes.count)
      }
    }
    #expect(parsed > 10)
    #expect(RESPValue.parse(Array("%9223372036854775807\r\n".utf8)[...]) == nil)
    #expect(RESPValue.parse(Array("$9223372036854775807\r\nab\r\n".utf8)[...]) == nil)
  }

  @Test func valuesAreReadAndShown() throws {
    let text = "*6\r\n+OK\r\n-ERR no\r\n:5\r\n$2\r\n\"\n\r\n_\r\n%1\r\n$1\r\na\r\n~0\r\n"
    let (value, length) = try #require(RESPValue.parse(Array(text.utf8)[...]))
    #expect(length == text.utf8.count)
    #expect(value.description == #"[OK (error) ERR no (integer) 5 "\"\n" (nil) {"a" <>}]"#)
    for cut in 0..<length {
      #expect(RESPValue.parse(Array(text.utf8)[..<cut]) == nil)
    }
  }
}
