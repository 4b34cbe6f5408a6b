internal import CoreMetrics
internal import Synchronization

/// A value that only grows.
final class PrometheusCounter: CounterHandler, FloatingPointCounterHandler {
  private let bits = Atomic<UInt64>(0)

  var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  func increment(by amount: Int64) { increment(by: Double(amount)) }

  /// Less than nothing is ignored: a counter that falls looks like a restart.
  func increment(by amount: Double) {
    guard amount > 0, amount.isFinite else { return }
    bits.update { $0 + amount }
  }

  func reset() { bits.store(0, ordering: .relaxed) }
}

/// A value that goes up and down: a meter, or a recorder of single values.
final class PrometheusGauge: MeterHandler, RecorderHandler {
  private let bits = Atomic<UInt64>(0)

  var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }
  func increment(by amount: Double) { bits.update { $0 + amount } }
  func decrement(by amount: Double) { bits.update { $0 - amount } }
  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
}

/// How often values fell into each bucket, their number and their sum.
final class PrometheusHistogram: RecorderHandler, TimerHandler {
  struct State {
    /// One more than there are bounds: the last is for what is larger than all of them.
    var counts: [UInt64]
    var sum = 0.0
  }

  /// Upper bounds, inclusive, rising.
  let bounds: [Double]
  private let state: Mutex<State>

  init(bounds: [Double]) {
    self.bounds = bounds
    state = Mutex(State(counts: Array(repeating: 0, count: bounds.count + 1)))
  }

  var value: State { state.withLock { $0 } }

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    guard !value.isNaN else { return }
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    state.withLock {
      $0.counts[bucket] += 1
      $0.sum += value
    }
  }

  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }
}

extension Atomic where Value == UInt64 {
  /// Changes a floating-point value that is kept as its bits.
  fileprivate borrowing func update(_ change: (Double) -> Double) {
    var old = load(ordering: .relaxed)
    while true {
      let new = change(Double(bitPattern: old)).bitPattern
      let result = weakCompareExchange(expected: old, desired: new, ordering: .relaxed)
      if result.exchanged { return }
      old = result.original
    }
  }
}
