/// How hard a run is treated.
public enum FaultProfile: String, CaseIterable, Sendable {
  /// Each seed draws which faults exist and how strong, within the fault budget; safety phase, then
  /// liveness phase.
  case swarm
  /// No fault but small delays; the workload must finish.
  case calm
  /// Swarm without a budget: any number of nodes down or cut off at once. Checks safety only.
  case unlimited
}

/// Which faults exist in one run, and how strong they are. Plain numbers, so a plan can be printed,
/// edited and compared.
///
/// Chances are per million, times in microseconds, a mean interval of 0 means "never". Drawn per
/// seed with features left out at random (swarm testing, Groce et al. 2012): a run with all faults
/// on hides what a run with few can reach.
public struct FaultPlan: Equatable, Sendable {
  // Network, per packet.
  public var delayBase: UInt64 = 50
  public var delaySpread: UInt64 = 0
  public var delayJitter: UInt64 = 50
  /// Nanoseconds per kibibyte of payload.
  public var transferTime: UInt64 = 1_000
  public var packetLoss: UInt64 = 0
  public var packetDuplication: UInt64 = 0
  public var packetReorder: UInt64 = 0
  /// Extra delay a reordered or duplicated packet can have.
  public var reorderDelay: UInt64 = 5_000
  public var packetCorruption: UInt64 = 0
  public var packetReplay: UInt64 = 0
  /// 1: every message is encoded and decoded on its way.
  public var everythingThroughCodec: UInt64 = 0

  // Partitions and slow links.
  public var partitionInterval: UInt64 = 0
  public var partitionStability: UInt64 = 500_000
  /// Bits by `PartitionShape.rawValue`: the shapes that exist in this run.
  public var partitionShapes: UInt64 = 0
  public var slowLinkInterval: UInt64 = 0
  public var slowLinkDelay: UInt64 = 20_000
  public var slowLinkStability: UInt64 = 500_000

  // Processes.
  public var crashInterval: UInt64 = 0
  /// Of the crashes: how many wait for a step and strike between its effects.
  public var crashBetweenEffects: UInt64 = 0
  /// Of the changes of a node's protocol phase: how many arm a crash among the effects of its next steps.
  public var crashOnPhaseChange: UInt64 = 0
  public var downMinimum: UInt64 = 10_000
  public var downMaximum: UInt64 = 500_000
  /// Of the crashes: how many are followed by a restart sooner than `downMinimum`.
  public var restartAtOnce: UInt64 = 0
  public var restartStorm: UInt64 = 0
  public var powerFailureInterval: UInt64 = 0
  public var pauseInterval: UInt64 = 0
  public var pauseMaximum: UInt64 = 500_000
  /// Of the pauses: how many wait for a step and strike behind its effects, so that the answers arrive while it sleeps.
  public var pauseAfterEffects: UInt64 = 0
  /// Of the crashes, pauses and partitions: how many first draw a phase of the protocol and then a process that is in it.
  public var aimAtPhases: UInt64 = 0
  /// The fault budget: processes that may be down, paused or cut off at the same time.
  public var maximumDown: UInt64 = 0

  // Disks.
  public var flushBase: UInt64 = 20
  public var flushJitter: UInt64 = 30
  public var flushSlow: UInt64 = 0
  public var flushSlowDelay: UInt64 = 10_000
  public var flushStall: UInt64 = 0
  public var flushStallDelay: UInt64 = 500_000
  /// 0: all unflushed writes survive a crash; 1: an ordered prefix; 2: any subset.
  public var crashWrites: UInt64 = 0
  /// Of the writes not kept whole: how many are torn instead of lost.
  public var tornWrite: UInt64 = 0
  /// Bytes that reach the medium together.
  public var tornGranularity: UInt64 = 512
  /// 0: a torn write keeps a prefix of its pieces; 1: any subset.
  public var tornAnySubset: UInt64 = 0

  /// Of the flushes: how many fail, upon which the process stops at once.
  public var flushFailure: UInt64 = 0
  /// Of the flushes: how many complete while what they cover may still be lost in a crash.
  public var flushLie: UInt64 = 0

  // Persistent memory.
  /// Bits by process: those that keep their journals in it.
  public var memoryNodes: UInt64 = 0
  /// Of these: those whose caches survive as well.
  public var memoryWithCaches: UInt64 = 0
  /// Of the fences: how many a process does not live to see.
  public var crashAtFence: UInt64 = 0

  // Space. Somebody else's files fill the disk of a process, and are removed after a while.
  public var diskFullInterval: UInt64 = 0
  public var diskFullSpan: UInt64 = 2_000_000
  /// Of the times: how many fill all disks at once.
  public var diskFullEverywhere: UInt64 = 0
  /// How much stays free, at most, in bytes.
  public var diskFullLeft: UInt64 = 0

  // Media. Bytes that were durable are damaged, while nobody runs on them unless it says otherwise.
  /// Bits by `MediumFault.rawValue`: the kinds that exist in this run.
  public var mediumFaults: UInt64 = 0
  public var mediumInterval: UInt64 = 0
  /// Of the crashes: how many find the medium damaged.
  public var mediumAtCrash: UInt64 = 0
  /// Of these: how many are followed by another one at the same time, and so on.
  public var mediumAgain: UInt64 = 0
  /// Damage under a process that runs on, and does not read these bytes unless it looks for damage.
  public var atRestInterval: UInt64 = 0

  // States. A bit of what a process has in memory is flipped while it runs.
  public var stateFlipInterval: UInt64 = 0

  // Clocks.
  public var clockOffset: UInt64 = 0
  /// Largest rate error, parts per million either way.
  public var clockDrift: UInt64 = 0
  public var clockStepInterval: UInt64 = 0
  public var clockStepMaximum: UInt64 = 1_000_000
  public var clockFreezeInterval: UInt64 = 0
  public var clockFreezeMaximum: UInt64 = 500_000

  // Phases. What is broken when the safety phase ends stays so outside the core.
  /// Of the changes of a node's protocol phase: how many end the safety phase.
  public var endOnPhaseChange: UInt64 = 0
  /// How many safety phases end with one more partition.
  public var lastPartition: UInt64 = 0
  /// Of the processes outside the core: how many are gone for good.
  public var outsiderLost: UInt64 = 0
  /// Length of the safety phase.
  public var safetyDuration: UInt64 = 10_000_000
  /// Progress must come within this time once a quorum is healed.
  public var livenessBound: UInt64 = 60_000_000

  /// No fault, small delays.
  public init() {}

  /// Sectors may go back to what they held before.
  var mayGoStale: Bool {
    has(.sectorStale) && (mediumInterval > 0 || mediumAtCrash > 0 || atRestInterval > 0)
  }

  /// What a process keeps its files on.
  func medium(of process: Int) -> StorageMedium {
    guard (memoryNodes >> UInt64(process)) & 1 == 1 else { return .disk }
    return (memoryWithCaches >> UInt64(process)) & 1 == 1 ? .memoryWithCaches : .memory
  }

  func has(_ fault: MediumFault) -> Bool { (mediumFaults >> UInt64(fault.rawValue)) & 1 == 1 }

  /// Every field with its stable name, in order.
  static var fields: [(name: String, path: WritableKeyPath<FaultPlan, UInt64>)] {
    [
      ("delayBase", \.delayBase), ("delaySpread", \.delaySpread), ("delayJitter", \.delayJitter),
      ("transferTime", \.transferTime), ("packetLoss", \.packetLoss),
      ("packetDuplication", \.packetDuplication), ("packetReorder", \.packetReorder),
      ("reorderDelay", \.reorderDelay), ("packetCorruption", \.packetCorruption),
      ("packetReplay", \.packetReplay), ("everythingThroughCodec", \.everythingThroughCodec),
      ("partitionInterval", \.partitionInterval), ("partitionStability", \.partitionStability),
      ("partitionShapes", \.partitionShapes), ("slowLinkInterval", \.slowLinkInterval),
      ("slowLinkDelay", \.slowLinkDelay), ("slowLinkStability", \.slowLinkStability),
      ("crashInterval", \.crashInterval), ("crashBetweenEffects", \.crashBetweenEffects),
      ("crashOnPhaseChange", \.crashOnPhaseChange),
      ("downMinimum", \.downMinimum), ("downMaximum", \.downMaximum),
      ("restartAtOnce", \.restartAtOnce), ("restartStorm", \.restartStorm),
      ("powerFailureInterval", \.powerFailureInterval),
      ("pauseInterval", \.pauseInterval), ("pauseMaximum", \.pauseMaximum),
      ("pauseAfterEffects", \.pauseAfterEffects),
      ("aimAtPhases", \.aimAtPhases), ("maximumDown", \.maximumDown),
      ("flushBase", \.flushBase), ("flushJitter", \.flushJitter),
      ("flushSlow", \.flushSlow), ("flushSlowDelay", \.flushSlowDelay),
      ("flushStall", \.flushStall), ("flushStallDelay", \.flushStallDelay),
      ("crashWrites", \.crashWrites), ("tornWrite", \.tornWrite),
      ("tornGranularity", \.tornGranularity), ("tornAnySubset", \.tornAnySubset),
      ("flushFailure", \.flushFailure), ("flushLie", \.flushLie),
      ("memoryNodes", \.memoryNodes), ("memoryWithCaches", \.memoryWithCaches),
      ("crashAtFence", \.crashAtFence),
      ("diskFullInterval", \.diskFullInterval), ("diskFullSpan", \.diskFullSpan),
      ("diskFullEverywhere", \.diskFullEverywhere), ("diskFullLeft", \.diskFullLeft),
      ("mediumFaults", \.mediumFaults), ("mediumInterval", \.mediumInterval),
      ("mediumAtCrash", \.mediumAtCrash), ("mediumAgain", \.mediumAgain),
      ("atRestInterval", \.atRestInterval),
      ("stateFlipInterval", \.stateFlipInterval),
      ("clockOffset", \.clockOffset), ("clockDrift", \.clockDrift),
      ("clockStepInterval", \.clockStepInterval), ("clockStepMaximum", \.clockStepMaximum),
      ("clockFreezeInterval", \.clockFreezeInterval), ("clockFreezeMaximum", \.clockFreezeMaximum),
      ("endOnPhaseChange", \.endOnPhaseChange), ("lastPartition", \.lastPartition),
      ("outsiderLost", \.outsiderLost), ("safetyDuration", \.safetyDuration),
      ("livenessBound", \.livenessBound),
    ]
  }

  /// Name and value of every field, ready for a report.
  public var values: [(name: String, value: UInt64)] {
    Self.fields.map { ($0.name, self[keyPath: $0.path]) }
  }

  /// Sets a field by its name; false when there is no such field.
  public mutating func set(_ name: some StringProtocol, to value: UInt64) -> Bool {
    guard let field = Self.fields.first(where: { $0.name == name }) else { return false }
    self[keyPath: field.path] = value
    return true
  }
}

extension FaultPlan: CustomStringConvertible {
  /// One line: the fields that differ from a plan without faults, as `name=value`.
  public var description: String {
    let quiet = FaultPlan()
    let changed = Self.fields.filter { self[keyPath: $0.path] != quiet[keyPath: $0.path] }
    if changed.isEmpty { return "no faults" }
    return changed.map { "\($0.name)=\(self[keyPath: $0.path])" }.joined(separator: " ")
  }
}
