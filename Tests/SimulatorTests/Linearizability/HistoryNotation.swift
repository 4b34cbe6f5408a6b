import Simulator

// A short notation for hand-made histories: an input, its interval, its answer.

typealias RegisterHistory = History<RegisterOperation, RegisterOutcome>
typealias RegisterStep = RegisterHistory.Operation
typealias KeyValueHistory = History<KeyValueModel.Input, KeyValueModel.Output>
typealias KeyValueStep = KeyValueHistory.Operation

extension History.Operation where Input == RegisterOperation, Output == RegisterOutcome {
  static func read(_ interval: ClosedRange<Int>, _ value: Int64?) -> Self {
    call(.read, interval, .returned(.value(value), at: interval.upperBound))
  }

  static func write(_ value: Int64?, _ interval: ClosedRange<Int>) -> Self {
    call(.write(value), interval, .returned(.done, at: interval.upperBound))
  }

  static func cas(
    _ expected: Int64?, _ new: Int64?, _ interval: ClosedRange<Int>, _ swapped: Bool
  ) -> Self {
    call(
      .compareAndSet(expected: expected, new: new), interval,
      .returned(.swapped(swapped), at: interval.upperBound))
  }

  static func add(_ delta: Int64, _ interval: ClosedRange<Int>, _ before: Int64?) -> Self {
    call(.fetchAdd(delta), interval, .returned(.value(before), at: interval.upperBound))
  }

  static func call(
    _ operation: RegisterOperation, _ interval: ClosedRange<Int>, _ outcome: RegisterHistory.Outcome
  ) -> Self {
    Self(process: 0, input: operation, call: interval.lowerBound, outcome: outcome)
  }

  /// An operation that never returned.
  static func pending(_ operation: RegisterOperation, from call: Int) -> Self {
    Self(process: 0, input: operation, call: call, outcome: .pending)
  }
}

extension History.Operation where Input == KeyValueModel.Input, Output == KeyValueModel.Output {
  static func get(_ key: ByteString, _ interval: ClosedRange<Int>, _ value: ByteString) -> Self {
    call(key, .get, interval, .returned(.value(value), at: interval.upperBound))
  }

  static func put(_ key: ByteString, _ value: ByteString, _ interval: ClosedRange<Int>) -> Self {
    call(key, .put(value), interval, .returned(.done, at: interval.upperBound))
  }

  static func append(_ key: ByteString, _ value: ByteString, _ interval: ClosedRange<Int>) -> Self {
    call(key, .append(value), interval, .returned(.done, at: interval.upperBound))
  }

  static func call(
    _ key: ByteString, _ operation: KeyValueModel.Operation, _ interval: ClosedRange<Int>,
    _ outcome: KeyValueHistory.Outcome
  ) -> Self {
    Self(
      process: 0, input: KeyValueModel.Input(key: key, operation), call: interval.lowerBound,
      outcome: outcome)
  }

  static func pending(
    _ key: ByteString, _ operation: KeyValueModel.Operation, from call: Int
  ) -> Self {
    Self.call(key, operation, call...call, .pending)
  }
}

extension LinearizabilityVerdict {
  /// The verdict without its details: true, false, or nil for undecided.
  var answer: Bool? {
    switch self {
    case .linearizable: true
    case .notLinearizable: false
    case .undecided: nil
    }
  }

  var witness: LinearizabilityWitness? {
    if case .notLinearizable(let witness) = self { witness } else { nil }
  }
}
