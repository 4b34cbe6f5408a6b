/// A rolling 64-bit digest of everything that happened: each event handed in and each effect
/// performed.
///
/// The same seed must give the same digest in any process, debug or release. Checkpoints, when
/// asked for, name the first event at which two runs part.
public struct TraceDigest: Equatable, Sendable {
  public private(set) var value: UInt64 = 0x6A09_E667_F3BC_C908
  /// Events mixed in so far.
  public private(set) var events: UInt64 = 0
  public private(set) var checkpoints: [Checkpoint] = []
  private var rule: CheckpointRule
  private var nextCheckpoint: UInt64

  /// The digest right after event number `event` (counted from 1).
  public struct Checkpoint: Equatable, Sendable {
    public var event: UInt64
    public var digest: UInt64

    public init(event: UInt64, digest: UInt64) {
      self.event = event
      self.digest = digest
    }
  }

  /// After which events a checkpoint is kept.
  public struct CheckpointRule: Equatable, Sendable {
    public var every: UInt64
    public var events: ClosedRange<UInt64>

    public static var none: Self { Self(every: 0, events: 0...0) }
    /// One checkpoint every `count` events of `events`.
    public static func every(
      _ count: UInt64, in events: ClosedRange<UInt64> = 1...UInt64.max
    ) -> Self {
      Self(every: count, events: events)
    }
  }

  public init(checkpoints rule: CheckpointRule = .none) {
    self.rule = rule
    nextCheckpoint = rule.every == 0 ? .max : max(rule.events.lowerBound, 1)
    if rule.every > 1 && rule.events.lowerBound <= 1 { nextCheckpoint = rule.every }
  }

  @inline(__always)
  mutating func mix(_ word: UInt64) {
    var h = (value ^ word) &* 0x9FB2_1C65_1E98_DF25
    h ^= h >> 29
    value = h &* 0xD6E8_FEB8_6659_FD93
    value ^= value >> 32
  }

  /// Closes one event: all its words and those of its effects are in.
  @inline(__always)
  mutating func endEvent() {
    events &+= 1
    if events == nextCheckpoint { keepCheckpoint() }
  }

  private mutating func keepCheckpoint() {
    checkpoints.append(Checkpoint(event: events, digest: value))
    let (next, overflow) = events.addingReportingOverflow(rule.every)
    nextCheckpoint = overflow || next > rule.events.upperBound ? .max : next
  }

  /// The events among which two runs first differ; nil when all common checkpoints agree and the
  /// runs end alike.
  ///
  /// A range of one event when checkpoints were kept after every event.
  public static func firstDivergence(_ a: TraceDigest, _ b: TraceDigest) -> ClosedRange<UInt64>? {
    var agreed: UInt64 = 0
    for (x, y) in zip(a.checkpoints, b.checkpoints) {
      precondition(x.event == y.event, "checkpoints kept by different rules")
      if x.digest != y.digest { return agreed + 1...x.event }
      agreed = x.event
    }
    if a.value == b.value && a.events == b.events { return nil }
    let shorter = min(a.events, b.events)
    let next = min(
      a.checkpoints.dropFirst(b.checkpoints.count).first?.event ?? .max,
      b.checkpoints.dropFirst(a.checkpoints.count).first?.event ?? .max)
    let end = min(next, max(shorter, agreed) + 1)
    return min(agreed + 1, end)...end
  }
}

extension TraceDigest {
  /// The number of the first event at which two runs part, or nil when they are alike.
  ///
  /// Each closure makes its run from the start, keeping checkpoints by the rule it is given: first
  /// coarse ones, then one per event where the coarse ones first differ.
  public static func firstDivergentEvent(
    _ a: (CheckpointRule) -> TraceDigest, _ b: (CheckpointRule) -> TraceDigest
  ) -> UInt64? {
    let coarse = CheckpointRule.every(4_096)
    guard let window = firstDivergence(a(coarse), b(coarse)) else { return nil }
    let fine = CheckpointRule.every(1, in: window)
    let found = firstDivergence(a(fine), b(fine))
    return found?.upperBound
  }
}
