internal import Histogram

/// The stages that a command passes on a replica, in the order in which it usually does.
///
/// The leader persists and sends at the same time; the others follow each other.
public enum Stage: String, CaseIterable, Sendable, Codable {
  case received, batched, persisted, sent, acceptedByQuorum, chosen, applied, replied
}

/// How long after its bytes were read from the socket a command reached each stage, in nanoseconds.
///
/// A value that one thread owns: recording takes no lock and allocates nothing. Two decimal digits are kept.
public struct StageHistograms: Sendable {
  /// Longer times count as this long: one minute.
  public static let longest: UInt64 = 60_000_000_000

  private var histograms: [Histogram<UInt64>]
  private var sums: [UInt64]

  public init() {
    let empty = Histogram<UInt64>(
      highestTrackableValue: Self.longest, numberOfSignificantValueDigits: .two)
    histograms = Array(repeating: empty, count: Stage.allCases.count)
    sums = Array(repeating: 0, count: Stage.allCases.count)
    // Each with its own storage now, not when the first command comes.
    for place in histograms.indices { histograms[place].reset() }
  }

  /// `count` commands reached the stage after this long.
  public mutating func record(_ stage: Stage, nanoseconds: UInt64, count: UInt64 = 1) {
    let place = stage.place
    let value = min(nanoseconds, Self.longest)
    histograms[place].record(value, count: count)
    sums[place] &+= value &* count
  }

  mutating func add(_ other: StageHistograms) {
    for place in histograms.indices {
      histograms[place].add(other.histograms[place])
      sums[place] &+= other.sums[place]
    }
  }

  mutating func reset() {
    for place in histograms.indices {
      histograms[place].reset()
      sums[place] = 0
    }
  }

  public func count(of stage: Stage) -> UInt64 { histograms[stage.place].totalCount }

  /// The sum of the recorded times, in nanoseconds.
  public func sum(of stage: Stage) -> UInt64 { sums[stage.place] }

  /// The time that this share of the commands did not exceed, in nanoseconds; zero when there were none.
  public func quantile(_ share: Double, of stage: Stage) -> UInt64 {
    histograms[stage.place].valueAtPercentile(share * 100)
  }

  public func longest(of stage: Stage) -> UInt64 { histograms[stage.place].maxRecorded }
}

extension Stage {
  /// Its place among all stages.
  var place: Int {
    switch self {
    case .received: 0
    case .batched: 1
    case .persisted: 2
    case .sent: 3
    case .acceptedByQuorum: 4
    case .chosen: 5
    case .applied: 6
    case .replied: 7
    }
  }
}
