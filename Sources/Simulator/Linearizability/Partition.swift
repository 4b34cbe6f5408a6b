/// The operations of one key, prepared for the search.
///
/// *Required* operations returned, so an order must contain them, inside their intervals.
/// *Optional* ones are pending for ever: an order may contain them, anywhere after their call.
/// Operations that failed, and reads nobody saw the answer of, constrain nothing and are left out.
///
/// Required operations are ranked by their returns. At any moment of the search some rank is the
/// first whose operation is not placed yet: the *barrier*. Everything ranked before it is placed,
/// and nothing called after the barrier's return may be, so a configuration is told by the barrier
/// and one bit for each operation open there. Each required operation therefore gets a *slot*,
/// reused once it has returned: the number of slots is the greatest concurrency of the history
/// rather than its length, and a configuration of a long history is as small as one of a short.
struct Partition<Model: SequentialModel> {
  /// One operation as the search sees it.
  struct Entry {
    /// Place in the history.
    var operation: Int
    var input: Model.Input
    var output: Model.Output?
    var call: Int
    var isReadOnly: Bool
  }

  /// Required operations first, then optional ones, each in the order of their calls.
  private(set) var entries: [Entry] = []
  private(set) var requiredCount = 0
  /// Rank by return -> entry.
  private(set) var byReturn: [Int] = []
  /// Rank by return -> position of the return.
  private(set) var returnPosition: [Int] = []
  /// Entry -> its bit in a configuration; optional operations have one each, after the slots.
  private(set) var bit: [Int] = []
  /// The greatest number of required operations open at once.
  private(set) var concurrency = 0
  /// Entry -> the nearest earlier optional entry with the same input, -1 without one.
  private(set) var twin: [Int] = []

  var optionalCount: Int { entries.count - requiredCount }
  /// Words for the bits of required operations; those of optional ones begin in a word of their
  /// own.
  var slotWords: Int { (concurrency + 63) / 64 }
  /// Words for the bits of optional operations.
  var optionalWords: Int { (optionalCount + 63) / 64 }

  /// - Parameter indices: The key's operations, in the order of their calls.
  init(
    _ history: History<Model.Input, Model.Output>, indices: ArraySlice<Int>, model: Model
  ) {
    var optional: [Entry] = []
    var ends: [Int] = []
    for index in indices {
      let operation = history.operations[index]
      let output = operation.output
      let entry = Entry(
        operation: index, input: operation.input, output: output, call: operation.call,
        isReadOnly: model.isReadOnly(operation.input, output))
      if entry.isReadOnly && output == nil { continue }
      switch operation.outcome {
      case .failed: continue
      case .pending: optional.append(entry)
      case .returned(_, let end), .returnedUnknown(let end):
        entries.append(entry)
        ends.append(end)
      }
    }
    requiredCount = entries.count
    rankByReturn(ends)
    assignSlots()
    // Nothing is asked after the last return, so what was only called then can be left out of every
    // order.
    if let last = returnPosition.last { entries += optional.filter { $0.call <= last } }
    for entry in requiredCount..<max(requiredCount, entries.count) {
      bit.append(slotWords * 64 + entry - requiredCount)
    }
    findTwins()
  }

  private mutating func rankByReturn(_ ends: [Int]) {
    byReturn = (0..<requiredCount).sorted { (ends[$0], $0) < (ends[$1], $1) }
    returnPosition = byReturn.map { ends[$0] }
  }

  /// Sweeps over calls and returns; a call at the same position as a return comes first, because a
  /// tie is concurrent.
  private mutating func assignSlots() {
    bit = [Int](repeating: 0, count: requiredCount)
    var free: [Int] = []
    var called = 0
    for rank in 0..<requiredCount {
      while called < requiredCount && entries[called].call <= returnPosition[rank] {
        if let slot = free.popLast() {
          bit[called] = slot
        } else {
          bit[called] = concurrency
          concurrency += 1
        }
        called += 1
      }
      free.append(bit[byReturn[rank]])
    }
  }

  /// Two pending operations that ask the same are interchangeable, so an order need use a later one
  /// only after an earlier one; this is what tells them. Looking back a bounded way keeps thousands
  /// of pending operations linear, and a twin not found merely costs time.
  private mutating func findTwins() {
    let reach = 1_024
    twin = [Int](repeating: -1, count: entries.count)
    for entry in requiredCount..<max(requiredCount, entries.count) {
      var other = entry - 1
      let lowest = max(requiredCount, entry - reach)
      while other >= lowest && twin[entry] < 0 {
        if entries[other].input == entries[entry].input { twin[entry] = other }
        other -= 1
      }
    }
  }
}
