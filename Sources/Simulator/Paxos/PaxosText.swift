public import Protocol

// The short text of what goes into a replica and what comes out: one line each, stable, the same in scenarios, golden
// traces and the traces of simulated runs.

/// Describes a message in one line, values by their digest: `accept 1.1 slot 3 [2 commands 0badcafe] chosen 2`.
public func describe(_ message: Message) -> String { PaxosText().describe(message) }

/// Describes an effect in one line: `-> r2 accept 1.1 slot 3 [no-op] chosen 2`, `persist promised 1.1`.
public func describe(_ effect: Effect) -> String { PaxosText().describe(effect) }

/// Describes an event in one line: `received r1 -> r2 prepare 2.1 from slot 3`, `persisted up to 7`.
public func describe(_ event: Protocol.Event) -> String { PaxosText().describe(event) }

/// The text of messages, effects and events, with names for the commands inside values where they are known.
///
/// A command is found by where its bytes lie, and its name is used only if the checksums of all the commands in the
/// value's range give the value's digest; otherwise the value is shown by count and digest.
public struct PaxosText: Sendable {
  private struct Named: Sendable {
    var command: CommandRef
    var name: String
  }

  /// In order of position.
  private var commands: [Named] = []

  /// Knows no names.
  public init() {}

  /// Gives a command a name. Commands are named in the order of their positions in the log buffer.
  public mutating func name(_ command: CommandRef, _ name: String) {
    commands.append(Named(command: command, name: name))
  }

  // MARK: Values

  /// `[no-op]`, `[c1 c2]` when every command has a name, else `[2 commands 0badcafe]`.
  public func describe(_ value: Value) -> String {
    if value.isNoop { return "[no-op]" }
    if let names = names(in: value) { return "[\(names)]" }
    let noun = value.count == 1 ? "command" : "commands"
    return "[\(value.count) \(noun) \(hexadecimal(value.digest))]"
  }

  private func names(in value: Value) -> String? {
    // The first command that begins at or behind the value's first byte.
    var (low, high) = (0, commands.count)
    while low < high {
      let middle = (low + high) / 2
      if commands[middle].command.bytes.position < value.bytes.position {
        low = middle + 1
      } else {
        high = middle
      }
    }
    var (names, digest) = ("", UInt64(0))
    for offset in 0..<Int(value.count) {
      guard low + offset < commands.count else { return nil }
      let named = commands[low + offset]
      digest = Value.digest(
        digest, adding: named.command.checksum, length: named.command.bytes.length)
      names += offset == 0 ? named.name : " \(named.name)"
    }
    return digest == value.digest ? names : nil
  }

  /// The last eight hexadecimal digits of a digest.
  func hexadecimal(_ digest: UInt64) -> String {
    let text = String(digest & 0xFFFF_FFFF, radix: 16)
    return String(repeating: "0", count: 8 - text.count) + text
  }

  // MARK: Small parts

  /// `s1/3`: session 1, request 3.
  public func describe(_ request: RequestID) -> String {
    "s\(request.session.rawValue)/\(request.sequence.rawValue)"
  }

  /// `slot 16 (160 bytes)`.
  public func describe(_ snapshot: SnapshotInfo) -> String {
    "slot \(snapshot.slot) (\(snapshot.length) bytes)"
  }

  /// `quorum`, `lease`, `local at least slot 5`.
  public func describe(_ mode: ReadMode) -> String {
    switch mode {
    case .quorum: "quorum"
    case .lease: "lease"
    case .local(let slot): "local at least slot \(slot)"
    }
  }

  /// Why a request was refused, and where to go instead.
  public func describe(_ rejection: Rejection) -> String {
    switch rejection {
    case .notLeader(nil): "not leader, none known"
    case .notLeader(.some(let leader)): "not leader, try \(leader)"
    case .overloaded: "overloaded"
    case .transferring(let target): "transferring to \(target)"
    case .tooLarge(let limit): "larger than \(limit) bytes"
    case .notApplied(let slot): "applied only up to \(slot)"
    case .leasesDisabled: "leases are off"
    case .noRoom: "no room"
    }
  }

  /// `follower`, `pre-candidate`, `candidate`, `recovering leader`, `leader`.
  public func describe(_ role: Role) -> String {
    switch role {
    case .follower: "follower"
    case .preCandidate: "pre-candidate"
    case .candidate: "candidate"
    case .recoveringLeader: "recovering leader"
    case .leader: "leader"
    }
  }

  /// Milliseconds with as many decimals as are needed: `500ms`, `0.25ms`, `never`.
  public func describe(_ time: Instant) -> String {
    time == .never ? "never" : describe(TimeSpan(nanoseconds: time.rawValue))
  }

  /// Milliseconds with as many decimals as are needed: `500ms`, `0.25ms`.
  public func describe(_ span: TimeSpan) -> String {
    let (whole, rest) = span.nanoseconds.quotientAndRemainder(dividingBy: 1_000_000)
    guard rest > 0 else { return "\(whole)ms" }
    var decimals = String(rest)
    decimals = String(repeating: "0", count: 6 - decimals.count) + decimals
    while decimals.hasSuffix("0") { decimals.removeLast() }
    return "\(whole).\(decimals)ms"
  }

  /// `slot 3`, `slots 3-5`.
  func slots(_ first: Slot, _ last: Slot) -> String {
    first == last ? "slot \(first)" : "slots \(first)-\(last)"
  }

  /// `promised 1.1`, `accepted slot 3 at 1.1 [c1]`, …
  public func describe(_ record: JournalRecord) -> String {
    switch record.fact {
    case .promised(let ballot): "promised \(ballot)"
    case .accepted(let slot, let ballot, let value):
      "accepted \(ballot) slot \(slot) \(describe(value))"
    case .learned(let slot, let value): "learned slot \(slot) \(describe(value))"
    case .chosenUpTo(let slot): "chosen \(slot)"
    case .snapshot(let info): "snapshot \(describe(info))"
    case .cured(let ballot, let slot): "cured \(ballot) snapshot \(slot)"
    }
  }
}
