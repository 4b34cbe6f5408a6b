/// What decides a run of the Paxos tenant besides its seed, as far as a command line can say it.
public struct RunSettings: Equatable, Sendable {
  public var profile: FaultProfile
  /// nil: drawn per seed.
  public var replicas: Int?
  /// nil: drawn per seed.
  public var commands: Int?

  public init(profile: FaultProfile = .swarm, replicas: Int? = nil, commands: Int? = nil) {
    self.profile = profile
    self.replicas = replicas
    self.commands = commands
  }

  /// Clusters that the command line accepts.
  public static let replicasRange = 1...15
  /// Workloads that the command line accepts.
  public static let commandsRange = 1...1_000_000

  /// What is wrong with these settings, in one sentence; nil when nothing is.
  public var problem: String? {
    if let replicas, !Self.replicasRange.contains(replicas) {
      return "a cluster has \(Self.replicasRange.lowerBound) to \(Self.replicasRange.upperBound) "
        + "replicas, not \(replicas)"
    }
    if let commands, !Self.commandsRange.contains(commands) {
      return "a run has \(Self.commandsRange.lowerBound) to \(Self.commandsRange.upperBound) "
        + "commands, not \(commands)"
    }
    return nil
  }

  /// The options of a run, without trace and tape.
  public var options: PaxosOptions {
    var options = PaxosOptions()
    options.profile = profile
    options.replicas = replicas
    options.commands = commands
    return options
  }

  /// The arguments that say the same on a command line; defaults are left out.
  public var arguments: [String] {
    var arguments: [String] = []
    if profile != .swarm { arguments += ["--profile", profile.rawValue] }
    if let replicas { arguments += ["--replicas", "\(replicas)"] }
    if let commands { arguments += ["--commands", "\(commands)"] }
    return arguments
  }

  /// The command that runs a seed once more, up to its violation.
  public func replayCommand(seed: UInt64) -> String {
    (["rsl-sim", "replay", "\(seed)"] + arguments).joined(separator: " ")
  }
}

/// How a command of `rsl-sim` ends: the class of what went wrong.
public enum ExitClass: Int32, Sendable, CaseIterable {
  case passed = 0
  /// A bad argument, a missing or damaged file, coverage that was required and not reached.
  case usage = 1
  case safety = 2
  case liveness = 3
  /// Two runs of one seed differ, or a seed file's claim does not hold.
  case determinism = 4
  /// A trap, or another death of the process that ran the seed.
  case crash = 5

  public init(_ outcome: RunOutcome) {
    switch outcome {
    case .passed: self = .passed
    case .safety: self = .safety
    case .liveness: self = .liveness
    case .crash: self = .crash
    }
  }

  /// Of several, the one that a process can only end with: safety before crash, determinism and
  /// liveness.
  public static func gravest(_ statuses: some Sequence<ExitClass>) -> ExitClass {
    let order: [ExitClass] = [.safety, .crash, .determinism, .liveness, .usage]
    let present = Array(statuses)
    return order.first { present.contains($0) } ?? .passed
  }
}

/// Seeds as they are written on a command line.
public enum SeedRange {
  /// `17`, or `1-2000` with both ends; nil when it is neither, or empty.
  public static func parse(_ text: some StringProtocol) -> ClosedRange<UInt64>? {
    let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = number(parts[0]) else { return nil }
    if parts.count == 1 { return first...first }
    guard let last = number(parts[1]), last >= first, last - first < UInt64.max else { return nil }
    return first...last
  }

  private static func number(_ text: some StringProtocol) -> UInt64? {
    text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      ? UInt64(text) : nil
  }
}

/// Times as they are written on a command line.
public enum DurationText {
  /// `90s`, `10m`, `2h`, `250ms`, `1.5` (seconds) in nanoseconds; nil when it is none of them, or
  /// too large.
  public static func parse(_ text: some StringProtocol) -> UInt64? {
    let units: [(suffix: String, nanoseconds: UInt64)] = [
      ("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000),
      ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ]
    var digits = Substring(text)
    var unit: UInt64 = 1_000_000_000
    if let known = units.first(where: { digits.hasSuffix($0.suffix) }) {
      unit = known.nanoseconds
      digits.removeLast(known.suffix.count)
    }
    let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let whole = number(parts[0]) else { return nil }
    let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
    guard !overflow else { return nil }
    guard parts.count == 2 else { return product }
    guard let fraction = number(parts[1]), parts[1].utf8.count <= 9 else { return nil }
    var scale: UInt64 = 1
    for _ in parts[1].utf8 { scale *= 10 }
    let part = UInt64((Double(fraction) / Double(scale) * Double(unit)).rounded())
    let (sum, tooLarge) = product.addingReportingOverflow(part)
    return tooLarge ? nil : sum
  }

  private static func number(_ text: Substring) -> UInt64? {
    !text.isEmpty && text.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
      ? UInt64(text) : nil
  }

  /// Nanoseconds for people: `1.234 s`, `2 min 05 s`, `3 h 20 min`.
  public static func text(_ nanoseconds: UInt64) -> String {
    let seconds = Double(nanoseconds) / 1e9
    if seconds < 60 { return Decimals.text(seconds, places: seconds < 10 ? 3 : 1) + " s" }
    let whole = UInt64(seconds)
    func two(_ value: UInt64) -> String { value < 10 ? "0\(value)" : "\(value)" }
    if whole < 3_600 { return "\(whole / 60) min \(two(whole % 60)) s" }
    return "\(whole / 3_600) h \(two(whole / 60 % 60)) min"
  }
}
