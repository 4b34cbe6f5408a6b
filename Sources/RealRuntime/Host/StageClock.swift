import Protocol

/// Follows the leader's batches through their stages, and notes how long after its bytes were read each got there.
///
/// A batch is timed as one: its commands arrived in one turn, nearly always, and go every further step together. What it
/// costs is a clock reading and an entry in a histogram for each batch and stage, not for each command.
struct StageClock {
  private struct Batch {
    var slot = Slot.zero
    var receivedAt = Instant.zero
    var commands: UInt64 = 0
  }

  /// What was received from position `begin` of the log buffer on, up to the next arrival, came at `time`.
  private struct Arrival {
    var begin: UInt64
    var time: Instant
  }

  var histograms = StageHistograms()
  var tracer: SlotTracer
  private var batches: [Batch]
  private let mask: UInt64
  private var arrivals = Ring<Arrival>()
  private var unsent: [Slot] = []
  private var unreplied: [Slot] = []
  /// Own votes on their way to the journal, in order of their positions.
  private var unpersisted = Ring<(position: UInt64, slot: Slot)>()

  /// - Parameters:
  ///   - slots: more than are ever in flight.
  ///   - traceRate: the share of slots whose way is remembered.
  init(slots: Int, traceRate: Double) {
    tracer = SlotTracer(rate: traceRate)
    var size = 1
    while size < slots { size *= 2 }
    batches = Array(repeating: Batch(), count: size)
    mask = UInt64(size - 1)
  }

  /// Commands are about to be taken in; they go to the log buffer from `begin` on.
  mutating func arrived(begin: UInt64, at time: Instant) {
    arrivals.append(Arrival(begin: begin, time: time))
  }

  /// So many were taken in that arrived at `time`.
  mutating func received(_ commands: UInt64, at time: Instant) {
    let now = MonotonicClock.now()
    histograms.record(.received, nanoseconds: (now - time).nanoseconds, count: commands)
  }

  /// The batch was given this slot.
  mutating func batched(_ slot: Slot, _ value: Value, journal position: UInt64, now: Instant) {
    while let next = arrivals.second, next.begin <= value.bytes.position { arrivals.removeFirst() }
    guard value.count > 0, let arrival = arrivals.first else { return }
    batches[Int(slot.rawValue & mask)] = Batch(
      slot: slot, receivedAt: arrival.time, commands: UInt64(value.count))
    tracer.note(.received, slot, at: arrival.time, commands: UInt64(value.count))
    note(.batched, slot, now)
    unsent.append(slot)
    unpersisted.append((position, slot))
  }

  /// The turn's messages are on their way to the peers.
  mutating func sent() {
    guard !unsent.isEmpty else { return }
    let now = MonotonicClock.now()
    for slot in unsent { note(.sent, slot, now) }
    unsent.removeAll(keepingCapacity: true)
  }

  /// The own journal has everything up to `position`.
  mutating func persisted(upTo position: UInt64) {
    guard let first = unpersisted.first, first.position <= position else { return }
    let now = MonotonicClock.now()
    while let first = unpersisted.first, first.position <= position {
      note(.persisted, first.slot, now)
      unpersisted.removeFirst()
    }
  }

  /// A quorum has voted for the slot, and for all before it; its batch is about to be applied.
  mutating func chosen(_ slot: Slot) {
    guard isTimed(slot) else { return }
    let now = MonotonicClock.now()
    note(.acceptedByQuorum, slot, now)
    note(.chosen, slot, now)
  }

  mutating func applied(_ slot: Slot) {
    guard isTimed(slot) else { return }
    note(.applied, slot, MonotonicClock.now())
    unreplied.append(slot)
  }

  /// The turn's answers are on their way to the clients.
  mutating func replied() {
    guard !unreplied.isEmpty else { return }
    let now = MonotonicClock.now()
    for slot in unreplied {
      note(.replied, slot, now)
      batches[Int(slot.rawValue & mask)] = Batch()
    }
    unreplied.removeAll(keepingCapacity: true)
  }

  /// Somebody else leads: what is under way is not this replica's to time.
  mutating func forget() {
    for i in batches.indices { batches[i] = Batch() }
    arrivals.removeAll()
    unpersisted.removeAll()
    unsent.removeAll(keepingCapacity: true)
  }

  private func isTimed(_ slot: Slot) -> Bool { batches[Int(slot.rawValue & mask)].slot == slot }

  private mutating func note(_ stage: Stage, _ slot: Slot, _ now: Instant) {
    let batch = batches[Int(slot.rawValue & mask)]
    guard batch.slot == slot else { return }
    histograms.record(
      stage, nanoseconds: (now - batch.receivedAt).nanoseconds, count: batch.commands)
    guard tracer.traces(slot), let step = stage.traceStep else { return }
    tracer.note(step, slot, at: now)
  }

  // MARK: A follower's steps

  /// The vote of a follower is on its way to the journal.
  mutating func accepted(_ slot: Slot) {
    if tracer.traces(slot) { tracer.note(.arrived, slot, at: MonotonicClock.now()) }
  }

  /// Its answer leaves.
  mutating func voted(from first: Slot, to last: Slot) {
    guard tracer.isOn else { return }
    var slot = first
    while slot <= last {
      if tracer.traces(slot) { tracer.note(.voted, slot, at: MonotonicClock.now()) }
      slot = slot.next
    }
  }
}

extension Stage {
  /// The step of a trace that it is; that a quorum has voted for a slot and that it is chosen are one.
  fileprivate var traceStep: TraceStep? {
    switch self {
    case .received, .acceptedByQuorum: nil
    case .batched: .batched
    case .persisted: .persisted
    case .sent: .sent
    case .chosen: .chosen
    case .applied: .applied
    case .replied: .replied
    }
  }
}

/// A queue in an array that keeps its memory.
private struct Ring<Element> {
  private var elements: [Element] = []
  private var begin = 0

  var first: Element? { begin < elements.count ? elements[begin] : nil }
  var second: Element? { begin + 1 < elements.count ? elements[begin + 1] : nil }

  mutating func append(_ element: Element) {
    if begin > 64, begin * 2 > elements.count {
      elements.removeFirst(begin)
      begin = 0
    }
    elements.append(element)
  }

  mutating func removeFirst() {
    begin += 1
    if begin == elements.count { removeAll() }
  }

  mutating func removeAll() {
    elements.removeAll(keepingCapacity: true)
    begin = 0
  }
}
