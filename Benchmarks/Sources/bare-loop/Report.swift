import Foundation

/// What was measured. The keys are those of `rsl bench --format json`, where both measure the same.
struct Report: Encodable {
  struct Process: Encodable {
    var name: String
    /// `client`, `leader` or `follower`.
    var role: String
    var userNanosecondsPerOperation: Double
    var systemNanosecondsPerOperation: Double
    /// nil for the client.
    var journalBytesWritten: UInt64?
    var journalFlushes: UInt64?
  }

  var connections: Int
  var outstanding: Int
  var payload: Int
  var flush: Flush
  var operations: UInt64
  var operationsPerSecond: Double
  var p50Microseconds: Double
  var p99Microseconds: Double
  var p999Microseconds: Double
  var maxMicroseconds: Double
  /// Warm-up included, as in the figures of the processes.
  var operationsInAll: UInt64
  var processes: [Process]

  init(
    _ settings: Settings, _ result: LoadClient.Result,
    _ reports: [(name: String, report: RoleReport)]
  ) {
    connections = settings.connections
    outstanding = settings.outstanding
    payload = settings.payload
    flush = settings.flush
    operations = result.operations
    operationsPerSecond = Double(result.operations) / (Double(result.nanoseconds) / 1e9)
    func microseconds(_ percentile: Double) -> Double {
      result.operations == 0 ? 0 : Double(result.latency.valueAtPercentile(percentile)) / 1e3
    }
    p50Microseconds = microseconds(50)
    p99Microseconds = microseconds(99)
    p999Microseconds = microseconds(99.9)
    maxMicroseconds = microseconds(100)
    operationsInAll = result.operationsInAll
    let each = 1e9 / Double(max(1, result.operationsInAll))
    func process(
      _ name: String, _ role: String, _ used: ProcessorTime, _ report: RoleReport?
    ) -> Process {
      Process(
        name: name, role: role, userNanosecondsPerOperation: used.user * each,
        systemNanosecondsPerOperation: used.system * each,
        journalBytesWritten: report?.bytesWritten, journalFlushes: report?.flushes)
    }
    processes =
      [process("client", "client", result.used, nil)]
      + reports.map {
        process($0.name, $0.name == "leader" ? "leader" : "follower", $0.report.used, $0.report)
      }
  }

  var json: String {
    get throws {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
      return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
  }

  var table: String {
    var lines = [
      "bare loop, 3 replicas, \(payload) bytes, \(connections) x \(outstanding) outstanding, \(flush.rawValue)",
      String(
        format: "%.0f operations/s   p50 %.0f us  p99 %.0f us  p99.9 %.0f us  max %.0f us",
        operationsPerSecond, p50Microseconds, p99Microseconds, p999Microseconds, maxMicroseconds),
    ]
    for process in processes {
      var line =
        process.name.padding(toLength: 12, withPad: " ", startingAt: 0)
        + String(
          format: "user %.0f ns  system %.0f ns an operation", process.userNanosecondsPerOperation,
          process.systemNanosecondsPerOperation)
      if let bytes = process.journalBytesWritten, let flushes = process.journalFlushes {
        line += String(
          format: "  %.1f bytes written", Double(bytes) / Double(max(1, operationsInAll)))
        line += "  \(flushes) flushes"
        if flushes > 0 {
          line += String(format: " (%.1f operations)", Double(operationsInAll) / Double(flushes))
        }
      }
      lines.append(line)
    }
    return lines.joined(separator: "\n")
  }
}
