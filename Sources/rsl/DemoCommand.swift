import ArgumentParser
import Foundation
import Protocol
import RSLClient
import RealRuntime

struct Demo: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show a cluster that loses its leader and nothing else.",
    discussion: """
      Three replicas as processes of their own, a load, kill -9 of the leader under it, a restart, and every write that \
      was acknowledged read back. Fails when a write is lost, and when writes stand still for too long after a kill.
      """)

  @Option(help: "How many replicas.") var replicas = 3
  @Option(help: "Writers at the same time.") var writers = 64
  @Option(help: "How often the leader is killed.") var kills = 3
  @Option(help: "Seconds of load between two kills.") var seconds = 3.0
  @Option(help: "Seconds that writes may stand still after a kill, at the 99th percentile; 0: any.")
  var outageMax = Demo.outageMaxUsual
  @Option(help: "Where the journals lie; a new folder in it is made, and removed.")
  var directory = "."
  @Option(help: "table or json.") var format = OutputFormat.table

  /// Three election timeouts: one until the leader is missed, at most one of jitter, and one to elect and to be found.
  private static let outageMaxUsual =
    Double((NodeConfiguration().options.electionTimeout * 3).nanoseconds) / 1e9

  func validate() throws {
    guard (3...9).contains(replicas) else { throw ValidationError("--replicas must be 3 to 9") }
    guard writers > 0, kills >= 0, seconds > 0, outageMax >= 0 else {
      throw ValidationError(
        "--writers and --seconds must be above zero, --kills and --outage-max not below")
    }
  }

  func run() async throws {
    let folder = "\(directory)/rsl-demo-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var options = LocalCluster.Options(directory: folder)
    options.replicas = replicas
    let cluster = try LocalCluster(options)
    try cluster.start()
    defer { cluster.stop() }
    let client = Client(cluster.clientConfiguration)
    let ledger = Ledger()
    let load = Task { [writers] in await Writers(client, ledger).run(writers) }
    say("\(replicas) replicas, \(writers) writers")
    try await until("the first write is acknowledged") { ledger.count > 0 }
    var outages = Outages()
    for kill in 0..<kills {
      try await Task.sleep(for: .seconds(seconds))
      var found: LocalCluster.Replica?
      try await until("a replica says that it leads") {
        found = await cluster.leader()
        return found != nil
      }
      guard let leader = found else { return }
      let before = ledger.count
      ledger.beginOutage()
      cluster.kill(leader)
      try await until("a write is acknowledged after kill -9 of the leader") {
        ledger.count > before + writers
      }
      let outage = ledger.longestGap()
      outages.append(outage)
      say(
        String(
          format: "kill -9 of the leader (%@), number %d: writes stood still for %.0f ms",
          "\(leader.id)", kill + 1, outage * 1e3))
      try cluster.start(leader)
      try await until("\(leader.id) has caught up") { await hasCaughtUp(leader, ledger) }
      say("\(leader.id) is back and has caught up")
    }
    try await Task.sleep(for: .seconds(seconds))
    load.cancel()
    await load.value
    let lost = await AcknowledgedWrites(ledger.acknowledged).lost(client)
    await client.close()
    report(ledger, lost, outages)
    guard lost == 0 else { throw CommandFailure(.safety, "\(lost) acknowledged writes are lost") }
    guard outageMax == 0 || outages.share(0.99) < outageMax else {
      throw CommandFailure(
        .liveness,
        String(
          format: "writes stood still for %.0f ms (99th percentile), allowed are %.0f ms",
          outages.share(0.99) * 1e3, outageMax * 1e3))
    }
  }

  private func hasCaughtUp(_ replica: LocalCluster.Replica, _ ledger: Ledger) async -> Bool {
    guard let status = try? await AdminClient(endpoint: replica.admin).status() else {
      return false
    }
    // Behind by no more than what is under way.
    return status.appliedUpTo + 256 >= ledger.highestSlot
  }

  private func report(_ ledger: Ledger, _ lost: Int, _ outages: Outages) {
    switch format {
    case .table:
      say("\(ledger.count) writes acknowledged, \(ledger.unknown) of unknown outcome, \(lost) lost")
      if outages.count > 0 { say("outage after \(outages.count) kills: \(outages)") }
      say(
        String(
          format: "latency of a write: p50 %.0f us, p99 %.0f us",
          ledger.latency(0.5) * 1e6, ledger.latency(0.99) * 1e6))
    case .json:
      let value: [String: Any] = [
        "acknowledged": ledger.count, "unknown": ledger.unknown, "lost": lost,
        "outageSeconds": outages.seconds, "p50Seconds": ledger.latency(0.5),
        "p99Seconds": ledger.latency(0.99),
      ]
      if let data = try? JSONSerialization.data(withJSONObject: value, options: .sortedKeys) {
        print(String(decoding: data, as: UTF8.self))
      }
    }
  }

  private func say(_ text: String) { if format == .table { print(text) } }
}
