// Every identifier is a type of its own, so that a slot cannot be passed for a round or a session for a sequence.

/// A voting or observing member's identity within one cluster. Never reused, not even after a removal.
public struct ReplicaID: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "r\(rawValue)" }
}

/// One life of a replica's storage: a wiped disk comes back as a new incarnation, which starts without a vote.
public struct Incarnation: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One replicated log with its state machine; a process hosts many.
public struct RingID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }
  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The random identity of a whole cluster; frames of another cluster are refused.
public struct ClusterID: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// The number of a configuration; grows by one with each reconfiguration.
public struct Epoch: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// A position in the replicated log. The first slot is 1; `.zero` stands for "before the first slot".
public struct Slot: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt64

  @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }
  @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static let zero = Slot(0)
  public static let last = Slot(UInt64.max)

  @inlinable public var next: Slot { Slot(rawValue &+ 1) }
  /// The slot before this one; `.zero` is its own predecessor.
  @inlinable public var previous: Slot { Slot(rawValue == 0 ? 0 : rawValue &- 1) }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  /// The slot `n` places later; stays at `.last` rather than wrap.
  @inlinable public static func + (a: Self, n: Int) -> Slot {
    let (sum, overflow) = a.rawValue.addingReportingOverflow(UInt64(n))
    return overflow ? .last : Slot(sum)
  }
  /// How many slots lie between: `a - b`, zero when `b` is not lower.
  @inlinable public static func - (a: Self, b: Self) -> Int {
    a.rawValue > b.rawValue ? Int(clamping: a.rawValue &- b.rawValue) : 0
  }
  public var description: String { "\(rawValue)" }
}

/// A client's session, named by the place of its registration in the log. Its commands apply exactly
/// once and in order. The registration itself travels under a nonce that the client drew.
public struct SessionID: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// The number of a request within its session; the first is 1.
public struct SequenceNumber: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// How many records a replica has handed to its journal since it started; a durable prefix is named by its last one.
public struct JournalPosition: RawRepresentable, Hashable, Comparable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) { self.rawValue = rawValue }
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  public static let zero = JournalPosition(0)
  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}
