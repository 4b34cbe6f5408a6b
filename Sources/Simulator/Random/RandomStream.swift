internal import Protocol

/// The named sources of random decisions. Each has a generator of its own, so that a new draw in
/// one moves no other.
///
/// The generators are seeded from the run's seed and the stream's *name* (as in libdb's isolated
/// streams), so adding a stream changes nothing either. Never rename one: that re-rolls every kept
/// seed.
public enum RandomStream: UInt8, CaseIterable, Sendable {
  /// Per packet: delay, loss, duplication, reordering, replay.
  case network
  /// Bits flipped and bytes cut in corrupted packets.
  case corruption
  /// Partitions and slow links: when, which shape, who, how long.
  case partition
  /// Flush latency, and what survives of unflushed writes at a crash.
  case disk
  /// Offsets, rates, steps and freezes of clocks.
  case clock
  /// Crashes, pauses, restarts.
  case process
  /// What clients do. Drawn by the tenant.
  case workload
  /// Boot order and other orderings the framework is free to choose.
  case schedule
  /// The fault plan of the run.
  case swarm
  /// Which nodes are healed for the liveness phase.
  case core
  /// Anything else the tenant draws, seeds of its nodes' own generators for instance.
  case tenant
  /// What becomes of durable bytes: when, where, how.
  case medium
  /// What becomes of states in memory: when, where.
  case memory
  /// Which disks get full: when, for how long.
  case space
  /// Persistent memory: who has it, what a crash leaves of stores, and who dies at a fence.
  case nvm
  /// Which of the things that cost too much to look at always are looked at. Changes nothing of what happens.
  case audit

  public var name: String {
    switch self {
    case .network: "network"
    case .corruption: "corruption"
    case .partition: "partition"
    case .disk: "disk"
    case .clock: "clock"
    case .process: "process"
    case .workload: "workload"
    case .schedule: "schedule"
    case .swarm: "swarm"
    case .core: "core"
    case .tenant: "tenant"
    case .medium: "medium"
    case .memory: "memory"
    case .space: "space"
    case .nvm: "nvm"
    case .audit: "audit"
    }
  }

  /// The stream of that name.
  public init?(name: some StringProtocol) {
    guard let stream = Self.allCases.first(where: { $0.name == name }) else { return nil }
    self = stream
  }

  /// The seed of this stream's generator: FNV-1a over the name, mixed with the run's seed.
  func seed(of run: UInt64) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    var state = run ^ hash
    return SeededRandom.splitMix(&state)
  }
}

/// All streams of one run, and the tape they are recorded on or replayed from.
///
/// Every decision is a bounded draw, and 0 is always the quiet answer (no loss, shortest delay,
/// write kept, nemesis does nothing): that is what makes a tape of zeros a fault-free run and lets
/// a shrinker zero decisions one by one.
public struct RandomStreams: Sendable {
  private var generators: [SeededRandom]
  private var taping: Bool
  private var recorder: DecisionTape?
  private var source: DecisionTape?
  private var cursors: [Int]
  private var beyondEnd: TapeMode.BeyondEnd

  public init(seed: UInt64, tape: TapeMode = .off) {
    generators = RandomStream.allCases.map { SeededRandom(seed: $0.seed(of: seed)) }
    cursors = []
    beyondEnd = .fresh
    switch tape {
    case .off:
      taping = false
    case .record:
      taping = true
      recorder = DecisionTape(seed: seed)
    case .replay(let tape, let rule):
      taping = true
      source = tape
      beyondEnd = rule
      cursors = Array(repeating: 0, count: RandomStream.allCases.count)
      recorder = DecisionTape(seed: seed)
    }
  }

  /// A decision below `bound`; 0 when `bound` is 0.
  @inline(__always)
  public mutating func draw(_ stream: RandomStream, below bound: UInt64) -> UInt64 {
    let value = generators[Int(stream.rawValue)].next(below: bound)
    return taping ? taped(stream, bound, fresh: value) : value
  }

  /// True with a probability of `perMillion` in a million; a value of 0 on the tape is false. Draws
  /// nothing for 0.
  @inline(__always)
  public mutating func chance(_ stream: RandomStream, perMillion: UInt64) -> Bool {
    perMillion != 0 && draw(stream, below: 1_000_000) &+ perMillion >= 1_000_000
  }

  /// A value of `range`, its lower end being the quiet one.
  @inline(__always)
  public mutating func draw(_ stream: RandomStream, in range: ClosedRange<UInt64>) -> UInt64 {
    range.lowerBound &+ draw(stream, below: range.upperBound &- range.lowerBound &+ 1)
  }

  /// What was drawn so far; nil unless taping.
  public var tape: DecisionTape? { recorder }

  // The generator has moved on already, so fresh draws after the end of a tape continue as the
  // recorded run would have.
  @inline(never)
  private mutating func taped(_ stream: RandomStream, _ bound: UInt64, fresh: UInt64) -> UInt64 {
    var value = fresh
    let index = Int(stream.rawValue)
    if source != nil {
      let cursor = cursors[index]
      cursors[index] = cursor + 1
      if let recorded = source!.value(of: stream, at: cursor) {
        // An edited tape, or one of an older version, may hold a value this decision does not have.
        value = bound == 0 ? 0 : recorded < bound ? recorded : recorded % bound
      } else if beyondEnd == .quiet {
        value = 0
      }
    }
    recorder?.append(value, to: stream)
    return value
  }
}
