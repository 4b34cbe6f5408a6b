/// What the search found out about a history.
public enum LinearizabilityVerdict: Equatable, Sendable {
  /// Some order of the operations explains every answer.
  case linearizable
  /// No order does; the witness says where every attempt ends.
  case notLinearizable(witness: LinearizabilityWitness)
  /// The budget ran out after this many steps, with no contradiction found.
  case undecided(steps: Int)
}

/// Why a history is not linearizable.
///
/// Among the operations of the key called before `culprit` returned, those that returned earlier
/// have an order that explains them, helped by any that were still open; with the culprit's answer
/// there is none. So the culprit is where the contradiction shows; what caused it may be any
/// operation before.
public struct LinearizabilityWitness: Equatable, Sendable {
  /// The key the contradiction is about; empty in a model with one object.
  public var key: String
  /// Index in the history of the operation that cannot be placed.
  public var culprit: Int
  /// A longest order found, as indices into the history: everything that returned before the
  /// culprit, and some of what was still open.
  public var order: [Int]
  /// Operations open when the culprit returned which `order` does not use, in the order of their
  /// calls.
  public var open: [Int]
  /// States that an order of everything before the culprit's return can reach, as text; none suits
  /// the culprit.
  public var states: [String]
  /// Whether there are more such states than are listed.
  public var hasMoreStates: Bool

  public init(
    key: String, culprit: Int, order: [Int], open: [Int], states: [String], hasMoreStates: Bool
  ) {
    self.key = key
    self.culprit = culprit
    self.order = order
    self.open = open
    self.states = states
    self.hasMoreStates = hasMoreStates
  }

  /// Several lines for a human: the culprit, how far the order came, and what was going on
  /// meanwhile.
  ///
  /// - Parameter tail: How many operations of a list to show: the last of the order, the first of
  ///   the open ones.
  public func explanation<Model: SequentialModel>(
    _ history: History<Model.Input, Model.Output>, model: Model, tail: Int = 12
  ) -> String {
    var lines = ["cannot be placed:", "  " + Self.line(culprit, history, model)]
    if !key.isEmpty { lines[0] = "key \(key), cannot be placed:" }
    let more = hasMoreStates ? ", …" : ""
    lines.append("state before it, in every order that explains what returned earlier:")
    lines.append("  " + states.joined(separator: " | ") + more)

    let skipped = max(0, order.count - tail)
    lines.append(
      skipped == 0
        ? "such an order, with the state after each step:"
        : "such an order, with the state after each step (first \(skipped) left out):")
    var state = model.initial
    for (place, index) in order.enumerated() {
      let operation = history.operations[index]
      guard let after = model.step(state, operation.input, operation.output) else { break }
      state = after
      if place >= skipped {
        lines.append("  \(Self.line(index, history, model))  => \(model.describe(state: state))")
      }
    }
    if !open.isEmpty {
      lines.append("open at the time, tried in every place and of no help:")
      for index in open.prefix(tail) { lines.append("  " + Self.line(index, history, model)) }
      if open.count > tail { lines.append("  … and \(open.count - tail) more") }
    }
    return lines.joined(separator: "\n")
  }

  /// One operation: where, who, what.
  private static func line<Model: SequentialModel>(
    _ index: Int, _ history: History<Model.Input, Model.Output>, _ model: Model
  ) -> String {
    let operation = history.operations[index]
    let end = operation.end.map { "\($0)" } ?? "never"
    let text = model.describe(operation.input, operation.output)
    return "[\(operation.call)...\(end)] process \(operation.process): \(text)"
  }
}

/// A verdict together with what it took to reach it.
public struct LinearizabilityReport: Equatable, Sendable {
  /// What happened to one key.
  public struct Key: Equatable, Sendable {
    /// The key as text; empty in a model with one object.
    public var key: String
    /// Operations that were searched; failed ones and reads without an answer are not.
    public var operations: Int
    /// The greatest number of operations open at once, pending ones not counted.
    public var concurrency: Int
    /// Operations that never returned.
    public var pending: Int
    public var steps: Int
    /// An order that explains every answer, as indices into the history; empty unless one was
    /// found.
    public var order: [Int]
  }

  public var verdict: LinearizabilityVerdict
  /// Keys in the order in which they were searched, the shortest first, up to the one that decided.
  public var keys: [Key]
  /// Steps of the whole search; one step tries one operation in one state.
  public var steps: Int
}
