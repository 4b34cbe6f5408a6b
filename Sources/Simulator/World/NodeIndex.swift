/// The number of an endpoint in one simulation: first the processes, then the clients, counted from
/// 0.
public struct NodeIndex: RawRepresentable, Hashable, Comparable, Sendable, CustomStringConvertible {
  public var rawValue: UInt16

  @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }
  @inlinable public init(_ index: Int) { rawValue = UInt16(truncatingIfNeeded: index) }

  /// The same number as an array index.
  @inlinable public var index: Int { Int(rawValue) }

  @inlinable public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
  public var description: String { "n\(rawValue)" }
}

/// A set of endpoints as 64 bits. Iterates in ascending order, so it can stand where a hashed set
/// may not.
public struct NodeSet: Hashable, Sendable, Sequence, ExpressibleByArrayLiteral,
  CustomStringConvertible
{
  public var bits: UInt64

  /// The most endpoints one simulation can have.
  public static var capacity: Int { 64 }

  @inlinable public init(bits: UInt64 = 0) { self.bits = bits }
  public init(arrayLiteral elements: NodeIndex...) {
    bits = 0
    for node in elements { insert(node) }
  }
  public init(_ nodes: some Sequence<NodeIndex>) {
    bits = 0
    for node in nodes { insert(node) }
  }
  /// The endpoints `0..<count`.
  public init(first count: Int) { bits = count >= 64 ? .max : (1 << UInt64(count)) &- 1 }

  @inlinable public var count: Int { bits.nonzeroBitCount }
  @inlinable public var isEmpty: Bool { bits == 0 }
  @inlinable public func contains(_ node: NodeIndex) -> Bool {
    (bits >> UInt64(node.rawValue)) & 1 == 1
  }
  @inlinable public mutating func insert(_ node: NodeIndex) { bits |= 1 << UInt64(node.rawValue) }
  @inlinable public mutating func remove(_ node: NodeIndex) {
    bits &= ~(1 << UInt64(node.rawValue))
  }
  @inlinable public func union(_ other: Self) -> Self { Self(bits: bits | other.bits) }
  @inlinable public func intersection(_ other: Self) -> Self { Self(bits: bits & other.bits) }
  @inlinable public func subtracting(_ other: Self) -> Self { Self(bits: bits & ~other.bits) }

  /// The member at `position` in ascending order; `position` must be below `count`.
  public func element(at position: Int) -> NodeIndex {
    var rest = bits
    for _ in 0..<position { rest &= rest &- 1 }
    precondition(rest != 0, "NodeSet.element(at:) beyond the last member")
    return NodeIndex(rest.trailingZeroBitCount)
  }

  public func makeIterator() -> Iterator { Iterator(rest: bits) }

  public struct Iterator: IteratorProtocol {
    var rest: UInt64
    public mutating func next() -> NodeIndex? {
      guard rest != 0 else { return nil }
      let node = NodeIndex(rest.trailingZeroBitCount)
      rest &= rest &- 1
      return node
    }
  }

  public var description: String {
    "{" + map { "\($0.rawValue)" }.joined(separator: ",") + "}"
  }
}
