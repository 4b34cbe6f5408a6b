/// Decides whether a history is linearizable for a sequential model.
///
/// The search is exact in both directions unless its budget runs out: it is deterministic, keeps no
/// clock and compares configurations in full. Deciding linearizability is NP-complete in general,
/// so a budget is part of the contract. The cost is linear in the length of a history; at worst it
/// is exponential in the concurrency on one key and in the number of its operations that never
/// returned and that something may have observed.
public struct LinearizabilitySearch<Model: SequentialModel>: Sendable {
  public var model: Model
  /// Most steps to spend on a whole history; a step tries one operation in one state.
  ///
  /// Every step can leave one configuration behind, a few dozen bytes for registers.
  public var budget: Int

  public init(_ model: Model, budget: Int = 5_000_000) {
    self.model = model
    self.budget = budget
  }

  /// The verdict alone.
  @specialized(where Model == RegisterModel)
  @specialized(where Model == RegisterMapModel)
  @specialized(where Model == KeyValueModel)
  public func check(_ history: History<Model.Input, Model.Output>) -> LinearizabilityVerdict {
    report(history).verdict
  }

  /// The verdict and what it took.
  ///
  /// Keys are searched from the shortest to the longest: a contradiction in few operations is the
  /// one to read, and what short keys leave of their share of the budget is there for the long
  /// ones.
  @specialized(where Model == RegisterModel)
  @specialized(where Model == RegisterMapModel)
  @specialized(where Model == KeyValueModel)
  public func report(_ history: History<Model.Input, Model.Output>) -> LinearizabilityReport {
    let keys = history.operations.map { model.key(of: $0.input) }
    let groups = group(keys)
    var report = LinearizabilityReport(verdict: .linearizable, keys: [], steps: 0)
    var isUndecided = false
    for (searched, range) in groups.ranges.enumerated() {
      let indices = groups.indices[range]
      let share = max(0, budget - report.steps) / (groups.ranges.count - searched)
      let partition = Partition(history, indices: indices, model: model)
      var search = PartitionSearch(partition, model: model, budget: share)
      let conclusion = search.run()
      let name = model.describe(key: keys[indices[range.lowerBound]])
      report.steps += search.steps
      report.keys.append(
        LinearizabilityReport.Key(
          key: name, operations: partition.entries.count, concurrency: partition.concurrency,
          pending: partition.optionalCount, steps: search.steps,
          order: conclusion == .linearizable ? search.order : []))
      switch conclusion {
      case .linearizable: break
      case .undecided: isUndecided = true
      case .notLinearizable:
        report.verdict = .notLinearizable(witness: witness(of: search, key: name))
        return report
      }
    }
    if isUndecided { report.verdict = .undecided(steps: report.steps) }
    return report
  }

  /// Operation indices brought together by key, and the range of each key, shortest first.
  private func group(_ keys: [Model.Key]) -> (indices: [Int], ranges: [Range<Int>]) {
    let indices = keys.indices.sorted { a, b in
      keys[a] == keys[b] ? a < b : keys[a] < keys[b]
    }
    var ranges: [Range<Int>] = []
    var start = 0
    for place in 1..<max(1, indices.count + 1) {
      if place == indices.count || keys[indices[place]] != keys[indices[start]] {
        ranges.append(start..<place)
        start = place
      }
    }
    ranges.sort { ($0.count, $0.lowerBound) < ($1.count, $1.lowerBound) }
    return (indices, ranges)
  }

  private func witness(
    of search: PartitionSearch<Model>, key: String
  ) -> LinearizabilityWitness {
    let order = search.order
    let partition = search.partition
    let culprit = search.culprit
    let rank = partition.byReturn.firstIndex { partition.entries[$0].operation == culprit } ?? 0
    let limit = partition.returnPosition[rank]
    let ordered = order.sorted()
    // Open: called by then, not needed so far, not used by the order and not the culprit itself.
    let open = partition.entries.map { ($0.operation, $0.call) }
      .filter { $0.1 <= limit && $0.0 != culprit && !contains(ordered, $0.0) }
      .map { $0.0 }
      .sorted()
    return LinearizabilityWitness(
      key: key, culprit: culprit, order: order, open: open,
      states: search.statesBeforeCulprit.map { model.describe(state: $0) },
      hasMoreStates: search.hasMoreStates)
  }

  /// Binary search in ascending numbers.
  private func contains(_ sorted: [Int], _ number: Int) -> Bool {
    var low = 0
    var high = sorted.count
    while low < high {
      let middle = (low + high) / 2
      if sorted[middle] < number { low = middle + 1 } else { high = middle }
    }
    return low < sorted.count && sorted[low] == number
  }
}
