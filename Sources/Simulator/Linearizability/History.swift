/// What clients asked of a system and what it answered, in the order in which that was seen.
///
/// A history is a list of operations, each an interval between two *positions*: where it was called
/// and where it returned. Positions are whatever grows with real time. A simulated run lets the
/// history number its own events; the parsers use line numbers, so that an explanation points into
/// the file. Operations whose intervals share a position count as concurrent, which is the weaker
/// and therefore the safe reading of a tie.
///
/// A client that never heard back leaves its operation `pending`: it may take effect at any later
/// time, or never. Source of the idea: Herlihy and Wing, "Linearizability: a correctness condition
/// for concurrent objects" (1990).
public struct History<Input: Equatable & Sendable, Output: Equatable & Sendable>: Equatable,
  Sendable
{
  /// How an operation ended, as far as its client knows.
  public enum Outcome: Equatable, Sendable {
    /// No answer: it takes effect at some later position, or never.
    case pending
    /// Answered with `output` at a position: it took effect in between.
    case returned(Output, at: Int)
    /// Known to have taken effect by this position, but the answer was lost or carries no
    /// information.
    case returnedUnknown(at: Int)
    /// Known not to have happened; the position says when that was learned.
    case failed(at: Int)
  }

  /// One call of one client.
  public struct Operation: Equatable, Sendable {
    public var process: Int
    public var input: Input
    /// Position of the call.
    public var call: Int
    public var outcome: Outcome

    public init(process: Int, input: Input, call: Int, outcome: Outcome) {
      self.process = process
      self.input = input
      self.call = call
      self.outcome = outcome
    }

    /// The answer, when there is one that says something.
    public var output: Output? {
      if case .returned(let output, _) = outcome { output } else { nil }
    }

    /// Position by which the operation was over, nil while it is pending.
    public var end: Int? {
      switch outcome {
      case .pending: nil
      case .returned(_, let position), .returnedUnknown(let position), .failed(let position):
        position
      }
    }
  }

  /// Operations in the order of their calls; an operation's identity is its place here.
  public private(set) var operations: [Operation]
  /// The highest position seen so far, -1 in an empty history.
  public private(set) var latest: Int

  public init() {
    operations = []
    latest = -1
  }

  /// A history from intervals measured elsewhere, in any order; they are sorted by their calls.
  ///
  /// Every return must lie at or after its call. Calls at the same position keep their given order.
  public init(_ operations: [Operation]) {
    var latest = -1
    for operation in operations {
      let end = operation.end ?? operation.call
      precondition(end >= operation.call, "an operation returned before it was called")
      latest = max(latest, end)
    }
    // The standard sort promises stability only by accident; the offset makes it certain.
    self.operations = operations.enumerated()
      .sorted { ($0.element.call, $0.offset) < ($1.element.call, $1.offset) }
      .map { $0.element }
    self.latest = latest
  }

  /// Records a call and returns the operation's index, with which it is completed later.
  ///
  /// - Parameter position: At or after everything recorded so far; nil takes the next free one.
  public mutating func invoke(process: Int, _ input: Input, at position: Int? = nil) -> Int {
    operations.append(
      Operation(process: process, input: input, call: advance(to: position), outcome: .pending))
    return operations.count - 1
  }

  /// Records the answer to a pending operation.
  public mutating func complete(_ index: Int, _ output: Output, at position: Int? = nil) {
    requirePending(index)
    operations[index].outcome = .returned(output, at: advance(to: position))
  }

  /// Records that a pending operation is over and did take effect, without saying what it answered.
  public mutating func completeUnknown(_ index: Int, at position: Int? = nil) {
    requirePending(index)
    operations[index].outcome = .returnedUnknown(at: advance(to: position))
  }

  /// Records that a pending operation certainly never takes effect, as when a request was refused.
  public mutating func fail(_ index: Int, at position: Int? = nil) {
    requirePending(index)
    operations[index].outcome = .failed(at: advance(to: position))
  }

  private func requirePending(_ index: Int) {
    precondition(operations[index].outcome == .pending, "operation \(index) is already over")
  }

  private mutating func advance(to position: Int?) -> Int {
    let next = position ?? latest + 1
    precondition(next >= latest, "positions of a history never go back")
    latest = next
    return next
  }
}
