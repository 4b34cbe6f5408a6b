/// A store of strings with get, put and append, whose keys are independent of one another.
///
/// A key that was never written reads as the empty string, so appending to it is putting. These are
/// the rules of the recorded key-value histories.
public struct KeyValueModel: SequentialModel {
  /// What a client asks for one key.
  public enum Operation: Equatable, Sendable {
    case get
    case put(ByteString)
    case append(ByteString)
  }

  /// One operation on one key.
  public struct Input: Equatable, Sendable {
    public var key: ByteString
    public var operation: Operation

    public init(key: ByteString, _ operation: Operation) {
      self.key = key
      self.operation = operation
    }
  }

  public enum Output: Equatable, Sendable {
    /// What a get found.
    case value(ByteString)
    /// A put or append happened.
    case done
  }

  public init() {}

  public var initial: ByteString { ByteString() }

  public func step(_ state: ByteString, _ input: Input, _ output: Output?) -> ByteString? {
    switch input.operation {
    case .get:
      switch output {
      case nil: return state
      case .value(let value): return value == state ? state : nil
      case .done: return nil
      }
    case .put(let value):
      return output == nil || output == .done ? value : nil
    case .append(let suffix):
      return output == nil || output == .done ? state + suffix : nil
    }
  }

  public func isReadOnly(_ input: Input, _ output: Output?) -> Bool { input.operation == .get }
  public func key(of input: Input) -> ByteString { input.key }

  public func hash(of state: ByteString) -> UInt64 {
    var hash = StableHash()
    hash.combine(bytes: state.bytes)
    return hash.value
  }

  public func describe(_ input: Input, _ output: Output?) -> String {
    let answer =
      switch output {
      case nil: "?"
      case .value(let value): "\(value)"
      case .done: "ok"
      }
    return switch input.operation {
    case .get: "get -> \(answer)"
    case .put(let value): "put \(value) -> \(answer)"
    case .append(let suffix): "append \(suffix) -> \(answer)"
    }
  }
}
