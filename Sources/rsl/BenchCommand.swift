import ArgumentParser
import Foundation
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
  @Option(
    help: ArgumentHelp(
      "How long to load before measuring.",
      discussion: """
        Until its log buffer has gone round once and its journal has segments to use again, a replica asks the kernel for \
        memory and writes every block of its journal twice.
        """)) var warmUp = 3.0
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
    try await cluster.waitUntilServing()
    let before = try await ReplicaReading.all(of: cluster)
    let result = try await LoadGenerator.run(load, against: client)
    let after = try await ReplicaReading.all(of: cluster)
    var report = BenchReport(self, result, zip(after, before).map { $0 - $1 })
    report.residentMax = ProcessMemory.highest(cluster)
    report.memoryMax = try cluster.memoryMax(clients: connections)
    report.refusals = await cluster.overloadRefusals()
    let leader = await cluster.statuses().first { $0.status.role == "leader" }
    report.stages = leader?.status.stages ?? []
    switch format {
    case .table: print(report.table)
    case .json: print(try report.json)
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
