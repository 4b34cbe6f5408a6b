public import Protocol
internal import Synchronization

/// Where the loop's thread leaves its histograms when somebody asks for them.
///
/// The loop calls `publishIfAsked` once a turn: one relaxed load, and when somebody did ask, a swap with an empty set. It
/// never copies, merges or waits for a reader.
public final class StageBoard: Sendable {
  /// Times of the latest minute or two, and what was counted since the start.
  public struct Reading: Sendable {
    public var recent = StageHistograms()
    public var counts = [UInt64](repeating: 0, count: Stage.allCases.count)
    public var sums = [UInt64](repeating: 0, count: Stage.allCases.count)

    public init() {}
  }

  /// Quantiles are about the current window and the one before.
  public static let window = TimeSpan.seconds(60)
  /// More waiting readers than this get what was there before.
  static let waitersMax = 64

  fileprivate struct State {
    /// Empty, for the loop to go on with.
    var spare: StageHistograms? = StageHistograms()
    /// From the loop, not merged yet.
    var published: StageHistograms?
    var current = StageHistograms()
    var previous = StageHistograms()
    var windowEnd: Instant?
    var counts = [UInt64](repeating: 0, count: Stage.allCases.count)
    var sums = [UInt64](repeating: 0, count: Stage.allCases.count)
    var waiters: [CheckedContinuation<Void, Never>] = []
    /// The loop has ended: nobody publishes any more.
    var hasEnded = false
  }

  private let isAsked = Atomic<Bool>(false)
  private let state = Mutex(State())

  public init() {}

  // MARK: The loop's side

  /// Hands over what was recorded since the last time, if somebody asked. Called by the loop's thread only.
  @inline(__always) public func publishIfAsked(_ histograms: inout StageHistograms) {
    if isAsked.load(ordering: .relaxed) { publish(&histograms) }
  }

  private func publish(_ histograms: inout StageHistograms) {
    let waiters = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      if let spare = state.spare.take() {
        state.published = histograms
        histograms = spare
      }
      isAsked.store(false, ordering: .relaxed)
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// The loop has ended: whoever waits, and whoever asks from now on, gets what was there.
  func end() {
    let waiters = state.withLock { state in
      state.hasEnded = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  // MARK: The readers' side

  /// Asks the loop for what it has and waits for its next turn; `wake` makes that turn come.
  public func reading(
    now: Instant = MonotonicClock.now(), wake: @Sendable () -> Void
  ) async
    -> Reading
  {
    await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
      let isWaiting = state.withLock { state in
        guard state.waiters.count < Self.waitersMax, !state.hasEnded else { return false }
        state.waiters.append(waiter)
        isAsked.store(true, ordering: .relaxed)
        return true
      }
      if isWaiting { wake() } else { waiter.resume() }
    }
    return state.withLock { $0.read(now: now) }
  }
}

extension StageBoard.State {
  /// Merges what came from the loop.
  fileprivate mutating func read(now: Instant) -> StageBoard.Reading {
    if let end = windowEnd, now >= end {
      // After a long silence what is called the previous window would be old.
      let isLongAgo = now >= end + StageBoard.window
      if isLongAgo { previous.reset() } else { previous = current }
      current.reset()
      windowEnd = now + StageBoard.window
    }
    windowEnd = windowEnd ?? now + StageBoard.window
    if var fresh = published.take() {
      current.add(fresh)
      for stage in Stage.allCases {
        counts[stage.place] &+= fresh.count(of: stage)
        sums[stage.place] &+= fresh.sum(of: stage)
      }
      fresh.reset()
      spare = fresh
    }
    var recent = current
    recent.add(previous)
    var reading = StageBoard.Reading()
    (reading.recent, reading.counts, reading.sums) = (recent, counts, sums)
    return reading
  }
}

extension StageBoard.Reading {
  public static let quantiles = [0.5, 0.9, 0.99, 0.999]

  /// As a summary: quantiles of the latest minute or two, number and sum since the start.
  public func write(into text: inout PrometheusText) {
    text.family(
      "rsl_stage_latency_seconds", .summary,
      help: "Time from reading a command's bytes until it reached the stage.")
    for stage in Stage.allCases {
      let label = [("stage", stage.rawValue)]
      for share in Self.quantiles where recent.count(of: stage) > 0 {
        let seconds = Double(recent.quantile(share, of: stage)) / 1e9
        text.sample(seconds, label + [("quantile", "\(share)")])
      }
      text.sample(Double(sums[stage.place]) / 1e9, label, suffix: "_sum")
      text.sample(counts[stage.place], label, suffix: "_count")
    }
  }
}
