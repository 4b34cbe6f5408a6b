import ArgumentParser
import Glibc

@main
struct BareLoop: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bare-loop",
    abstract: "The floor that `rsl bench` is measured against.",
    discussion: """
      A leader, two followers and a client, each a process with one thread, on epoll and loopback TCP. The leader puts a \
      header in front of all operations that are there, sends these bytes to both followers, and writes them to its \
      journal; what is durable on two of three is answered. There is no protocol in it: no elections, no sessions, no \
      recovery.
      """,
    subcommands: [Run.self, Lead.self, Follow.self], defaultSubcommand: Run.self)
}

enum OutputFormat: String, ExpressibleByArgument, CaseIterable { case table, json }

/// Starts the replicas, and is the client.
struct Run: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Measure, and print a table or JSON.")

  @OptionGroup var settings: Settings
  @Option(help: "How long to measure.") var seconds = 5.0
  @Option(help: "How long to load before measuring.") var warmUp = 0.5
  @Option(help: "table or json.") var format = OutputFormat.table

  func validate() throws {
    guard seconds > 0, seconds <= 86_400, (0...86_400).contains(warmUp) else {
      throw ValidationError("--seconds must be above zero, --warm-up not below, and a day at most")
    }
  }

  func run() throws {
    let (result, reports) = try measure()
    let report = Report(settings, result, reports)
    switch format {
    case .table: print(report.table)
    case .json: print(try report.json)
    }
  }

  private func measure() throws -> (LoadClient.Result, [(name: String, report: RoleReport)]) {
    let peers = [try TCPPair(), try TCPPair()]
    let clients = try (0..<settings.connections).map { _ in try TCPPair() }
    func list(_ descriptors: [Int32]) -> String {
      descriptors.map(String.init).joined(separator: ",")
    }
    var processes = [
      try ReplicaProcess(
        "leader",
        arguments: ["lead"] + settings.arguments
          + ["--peers", list(peers.map(\.near)), "--clients", list(clients.map(\.far))],
        inheriting: peers.map(\.near) + clients.map(\.far))
    ]
    for (place, peer) in peers.enumerated() {
      let name = "follower-\(place + 1)"
      processes.append(
        try ReplicaProcess(
          name,
          arguments: ["follow"] + settings.arguments + ["--name", name, "--leader", "\(peer.far)"],
          inheriting: [peer.far]))
    }
    // Whoever goes is noticed by the others only when nobody else holds its sockets.
    for descriptor in peers.flatMap({ [$0.near, $0.far] }) + clients.map(\.far) {
      close(descriptor)
    }
    for process in processes { try process.waitUntilReady() }
    let client = try LoadClient(settings, descriptors: clients.map(\.near))
    let result = try client.run(warmUp: warmUp, seconds: seconds)
    for pair in clients { close(pair.near) }
    let reports = try processes.map { (name: $0.name, report: try $0.report()) }
    for (name, report) in reports
    where report.operations != result.operationsInAll || report.digest != reports[0].report.digest {
      throw BareLoopError("\(name) has not applied the same operations as the others")
    }
    return (result, reports)
  }
}

struct Lead: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "The leader.", shouldDisplay: false)

  @OptionGroup var settings: Settings
  @Option(transform: descriptors) var peers: [Int32]
  @Option(transform: descriptors) var clients: [Int32]
  @Option var report: Int32

  func run() throws {
    let leader = try Leader(settings, peers: peers, clients: clients)
    let pipe = ReportPipe(descriptor: report)
    try pipe.ready()
    try pipe.end(try leader.run())
  }
}

struct Follow: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "A follower.", shouldDisplay: false)

  @OptionGroup var settings: Settings
  @Option var name: String
  @Option var leader: Int32
  @Option var report: Int32

  func run() throws {
    let follower = try Follower(settings, name: name, leader: leader)
    let pipe = ReportPipe(descriptor: report)
    try pipe.ready()
    try pipe.end(try follower.run())
  }
}

private func descriptors(_ text: String) throws -> [Int32] {
  try text.split(separator: ",").map {
    guard let descriptor = Int32($0) else { throw ValidationError("\(text): not descriptors") }
    return descriptor
  }
}
