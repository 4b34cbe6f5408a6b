import ArgumentParser
import Foundation
import Protocol
import RealRuntime

/// Which admin endpoints a command asks.
struct AdminArguments: ParsableArguments {
  @Option(
    name: .long,
    help: "An admin endpoint, such as 127.0.0.1:7300; several times for several nodes.")
  var address: [String] = []

  @Option(
    name: .long,
    help: "A node's configuration: its admin address, and its CA where the port speaks TLS.")
  var config: String?

  @Option(name: .long, help: "The CA's certificates; with it, the endpoints are spoken to by TLS.")
  var ca: String?

  @Option(name: .long, help: "This caller's certificate; control needs an admin's.")
  var certificate: String?

  @Option(name: .long, help: "The certificate's key.")
  var key: String?

  func clients() throws -> [AdminClient] {
    var endpoints = try address.map { text -> SocketEndpoint in
      guard let endpoint = SocketEndpoint(text) else {
        throw CommandFailure(
          .usage, "--address \(text): expected a numeric address and a port, such as 127.0.0.1:7300"
        )
      }
      return endpoint
    }
    let configuration = try configuration()
    if endpoints.isEmpty {
      guard let configuration else {
        endpoints = [SocketEndpoint(address: "127.0.0.1", port: 7300)]
        return try clients(endpoints, nil)
      }
      guard let endpoint = configuration.listen.admin else {
        throw CommandFailure(.usage, "listen.admin is none: the node has no admin endpoint")
      }
      endpoints = [endpoint]
    }
    return try clients(endpoints, configuration)
  }

  private func configuration() throws -> NodeConfiguration? {
    guard config != nil || ProcessInfo.processInfo.environment["RSL_CONFIG"] != nil else {
      return nil
    }
    do throws(ConfigurationError) {
      return try NodeConfiguration.load(
        file: config, environment: ProcessInfo.processInfo.environment, flags: [],
        passesOverApplications: true
      ).configuration
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }

  private func clients(
    _ endpoints: [SocketEndpoint], _ configuration: NodeConfiguration?
  ) throws
    -> [AdminClient]
  {
    let credentials = try credentials(configuration)
    return endpoints.map { AdminClient(endpoint: $0, credentials: credentials) }
  }

  private func credentials(_ configuration: NodeConfiguration?) throws -> TLSCredentials? {
    let isMutual = configuration?.tls.admin == .mutual
    guard isMutual || ca != nil || certificate != nil || key != nil else { return nil }
    let tls = isMutual ? configuration?.tls : nil
    guard let ca = ca ?? tls?.ca, let certificate = certificate ?? tls?.certificate,
      let key = key ?? tls?.key
    else {
      throw CommandFailure(.usage, "--ca, --certificate and --key go together")
    }
    do throws(TLSCredentials.Problem) {
      return try TLSCredentials(files: .init(ca: ca, certificate: certificate, key: key))
    } catch {
      throw CommandFailure(.usage, error.description)
    }
  }

  /// The one endpoint of a command that changes something.
  func client() throws -> AdminClient {
    let clients = try clients()
    guard clients.count == 1 else {
      throw CommandFailure(.usage, "expected one --address, not \(clients.count)")
    }
    return clients[0]
  }
}

/// Asks every endpoint at once; the answers are in the order of the endpoints.
func askAll(_ clients: [AdminClient]) async -> [StatusText.Answer] {
  await withTaskGroup(of: (Int, StatusText.Answer).self) { group in
    for (place, client) in clients.enumerated() {
      group.addTask {
        do throws(AdminClient.Failure) {
          return (place, (client.endpoint, .success(try await client.status())))
        } catch {
          return (place, (client.endpoint, .failure(error)))
        }
      }
    }
    var answers: [(Int, StatusText.Answer)] = []
    for await answer in group { answers.append(answer) }
    return answers.sorted { $0.0 < $1.0 }.map(\.1)
  }
}

struct Status: AsyncParsableCommand {
  enum Format: String, ExpressibleByArgument, CaseIterable { case text, json }

  static let configuration = CommandConfiguration(
    abstract: "Say what nodes do.",
    discussion: "Exit status 1 when a node cannot be reached, 3 when all can and none leads.")

  @OptionGroup var admin: AdminArguments
  @Option(help: "text or json.") var format = Format.text

  func run() async throws {
    let answers = await askAll(try admin.clients())
    switch format {
    case .text: print(StatusText.overview(answers).joined(separator: "\n"))
    case .json:
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      let nodes = answers.compactMap { try? $0.result.get() }
      print(String(decoding: try encoder.encode(nodes), as: UTF8.self))
    }
    for answer in answers {
      if case .failure(let failure) = answer.result {
        throw CommandFailure(.usage, failure.description)
      }
    }
    if answers.allSatisfy({ (try? $0.result.get())?.leader == nil }) {
      throw CommandFailure(.liveness, "no node knows a leader")
    }
  }
}

struct Top: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Watch nodes: who leads, and where commands spend their time.",
    discussion: "Without a terminal it prints once and ends.")

  @OptionGroup var admin: AdminArguments
  @Option(help: "Seconds between two looks.") var interval = 1.0

  func run() async throws {
    guard (0.1...3_600).contains(interval) else {
      throw CommandFailure(.usage, "--interval \(interval): expected 0.1 to 3600 seconds")
    }
    let clients = try admin.clients()
    guard isatty(STDOUT_FILENO) == 1 else {
      let answers = await askAll(clients)
      print(StatusText.screen(answers).joined(separator: "\n"))
      for answer in answers {
        if case .failure(let failure) = answer.result {
          throw CommandFailure(.usage, failure.description)
        }
      }
      return
    }
    var earlier: [UInt32: NodeStatus] = [:]
    while true {
      let answers = await askAll(clients)
      let lines = StatusText.screen(answers, since: earlier)
      // Home, each line to its end, then everything below: a redraw that does not flicker.
      let text = lines.map { $0 + "\u{1B}[K\n" }.joined()
      FileHandle.standardOutput.write(Data("\u{1B}[H\(text)\u{1B}[J".utf8))
      for answer in answers {
        if case .success(let node) = answer.result { earlier[node.id] = node }
      }
      try await Task.sleep(for: .seconds(interval))
    }
  }
}

struct Leader: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Leadership.", subcommands: [Move.self])

  struct Move: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Hand leadership over; ask the leader for it.")

    @OptionGroup var admin: AdminArguments
    @Option(help: "The member that is to lead; else the leader picks one.") var to: UInt32?

    func run() async throws {
      let client = try admin.client()
      do throws(AdminClient.Failure) {
        let target = try await client.moveLeader(to: to.map { ReplicaID($0) })
        print("replica \(target.rawValue) is to lead")
      } catch {
        throw CommandFailure(.usage, error.description)
      }
    }
  }
}

struct Snapshot: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Take a snapshot now.")

  @OptionGroup var admin: AdminArguments

  func run() async throws {
    let client = try admin.client()
    do throws(AdminClient.Failure) {
      print("snapshot at slot \(try await client.takeSnapshot())")
    } catch {
      throw CommandFailure(.usage, error.description)
    }
  }
}
