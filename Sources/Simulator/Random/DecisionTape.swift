/// Whether a run's decisions are recorded or taken from an earlier recording.
public enum TapeMode: Sendable {
  case off
  case record
  /// Takes decisions from a tape (and records what was used, so a repaired tape can be saved).
  case replay(DecisionTape, beyondEnd: BeyondEnd)

  /// What a decision is when the tape of its stream has ended.
  public enum BeyondEnd: Sendable {
    /// 0, the quiet answer: no fault.
    case quiet
    /// What the seed's generator says, as if the run had not been taped.
    case fresh
  }
}

/// Every bounded random decision of a run, in order, by stream: a run as data that can be saved,
/// edited and shortened.
public struct DecisionTape: Equatable, Sendable {
  /// The seed the tape was recorded from.
  public var seed: UInt64
  private var values: [[UInt64]]

  public init(seed: UInt64) {
    self.seed = seed
    values = Array(repeating: [], count: RandomStream.allCases.count)
  }

  /// The decisions of one stream.
  public subscript(stream: RandomStream) -> [UInt64] {
    get { values[Int(stream.rawValue)] }
    set { values[Int(stream.rawValue)] = newValue }
  }

  /// All decisions of all streams together.
  public var count: Int { values.reduce(0) { $0 + $1.count } }

  func value(of stream: RandomStream, at position: Int) -> UInt64? {
    let line = values[Int(stream.rawValue)]
    return position < line.count ? line[position] : nil
  }

  mutating func append(_ value: UInt64, to stream: RandomStream) {
    values[Int(stream.rawValue)].append(value)
  }
}
