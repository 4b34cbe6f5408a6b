import DequeModule

/// Reads that wait: for a confirmation round, for their slot to be applied, or for both.
public struct ReadQueue: Equatable, Sendable {
  private struct Read: Equatable, Sendable {
    var id: RequestID
    /// The state must have applied this much.
    var index: Slot
    /// The round that must be confirmed first.
    var round: UInt64
  }

  private struct LocalRead: Equatable, Sendable {
    var id: RequestID
    var index: Slot
    var deadline: Instant
  }

  private let readsMax: Int
  /// In the order they came; index and round never fall from one to the next.
  private var confirmedReads = Deque<Read>()
  private var localReads: [LocalRead] = []
  /// The earliest deadline of a local read.
  public private(set) var localDeadline = Instant.never

  public init(_ options: ReplicaOptions) {
    readsMax = options.readsMax
  }

  public var isFull: Bool { confirmedReads.count + localReads.count >= readsMax }
  public var hasLocalReads: Bool { !localReads.isEmpty }

  /// Whether a read waits for a round that has not been sent.
  public func needsRound(after lastSent: UInt64) -> Bool {
    confirmedReads.last.map { $0.round > lastSent } ?? false
  }

  /// A read at `index` that must not be served before `round` is confirmed.
  public mutating func add(
    _ id: RequestID, index: Slot, round: UInt64, _ contracts: inout ContractRecorder
  ) {
    contracts.require(
      .readsPreInOrder,
      confirmedReads.last.map { $0.index <= index && $0.round <= round } ?? true)
    confirmedReads.append(Read(id: id, index: index, round: round))
    contracts.ensure(.readsPostBounded, confirmedReads.count + localReads.count <= readsMax)
  }

  public mutating func addLocal(_ id: RequestID, index: Slot, deadline: Instant) {
    localReads.append(LocalRead(id: id, index: index, deadline: deadline))
    localDeadline = min(localDeadline, deadline)
  }

  /// The next read whose round is confirmed and whose slot is applied.
  public mutating func nextServable(
    confirmed: UInt64, appliedUpTo: Slot, _ contracts: inout ContractRecorder
  ) -> RequestID? {
    guard let first = confirmedReads.first, first.round <= confirmed, first.index <= appliedUpTo
    else { return nil }
    confirmedReads.removeFirst()
    contracts.ensure(.readsPostServedAfterConfirmation, first.round <= confirmed)
    contracts.ensure(.readsPostServedAfterItsIndex, first.index <= appliedUpTo)
    return first.id
  }

  /// The next local read whose slot is applied.
  public mutating func nextLocalServable(appliedUpTo: Slot) -> RequestID? {
    guard let i = localReads.firstIndex(where: { $0.index <= appliedUpTo }) else { return nil }
    let id = localReads.remove(at: i).id
    updateDeadline()
    return id
  }

  /// The next local read that waited too long.
  public mutating func nextExpired(now: Instant) -> RequestID? {
    guard localDeadline <= now, let i = localReads.firstIndex(where: { $0.deadline <= now })
    else { return nil }
    let id = localReads.remove(at: i).id
    updateDeadline()
    return id
  }

  /// The next read that was waiting for a leadership that is gone.
  public mutating func nextAbandoned() -> RequestID? {
    confirmedReads.popFirst()?.id
  }

  private mutating func updateDeadline() {
    localDeadline = localReads.reduce(.never) { min($0, $1.deadline) }
  }
}

extension ReadQueue {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    let nobody = RequestID(session: SessionID(0), sequence: SequenceNumber(0))
    let read = Read(id: nobody, index: .zero, round: 0)
    try coder.list(&confirmedReads, read) { coder, read throws(DecodeError) in
      try coder.request(&read.id)
      try coder.word(&read.index)
      try coder.word(&read.round)
    }
    let localRead = LocalRead(id: nobody, index: .zero, deadline: .zero)
    try coder.list(&localReads, localRead) { coder, read throws(DecodeError) in
      try coder.request(&read.id)
      try coder.word(&read.index)
      try coder.word(&read.deadline)
    }
    try coder.word(&localDeadline, from: .never)
  }
}
