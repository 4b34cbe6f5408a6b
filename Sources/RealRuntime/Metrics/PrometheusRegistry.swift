public import CoreMetrics
internal import Synchronization

/// The backend of swift-metrics that answers scrapes: every metric of the process, as Prometheus reads it.
///
/// `MetricsSystem.bootstrap(PrometheusRegistry())` makes it the process's backend. Counters end in `_total`, timers in
/// `_seconds`. A label set beyond `seriesMax`, or a name that is taken by another kind, gets a handler that counts for
/// nothing; how often that happened is a metric itself.
public final class PrometheusRegistry: MetricsFactory {
  /// Bounds of a timer's buckets, in seconds: 50 µs to 10 s.
  public static let timeBounds: [Double] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
    1, 2.5, 5, 10,
  ]
  /// Bounds of a recorder's buckets: powers of four.
  public static let sizeBounds: [Double] = (0...12).map { Double(1 << (2 * $0)) }

  private enum Series {
    case counter(PrometheusCounter)
    case gauge(PrometheusGauge)
    case histogram(PrometheusHistogram)

    var kind: PrometheusText.Kind {
      switch self {
      case .counter: .counter
      case .gauge: .gauge
      case .histogram: .histogram
      }
    }

    var handler: AnyObject {
      switch self {
      case .counter(let handler): handler
      case .gauge(let handler): handler
      case .histogram(let handler): handler
      }
    }
  }

  /// A label set as it is sorted and compared.
  private struct Labels: Hashable, Comparable {
    var words: [String]

    init(_ dimensions: [(String, String)]) {
      words = dimensions.sorted { $0.0 < $1.0 }.flatMap { [$0.0, $0.1] }
    }

    var pairs: [PrometheusText.Label] {
      stride(from: 0, to: words.count, by: 2).map { (words[$0], words[$0 + 1]) }
    }

    static func < (a: Self, b: Self) -> Bool { a.words.lexicographicallyPrecedes(b.words) }
  }

  private struct Family {
    var kind: PrometheusText.Kind
    var series: [Labels: Series] = [:]
  }

  private struct State {
    var families: [String: Family] = [:]
    var helps: [String: String] = [:]
    var seriesCount = 0
    var refused: UInt64 = 0
  }

  private let seriesMax: Int
  private let state = Mutex(State())

  public init(seriesMax: Int = 10_000) { self.seriesMax = seriesMax }

  /// The sentence that a scrape gives with the metric. Pass the label that the metric is made with.
  public func describe(_ label: String, _ help: String) {
    state.withLock { state in
      for ending in ["", "_total", "_seconds"] {
        state.helps[Self.name(label, ending: ending)] = help
      }
    }
  }

  // MARK: Making metrics

  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    counter(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  public func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  )
    -> any FloatingPointCounterHandler
  {
    counter(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    gauge(label, dimensions) ?? NOOPMetricsHandler.instance
  }

  public func makeRecorder(
    label: String, dimensions: [(String, String)], aggregate: Bool
  )
    -> any RecorderHandler
  {
    guard aggregate else { return gauge(label, dimensions) ?? NOOPMetricsHandler.instance }
    return histogram(Self.name(label), dimensions, Self.sizeBounds) ?? NOOPMetricsHandler.instance
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    histogram(Self.name(label, ending: "_seconds"), dimensions, Self.timeBounds)
      ?? NOOPMetricsHandler.instance
  }

  private func counter(_ label: String, _ dimensions: [(String, String)]) -> PrometheusCounter? {
    let name = Self.name(label, ending: "_total")
    guard case .counter(let handler)? = series(name, dimensions, { .counter(PrometheusCounter()) })
    else { return nil }
    return handler
  }

  private func gauge(_ label: String, _ dimensions: [(String, String)]) -> PrometheusGauge? {
    guard case .gauge(let handler)? = series(Self.name(label), dimensions, { .gauge(.init()) })
    else { return nil }
    return handler
  }

  private func histogram(
    _ name: String, _ dimensions: [(String, String)], _ bounds: [Double]
  )
    -> PrometheusHistogram?
  {
    let found = series(name, dimensions) { .histogram(PrometheusHistogram(bounds: bounds)) }
    guard case .histogram(let handler)? = found else { return nil }
    return handler
  }

  private static func name(_ label: String, ending: String = "") -> String {
    let name = PrometheusText.validName(label)
    return name.hasSuffix(ending) ? name : name + ending
  }

  /// The series of these labels, made now if there is none; nil: its name is taken, or there are too many.
  private func series(
    _ name: String, _ dimensions: [(String, String)], _ make: () -> Series
  )
    -> Series?
  {
    let labels = Labels(dimensions.map { (PrometheusText.validLabel($0.0), $0.1) })
    let fresh = make()
    return state.withLock { state in
      var family = state.families[name] ?? Family(kind: fresh.kind)
      if let series = family.series[labels], family.kind == fresh.kind { return series }
      guard family.kind == fresh.kind, state.seriesCount < seriesMax else {
        state.refused += 1
        return nil
      }
      family.series[labels] = fresh
      state.families[name] = family
      state.seriesCount += 1
      return fresh
    }
  }

  // MARK: Letting metrics go

  public func destroyCounter(_ handler: any CounterHandler) { destroy(handler) }
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {
    destroy(handler)
  }
  public func destroyMeter(_ handler: any MeterHandler) { destroy(handler) }
  public func destroyRecorder(_ handler: any RecorderHandler) { destroy(handler) }
  public func destroyTimer(_ handler: any TimerHandler) { destroy(handler) }

  private func destroy(_ handler: AnyObject) {
    state.withLock { state in
      for (name, family) in state.families {
        guard let entry = family.series.first(where: { $0.value.handler === handler }) else {
          continue
        }
        state.families[name]?.series[entry.key] = nil
        if family.series.count == 1 { state.families[name] = nil }
        state.seriesCount -= 1
        return
      }
    }
  }

  // MARK: Scraping

  /// Every family in the order of its name.
  public func write(into text: inout PrometheusText) {
    let (families, helps, refused) = state.withLock { ($0.families, $0.helps, $0.refused) }
    for (name, family) in families.sorted(by: { $0.key < $1.key }) {
      text.family(name, family.kind, help: helps[name] ?? "")
      for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
        switch series {
        case .counter(let counter): text.sample(counter.value, labels.pairs)
        case .gauge(let gauge): text.sample(gauge.value, labels.pairs)
        case .histogram(let histogram): histogram.write(labels.pairs, into: &text)
        }
      }
    }
    text.family(
      "rsl_metrics_refused_total", .counter,
      help: "Metrics not kept: too many label sets, or a name of another kind.")
    text.sample(refused)
  }
}

extension PrometheusHistogram {
  fileprivate func write(_ labels: [PrometheusText.Label], into text: inout PrometheusText) {
    let state = value
    var total: UInt64 = 0
    for (bucket, count) in state.counts.enumerated() {
      total += count
      let bound = bucket < bounds.count ? PrometheusText.number(bounds[bucket]) : "+Inf"
      text.sample(total, labels + [("le", bound)], suffix: "_bucket")
    }
    text.sample(state.sum, labels, suffix: "_sum")
    text.sample(total, labels, suffix: "_count")
  }
}
