/// The number of an attempt to lead: (round, proposer), totally ordered (Lamport, "Paxos Made Simple" §2.2).
///
/// Two proposers never share a ballot because the proposer is part of it; one proposer never reuses a ballot because it
/// makes its own promise durable before anything of that ballot leaves.
public struct Ballot: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var round: UInt64
  public var proposer: ReplicaID

  @inlinable public init(round: UInt64, proposer: ReplicaID) {
    self.round = round
    self.proposer = proposer
  }

  /// Rounds above this are refused from peers: no cluster lives to reach it, and a successor always exists below it.
  public static let roundMax: UInt64 = 1 << 62

  /// Below every ballot a proposer can use: "nothing promised", "nothing voted".
  public static let zero = Ballot(round: 0, proposer: ReplicaID(0))

  @inlinable public static func < (a: Self, b: Self) -> Bool {
    a.round != b.round ? a.round < b.round : a.proposer.rawValue < b.proposer.rawValue
  }

  /// The lowest ballot of `proposer` that is above this one.
  public func successor(for proposer: ReplicaID) -> Ballot {
    Ballot(round: round + 1, proposer: proposer)
  }

  public var description: String { "\(round).\(proposer.rawValue)" }
}
