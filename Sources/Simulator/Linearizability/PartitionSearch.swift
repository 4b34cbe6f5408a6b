/// The search for an order of one key's operations: depth first, iterative, never visiting a
/// configuration twice.
///
/// Wing and Gong's search ("Testing and verifying concurrent objects", 1993) with Lowe's
/// memoisation ("Testing for linearizability", 2017): operations not placed yet form a doubly
/// linked list in the order of their calls; placing one unlinks it, undoing the choice links it
/// back where it was. Five observations of our own keep pending and read-heavy histories small,
/// each of which only skips orders that another order makes superfluous:
///
/// - a read-only operation that is legal now is placed now, without an alternative, since it can be
///   moved forward in any order that has it later;
/// - an optional operation that would change nothing is not placed: it stays available;
/// - an optional operation is not followed by one that comes to the same without it, such as a
///   write: again it would have been of no use yet;
/// - having used fewer optional operations is as good as having used more, all else being the same;
/// - of two optional operations that ask the same, the earlier is used first.
struct PartitionSearch<Model: SequentialModel> {
  enum Conclusion: Equatable {
    case linearizable
    case notLinearizable
    case undecided
  }

  /// One placed operation, with what is needed to take it back.
  private struct Frame {
    var entry: Int
    var barrier: Int
    var state: Model.State
    /// Placed without an alternative: going back passes over it.
    var forced: Bool
  }

  /// How many states at the furthest barrier are kept for the explanation.
  private let statesKept = 8
  let model: Model
  let partition: Partition<Model>
  let budget: Int
  /// Calls of the model's `step`.
  private(set) var steps = 0

  private var state: Model.State
  /// Rank of the first return whose operation is not placed.
  private var barrier = 0
  private var placed: [Bool]
  /// The barrier, then the bits of the placed operations that are open there.
  private var key: [UInt64]
  private var stack: [Frame] = []
  private var visited: VisitedTable<Model.State>

  // The linked lists, required and optional, each with a sentinel after the entries.
  private var next: [Int]
  private var previous: [Int]
  private let requiredHead: Int
  private let optionalHead: Int

  // What the explanation needs: the longest order found and the states it and its equals end in.
  private var deepest: [Int] = []
  private var deepestBarrier = -1
  /// How much of `deepest` the stack still shares, so that saving a new one copies only the
  /// difference.
  private var shared = 0
  private var furthest = -1
  private var furthestStates: [Model.State] = []
  private(set) var hasMoreStates = false

  init(_ partition: Partition<Model>, model: Model, budget: Int) {
    self.model = model
    self.partition = partition
    self.budget = budget
    state = model.initial
    let count = partition.entries.count
    placed = [Bool](repeating: false, count: count)
    let width = 1 + partition.slotWords
    key = [UInt64](repeating: 0, count: width + partition.optionalWords)
    visited = VisitedTable(width: width, setWidth: partition.optionalWords)
    requiredHead = count
    optionalHead = count + 1
    next = [Int](repeating: 0, count: count + 2)
    previous = next
    Self.link(&next, &previous, head: requiredHead, 0..<partition.requiredCount)
    Self.link(&next, &previous, head: optionalHead, partition.requiredCount..<count)
  }

  private static func link(
    _ next: inout [Int], _ previous: inout [Int], head: Int, _ range: Range<Int>
  ) {
    var last = head
    for entry in range {
      next[last] = entry
      previous[entry] = last
      last = entry
    }
    next[last] = head
    previous[head] = last
  }

  /// The longest order found, as places in the history: the whole of it when the answer was
  /// `linearizable`.
  var order: [Int] { deepest.map { partition.entries[$0].operation } }

  /// Place in the history of the operation no order gets past.
  var culprit: Int {
    partition.entries[partition.byReturn[min(furthest, partition.requiredCount - 1)]].operation
  }

  /// The states an order may have reached when only the culprit is missing.
  var statesBeforeCulprit: [Model.State] { furthestStates }

  mutating func run() -> Conclusion {
    placeReadOnly()
    var cursor = enter() ? next[requiredHead] : nil
    while barrier < partition.requiredCount {
      if steps >= budget { return .undecided }
      if let from = cursor, choose(from: from) {
        placeReadOnly()
        cursor = enter() ? next[requiredHead] : nil
      } else {
        saveIfDeepest()
        guard let entry = takeBack() else { return .notLinearizable }
        cursor = next[entry]
      }
    }
    saveIfDeepest()
    return .linearizable
  }

  // MARK: Choosing

  /// Records the configuration; false when it was explored before and the search must turn back.
  private mutating func enter() -> Bool {
    if barrier == partition.requiredCount { return true }
    noteState()
    key[0] = UInt64(barrier)
    var hash = StableHash(seed: model.hash(of: state))
    for word in 0..<visited.width { hash.combine(key[word]) }
    let before = visited.comparisons
    let isNew = visited.insert(key, state, hash: hash.value)
    // Comparing sets is cheap but not free, and there may be many of them.
    steps += (visited.comparisons - before) / 8
    return isNew
  }

  /// Places the first operation at or after `entry` that is open at the barrier and may come next;
  /// false without one.
  ///
  /// Required operations are tried first: something the history asks for leads to an order sooner
  /// than a guess.
  private mutating func choose(from entry: Int) -> Bool {
    let limit = partition.returnPosition[barrier]
    var entry = entry
    while true {
      if entry == requiredHead {
        entry = next[optionalHead]
      } else if entry == optionalHead {
        return false
      } else if partition.entries[entry].call > limit {
        // Lists are in the order of calls: the rest of this one is not open yet either.
        entry = entry < partition.requiredCount ? requiredHead : optionalHead
      } else {
        if let after = stateAfter(entry) {
          place(entry, after, forced: false)
          return true
        }
        entry = next[entry]
      }
    }
  }

  /// The state `entry` leads to, nil when it is illegal here or not worth trying.
  private mutating func stateAfter(_ entry: Int) -> Model.State? {
    // A legal read-only operation was placed before; what is left of them is illegal in this state.
    if partition.entries[entry].isReadOnly { return nil }
    let isOptional = entry >= partition.requiredCount
    if isOptional {
      let twin = partition.twin[entry]
      if twin >= 0 && !placed[twin] { return nil }
    }
    steps += 1
    let input = partition.entries[entry].input
    let output = partition.entries[entry].output
    guard let after = model.step(state, input, output) else { return nil }
    if isOptional && after == state { return nil }
    if let top = stack.last, top.entry >= partition.requiredCount {
      // Nothing has seen the optional operation placed last; is this one going to?
      steps += 1
      if model.step(top.state, input, output) == after { return nil }
    }
    return after
  }

  /// Places every read-only operation that is legal in this state.
  ///
  /// One pass is enough: the state stays, so what was illegal stays so, and what opens as the
  /// barrier moves on was called later and comes later in the list.
  private mutating func placeReadOnly() {
    var entry = next[requiredHead]
    while entry != requiredHead && barrier < partition.requiredCount
      && partition.entries[entry].call <= partition.returnPosition[barrier]
    {
      let following = next[entry]
      if partition.entries[entry].isReadOnly {
        steps += 1
        let input = partition.entries[entry].input
        if let after = model.step(state, input, partition.entries[entry].output) {
          place(entry, after, forced: true)
        }
      }
      entry = following
    }
  }

  // MARK: Placing and taking back

  private mutating func place(_ entry: Int, _ after: Model.State, forced: Bool) {
    stack.append(Frame(entry: entry, barrier: barrier, state: state, forced: forced))
    next[previous[entry]] = next[entry]
    previous[next[entry]] = previous[entry]
    placed[entry] = true
    flip(entry)
    state = after
    while barrier < partition.requiredCount && placed[partition.byReturn[barrier]] {
      // Behind the barrier an operation needs no bit, and its slot may belong to a later one.
      flip(partition.byReturn[barrier])
      barrier += 1
    }
  }

  /// Undoes the latest choice together with everything forced after it; nil when there was none.
  private mutating func takeBack() -> Int? {
    while let frame = stack.popLast() {
      while barrier > frame.barrier {
        barrier -= 1
        flip(partition.byReturn[barrier])
      }
      flip(frame.entry)
      placed[frame.entry] = false
      next[previous[frame.entry]] = frame.entry
      previous[next[frame.entry]] = frame.entry
      state = frame.state
      shared = min(shared, stack.count)
      if !frame.forced { return frame.entry }
    }
    return nil
  }

  private mutating func flip(_ entry: Int) {
    let bit = partition.bit[entry]
    key[1 + (bit >> 6)] ^= 1 << UInt64(bit & 63)
  }

  // MARK: Remembering for the explanation

  private mutating func noteState() {
    if barrier > furthest {
      furthest = barrier
      furthestStates.removeAll(keepingCapacity: true)
      hasMoreStates = false
    } else if barrier < furthest || furthestStates.contains(state) {
      return
    }
    if furthestStates.count < statesKept {
      furthestStates.append(state)
    } else {
      hasMoreStates = true
    }
  }

  /// Called where the search turns back or ends: only there can the stack be longer than any
  /// before.
  private mutating func saveIfDeepest() {
    if barrier <= deepestBarrier { return }
    deepestBarrier = barrier
    // What was placed since the barrier last moved is a guess that led nowhere.
    var length = stack.count
    while length > 0 && stack[length - 1].barrier == barrier { length -= 1 }
    shared = min(shared, length)
    deepest.removeLast(deepest.count - shared)
    for index in shared..<length { deepest.append(stack[index].entry) }
    shared = length
  }
}
