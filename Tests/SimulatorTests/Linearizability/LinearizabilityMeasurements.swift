import Foundation
import Protocol
import Simulator
import Testing

/// What the search costs, printed; run with `RSL_MEASURE=1 swift test -c release --filter
/// LinearizabilityMeasurements`.
@Suite(
  .enabled(if: ProcessInfo.processInfo.environment["RSL_MEASURE"] != nil, "set RSL_MEASURE=1"),
  .serialized)
struct LinearizabilityMeasurements {
  static let works: [(name: String, work: Workload)] = [
    ("10k in sequence", Workload(clients: 1, operations: 10_000)),
    ("100k in sequence", Workload(clients: 1, operations: 100_000)),
    ("5k, 10 clients, one key", Workload(clients: 10, operations: 5_000)),
    (
      "5k, 10 clients, one key, distinct values",
      Workload(clients: 10, operations: 5_000, values: 9_999)
    ),
    ("50k, 10 clients, 16 keys", Workload(clients: 10, operations: 50_000, keys: 16)),
    ("2k, 20 clients, one key", Workload(clients: 20, operations: 2_000)),
    ("2k, 10 clients, one key, 1% lost", Workload(clients: 10, operations: 2_000, lostOneIn: 100)),
    (
      "2k, 10 clients, 8 keys, 4% lost",
      Workload(clients: 10, operations: 2_000, keys: 8, lostOneIn: 25)
    ),
    (
      "2k, 10 clients, one key, 2% lost",
      Workload(clients: 10, operations: 2_000, lostOneIn: 50)
    ),
    (
      "2k, 10 clients, one key, 3% lost",
      Workload(clients: 10, operations: 2_000, lostOneIn: 33)
    ),
    (
      "2k, 10 clients, one key, 5% lost",
      Workload(clients: 10, operations: 2_000, lostOneIn: 20)
    ),
    (
      "2k, 10 clients, one key, 5% lost, distinct values",
      Workload(clients: 10, operations: 2_000, values: 9_999, lostOneIn: 20)
    ),
    (
      "2k, 10 clients, 8 keys, 4% lost, distinct values",
      Workload(clients: 10, operations: 2_000, keys: 8, values: 9_999, lostOneIn: 25)
    ),
    (
      "5k, 10 clients, 64 keys, 5% lost",
      Workload(clients: 10, operations: 5_000, keys: 64, lostOneIn: 20)
    ),
  ]

  @Test(arguments: works.indices)
  func cost(index: Int) {
    let (name, work) = Self.works[index]
    let search = LinearizabilitySearch(RegisterMapModel(), budget: 20_000_000)
    for (kind, history) in [("good", work.run(seed: 1)), ("bad", work.spoiled(seed: 1))] {
      var report: LinearizabilityReport?
      let time = ContinuousClock().measure { report = search.report(history) }
      let verdict = report?.verdict.answer.map { "\($0)" } ?? "undecided"
      let pending = report?.keys.map { $0.pending }.max() ?? 0
      let steps = report?.steps ?? 0
      print(
        "\(name), \(kind): \(verdict), \(steps) steps, at most \(pending) pending a key, \(time)")
    }
  }
}
