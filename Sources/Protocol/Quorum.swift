/// A set of voting members of one configuration, by their index in it. At most 64 members.
public struct VoterSet: Hashable, Sendable {
  public var bits: UInt64

  @inlinable public init(bits: UInt64 = 0) { self.bits = bits }

  @inlinable public var count: Int { bits.nonzeroBitCount }
  @inlinable public func contains(_ index: Int) -> Bool { bits & (1 &<< UInt64(index)) != 0 }
  /// Adds a member; adding it again changes nothing, so a duplicated message never counts twice.
  @inlinable public mutating func insert(_ index: Int) { bits |= 1 &<< UInt64(index) }
  @inlinable public mutating func remove(_ index: Int) { bits &= ~(1 &<< UInt64(index)) }
  @inlinable public mutating func removeAll() { bits = 0 }
}

/// Which sets of voters decide under one configuration. Any two quorums of a configuration share a member.
public struct Quorum: Hashable, Sendable {
  /// How many members vote.
  public let voters: Int
  /// How many votes decide.
  public let size: Int

  public init(voters: Int) {
    self.voters = voters
    self.size = voters / 2 + 1
  }

  /// So many voters that every quorum holds one of them.
  public var overlap: Int { voters - size + 1 }

  @inlinable public func isReached(by votes: VoterSet) -> Bool { votes.count >= size }

  /// The highest value that a quorum has reached: the `size`-th largest of `values`, one per voter.
  public func reachedByQuorum<T: Comparable>(_ values: [T]) -> T? {
    guard values.count >= size else { return nil }
    return values.sorted(by: >)[size - 1]
  }
}
