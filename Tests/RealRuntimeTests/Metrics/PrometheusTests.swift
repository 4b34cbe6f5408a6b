import CoreMetrics
import Testing

@testable import RealRuntime

@Suite struct PrometheusTests {
  private func scrape(_ registry: PrometheusRegistry) -> [Substring] {
    var text = PrometheusText()
    registry.write(into: &text)
    return text.text.split(separator: "\n")
  }

  @Test func theTextIsTheExpositionFormat() {
    var text = PrometheusText()
    text.family("rsl_things", .gauge, help: "Back\\slash and\nbreak.")
    text.sample(1)
    text.sample(0.25, [("name", "a \"b\" \\ c\nd"), ("9-lives", "é")])
    text.family("2-bad.name", .counter, help: "")
    text.sample(UInt64.max)
    #expect(
      text.text == """
        # HELP rsl_things Back\\\\slash and\\nbreak.
        # TYPE rsl_things gauge
        rsl_things 1
        rsl_things{name="a \\"b\\" \\\\ c\\nd",_9_lives="é"} 0.25
        # TYPE _2_bad_name counter
        _2_bad_name 18446744073709551615

        """)
  }

  @Test(arguments: [
    (Double.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"), (3, "3"), (-2, "-2"),
    (0.1, "0.1"), (1e16, "1e+16"), (2.5e-7, "2.5e-07"),
  ]) func numbersAreWrittenAsPrometheusReadsThem(value: Double, text: String) {
    #expect(PrometheusText.number(value) == text)
  }

  @Test func countersGaugesAndHistogramsAreScraped() {
    let registry = PrometheusRegistry()
    registry.describe("rsl.requests", "Requests.")
    registry.makeCounter(label: "rsl.requests", dimensions: [("code", "200")]).increment(by: 2)
    registry.makeCounter(label: "rsl.requests", dimensions: [("code", "500")]).increment(by: 1)
    registry.makeFloatingPointCounter(label: "rsl.requests", dimensions: [("code", "200")])
      .increment(by: 0.5)
    let meter = registry.makeMeter(label: "rsl.open", dimensions: [])
    meter.set(5 as Int64)
    meter.increment(by: 2)
    meter.decrement(by: 3)
    registry.makeRecorder(label: "rsl.last", dimensions: [], aggregate: false).record(7 as Int64)
    let recorder = registry.makeRecorder(label: "rsl.size", dimensions: [], aggregate: true)
    for size: Int64 in [1, 2, 4, 5, 1 << 40] { recorder.record(size) }
    let timer = registry.makeTimer(label: "rsl.wait", dimensions: [("a", "b")])
    timer.recordNanoseconds(50_000)
    timer.recordNanoseconds(3_000_000_000)
    let lines = scrape(registry)
    for line in [
      "# HELP rsl_requests_total Requests.", "# TYPE rsl_requests_total counter",
      "rsl_requests_total{code=\"200\"} 2.5", "rsl_requests_total{code=\"500\"} 1",
      "# TYPE rsl_open gauge", "rsl_open 4", "rsl_last 7", "# TYPE rsl_size histogram",
      "rsl_size_bucket{le=\"1\"} 1", "rsl_size_bucket{le=\"4\"} 3", "rsl_size_bucket{le=\"16\"} 4",
      "rsl_size_bucket{le=\"16777216\"} 4", "rsl_size_bucket{le=\"+Inf\"} 5",
      "rsl_size_sum 1099511627788", "rsl_size_count 5",
      "rsl_wait_seconds_bucket{a=\"b\",le=\"5e-05\"} 1",
      "rsl_wait_seconds_bucket{a=\"b\",le=\"2.5\"} 1",
      "rsl_wait_seconds_bucket{a=\"b\",le=\"5\"} 2",
      "rsl_wait_seconds_count{a=\"b\"} 2", "rsl_metrics_refused_total 0",
    ] {
      #expect(lines.contains(line[...]), "\(line)")
    }
    let families = lines.filter { $0.hasPrefix("# TYPE") }.dropLast()
    #expect(families.count == 5)
    #expect(Array(families) == families.sorted())
  }

  @Test func aCounterNeverFalls() {
    let registry = PrometheusRegistry()
    let counter = registry.makeCounter(label: "c", dimensions: [])
    counter.increment(by: 3)
    counter.increment(by: -2)
    #expect(scrape(registry).contains("c_total 3"))
  }

  @Test func oneNameHasOneKindAndSeriesAreBounded() {
    let registry = PrometheusRegistry(seriesMax: 2)
    registry.makeMeter(label: "a_total", dimensions: []).set(1 as Int64)
    registry.makeCounter(label: "a", dimensions: []).increment(by: 1)
    let second = registry.makeMeter(label: "b", dimensions: [])
    registry.makeMeter(label: "c", dimensions: []).set(1 as Int64)
    #expect(scrape(registry).filter { $0.hasPrefix("a_total") } == ["a_total 1"])
    #expect(scrape(registry).contains("rsl_metrics_refused_total 2"))
    #expect(!scrape(registry).contains("c 1"))
    registry.destroyMeter(second)
    registry.makeMeter(label: "c", dimensions: []).set(1 as Int64)
    #expect(scrape(registry).contains("c 1"))
    #expect(!scrape(registry).contains { $0.hasPrefix("b ") })
  }

  @Test func theSameLabelsInAnotherOrderAreTheSameSeries() {
    let registry = PrometheusRegistry()
    registry.makeCounter(label: "c", dimensions: [("a", "1"), ("b", "2")]).increment(by: 1)
    registry.makeCounter(label: "c", dimensions: [("b", "2"), ("a", "1")]).increment(by: 1)
    #expect(scrape(registry).contains("c_total{a=\"1\",b=\"2\"} 2"))
  }

  @Test func incrementsFromManyTasksAllCount() async {
    let registry = PrometheusRegistry()
    let counter = registry.makeCounter(label: "c", dimensions: [])
    let timer = registry.makeTimer(label: "t", dimensions: [])
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 {
        group.addTask {
          for _ in 0..<1_000 {
            counter.increment(by: 1)
            timer.recordNanoseconds(1_000)
          }
        }
      }
    }
    #expect(scrape(registry).contains("c_total 8000"))
    #expect(scrape(registry).contains("t_seconds_count 8000"))
  }
}
