// Integer registers: one alone, and a map of them. A register that was never written is absent
// (nil), which is what etcd answers for a missing key and what the recorded Jepsen histories start
// with.

/// What a client can ask of one integer register.
public enum RegisterOperation: Equatable, Sendable {
  case read
  /// Sets the value; nil removes it.
  case write(Int64?)
  /// Sets `new` when the register holds `expected`; nil stands for absent.
  case compareAndSet(expected: Int64?, new: Int64?)
  /// Adds, wrapping around, where an absent register counts as 0.
  case fetchAdd(Int64)
}

/// What a register answers.
public enum RegisterOutcome: Equatable, Sendable {
  /// What a read found, or what a fetch-add found before it added.
  case value(Int64?)
  /// A write happened.
  case done
  /// Whether a compare-and-set found what it expected.
  case swapped(Bool)
  /// A compare-and-set found this instead of what it expected.
  case conflict(found: Int64?)
}

/// The rules of one register, shared by both models.
enum RegisterRules {
  static func step(
    _ state: Int64?, _ operation: RegisterOperation, _ outcome: RegisterOutcome?
  ) -> Int64?? {
    switch operation {
    case .read:
      return outcome == nil || outcome == .value(state) ? .some(state) : nil
    case .write(let value):
      return outcome == nil || outcome == .done ? .some(value) : nil
    case .compareAndSet(let expected, let new):
      let matches = state == expected
      switch outcome {
      case nil: return .some(matches ? new : state)
      case .swapped(true): return matches ? .some(new) : nil
      case .swapped(false): return matches ? nil : .some(state)
      case .conflict(let found): return !matches && found == state ? .some(state) : nil
      case .value, .done: return nil
      }
    case .fetchAdd(let delta):
      // An absent register may report its absence or the 0 it counts as.
      let legal =
        outcome == nil || outcome == .value(state) || (state == nil && outcome == .value(0))
      return legal ? .some((state ?? 0) &+ delta) : nil
    }
  }

  static func isReadOnly(_ operation: RegisterOperation, _ outcome: RegisterOutcome?) -> Bool {
    switch operation {
    case .read: return true
    case .write, .fetchAdd: return false
    case .compareAndSet:
      switch outcome {
      case .swapped(false), .conflict: return true
      case nil, .swapped(true), .value, .done: return false
      }
    }
  }

  static func hash(_ state: Int64?) -> UInt64 {
    var hash = StableHash()
    hash.combine(state == nil ? 0 : 1)
    hash.combine(UInt64(bitPattern: state ?? 0))
    return hash.value
  }

  static func describe(_ value: Int64?) -> String { value.map { "\($0)" } ?? "nil" }

  static func describe(_ operation: RegisterOperation) -> String {
    switch operation {
    case .read: "read"
    case .write(let value): "write \(describe(value))"
    case .compareAndSet(let expected, let new): "cas [\(describe(expected)) \(describe(new))]"
    case .fetchAdd(let delta): "fetch-add \(delta)"
    }
  }

  static func describe(_ outcome: RegisterOutcome?) -> String {
    switch outcome {
    case nil: "?"
    case .value(let value): describe(value)
    case .done: "ok"
    case .swapped(let swapped): swapped ? "swapped" : "not equal"
    case .conflict(let found): "not equal, found \(describe(found))"
    }
  }
}

/// One integer register with read, write, compare-and-set and fetch-add.
public struct RegisterModel: SequentialModel {
  public var initial: Int64?

  public init(initial: Int64? = nil) { self.initial = initial }

  public func step(
    _ state: Int64?, _ input: RegisterOperation, _ output: RegisterOutcome?
  ) -> Int64?? {
    RegisterRules.step(state, input, output)
  }

  public func isReadOnly(_ input: RegisterOperation, _ output: RegisterOutcome?) -> Bool {
    RegisterRules.isReadOnly(input, output)
  }

  public func hash(of state: Int64?) -> UInt64 { RegisterRules.hash(state) }

  public func describe(_ input: RegisterOperation, _ output: RegisterOutcome?) -> String {
    "\(RegisterRules.describe(input)) -> \(RegisterRules.describe(output))"
  }
  public func describe(state: Int64?) -> String { RegisterRules.describe(state) }
}

/// A map of integer registers under 64-bit keys: what the simulated key-value tenant replicates.
///
/// Every register starts absent, or with `initial`; each key is searched alone.
public struct RegisterMapModel: SequentialModel {
  /// One operation on the register under `key`.
  public struct Input: Equatable, Sendable {
    public var key: UInt64
    public var operation: RegisterOperation

    public init(key: UInt64, _ operation: RegisterOperation) {
      self.key = key
      self.operation = operation
    }
  }

  public var initial: Int64?

  public init(initial: Int64? = nil) { self.initial = initial }

  public func step(_ state: Int64?, _ input: Input, _ output: RegisterOutcome?) -> Int64?? {
    RegisterRules.step(state, input.operation, output)
  }

  public func isReadOnly(_ input: Input, _ output: RegisterOutcome?) -> Bool {
    RegisterRules.isReadOnly(input.operation, output)
  }

  public func key(of input: Input) -> UInt64 { input.key }
  public func hash(of state: Int64?) -> UInt64 { RegisterRules.hash(state) }

  public func describe(_ input: Input, _ output: RegisterOutcome?) -> String {
    "\(RegisterRules.describe(input.operation)) -> \(RegisterRules.describe(output))"
  }
  public func describe(state: Int64?) -> String { RegisterRules.describe(state) }
}
