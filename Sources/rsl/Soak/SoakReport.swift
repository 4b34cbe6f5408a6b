import Foundation

/// What a soak did and what came of it.
struct SoakReport {
  let seed: UInt64
  let skipped: [(fault: SoakFault, reason: String)]
  private(set) var outages: [SoakFault: Outages] = [:]
  var seconds = 0.0
  var counts = SoakLoad.Counts()
  var audit: SoakLoad.Audit?
  var partsLinearizable = 0
  var stepsReplayed = 0
  /// The highest resident memory of a replica, in bytes.
  var residentMax = 0
  var failures: [CommandFailure] = []

  init(seed: UInt64, skipped: [(fault: SoakFault, reason: String)]) {
    (self.seed, self.skipped) = (seed, skipped)
  }

  mutating func note(_ fault: SoakFault, outage: Double) {
    outages[fault, default: Outages()].append(outage)
  }

  /// What decides about the exit status; nil when all is well.
  var gravest: CommandFailure? {
    let order: [CommandFailure.Code] = [.safety, .determinism, .crash, .liveness, .usage]
    return (failures + auditFailures).min {
      order.firstIndex(of: $0.code)! < order.firstIndex(of: $1.code)!
    }
  }

  private var auditFailures: [CommandFailure] {
    var failures: [CommandFailure] = []
    if let audit, audit.lost > 0 {
      failures.append(
        CommandFailure(
          .safety, "\(audit.lost) acknowledged writes are lost, \(audit.unread) keys unreadable"))
    }
    if let audit, audit.unasked > 0 {
      failures.append(CommandFailure(.safety, "\(audit.unasked) writes were performed twice"))
    }
    if counts.malformed > 0 {
      failures.append(CommandFailure(.safety, "\(counts.malformed) answers are not the store's"))
    }
    return failures
  }

  private var verdict: String { gravest == nil ? "linearizable" : "failed" }
  private var faults: [SoakFault] { SoakFault.allCases.filter { outages[$0] != nil } }

  var table: String {
    var lines = ["fault            times  longest time without an answer"]
    for fault in faults {
      guard let outages = outages[fault] else { continue }
      let name = fault.rawValue.padding(toLength: 16, withPad: " ", startingAt: 0)
      lines.append(String(format: "%@ %5d  %@", name, outages.count, "\(outages)"))
    }
    lines.append(
      String(
        format: "%d operations acknowledged in %.0f s (%.0f a second), %d unknown, %d refused",
        counts.acknowledged, seconds, Double(counts.acknowledged) / max(seconds, 1e-9),
        counts.unknown, counts.refused))
    if let audit {
      lines.append(
        "\(audit.puts) acknowledged writes of \(audit.keys) keys read back: \(audit.lost) lost, "
          + "\(audit.unasked) performed twice")
    }
    lines.append("\(partsLinearizable) parts of the history are linearizable")
    lines.append("\(stepsReplayed) recorded steps of the replicas replayed")
    lines.append("resident memory of a replica at most \(residentMax >> 20) MiB")
    for failure in failures + auditFailures { lines.append("failed: \(failure.message)") }
    lines.append("verdict: \(verdict)")
    return lines.joined(separator: "\n")
  }

  var json: String {
    let value: [String: Any] = [
      "verdict": verdict, "seed": seed, "seconds": seconds,
      "acknowledged": counts.acknowledged, "unknown": counts.unknown, "refused": counts.refused,
      "writes": audit?.puts ?? 0, "lost": audit?.lost ?? 0, "performedTwice": audit?.unasked ?? 0,
      "isAudited": audit != nil, "partsLinearizable": partsLinearizable,
      "stepsReplayed": stepsReplayed, "residentMax": residentMax,
      "faults": Dictionary(
        uniqueKeysWithValues: outages.map { ($0.key.rawValue, $0.value.seconds) }),
      "skipped": Dictionary(uniqueKeysWithValues: skipped.map { ($0.fault.rawValue, $0.reason) }),
      "failures": (failures + auditFailures).map(\.message),
    ]
    let data = try? JSONSerialization.data(
      withJSONObject: value, options: [.prettyPrinted, .sortedKeys])
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
