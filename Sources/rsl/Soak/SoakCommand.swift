import ArgumentParser
import Foundation
import Protocol
import RSLClient
import RealRuntime
import Synchronization

struct Soak: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Hurt a cluster of real processes for a while, and judge what its clients saw.",
    discussion: """
      Faults in rotation: kill -9, SIGSTOP, partitions in network namespaces, slow and failing disks by strace, jumping \
      wall clocks, garbage on every port. What clients asked and were answered is judged by the search checker of rsl-sim, key by \
      key; every acknowledged write is read back; and what the replicas recorded is replayed. What a machine does not permit \
      is left out and said. Exit status: 0 fine, 1 environment or undecided, 2 a write lost or not linearizable, 3 a cluster \
      that did not recover, 4 a recording that replays otherwise, 5 a replica that ended unasked.
      """)

  @Option(help: "How long rounds of faults are begun: 90s, 10m, 2h.") var duration = SoakTime(
    seconds: 60)
  @Option(help: "How many replicas.") var replicas = 3
  @Option(help: "Clients, each with one operation at a time.") var workers = 64
  @Option(help: "Operations a second, of all clients together.") var rate = 4_000.0
  @Option(help: "Faults, separated by commas (default: all).") var faults: FaultList?
  @Option(help: "Draws the order of the faults and their victims; another one each time.")
  var seed: UInt64?
  @Option(help: "The simulator's command line (default: rsl-sim beside this executable).")
  var rslSim: String?
  @Option(help: "Steps of the search for each part of the history.") var budget = 50_000_000
  @Option(help: "Where everything lies; a new folder in it is made, and removed if all is well.")
  var directory = "."
  @Flag(help: "Keep the folder.") var keep = false
  @Option(help: "table or json.") var format = OutputFormat.table

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp("Keys of docs/configuration.md for every replica.", valueName: "--key value")
  )
  var settings: [String] = []

  func validate() throws {
    guard (3...9).contains(replicas) else { throw ValidationError("--replicas must be 3 to 9") }
    guard workers > 0, rate > 0, budget > 0 else {
      throw ValidationError("--workers, --rate and --budget must be above zero")
    }
  }

  func run() async throws {
    let judge = try SoakJudge(rslSim: rslSim, budget: budget)
    let folder = "\(directory)/rsl-soak-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let interruption = Interruption()
    defer { withExtendedLifetime(interruption) {} }
    let ground = try SoakGround(replicas: replicas, folder: folder, wanted: faults?.faults)
    defer { ground.close() }
    let seed = seed ?? UInt64.random(in: 0...UInt64.max)
    say("\(replicas) replicas, \(workers) clients, seed \(seed), in \(folder)")
    for (fault, reason) in ground.skipped { say("skipped \(fault.rawValue): \(reason)") }

    var options = LocalCluster.Options(directory: folder)
    options.replicas = replicas
    options.places = ground.places
    options.flags =
      [
        "--insecure-plaintext-anywhere", "--recorder-enabled", "--lease-duration",
        "\(NodeConfiguration().options.electionTimeout.nanoseconds / 1_000_000)ms",
      ] + settings
    let cluster = try LocalCluster(options)
    defer { cluster.stop() }
    try cluster.start()
    let load = try SoakLoad(
      cluster.clientConfiguration, folder: folder, workers: workers, rate: rate,
      modes: [.quorum, .lease])
    let nemesis = SoakNemesis(
      cluster, load, network: ground.network, strace: ground.strace, clockFile: ground.clockFile,
      seed: seed)
    var report = SoakReport(seed: seed, skipped: ground.skipped)
    let working = Task { await load.run() }
    let began = ContinuousClock.now
    do {
      try await nemesis.beWell()
      try await makeFaults(ground.possible, nemesis, load, &report, interruption)
    } catch {
      report.failures.append(CommandFailure(error))
    }
    load.end()
    await working.value
    report.seconds = (ContinuousClock.now - began) / .seconds(1)
    report.residentMax = ProcessMemory.highest(cluster)
    // A cluster that is not well cannot be asked.
    if report.failures.isEmpty { report.audit = await load.audit() }
    report.counts = load.totals
    await load.close()
    cluster.stop()
    say("\(load.acknowledged) operations acknowledged; now judging")
    try judge.judge(load.histories, cluster, &report)
    print(format == .json ? report.json : report.table)
    guard let failure = report.gravest else {
      if !keep { try? FileManager.default.removeItem(atPath: folder) }
      return
    }
    throw CommandFailure(failure.code, "\(failure.message) (kept: \(folder); seed \(seed))")
  }

  /// Rounds of all faults, each round in its own order; none is begun when the time is over.
  private func makeFaults(
    _ faults: [SoakFault], _ nemesis: SoakNemesis, _ load: SoakLoad, _ report: inout SoakReport,
    _ interruption: Interruption
  ) async throws {
    let end = ContinuousClock.now + .seconds(duration.seconds)
    var order: [SoakFault] = []
    while ContinuousClock.now < end || !order.isEmpty, !interruption.hasCome {
      if order.isEmpty { order = nemesis.shuffled(faults) }
      guard let fault = order.popLast() else {
        try await nemesis.hold(.seconds(1))
        continue
      }
      try load.beginPart()
      _ = load.takeGap()
      try await nemesis.perform(fault)
      let gap = load.takeGap()
      report.note(fault, outage: gap)
      say(String(format: "%@: without an answer for at most %.0f ms", fault.rawValue, gap * 1e3))
      try await nemesis.hold(.milliseconds(500))
    }
  }

  private func say(_ text: String) {
    guard format == .table else { return }
    print(text)
    // Whoever watches a soak of an hour through a pipe wants to see it live.
    fflush(nil)
  }
}

/// SIGINT or SIGTERM: no more faults, and then the verdict as usual.
private final class Interruption: Sendable {
  private let flag = Atomic<Bool>(false)
  private let handler: Mutex<SignalHandler?>

  init() {
    handler = Mutex(nil)
    handler.withLock { $0 = SignalHandler([SIGINT, SIGTERM]) { [weak self] in self?.come() } }
  }

  private func come() { flag.store(true, ordering: .relaxed) }
  var hasCome: Bool { flag.load(ordering: .relaxed) }
}

/// A time as people say it.
struct SoakTime: ExpressibleByArgument {
  var seconds: Double

  init(seconds: Double) { self.seconds = seconds }

  init?(argument: String) {
    let units = ["s": 1.0, "m": 60, "h": 3_600]
    guard let unit = argument.last.flatMap({ units["\($0)"] }),
      let number = Double(argument.dropLast()), number > 0, number.isFinite
    else { return nil }
    seconds = number * unit
  }

  var defaultValueDescription: String { "\(Int(seconds))s" }
}

struct FaultList: ExpressibleByArgument {
  var faults: [SoakFault]

  init?(argument: String) {
    let names = argument.split(separator: ",").map(String.init)
    faults = names.compactMap(SoakFault.init(rawValue:))
    if faults.isEmpty || faults.count != names.count { return nil }
  }
}

extension CommandFailure {
  /// Whatever else went wrong is of the environment.
  init(_ error: any Error) {
    self = error as? CommandFailure ?? CommandFailure(.usage, "\(error)")
  }
}
