import Simulator

/// Decides linearizability by the definition alone: some choice of the operations that need not
/// have happened, in some order that keeps every operation that ended before another began before
/// it, replays without a contradiction.
///
/// Shares nothing with the search but `step`: no partition by key, no memory, no list, no
/// shortcuts. For at most seven operations or so.
struct BruteForceOracle<Model: SequentialModel> {
  typealias Operation = History<Model.Input, Model.Output>.Operation

  let model: Model
  let operations: [Operation]
  /// Which operations an order must contain.
  let isRequired: [Bool]

  init(_ model: Model, _ history: History<Model.Input, Model.Output>) {
    self.init(model, history.operations) { $0.end != nil }
  }

  init(_ model: Model, _ operations: [Operation], isRequired: (Operation) -> Bool) {
    self.model = model
    self.operations = operations.filter {
      if case .failed = $0.outcome { false } else { true }
    }
    self.isRequired = self.operations.map(isRequired)
  }

  func isLinearizable() -> Bool {
    var found = false
    extend([], states: []) { _ in
      found = true
      return true
    }
    return found
  }

  /// Every state, as text, in which a complete order of a single key can end.
  func finalStates() -> [String] {
    var found: [String] = []
    extend([], states: []) { states in
      let text = model.describe(state: states.first?.state ?? model.initial)
      if !found.contains(text) { found.append(text) }
      return false
    }
    return found.sorted()
  }

  /// Visits the complete orders that begin with `used` until one stops the visit; an order may be
  /// complete, and still go on, once nothing required is left.
  @discardableResult
  private func extend(
    _ used: [Int], states: [(key: Model.Key, state: Model.State)],
    visit: ([(key: Model.Key, state: Model.State)]) -> Bool
  ) -> Bool {
    let left = operations.indices.filter { !used.contains($0) }
    if left.allSatisfy({ !isRequired[$0] }) && visit(states) { return true }
    for index in left {
      let operation = operations[index]
      let mustFollow = left.contains { other in
        guard let end = operations[other].end else { return false }
        return end < operation.call
      }
      if mustFollow { continue }
      let key = model.key(of: operation.input)
      let place = states.firstIndex { $0.key == key }
      let state = place.map { states[$0].state } ?? model.initial
      guard let after = model.step(state, operation.input, operation.output) else { continue }
      var changed = states
      if let place { changed[place].state = after } else { changed.append((key, after)) }
      if extend(used + [index], states: changed, visit: visit) { return true }
    }
    return false
  }
}
