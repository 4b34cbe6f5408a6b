internal import Protocol

/// A kept seed: what to run, what came of it, and why it is kept. A text file of `key: value`
/// lines:
///
///     seed: 4711
///     profile: swarm
///     replicas: 5
///     expected: safety
///     checker: agreement.slot
///     digest: 0123456789abcdef
///     reaches: gapFilledWithNoop, node.powerFailed
///     commit: 3a4bbd2
///     story: Two leaders of one ballot.
///       A story goes on over lines that are indented.
///
/// Only `seed` is needed. Empty lines and lines that start with `#` are skipped.
public struct SeedFile: Equatable, Sendable {
  public var seed: UInt64
  public var settings = RunSettings()
  public var expected = RunOutcome.passed
  /// The checker or contract that is expected to find the failure.
  public var checker: String?
  public var digest: UInt64?
  /// Marks and faults that make the run worth keeping, by their IDs: it must still meet them.
  public var reaches: [String] = []
  /// The commit at which the expectation was recorded.
  public var commit: String?
  /// Free text; may have several lines.
  public var story: String?

  public init(seed: UInt64) { self.seed = seed }

  /// The file that keeps a run.
  public init(_ run: RunRecord, story: String? = nil, commit: String? = nil) {
    seed = run.seed
    settings = run.settings
    expected = run.outcome
    checker = run.violation?.checker
    // A process that died left no digest.
    digest = run.outcome == .crash ? nil : run.digest
    self.commit = commit
    self.story = story
  }

  /// What is wrong with a seed file, and where.
  public struct ParseError: Error, Equatable, Sendable, CustomStringConvertible {
    /// Counted from 1.
    public var line: Int
    public var reason: String

    public init(line: Int, reason: String) {
      self.line = line
      self.reason = reason
    }

    public var description: String { "line \(line): \(reason)" }
  }

  /// Whether a text looks like a seed file rather than a tape: the first line that counts decides.
  public static func isTape(_ text: String) -> Bool {
    for line in text.split(whereSeparator: \.isNewline) where !line.hasPrefix("#") {
      return line.hasPrefix("rsl-tape")
    }
    return false
  }

  /// Reads a seed file.
  public init(parsing text: String) throws(ParseError) {
    var file = SeedFile(seed: 0)
    var seen: [String] = []
    var number = 0
    for line in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) {
      number += 1
      let content = Self.trimmed(line)
      if content.isEmpty || content.hasPrefix("#") { continue }
      if line.first == " " || line.first == "\t" {
        guard seen.last == "story" else {
          throw ParseError(line: number, reason: "only a story goes on over several lines")
        }
        file.story = (file.story ?? "") + "\n" + content
        continue
      }
      guard let colon = content.firstIndex(of: ":") else {
        throw ParseError(line: number, reason: "expected \"key: value\", found \"\(content)\"")
      }
      let key = String(content[..<colon])
      let value = String(Self.trimmed(content[content.index(after: colon)...]))
      guard !seen.contains(key) else {
        throw ParseError(line: number, reason: "a second \"\(key)\"")
      }
      seen.append(key)
      if let reason = file.set(key, value) { throw ParseError(line: number, reason: reason) }
    }
    guard seen.contains("seed") else {
      throw ParseError(line: max(1, number), reason: "no line \"seed: NUMBER\"")
    }
    if file.expected == .passed, file.checker != nil {
      throw ParseError(
        line: number, reason: "a run that is expected to pass has no checker that finds something")
    }
    self = file
  }

  /// Sets one key; answers what is wrong with it.
  private mutating func set(_ key: String, _ value: String) -> String? {
    guard !value.isEmpty || key == "story" else { return "\"\(key)\" has no value" }
    switch key {
    case "seed":
      guard let number = UInt64(value) else { return "\"\(value)\" is not a seed" }
      seed = number
    case "profile":
      guard let profile = FaultProfile(rawValue: value) else {
        return "no profile is called \"\(value)\": swarm, calm or unlimited"
      }
      settings.profile = profile
    case "replicas", "commands":
      guard let number = Int(value) else { return "\"\(value)\" is not a number of \(key)" }
      if key == "replicas" { settings.replicas = number } else { settings.commands = number }
      return settings.problem
    case "expected":
      guard let outcome = RunOutcome(rawValue: value) else {
        return "no outcome is called \"\(value)\": passed, safety, liveness or crash"
      }
      expected = outcome
    case "digest":
      guard let digest = Hex.value(value) else {
        return "\"\(value)\" is not a digest of 16 hexadecimal digits"
      }
      self.digest = digest
    case "reaches":
      reaches = value.split(separator: ",").map { String(Self.trimmed($0)) }
      if let unknown = reaches.first(where: { Self.place(of: $0) == nil }) {
        return "no mark or fault is called \"\(unknown)\""
      }
    case "checker": checker = value
    case "commit": commit = value
    case "story": story = value
    default: return "no key is called \"\(key)\""
    }
    return nil
  }

  private enum Place {
    case mark(Int)
    case fault(FaultKind)
  }

  private static func place(of name: String) -> Place? {
    if let fault = FaultKind.allCases.first(where: { $0.name == name }) { return .fault(fault) }
    return Mark.allCases.firstIndex { $0.id == name }.map { .mark($0) }
  }

  /// What of `reaches` a run did not meet.
  private func unreached(by run: RunRecord) -> [String] {
    // Without contracts nobody counts marks; a process that died left no counts.
    guard ContractRecorder.isEnabled, run.outcome != .crash else { return [] }
    return reaches.filter { name in
      switch Self.place(of: name) {
      case .mark(let mark): run.report.marks[mark] == 0
      case .fault(let fault): run.faults[fault] == 0
      case nil: true
      }
    }
  }

  private static func trimmed(_ text: Substring) -> Substring {
    var text = text
    while text.first == " " || text.first == "\t" { text.removeFirst() }
    while text.last == " " || text.last == "\t" || text.last == "\r" { text.removeLast() }
    return text
  }

  /// The file; reading it gives the same value back.
  public var text: String {
    var lines = ["seed: \(seed)", "profile: \(settings.profile.rawValue)"]
    if let replicas = settings.replicas { lines.append("replicas: \(replicas)") }
    if let commands = settings.commands { lines.append("commands: \(commands)") }
    lines.append("expected: \(expected.rawValue)")
    if let checker { lines.append("checker: \(checker)") }
    if let digest { lines.append("digest: \(Hex.text(digest))") }
    if !reaches.isEmpty { lines.append("reaches: " + reaches.joined(separator: ", ")) }
    if let commit { lines.append("commit: \(commit)") }
    if let story {
      let parts = story.split(omittingEmptySubsequences: true, whereSeparator: \.isNewline)
      lines.append("story:" + (parts.first.map { " \($0)" } ?? ""))
      lines += parts.dropFirst().map { "  \($0)" }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// What a run did otherwise than the file claims, one sentence each; empty when it did as it
  /// should.
  public func differences(from run: RunRecord) -> [String] {
    var differences: [String] = []
    if run.outcome != expected {
      differences.append("expected \(expected.rawValue), got \(run.outcome.rawValue)")
    }
    if let checker, run.violation?.checker != checker {
      differences.append(
        "expected \(checker) to find it, got \(run.violation?.checker ?? "no violation")")
    }
    if let digest, run.outcome != .crash, run.digest != digest {
      differences.append("expected digest \(Hex.text(digest)), got \(run.digestText)")
    }
    return differences + unreached(by: run).map { "did not reach \($0)" }
  }

  /// The file with the claims of `run` in place of its own. Its story stays, and what it must reach.
  public func rewritten(for run: RunRecord, commit: String? = nil) -> SeedFile {
    var file = SeedFile(run, story: story, commit: commit)
    file.reaches = reaches
    return file
  }
}
