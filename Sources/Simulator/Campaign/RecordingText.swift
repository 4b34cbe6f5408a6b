public import Protocol

/// What there is to say about a recording and its replay, as text and as JSON.
public struct RecordingText: Sendable {
  private let text = PaxosText()

  public init() {}

  /// One line: whose steps they are, and under what.
  public func head(_ header: RecordingHeader) -> String {
    let identity = header.identity
    let voters = header.configuration.voters.map { "\($0.id)" }.joined(separator: " ")
    return "\(identity.replica) incarnation \(identity.incarnation.rawValue)"
      + " ring \(identity.ring.rawValue)"
      + " of cluster \(String(identity.cluster.rawValue, radix: 16)),"
      + " epoch \(header.configuration.epoch.rawValue) (\(voters)),"
      + " from step \(header.firstStep), contracts \(header.hasContracts ? "on" : "off")"
  }

  /// One line: `step 812 at 1234.5ms: received r1 -> r2 …`.
  public func step(_ step: RecordedStep) -> String {
    "step \(step.number) at \(text.describe(step.now)): \(text.describe(step.event))"
  }

  /// A step, and a line for each of its effects.
  public func lines(_ step: RecordedStep, _ effects: borrowing EffectBuffer) -> [String] {
    var lines = [self.step(step)]
    for i in 0..<effects.count { lines.append("  " + text.describe(effects[i])) }
    return lines
  }

  /// The first difference, with all that was expected of the step and all that it led to.
  public func difference(_ replay: borrowing RecordingReplay) -> [String] {
    guard let difference = replay.difference else { return [] }
    let (expected, actual) = describe(difference.expected, difference.actual)
    var lines = [
      "DIFFERENCE in " + step(difference.step),
      "  effect \(difference.effect + 1), expected: \(expected)",
      "  effect \(difference.effect + 1), actual:   \(actual)",
      "  all that was expected",
    ]
    lines += list(replay.expected)
    lines.append("  all that it led to")
    return lines + list(replay.actual)
  }

  private func list(_ effects: borrowing EffectBuffer) -> [String] {
    if effects.isEmpty { return ["    nothing"] }
    return (0..<effects.count).map { "    " + text.describe(effects[$0]) }
  }

  /// Both effects; in full when the difference is in what the short text leaves out, such as where bytes lie.
  private func describe(_ expected: Effect?, _ actual: Effect?) -> (String, String) {
    let short = (expected.map(text.describe), actual.map(text.describe))
    if short.0 == short.1, let expected, let actual { return ("\(expected)", "\(actual)") }
    return (short.0 ?? "nothing more", short.1 ?? "nothing more")
  }

  /// How a replay came to its end.
  public func end(_ reader: borrowing RecordingReader) -> String {
    switch reader.end {
    case .rotated: "goes on in the next file"
    case .closed: "closed by its host"
    case .gap: "ends in a gap: later steps were dropped"
    case nil where reader.tornBytes > 0:
      "torn: \(reader.tornBytes) bytes at the end are not a whole chunk"
    case nil: "not ended: its process died, or still runs"
    }
  }

  /// One word: `equal`, `different`, `violated`.
  public func verdict(_ replay: borrowing RecordingReplay) -> String {
    if replay.difference != nil { return "different" }
    return replay.replica.contracts.violation == nil ? "equal" : "violated"
  }

  public func json(
    file: String, _ replay: borrowing RecordingReplay, seconds: Double
  ) -> JSONValue {
    let header = replay.reader.header
    let violation = replay.replica.contracts.violation
    return .object([
      JSONValue.Member("file", .string(file)),
      JSONValue.Member("verdict", .string(verdict(replay))),
      JSONValue.Member("replica", .integer(UInt64(header.identity.replica.rawValue))),
      JSONValue.Member("ring", .integer(UInt64(header.identity.ring.rawValue))),
      JSONValue.Member("firstStep", .integer(header.firstStep)),
      JSONValue.Member("steps", .integer(replay.steps)),
      JSONValue.Member("effects", .integer(replay.effects)),
      JSONValue.Member("seconds", .number(seconds)),
      JSONValue.Member("end", .string(end(replay.reader))),
      JSONValue.Member("tornBytes", .integer(UInt64(replay.reader.tornBytes))),
      JSONValue.Member("difference", replay.difference.map(json) ?? .null),
      JSONValue.Member("violation", violation.map { .string(String($0.id)) } ?? .null),
    ])
  }

  private func json(_ difference: RecordingDifference) -> JSONValue {
    let (expected, actual) = describe(difference.expected, difference.actual)
    return .object([
      JSONValue.Member("step", .integer(difference.step.number)),
      JSONValue.Member("now", .integer(difference.step.now.rawValue)),
      JSONValue.Member("event", .string(text.describe(difference.step.event))),
      JSONValue.Member("effect", .integer(UInt64(difference.effect))),
      JSONValue.Member("expected", .string(expected)),
      JSONValue.Member("actual", .string(actual)),
    ])
  }
}
