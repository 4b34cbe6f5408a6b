/// A reading of one replica's monotonic clock, in nanoseconds from an arbitrary origin. Never compared across replicas.
public struct Instant: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public init(nanoseconds: UInt64) { self.rawValue = nanoseconds }

  public static let zero = Instant(nanoseconds: 0)
  /// A deadline that never comes.
  public static let never = Instant(nanoseconds: .max)

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  /// Saturates at `.never`.
  @inlinable public static func + (a: Self, d: TimeSpan) -> Instant {
    let (sum, overflow) = a.rawValue.addingReportingOverflow(d.nanoseconds)
    return overflow ? .never : Instant(nanoseconds: sum)
  }
  /// The time from `b` to `a`; zero when `b` is not earlier.
  @inlinable public static func - (a: Self, b: Self) -> TimeSpan {
    TimeSpan(nanoseconds: a.rawValue > b.rawValue ? a.rawValue &- b.rawValue : 0)
  }
}

/// A length of time in nanoseconds; never negative.
public struct TimeSpan: Hashable, Comparable, Sendable {
  public var nanoseconds: UInt64

  @inlinable public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  public static let zero = TimeSpan(nanoseconds: 0)
  @inlinable public static func microseconds(_ n: UInt64) -> TimeSpan {
    TimeSpan(nanoseconds: n &* 1_000)
  }
  @inlinable public static func milliseconds(_ n: UInt64) -> TimeSpan {
    TimeSpan(nanoseconds: n &* 1_000_000)
  }
  @inlinable public static func seconds(_ n: UInt64) -> TimeSpan {
    TimeSpan(nanoseconds: n &* 1_000_000_000)
  }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.nanoseconds < b.nanoseconds }
  @inlinable public static func + (a: Self, b: Self) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &+ b.nanoseconds)
  }
  @inlinable public static func * (a: Self, n: UInt64) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &* n)
  }
  @inlinable public static func / (a: Self, n: UInt64) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds / n)
  }
}
