/// Evaluates contracts, counts how often each was evaluated, and remembers the first that was violated.
///
/// A value inside the replica rather than a global: two simulations in one process cannot disturb each other, and a test
/// reads violations like any other state. Without contracts compiled in, every method is empty and the condition is never
/// evaluated. Whoever drives the replica looks at `violation` after each step and stops at the first.
public struct ContractRecorder: Sendable {
  /// Whether this build evaluates contracts.
  public static var isEnabled: Bool {
    #if CONTRACTS
      true
    #else
      false
    #endif
  }

  /// The first contract that did not hold.
  public private(set) var violation: Contract?

  #if CONTRACTS
    private var evaluations = InlineArray<256, UInt32>(repeating: 0)
    private var marks = InlineArray<64, UInt32>(repeating: 0)
  #endif

  public init() {}

  /// A precondition: what the caller must have seen to.
  @inline(__always)
  public mutating func require(_ contract: Contract, _ holds: @autoclosure () -> Bool) {
    evaluate(contract, holds)
  }

  /// A postcondition: what the handler must have brought about.
  @inline(__always)
  public mutating func ensure(_ contract: Contract, _ holds: @autoclosure () -> Bool) {
    evaluate(contract, holds)
  }

  /// What holds between any two steps.
  @inline(__always)
  public mutating func invariant(_ contract: Contract, _ holds: @autoclosure () -> Bool) {
    evaluate(contract, holds)
  }

  /// Notes that a rare situation was reached ("sometimes" assertions of FoundationDB and Antithesis).
  @inline(__always)
  public mutating func mark(_ mark: Mark) {
    #if CONTRACTS
      marks[mark.ordinal] &+= 1
    #endif
  }

  @inline(__always)
  private mutating func evaluate(_ contract: Contract, _ holds: () -> Bool) {
    #if CONTRACTS
      evaluations[contract.ordinal] &+= 1
      if !holds() { violated(contract) }
    #endif
  }

  @inline(never)
  private mutating func violated(_ contract: Contract) {
    if violation == nil { violation = contract }
  }

  /// How often a contract was evaluated.
  public func evaluations(of contract: Contract) -> UInt64 {
    #if CONTRACTS
      UInt64(evaluations[contract.ordinal])
    #else
      0
    #endif
  }

  /// How often a mark was reached.
  public func count(of mark: Mark) -> UInt64 {
    #if CONTRACTS
      UInt64(marks[mark.ordinal])
    #else
      0
    #endif
  }

  /// Adds every count to totals in the order of `Contract.allCases` and `Mark.allCases`.
  public func addCounts(contracts: inout [UInt64], marks: inout [UInt64]) {
    #if CONTRACTS
      // Through spans: indexing the stored arrays themselves copies all of them for each element.
      let (counted, reached) = (evaluations.span, self.marks.span)
      for i in contracts.indices { contracts[i] &+= UInt64(counted[i]) }
      for i in marks.indices { marks[i] &+= UInt64(reached[i]) }
    #endif
  }
}
