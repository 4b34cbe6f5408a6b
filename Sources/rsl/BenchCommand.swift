import ArgumentParser
import Foundation
import Histogram
import Protocol
import RSLClient
import RSLLoad
import RealRuntime

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Measure a cluster of processes on this machine.",
    discussion: """
      Starts the replicas as processes of their own with durable journals, loads them from this one, and prints what \
      one operation costs whom.
      """)

  @Option(help: "How many replicas.") var replicas = 3
  @Option(help: "Bytes of a command.") var payload = 64
  @Option(help: "Connections of clients.") var connections = 1
  @Option(help: "Commands under way on each connection.") var outstanding = 1_024
  @Option(help: "How long to measure.") var seconds = 10.0
  @Option(help: "How long to load before measuring.") var warmUp = 1.0
  @Option(help: "Where the journals lie; a new folder in it is made, and removed.")
  var directory = "."
  @Flag(help: "Keep the folder.") var keep = false
  @Option(help: "table or json.") var format = OutputFormat.table

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp("Keys of docs/configuration.md for every replica.", valueName: "--key value")
  )
  var settings: [String] = []

  func validate() throws {
    guard (1...9).contains(replicas) else { throw ValidationError("--replicas must be 1 to 9") }
    guard (ByteStoreWorkload.payloadMin...1 << 20).contains(payload) else {
      throw ValidationError("--payload must be \(ByteStoreWorkload.payloadMin) to 1048576 bytes")
    }
    guard connections > 0, outstanding > 0, seconds > 0, warmUp >= 0 else {
      throw ValidationError("--connections, --outstanding and --seconds must be above zero")
    }
  }

  func run() async throws {
    let folder = "\(directory)/rsl-bench-\(UUID().uuidString.prefix(8))"
    defer { if !keep { try? FileManager.default.removeItem(atPath: folder) } }
    var options = LocalCluster.Options(directory: folder)
    options.replicas = replicas
    options.flags =
      ["--sessions-outstanding-max", "\(BenchShape.window)"] + settings
    let cluster = try LocalCluster(options)
    try cluster.start()
    defer { cluster.stop() }
    var load = LoadOptions(workload: ByteStoreWorkload(payload: payload))
    load.connections = connections
    load.outstanding = outstanding
    load.warmUp = TimeSpan(nanoseconds: UInt64(warmUp * 1e9))
    load.duration = TimeSpan(nanoseconds: UInt64(seconds * 1e9))
    var client = cluster.clientConfiguration
    client.options.windowMax = min(BenchShape.window, outstanding)
    client.options.queueMax = outstanding
    let probe = ProcessorTimes(cluster)
    let result = try await LoadGenerator.run(load, against: client)
    var report = BenchReport(self, result, probe.since())
    report.residentMax = ProcessMemory.highest(cluster)
    report.memoryMax = try cluster.memoryMax(clients: connections)
    report.refusals = await cluster.overloadRefusals()
    switch format {
    case .table: print(report.table)
    case .json: print(report.json)
    }
    guard report.residentMax <= report.memoryMax else {
      throw CommandFailure(
        .usage,
        "a replica had \(report.residentMax) bytes resident; its bound is \(report.memoryMax)")
    }
    guard result.wrongReplies == 0, result.unavailable == 0 else {
      throw CommandFailure(
        .safety, "\(result.wrongReplies) wrong replies, \(result.unavailable) unavailable")
    }
  }
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table, json
}

enum BenchShape {
  /// Commands that one session has under way.
  static let window = 1_024
}

/// Puts for `ByteStore`: as many keys as a small store has, and the reply is the number of puts the key has seen.
struct ByteStoreWorkload: LoadWorkload {
  static let payloadMin = 24
  private static let keys: UInt64 = 4_096
  private let filler: [UInt8]

  init(payload: Int) {
    filler = Array(repeating: 0x5A, count: payload - ByteStore.headLength)
  }

  func write(operation: UInt64, of connection: UInt64, into bytes: inout [UInt8]) {
    ByteStore.encodePut(operation % Self.keys, value: filler.span.bytes, into: &bytes)
  }

  func isRight(_ reply: RawSpan, operation: UInt64, of connection: UInt64) -> Bool {
    reply.byteCount == 8
      && UInt64(littleEndian: reply.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)) > 0
  }
}

/// Processor time of the replicas' processes, from `/proc`.
struct ProcessorTimes {
  struct Reading {
    var id: ReplicaID
    var user: Double
    var system: Double
  }

  private let pids: [(id: ReplicaID, pid: Int32)]
  private let begin: [Reading]

  init(_ cluster: LocalCluster) {
    pids = cluster.replicas.compactMap { replica in replica.pid.map { (replica.id, $0) } }
    begin = pids.map { Self.read($0.id, $0.pid) }
  }

  func since() -> [Reading] {
    zip(pids, begin).map { pid, before in
      let now = Self.read(pid.id, pid.pid)
      return Reading(id: pid.id, user: now.user - before.user, system: now.system - before.system)
    }
  }

  private static func read(_ id: ReplicaID, _ pid: Int32) -> Reading {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    // The name in brackets may hold blanks; what follows is counted from the state, field 3.
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    let tick = Double(sysconf(Int32(_SC_CLK_TCK)))
    func seconds(_ field: Int) -> Double {
      fields.count > field ? (Double(fields[field]) ?? 0) / tick : 0
    }
    return Reading(id: id, user: seconds(11), system: seconds(12))
  }
}

struct BenchReport {
  let command: Bench
  let result: LoadResult
  let replicas: [ProcessorTimes.Reading]
  /// The highest resident memory of a replica and its bound, in bytes.
  var residentMax = 0
  var memoryMax = 0
  /// Commands that replicas refused as overload; clients send them again.
  var refusals: UInt64 = 0

  init(_ command: Bench, _ result: LoadResult, _ replicas: [ProcessorTimes.Reading]) {
    self.command = command
    self.result = result
    self.replicas = replicas
  }

  private var rate: Double { Double(result.operations) / (Double(result.time.nanoseconds) / 1e9) }
  private func microseconds(_ share: Double) -> Double {
    Double(result.latency.valueAtPercentile(share)) / 1e3
  }

  var table: String {
    var lines = [
      "\(command.replicas) replicas, \(command.payload) bytes, \(command.connections) x \(command.outstanding) outstanding",
      String(
        format: "%.0f operations/s   p50 %.0f us  p99 %.0f us  p99.9 %.0f us  max %.0f us", rate,
        microseconds(50), microseconds(99), microseconds(99.9),
        Double(result.latency.maxRecorded) / 1e3),
    ]
    // The replicas' times cover the warm-up as well, and so do these operations, nearly.
    let total =
      Double(result.operations)
      * (1 + command.warmUp / max(command.seconds, 1e-9))
    func line(_ name: String, _ user: Double, _ system: Double, _ operations: Double) -> String {
      let each = operations > 0 ? 1e9 / operations : 0
      return String(
        format: "%@  user %.0f ns  system %.0f ns an operation", name, user * each, system * each)
    }
    lines.append(
      line(
        "client   ", Double(result.userTime.nanoseconds) / 1e9,
        Double(result.systemTime.nanoseconds) / 1e9, Double(result.operations)))
    for replica in replicas {
      lines.append(line("replica \(replica.id)", replica.user, replica.system, total))
    }
    lines.append(
      "wrong \(result.wrongReplies)  overloaded \(result.overloaded)  unavailable \(result.unavailable)"
        + "  unknown \(result.unknownOutcomes)  without reply \(result.withoutReply)")
    lines.append(
      "resident memory of a replica at most \(residentMax >> 20) MiB, bound \(memoryMax >> 20) MiB; "
        + "\(refusals) commands refused as overload")
    return lines.joined(separator: "\n")
  }

  var json: String {
    let value: [String: Any] = [
      "replicas": command.replicas, "payload": command.payload,
      "connections": command.connections, "outstanding": command.outstanding,
      "operations": result.operations, "operationsPerSecond": rate,
      "p50Microseconds": microseconds(50), "p99Microseconds": microseconds(99),
      "p999Microseconds": microseconds(99.9),
      "maxMicroseconds": Double(result.latency.maxRecorded) / 1e3,
      "overloaded": result.overloaded, "unavailable": result.unavailable,
      "residentMax": residentMax, "memoryMax": memoryMax, "refusals": refusals,
      "replicaNanoseconds": replicas.reduce(0) { $0 + ($1.user + $1.system) * 1e9 }
        / (Double(max(1, result.operations)) * (1 + command.warmUp / command.seconds)),
      "wrongReplies": result.wrongReplies, "unknownOutcomes": result.unknownOutcomes,
    ]
    let data = try? JSONSerialization.data(
      withJSONObject: value, options: [.prettyPrinted, .sortedKeys])
    return data.map { String(decoding: $0, as: UTF8.self) } ?? "{}"
  }
}
