/// One member of a configuration.
public struct Member: Hashable, Sendable {
  public var id: ReplicaID
  /// Raised when the member's storage was replaced; frames of an older incarnation are refused.
  public var incarnation: Incarnation
  /// Members with a higher priority stand for election earlier (0 is the highest; each step waits a while longer).
  public var priorityRank: UInt8

  public init(id: ReplicaID, incarnation: Incarnation = Incarnation(1), priorityRank: UInt8 = 0) {
    self.id = id
    self.incarnation = incarnation
    self.priorityRank = priorityRank
  }
}

/// Which slots a configuration governs: what journals keep of it. Who its members are, the log says.
public struct ConfigurationSpan: Hashable, Sendable {
  public var epoch: Epoch
  public var firstSlot: Slot
  /// `.last` as long as no later configuration is known.
  public var lastSlot: Slot

  public init(epoch: Epoch, firstSlot: Slot = Slot(1), lastSlot: Slot = .last) {
    self.epoch = epoch
    self.firstSlot = firstSlot
    self.lastSlot = lastSlot
  }

  /// Whether a journal that was written under `earlier` can go on under this: the same configuration, whose last slot may
  /// have become known, or a later one that begins behind it.
  public func mayFollow(_ earlier: ConfigurationSpan) -> Bool {
    if epoch == earlier.epoch {
      return firstSlot == earlier.firstSlot && lastSlot <= earlier.lastSlot
    }
    guard epoch > earlier.epoch, firstSlot > earlier.firstSlot else { return false }
    return earlier.lastSlot == .last || firstSlot > earlier.lastSlot
  }
}

/// The member set that governs `firstSlot...lastSlot`, and its number.
///
/// Members are kept in order of their IDs, so that a member's index means the same on every replica. Shape of the
/// epoch and slot bounds: SMART (Lorch et al., EuroSys 2006).
public struct Configuration: Hashable, Sendable {
  public let epoch: Epoch
  public let firstSlot: Slot
  public let lastSlot: Slot
  /// The voting members, in order of their IDs.
  public let voters: [Member]
  public let quorum: Quorum

  /// What makes a member list unusable as a configuration.
  public enum Invalid: Error, Equatable {
    case noVoters
    case tooManyVoters(Int)
    case duplicateMember(ReplicaID)
    case slotsOutOfOrder(first: Slot, last: Slot)
  }

  public static let votersMax = 64

  public init(
    epoch: Epoch = Epoch(1), firstSlot: Slot = Slot(1), lastSlot: Slot = .last, voters: [Member]
  ) throws(Invalid) {
    guard !voters.isEmpty else { throw .noVoters }
    guard voters.count <= Self.votersMax else { throw .tooManyVoters(voters.count) }
    guard firstSlot <= lastSlot else { throw .slotsOutOfOrder(first: firstSlot, last: lastSlot) }
    let sorted = voters.sorted { $0.id < $1.id }
    for i in sorted.indices.dropFirst() where sorted[i].id == sorted[i - 1].id {
      throw .duplicateMember(sorted[i].id)
    }
    self.epoch = epoch
    self.firstSlot = firstSlot
    self.lastSlot = lastSlot
    self.voters = sorted
    self.quorum = Quorum(voters: sorted.count)
  }

  public var span: ConfigurationSpan {
    ConfigurationSpan(epoch: epoch, firstSlot: firstSlot, lastSlot: lastSlot)
  }

  /// The member's index, or nil when it does not vote here. Linear: configurations are small and in cache.
  public func index(of id: ReplicaID) -> Int? {
    for i in 0..<voters.count where voters[i].id == id { return i }
    return nil
  }
}
