/// The first thing in which a replay is not what was recorded.
public struct RecordingDifference: Equatable, Sendable {
  public var step: RecordedStep
  /// The place of the effect among those of the step, from 0.
  public var effect: Int
  /// What was recorded; nil when there was nothing more.
  public var expected: Effect?
  /// What the step asks for here; nil when there is nothing more.
  public var actual: Effect?
}

/// Runs the steps of a recording again, from its checkpoint, and compares every effect.
public struct RecordingReplay: Sendable {
  public private(set) var reader: RecordingReader
  /// As it is after the steps so far.
  public private(set) var replica: Replica
  /// Steps and effects so far that were the same.
  public private(set) var steps: UInt64 = 0
  public private(set) var effects: UInt64 = 0
  /// The first difference; nothing is replayed behind it, because one leads to others.
  public private(set) var difference: RecordingDifference?
  /// What the last step led to when it was recorded, and what it leads to here.
  public private(set) var expected = EffectBuffer()
  public private(set) var actual = EffectBuffer()

  public init(_ reader: RecordingReader) throws(RecordingInvalid) {
    self.reader = reader
    replica = try reader.replica()
  }

  /// Replays the next step and returns it; nil at the end, behind a difference, and behind a violated contract.
  public mutating func next() throws(RecordingInvalid) -> RecordedStep? {
    guard difference == nil, replica.contracts.violation == nil,
      let step = try reader.next(into: &expected)
    else { return nil }
    actual.removeAll()
    replica.step(step.event, now: step.now, into: &actual)
    let count = max(expected.count, actual.count)
    for i in 0..<count {
      let was = i < expected.count ? expected[i] : nil
      let isNow = i < actual.count ? actual[i] : nil
      if was != isNow {
        difference = RecordingDifference(step: step, effect: i, expected: was, actual: isNow)
        return step
      }
    }
    steps += 1
    effects += UInt64(count)
    return step
  }
}
