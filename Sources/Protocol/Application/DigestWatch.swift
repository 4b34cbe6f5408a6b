/// A replica whose state is not the one that a majority agreed on, and where that showed.
public struct Divergence: Error, Hashable, Sendable, CustomStringConvertible {
  /// The slot after which the states were compared.
  public var slot: Slot
  public var own: UInt64
  public var agreed: UInt64

  public init(slot: Slot, own: UInt64, agreed: UInt64) {
    self.slot = slot
    self.own = own
    self.agreed = agreed
  }

  public var description: String {
    "the state after slot \(slot) has the digest \(Self.hexadecimal(own)) here, and a majority of the"
      + " voters agree on \(Self.hexadecimal(agreed))"
  }

  private static func hexadecimal(_ word: UInt64) -> String {
    let text = String(word, radix: 16)
    return String(repeating: "0", count: 16 - text.count) + text
  }
}

/// How far a replica's own state is reported and agreed: what its host tells the replica (`Event.digestsChanged`).
public struct DigestStanding: Hashable, Sendable {
  /// The last slot whose digest was taken, `.zero` before there is one, and the digest.
  public var slot: Slot
  public var digest: UInt64
  /// The last slot for which a report of this replica was applied.
  public var reportedUpTo: Slot
  /// The last slot for which the agreed digest is the own one: the state was right there.
  public var vouchedUpTo: Slot

  public init(slot: Slot, digest: UInt64, reportedUpTo: Slot, vouchedUpTo: Slot) {
    self.slot = slot
    self.digest = digest
    self.reportedUpTo = reportedUpTo
    self.vouchedUpTo = vouchedUpTo
  }

  public static let none = DigestStanding(
    slot: .zero, digest: 0, reportedUpTo: .zero, vouchedUpTo: .zero)
}

/// A replica's own digests, which it compares with the agreed ones. Not part of the replicated state.
///
/// Begins empty with every state that is restored: what a replica applies after that, from its log or its peers, makes its
/// digests anew. So a diverged snapshot that it restarts from shows at the first slot behind it that is agreed.
public struct DigestWatch: Sendable {
  /// A digest is taken after every slot that is a multiple of this; 0: never.
  public let period: UInt64
  public let own: ReplicaID
  /// This state comes after one that had diverged, and no agreed digest has confirmed it yet.
  public internal(set) var isRepairing: Bool
  /// Set once and for ever: this state is not to be used any more.
  public internal(set) var divergence: Divergence?
  /// How many agreed digests were compared with own ones and found equal.
  public internal(set) var agreements: UInt64 = 0
  /// For how many slots no majority can agree any more. Nobody knows whose state is right then.
  public internal(set) var splits: UInt64 = 0
  /// The last slot for which the agreed digest is the own one.
  public internal(set) var vouchedUpTo = Slot.zero
  /// In order of slots.
  private var taken: [(slot: Slot, digest: UInt64)] = []
  private var lastSplit = Slot.zero

  /// How many own digests wait for what the others say.
  static let kept = 16

  /// - Parameter isRepairing: the state before this one had diverged.
  public init(period: UInt64, own: ReplicaID, isRepairing: Bool = false) {
    self.period = period
    self.own = own
    self.isRepairing = isRepairing
  }

  /// The watch over a state that takes the place of this one's.
  var begunAnew: DigestWatch { DigestWatch(period: period, own: own, isRepairing: isRepairing) }

  /// Whether the digest after this slot is taken.
  @inline(__always)
  public func isDue(_ slot: Slot) -> Bool {
    period != 0 && slot > .zero && slot.rawValue % period == 0
  }

  /// The own state after a slot that is due.
  public mutating func took(_ digest: UInt64, at slot: Slot) {
    if taken.count == Self.kept { taken.removeFirst() }
    taken.append((slot, digest))
  }

  /// A report was folded in.
  public mutating func saw(
    _ outcome: DigestTable.Outcome, of report: DigestReport, _ contracts: inout ContractRecorder
  ) {
    switch outcome {
    case .ignored, .noted:
      break
    case .split:
      guard report.slot > lastSplit else { return }
      lastSplit = report.slot
      splits &+= 1
    case .agreed:
      contracts.mark(.digestAgreed)
      compare(report, &contracts)
    }
  }

  /// Compares the own digest with the agreed one; a replica that has none at that slot cannot tell.
  private mutating func compare(_ agreed: DigestReport, _ contracts: inout ContractRecorder) {
    guard divergence == nil, let own = taken.last(where: { $0.slot == agreed.slot }) else { return }
    if own.digest != agreed.digest {
      contracts.mark(.divergenceFound)
      divergence = Divergence(slot: own.slot, own: own.digest, agreed: agreed.digest)
      return
    }
    vouchedUpTo = agreed.slot
    agreements &+= 1
    guard isRepairing else { return }
    contracts.mark(.divergenceRepaired)
    isRepairing = false
  }

  /// What to tell the replica.
  public func standing(_ table: DigestTable) -> DigestStanding {
    guard period != 0 else { return .none }
    let last = taken.last
    return DigestStanding(
      slot: last?.slot ?? .zero, digest: last?.digest ?? 0,
      reportedUpTo: table.reportedUpTo(by: own), vouchedUpTo: vouchedUpTo)
  }
}
