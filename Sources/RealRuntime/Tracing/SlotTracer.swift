import Protocol

/// Notes when sampled slots reach the steps of their way through this replica.
///
/// Which slots are sampled follows from their numbers, so all replicas pick the same ones and nothing about it travels. Marks
/// go to a ring of fixed size on the loop's thread: a slot that is not sampled costs one multiplication, and tracing that
/// is off one comparison.
struct SlotTracer {
  static let capacity = 16_384

  private var marks: [TraceMark] = []
  private var next = 0
  /// A slot whose hash is below is traced; 0: none is.
  private let threshold: UInt64

  /// - Parameter rate: the share of slots, 0 to 1.
  init(rate: Double) {
    threshold = rate >= 1 ? 1 << 32 : UInt64(max(0, rate) * Double(UInt64(1) << 32))
    if threshold > 0 { marks.reserveCapacity(Self.capacity) }
  }

  var isOn: Bool { threshold > 0 }

  @inline(__always)
  func traces(_ slot: Slot) -> Bool {
    threshold > 0 && (slot.rawValue &* 0x9E37_79B9_7F4A_7C15) >> 32 < threshold
  }

  @inline(__always)
  mutating func note(_ step: TraceStep, _ slot: Slot, at time: Instant, commands: UInt64 = 0) {
    guard traces(slot) else { return }
    append(
      TraceMark(slot: slot.rawValue, step: step, time: time.rawValue, commands: commands))
  }

  private mutating func append(_ mark: TraceMark) {
    if marks.count < Self.capacity {
      marks.append(mark)
    } else {
      marks[next] = mark
      next = (next + 1) % Self.capacity
    }
  }

  /// What is remembered, oldest first.
  var remembered: [TraceMark] { Array(marks[next...] + marks[..<next]) }
}

/// A step of a batch's way.
public enum TraceStep: String, Codable, Sendable, CaseIterable {
  // The leader's.
  case received, batched, sent, persisted, chosen, applied, replied
  // A follower's: the Accept has come, its vote is on its way back.
  case arrived, voted
}

/// A batch reached a step.
public struct TraceMark: Codable, Hashable, Sendable {
  public var slot: UInt64
  public var step: TraceStep
  /// In nanoseconds on the replica's clock.
  public var time: UInt64
  /// How many commands the batch has; 0 where it is not known.
  public var commands: UInt64
}

/// What one replica remembers of the slots it traced.
public struct ReplicaTrace: Codable, Hashable, Sendable {
  public var replica: UInt32
  /// What has to be added to a mark's time for the time since 1970, in nanoseconds: replicas are told apart by their own
  /// clocks, and brought together by this.
  public var clockOffset: Int64
  public var marks: [TraceMark]

  public init(replica: UInt32, clockOffset: Int64, marks: [TraceMark]) {
    self.replica = replica
    self.clockOffset = clockOffset
    self.marks = marks
  }
}
