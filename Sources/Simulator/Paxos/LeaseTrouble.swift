internal import Protocol

/// What leases have to withstand. Each needs a few faults to meet within a few milliseconds, which runs that draw every
/// fault by itself hardly ever bring about.
enum LeaseTrouble: UInt64, CaseIterable, Sendable {
  /// Whatever the plan has.
  case any
  /// Some do not hear the leader, but its followers, and these are back from a crash before their vow is over.
  case restarts
  /// Leaders sleep behind their heartbeats, and wake to old answers.
  case pauses
  /// Leaders come and go, and candidates that do not hear each other stand at the same time.
  case duels

  func add(to plan: inout FaultPlan) {
    guard self != .any else { return }
    plan.maximumDown = max(plan.maximumDown, 2)
    plan.aimAtPhases = max(plan.aimAtPhases, 500_000)
    let partial: [PartitionShape] = [.oneWay, .bridge, .chained]
    switch self {
    case .any:
      break
    case .restarts:
      plan.partition(partial, every: 200_000...1_000_000, atLeast: 500_000)
      plan.crashAndRestart(every: 50_000...250_000)
    case .pauses:
      plan.pauseInterval = min(max(plan.pauseInterval, 100_000), 400_000)
      plan.pauseAfterEffects = max(plan.pauseAfterEffects, 800_000)
      plan.pauseMaximum = max(plan.pauseMaximum, 600_000)
    case .duels:
      plan.partition(partial, every: 100_000...500_000, atLeast: 300_000)
      plan.crashAndRestart(every: 50_000...250_000)
      plan.flushJitter = max(plan.flushJitter, 10_000)
    }
  }
}

extension FaultPlan {
  fileprivate mutating func partition(
    _ shapes: [PartitionShape], every interval: ClosedRange<UInt64>, atLeast stability: UInt64
  ) {
    partitionShapes = shapes.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
    partitionInterval = min(max(partitionInterval, interval.lowerBound), interval.upperBound)
    partitionStability = max(partitionStability, stability)
  }

  fileprivate mutating func crashAndRestart(every interval: ClosedRange<UInt64>) {
    crashInterval = min(max(crashInterval, interval.lowerBound), interval.upperBound)
    restartAtOnce = max(restartAtOnce, 800_000)
    downMinimum = min(downMinimum, 20_000)
  }
}
