import Foundation
import Protocol
import RSLLoad
import RealRuntime

/// What a replica's process has used and written since it started, or between two readings.
struct ReplicaReading {
  var id: ReplicaID
  var role: String
  /// In seconds, from `/proc`.
  var user: Double
  var system: Double
  var journalBytesWritten: UInt64
  var journalFlushes: UInt64
  var journalFences: UInt64

  /// One reading of each replica, in order; throws when one does not run any more or does not answer.
  static func all(of cluster: LocalCluster) async throws -> [ReplicaReading] {
    let statuses = await cluster.statuses()
    guard statuses.count == cluster.replicas.count else {
      throw CommandFailure(
        .liveness,
        "\(cluster.replicas.count - statuses.count) replicas do not answer; --keep shows their logs"
      )
    }
    return statuses.map { replica, status in
      let (user, system) = processorTime(of: replica.pid ?? 0)
      return ReplicaReading(
        id: replica.id, role: status.role, user: user, system: system,
        journalBytesWritten: status.journal.bytesWritten, journalFlushes: status.journal.flushes,
        journalFences: status.journal.fences)
    }
  }

  static func - (a: ReplicaReading, b: ReplicaReading) -> ReplicaReading {
    ReplicaReading(
      id: a.id, role: a.role, user: a.user - b.user, system: a.system - b.system,
      journalBytesWritten: a.journalBytesWritten - b.journalBytesWritten,
      journalFlushes: a.journalFlushes - b.journalFlushes,
      journalFences: a.journalFences - b.journalFences)
  }

  private static func processorTime(of pid: Int32) -> (user: Double, system: Double) {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    // The name in brackets may hold blanks; what follows is counted from the state, field 3.
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    let tick = Double(sysconf(Int32(_SC_CLK_TCK)))
    func seconds(_ field: Int) -> Double {
      fields.count > field ? (Double(fields[field]) ?? 0) / tick : 0
    }
    return (seconds(11), seconds(12))
  }
}

/// What was measured; the keys of its JSON are those of the bare loop in `Benchmarks/`, where both measure the same.
struct BenchReport: Encodable {
  struct Process: Encodable {
    var name: String
    /// `client`, `leader` or `follower`, and what else a replica may be.
    var role: String
    var userNanosecondsPerOperation: Double
    var systemNanosecondsPerOperation: Double
    /// nil for the client.
    var journalBytesWritten: UInt64?
    var journalFlushes: UInt64?
    /// Of persistent memory; nil in files.
    var journalFences: UInt64?
  }

  var replicas: Int
  var payload: Int
  var connections: Int
  var outstanding: Int
  var operations: UInt64
  var operationsPerSecond: Double
  var p50Microseconds: Double
  var p99Microseconds: Double
  var p999Microseconds: Double
  var maxMicroseconds: Double
  var overloaded: UInt64
  var unavailable: UInt64
  var wrongReplies: UInt64
  var unknownOutcomes: UInt64
  var withoutReply: UInt64
  /// Warm-up and end included, as in the figures of the replicas.
  var operationsInAll: UInt64
  var processes: [Process]
  /// The highest resident memory of a replica and its bound, in bytes.
  var residentMax = 0
  var memoryMax = 0
  /// Commands that replicas refused as overload; clients send them again.
  var refusals: UInt64 = 0
  /// How long after its bytes were read a command reached each stage on its leader, in microseconds, warm-up included; empty
  /// when no replica leads at the end.
  var stages: [NodeStatus.StageTimes] = []

  init(_ command: Bench, _ result: LoadResult, _ readings: [ReplicaReading]) {
    replicas = command.replicas
    payload = command.payload
    connections = command.connections
    outstanding = command.outstanding
    operations = result.operations
    operationsPerSecond = result.operationsPerSecond
    func microseconds(_ time: TimeSpan) -> Double { Double(time.nanoseconds) / 1e3 }
    p50Microseconds = microseconds(result.latency(atPercentile: 50))
    p99Microseconds = microseconds(result.latency(atPercentile: 99))
    p999Microseconds = microseconds(result.latency(atPercentile: 99.9))
    maxMicroseconds = microseconds(result.latencyMax)
    overloaded = result.overloaded
    unavailable = result.unavailable
    wrongReplies = result.wrongReplies
    unknownOutcomes = result.unknownOutcomes
    withoutReply = result.withoutReply
    operationsInAll = result.operationsInAll
    let each = 1e9 / Double(max(1, result.operationsInAll))
    let client = Process(
      name: "client", role: "client", userNanosecondsPerOperation: result.userTimePerOperation,
      systemNanosecondsPerOperation: result.systemTimePerOperation)
    processes =
      [client]
      + readings.map {
        Process(
          name: "replica-\($0.id.rawValue)", role: $0.role,
          userNanosecondsPerOperation: $0.user * each,
          systemNanosecondsPerOperation: $0.system * each,
          journalBytesWritten: $0.journalBytesWritten, journalFlushes: $0.journalFlushes,
          journalFences: $0.journalFences > 0 ? $0.journalFences : nil)
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
    let lines = [
      "\(replicas) replicas, \(payload) bytes, \(connections) x \(outstanding) outstanding",
      String(
        format: "%.0f operations/s   p50 %.0f us  p99 %.0f us  p99.9 %.0f us  max %.0f us",
        operationsPerSecond, p50Microseconds, p99Microseconds, p999Microseconds, maxMicroseconds),
    ]
    let end =
      "wrong \(wrongReplies)  overloaded \(overloaded)  unavailable \(unavailable)"
      + "  unknown \(unknownOutcomes)  without reply \(withoutReply)"
    let memory =
      "resident memory of a replica at most \(residentMax >> 20) MiB, bound \(memoryMax >> 20) MiB; "
      + "\(refusals) commands refused as overload"
    return (lines + processes.map(line) + [end, memory, ""] + StatusText.stages(stages))
      .joined(separator: "\n")
  }

  private func line(_ process: Process) -> String {
    var line = String(
      format: "%@  user %.0f ns  system %.0f ns an operation",
      process.name.padding(toLength: 10, withPad: " ", startingAt: 0),
      process.userNanosecondsPerOperation, process.systemNanosecondsPerOperation)
    if let bytes = process.journalBytesWritten, let flushes = process.journalFlushes {
      let all = Double(operationsInAll)
      line += String(format: "  %.1f bytes written", Double(bytes) / max(1, all))
      line += "  \(flushes) flushes"
      if flushes > 0 { line += String(format: " (%.1f operations)", all / Double(flushes)) }
      if let fences = process.journalFences, flushes > 0 {
        line += String(format: "  %.2f fences a flush", Double(fences) / Double(flushes))
      }
      line += "  \(process.role)"
    }
    return line
  }
}
