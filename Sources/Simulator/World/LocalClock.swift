public import Protocol

/// One node's monotonic clock: its own offset, its own rate, steps forward and stretches in which
/// it stands still.
///
/// Piecewise linear over simulated time, in whole nanoseconds and whole parts per million, so that
/// it is exact on every machine. A reading never goes backwards: only `rate`, `step` and `freeze`
/// change the line, and each starts the new piece where the old one ended.
public struct LocalClock: Equatable, Sendable {
  /// Simulated and local time at which the current piece starts, in nanoseconds.
  private var simulatedBase: UInt64
  private var localBase: UInt64
  /// How much faster (positive) or slower than simulated time this clock runs, in parts per
  /// million.
  public private(set) var rate: Int64
  public private(set) var isFrozen: Bool

  public init(offset: TimeSpan = .zero, rate: Int64 = 0) {
    precondition(abs(rate) < 1_000_000, "a clock cannot stop or run backwards")
    simulatedBase = 0
    localBase = offset.nanoseconds
    self.rate = rate
    isFrozen = false
  }

  /// What the clock shows at simulated time `now`.
  public func reading(at now: UInt64) -> Instant {
    if isFrozen { return Instant(nanoseconds: localBase) }
    let elapsed = now &- simulatedBase
    if rate == 0 { return Instant(nanoseconds: localBase &+ elapsed) }
    // Split so that the product stays far below 2⁶³ for any run length.
    let drift =
      Int64(elapsed / 1_000_000) * rate + Int64(elapsed % 1_000_000) * rate / 1_000_000
    return Instant(nanoseconds: localBase &+ elapsed &+ UInt64(bitPattern: drift))
  }

  /// The first simulated time, not before `now`, at which the clock shows `deadline`; nil while it
  /// stands still before it.
  public func simulatedTime(of deadline: Instant, notBefore now: UInt64) -> UInt64? {
    if reading(at: now) >= deadline { return now }
    if isFrozen || deadline == .never { return nil }
    let need = deadline.rawValue &- localBase
    var elapsed = need
    if rate != 0 {
      let product = need.multipliedFullWidth(by: 1_000_000)
      let divisor = UInt64(1_000_000 + rate)
      // A deadline so far away that its simulated time does not fit is one that never comes.
      guard product.high < divisor else { return nil }
      elapsed = divisor.dividingFullWidth(product).quotient
    }
    let (estimate, overflow) = simulatedBase.addingReportingOverflow(elapsed)
    if overflow || estimate >= UInt64.max - 4 { return nil }
    var time = max(estimate, now)
    // Rounding is off by at most a nanosecond or two each way.
    while time > now && reading(at: time - 1) >= deadline { time -= 1 }
    while reading(at: time) < deadline { time += 1 }
    return time
  }

  /// Jumps forward by `span` at simulated time `now`.
  public mutating func step(by span: TimeSpan, at now: UInt64) {
    localBase = (reading(at: now) + span).rawValue
    simulatedBase = now
  }

  /// Runs at `rate` parts per million from simulated time `now` on.
  public mutating func setRate(_ rate: Int64, at now: UInt64) {
    precondition(abs(rate) < 1_000_000, "a clock cannot stop or run backwards")
    localBase = reading(at: now).rawValue
    simulatedBase = now
    self.rate = rate
  }

  /// Stands still from `now` (a suspended virtual machine whose monotonic clock does not count the
  /// suspension).
  public mutating func freeze(at now: UInt64) {
    localBase = reading(at: now).rawValue
    simulatedBase = now
    isFrozen = true
  }

  /// Runs again from `now` where it stood.
  public mutating func thaw(at now: UInt64) {
    guard isFrozen else { return }
    simulatedBase = now
    isFrozen = false
  }
}
