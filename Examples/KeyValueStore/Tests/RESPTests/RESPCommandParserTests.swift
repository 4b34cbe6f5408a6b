import RESP
import Testing

/// Feeds bytes in pieces as a connection does, and collects what comes out.
struct Feed {
  var parser: RESPCommandParser
  var commands: [[[UInt8]]] = []
  var error: RESPError?
  private var buffer: [UInt8] = []

  init(limits: RESPCommandParser.Limits = .init()) { parser = RESPCommandParser(limits: limits) }

  mutating func take(_ piece: some Sequence<UInt8>) {
    guard error == nil else { return }
    buffer.append(contentsOf: piece)
    while true {
      let outcome = buffer.withUnsafeBytes { parser.parse($0) }
      switch outcome {
      case .command:
        let source = parser.isInline ? parser.inlineBytes : buffer
        commands.append(parser.arguments.map { Array(source[$0]) })
      case .incomplete: break
      case .invalid(let error): self.error = error
      }
      buffer.removeFirst(parser.consumed)
      if outcome != .command { return }
    }
  }

  static func all(_ text: String, limits: RESPCommandParser.Limits = .init()) -> Feed {
    var feed = Feed(limits: limits)
    feed.take(text.utf8)
    return feed
  }

  var texts: [[String]] { commands.map { $0.map { String(decoding: $0, as: UTF8.self) } } }
}

@Suite struct RESPCommandParserTests {
  @Test func arraysOfBulkStringsAreCommands() {
    let feed = Feed.all(
      "*2\r\n$3\r\nGET\r\n$1\r\na\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n")
    #expect(feed.texts == [["GET", "a"], ["PING"], ["ECHO", ""]])
    #expect(feed.error == nil)
  }

  @Test func wordsMayHoldAnyBytes() {
    let feed = Feed.all("*2\r\n$4\r\nECHO\r\n$8\r\n\r\n*1\r\n$\n\r\n")
    #expect(feed.texts == [["ECHO", "\r\n*1\r\n$\n"]])
  }

  @Test(arguments: [
    ("PING\r\n", [["PING"]]),
    ("PING\n", [["PING"]]),
    ("  SET  a\tb \r\n", [["SET", "a", "b"]]),
    (#"SET a "b c\n\x41\"\q""# + "\r\n", [["SET", "a", "b c\nA\"q"]]),
    (#"SET a 'b \'c\' \n'"# + "\r\n", [["SET", "a", #"b 'c' \n"#]]),
    (#"SET a """# + "\r\n", [["SET", "a", ""]]),
    (#"SET a "\xZZ""# + "\r\n", [["SET", "a", "xZZ"]]),
    ("\r\n\n  \r\nPING\r\n", [["PING"]]),
    ("*0\r\n*-1\r\nPING\r\n", [["PING"]]),
    ("PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n", [["PING"], ["PING"], ["PING"]]),
  ])
  func inlineCommandsAreSplitAsRedisDoes(text: String, expected: [[String]]) {
    let feed = Feed.all(text)
    #expect(feed.texts == expected)
    #expect(feed.error == nil)
  }

  @Test(arguments: [
    ("*abc\r\n", "Protocol error: invalid multibulk length"),
    ("*\r\n", "Protocol error: invalid multibulk length"),
    ("*01\r\n", "Protocol error: invalid multibulk length"),
    ("*1048577\r\n", "Protocol error: invalid multibulk length"),
    ("*99999999999999999999\r\n", "Protocol error: invalid multibulk length"),
    ("*1\r\nPING\r\n", "Protocol error: expected '$', got 'P'"),
    ("*1\r\n\u{1}\r\n", "Protocol error: expected '$', got ' '"),
    ("*1\r\n$-1\r\n", "Protocol error: invalid bulk length"),
    ("*1\r\n$abc\r\n", "Protocol error: invalid bulk length"),
    ("*1\r\n$536870913\r\n", "Protocol error: invalid bulk length"),
    ("*1\r\n$3\r\nPINGPONG", "Protocol error: expected CRLF at the end of a bulk"),
    ("SET a \"b\r\n", "Protocol error: unbalanced quotes in request"),
    ("SET a \"b\"c\r\n", "Protocol error: unbalanced quotes in request"),
    ("SET a 'b\r\n", "Protocol error: unbalanced quotes in request"),
    (String(repeating: "a", count: 70_000), "Protocol error: too big inline request"),
    ("*" + String(repeating: "1", count: 70_000), "Protocol error: too big mbulk count string"),
    (
      "*1\r\n$" + String(repeating: "1", count: 70_000),
      "Protocol error: too big bulk count string"
    ),
  ])
  func whatIsNoCommandIsRefused(text: String, error: String) {
    let feed = Feed.all("PING\r\n" + text)
    #expect(feed.texts == [["PING"]])
    #expect(feed.error?.description == error)
  }

  @Test func limitsHold() {
    let limits = RESPCommandParser.Limits(
      argumentsMax: 2, bulkLengthMax: 4, commandLengthMax: 30, lineLengthMax: 20)
    #expect(Feed.all("*2\r\n$4\r\nECHO\r\n$4\r\nabcd\r\n", limits: limits).texts.count == 1)
    #expect(Feed.all("*3\r\n", limits: limits).error == .arrayLength)
    #expect(Feed.all("*1\r\n$5\r\n", limits: limits).error == .bulkLength)
    let short = RESPCommandParser.Limits(commandLengthMax: 20)
    #expect(Feed.all("*2\r\n$4\r\nECHO\r\n$4\r\nabcd", limits: short).error == .commandLength)
    #expect(Feed.all("PING aaaaaaaaaaaaaaaa", limits: limits).error == .longInline)
    // Refused when the length is read, before any of the bytes came.
    #expect(Feed.all("*1\r\n$5\r\n", limits: limits).commands.isEmpty)
  }

  /// A random conversation: commands of both kinds, empty lines, now and then garbage.
  private func conversation(_ random: inout Generator) -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<random.below(12) {
      switch random.below(10) {
      case 0: bytes += Array("\r\n".utf8)
      case 1: bytes += Array("*0\r\n".utf8)
      case 2: bytes += Array("SET key \"a b\\x00\" 'c'\r\n".utf8)
      case 3 where random.below(4) == 0:
        bytes += (0..<random.below(20)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      default:
        let count = random.below(5) + 1
        bytes += Array("*\(count)\r\n".utf8)
        for _ in 0..<count {
          let length = random.below(random.below(8) == 0 ? 400 : 12)
          bytes += Array("$\(length)\r\n".utf8)
          bytes += (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
          bytes += [13, 10]
        }
      }
    }
    return bytes
  }

  @Test func anySplittingGivesTheSameCommands() {
    var commands = 0
    var errors = 0
    for seed in 0..<3000 {
      var random = Generator(state: UInt64(seed))
      let bytes = conversation(&random)
      var whole = Feed()
      whole.take(bytes)
      var split = Feed()
      var offset = 0
      while offset < bytes.count {
        let length = min(1 + random.below(random.below(3) == 0 ? 200 : 4), bytes.count - offset)
        split.take(bytes[offset..<offset + length])
        offset += length
      }
      #expect(split.commands == whole.commands, "seed \(seed)")
      #expect(split.error == whole.error, "seed \(seed)")
      commands += whole.commands.count
      if whole.error != nil { errors += 1 }
    }
    #expect(commands > 5000)
    #expect(errors > 50)
  }

  @Test func garbageIsNeverATrap() {
    var refused = 0
    let alphabet = Array("*$+-:\r\n0123456789\"'\\ xPING".utf8)
    for seed in 0..<5000 {
      var random = Generator(state: UInt64(seed))
      var feed = Feed(limits: .init(bulkLengthMax: 64, lineLengthMax: 32))
      for _ in 0..<random.below(80) {
        feed.take([alphabet[random.below(alphabet.count)]])
      }
      if feed.error != nil { refused += 1 }
      #expect(feed.commands.allSatisfy { !$0.isEmpty })
    }
    #expect(refused > 1000)
  }
}

/// SplitMix64.
struct Generator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}
