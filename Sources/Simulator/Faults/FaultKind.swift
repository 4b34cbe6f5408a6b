/// Every fault the framework can do to a run. Counted when it *happened*, not when it was planned.
public enum FaultKind: UInt8, CaseIterable, Sendable {
  case packetLost
  case packetDuplicated
  case packetReordered
  case packetCorrupted
  case packetReplayed
  case packetCut
  case partitionIsolated
  case partitionSplit
  case partitionOneWay
  case partitionRing
  case partitionBridge
  case partitionChained
  case linkSlowed
  case flushSlow
  case flushStalled
  case flushFailed
  case flushLied
  case fenceLied
  case writeLost
  case writeTorn
  case storeTorn
  case bitsFlipped
  case sectorGarbled
  case sectorUnreadable
  case sectorMisdirected
  case sectorStale
  case fileCut
  case fileLost
  case diskWiped
  case checkpointDamaged
  case damagedAtRest
  case diskFilled
  case nodeCrashed
  case crashBetweenEffects
  case crashDuringFlush
  case crashedAtFence
  case powerFailed
  case restartStorm
  case nodePaused
  case clockStepped
  case clockFrozen
  case clockDrifted
  case stateFlipped

  /// The stable name used in reports; never change one.
  public var name: String {
    switch self {
    case .packetLost: "packet.lost"
    case .packetDuplicated: "packet.duplicated"
    case .packetReordered: "packet.reordered"
    case .packetCorrupted: "packet.corrupted"
    case .packetReplayed: "packet.replayed"
    case .packetCut: "packet.cut"
    case .partitionIsolated: "partition.isolated"
    case .partitionSplit: "partition.split"
    case .partitionOneWay: "partition.oneWay"
    case .partitionRing: "partition.ring"
    case .partitionBridge: "partition.bridge"
    case .partitionChained: "partition.chained"
    case .linkSlowed: "link.slowed"
    case .flushSlow: "flush.slow"
    case .flushStalled: "flush.stalled"
    case .flushFailed: "flush.failed"
    case .flushLied: "flush.lied"
    case .fenceLied: "fence.lied"
    case .writeLost: "write.lost"
    case .writeTorn: "write.torn"
    case .storeTorn: "store.torn"
    case .bitsFlipped: "medium.bitsFlipped"
    case .sectorGarbled: "medium.sectorGarbled"
    case .sectorUnreadable: "medium.sectorUnreadable"
    case .sectorMisdirected: "medium.sectorMisdirected"
    case .sectorStale: "medium.sectorStale"
    case .fileCut: "medium.fileCut"
    case .fileLost: "medium.fileLost"
    case .diskWiped: "medium.diskWiped"
    case .checkpointDamaged: "medium.checkpointDamaged"
    case .damagedAtRest: "medium.damagedAtRest"
    case .diskFilled: "disk.full"
    case .nodeCrashed: "node.crashed"
    case .crashBetweenEffects: "node.crashedBetweenEffects"
    case .crashDuringFlush: "node.crashedDuringFlush"
    case .crashedAtFence: "node.crashedAtFence"
    case .powerFailed: "node.powerFailed"
    case .restartStorm: "node.restartStorm"
    case .nodePaused: "node.paused"
    case .clockStepped: "clock.stepped"
    case .clockFrozen: "clock.frozen"
    case .clockDrifted: "clock.drifted"
    case .stateFlipped: "state.flipped"
    }
  }
}

/// How often each fault happened in each phase of the tenant's protocol.
public struct FaultTable: Equatable, Sendable {
  public let phaseNames: [String]
  private var counts: [UInt64]

  public init(phaseNames: [String]) {
    self.phaseNames = phaseNames.isEmpty ? ["run"] : phaseNames
    counts = Array(
      repeating: 0, count: FaultKind.allCases.count * max(1, phaseNames.count))
  }

  public subscript(kind: FaultKind, phase: Int) -> UInt64 {
    counts[Int(kind.rawValue) * phaseNames.count + phase]
  }

  /// How often `kind` happened in any phase.
  public subscript(kind: FaultKind) -> UInt64 {
    let start = Int(kind.rawValue) * phaseNames.count
    return counts[start..<start + phaseNames.count].reduce(0, +)
  }

  public mutating func count(_ kind: FaultKind, phase: Int, by amount: UInt64 = 1) {
    precondition(phase >= 0 && phase < phaseNames.count, "the tenant named a phase out of range")
    counts[Int(kind.rawValue) * phaseNames.count + phase] &+= amount
  }

  /// Adds the counts of another run of the same tenant.
  public mutating func add(_ other: FaultTable) {
    precondition(phaseNames == other.phaseNames, "tables of different tenants")
    for index in counts.indices { counts[index] &+= other.counts[index] }
  }

  /// Totals by stable name, in the order of `FaultKind`.
  public var totals: [(name: String, count: UInt64)] {
    FaultKind.allCases.map { ($0.name, self[$0]) }
  }
}
