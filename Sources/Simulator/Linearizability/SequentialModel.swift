/// What an object does when its operations come one at a time; the search looks for such an order
/// in a history.
///
/// A model is a pure value. Operations on different keys must not influence each other: each key is
/// then its own object and is searched alone, which turns one exponential problem into many small
/// ones (P-compositionality; Horn and Kroening, "Faster linearizability checking via
/// P-compositionality", 2015).
public protocol SequentialModel: Sendable {
  associatedtype Input: Equatable & Sendable
  associatedtype Output: Equatable & Sendable
  associatedtype State: Equatable & Sendable
  associatedtype Key: Comparable & Sendable = SingleKey

  /// The state of every key before its first operation.
  var initial: State { get }

  /// The state after `input` answered `output` in `state`, nil when it could not have answered
  /// that.
  ///
  /// A nil `output` is an answer nobody saw: any would do, so the result is then never nil.
  func step(_ state: State, _ input: Input, _ output: Output?) -> State?

  /// Whether this operation leaves every state as it is, wherever `step` allows it.
  ///
  /// Such an operation is placed as soon as it is legal and never reconsidered: it can only be an
  /// obstacle later. Answering true for an operation that may change a state makes verdicts wrong;
  /// false is always safe.
  func isReadOnly(_ input: Input, _ output: Output?) -> Bool

  /// The independent object an operation works on.
  func key(of input: Input) -> Key

  /// A hash of a state; equal states have equal hashes.
  func hash(of state: State) -> UInt64

  func describe(_ input: Input, _ output: Output?) -> String
  func describe(state: State) -> String
  func describe(key: Key) -> String
}

/// The key of a model that has only one object.
public struct SingleKey: Comparable, Sendable, CustomStringConvertible {
  public init() {}
  public static func < (a: Self, b: Self) -> Bool { false }
  public var description: String { "" }
}

extension SequentialModel {
  public func isReadOnly(_ input: Input, _ output: Output?) -> Bool { false }

  public func describe(_ input: Input, _ output: Output?) -> String {
    if let output { "\(input) -> \(output)" } else { "\(input) -> ?" }
  }
  public func describe(state: State) -> String { "\(state)" }
  public func describe(key: Key) -> String { "\(key)" }
}

extension SequentialModel where Key == SingleKey {
  public func key(of input: Input) -> SingleKey { SingleKey() }
}

/// A hash of words and bytes that is the same in every process, unlike the standard library's.
public struct StableHash: Sendable {
  @usableFromInline internal var state: UInt64

  public var value: UInt64 { state }

  @inlinable public init(seed: UInt64 = 0x51_7C_C1_B7_27_22_0A_95) { state = seed }

  /// Folds in one word: a multiply spreads its bits upwards, the shift brings them back down.
  @inlinable public mutating func combine(_ word: UInt64) {
    let mixed = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
    state = mixed ^ (mixed >> 29)
  }

  /// Folds in bytes eight at a time, and their number, so that a trailing zero makes a difference.
  public mutating func combine(bytes: [UInt8]) {
    var word: UInt64 = 0
    var filled = 0
    for byte in bytes {
      word = (word << 8) | UInt64(byte)
      filled += 1
      if filled == 8 {
        combine(word)
        word = 0
        filled = 0
      }
    }
    combine(word)
    combine(UInt64(bytes.count))
  }
}
