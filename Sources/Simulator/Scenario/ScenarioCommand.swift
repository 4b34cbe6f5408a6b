internal import Protocol

/// One command line of a scenario: a name, words and `key=value` settings.
struct ScenarioCommand {
  struct Setting {
    var key: String
    var value: String
    var isUsed = false
  }

  let line: Int
  let text: String
  let name: String
  /// What is left to read, in order.
  private(set) var words: [String] = []
  private var settings: [Setting] = []

  init(_ text: String, at line: Int) throws(ScenarioError) {
    self.line = line
    self.text = text
    var parts = try Self.split(text, at: line)
    name = parts.removeFirst().text
    for part in parts {
      if !part.isQuoted, let i = part.text.firstIndex(of: "="), i > part.text.startIndex {
        settings.append(
          Setting(
            key: String(part.text[..<i]), value: String(part.text[part.text.index(after: i)...])))
      } else {
        words.append(part.text)
      }
    }
  }

  /// The parts between spaces; double quotes hold a part together, and `a -> b` is one part.
  private static func split(
    _ text: String, at line: Int
  ) throws(ScenarioError) -> [(text: String, isQuoted: Bool)] {
    var parts: [(text: String, isQuoted: Bool)] = []
    var (current, isOpen, isQuoted) = ("", false, false)
    func close() {
      if !current.isEmpty || isQuoted { parts.append((current, isQuoted)) }
      (current, isQuoted) = ("", false)
    }
    for character in text {
      if character == "\"" {
        isOpen.toggle()
        isQuoted = true
      } else if character == " " && !isOpen {
        close()
      } else {
        current.append(character)
      }
    }
    close()
    if isOpen {
      throw ScenarioError(line: line, message: "a quote is not closed; add the other \"")
    }
    if parts.isEmpty { throw ScenarioError(line: line, message: "a line without a command") }
    var i = 1
    while i < parts.count {
      let isArrow = parts[i].text == "->" && !parts[i].isQuoted
      if isArrow && i >= 2 && i + 1 < parts.count {
        parts[i - 1].text += "->" + parts[i + 1].text
        parts.removeSubrange(i...i + 1)
      } else {
        i += 1
      }
    }
    return parts
  }

  func error(_ message: String) -> ScenarioError { ScenarioError(line: line, message: message) }

  // MARK: Words

  var isAtEnd: Bool { words.isEmpty }

  /// The next word.
  /// - Parameter what: what it stands for, for the message when there is none.
  mutating func word(_ what: String) throws(ScenarioError) -> String {
    guard !words.isEmpty else { throw error("\(name) needs \(what)") }
    return words.removeFirst()
  }

  /// Takes the next word if it is this one.
  mutating func takes(_ word: String) -> Bool {
    guard words.first == word else { return false }
    words.removeFirst()
    return true
  }

  /// Takes the next word if `value` makes something of it.
  mutating func take<T>(_ value: (String) -> T?) -> T? {
    guard let word = words.first, let result = value(word) else { return nil }
    words.removeFirst()
    return result
  }

  // MARK: Settings

  /// The value of `key=…`, nil when it is not given.
  mutating func setting(_ key: String) -> String? {
    guard let i = settings.firstIndex(where: { $0.key == key }) else { return nil }
    settings[i].isUsed = true
    return settings[i].value
  }

  mutating func number(_ key: String) throws(ScenarioError) -> UInt64? {
    guard let value = setting(key) else { return nil }
    guard let number = UInt64(value) else {
      throw error("\(key)=\(value): give a whole number, as in \(key)=4")
    }
    return number
  }

  mutating func duration(_ key: String) throws(ScenarioError) -> TimeSpan? {
    guard let value = setting(key) else { return nil }
    guard let span = TimeSpan(scenario: value) else {
      throw error("\(key)=\(value): give a time, as in \(key)=500ms")
    }
    return span
  }

  /// Nothing may be left over.
  func finish() throws(ScenarioError) {
    if let word = words.first {
      throw error("\(name) does not take \"\(word)\"; see docs/scenarios.md")
    }
    if let unused = settings.first(where: { !$0.isUsed }) {
      throw error("\(name) does not take \(unused.key)=; see docs/scenarios.md")
    }
  }
}

extension TimeSpan {
  /// `500ms`, `2s`, `10us` or `1ns`; nil for anything else.
  init?(scenario text: String) {
    let units: [(suffix: String, nanoseconds: UInt64)] = [
      ("ms", 1_000_000), ("us", 1_000), ("ns", 1), ("s", 1_000_000_000),
    ]
    for unit in units where text.hasSuffix(unit.suffix) {
      guard let number = UInt64(text.dropLast(unit.suffix.count)) else { return nil }
      let (product, overflow) = number.multipliedReportingOverflow(by: unit.nanoseconds)
      if overflow { return nil }
      self.init(nanoseconds: product)
      return
    }
    return nil
  }
}

extension Ballot {
  /// `2.1`; nil for anything else.
  init?(scenario text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2, let round = UInt64(parts[0]), let proposer = UInt32(parts[1]) else {
      return nil
    }
    self.init(round: round, proposer: ReplicaID(proposer))
  }
}
