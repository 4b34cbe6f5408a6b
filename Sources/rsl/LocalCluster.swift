import Foundation
import Protocol
import RSLClient
import RealRuntime

/// Replicas as processes of their own on this machine: for `bench`, `demo` and `soak`.
final class LocalCluster {
  /// Where a replica's process runs.
  struct Place {
    var host = "127.0.0.1"
    /// The command line in front of the replica's own.
    var launcher: [String] = []
    /// Beside that of this process.
    var environment: [String: String] = [:]
  }

  struct Options {
    var replicas = 3
    /// Where the data directories are made.
    var directory: String
    /// Passed to every replica: keys of the configuration as flags.
    var flags: [String] = []
    /// By replica, from the first; those without one are beside this process.
    var places: [Place] = []
  }

  /// A replica's process, and where it is reached.
  final class Replica {
    let id: ReplicaID
    let address: MemberAddress
    let admin: SocketEndpoint
    let flags: [String]
    let place: Place
    /// What it keeps, and beside it the log.
    let folder: String
    fileprivate(set) var process: Process?

    fileprivate init(
      _ address: MemberAddress, admin: SocketEndpoint, flags: [String], place: Place,
      folder: String
    ) {
      id = address.id
      self.address = address
      self.admin = admin
      self.flags = flags
      self.place = place
      self.folder = folder
    }

    var logPath: String { folder + ".log" }
    var pid: Int32? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }

    /// The last line of its log.
    var lastWords: String {
      let text = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
    }
  }

  let options: Options
  let id: ClusterID
  let replicas: [Replica]
  private let executable: String

  init(_ options: Options) throws {
    self.options = options
    id = ClusterID(UInt64.random(in: 1...UInt64.max))
    executable = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let places = (0..<options.replicas).map {
      $0 < options.places.count ? options.places[$0] : Place()
    }
    var ports = try FreePorts.take(options.replicas * 3)[...]
    let members = (1...options.replicas).map { number in
      MemberAddress(
        id: ReplicaID(UInt32(number)), host: places[number - 1].host,
        peerPort: ports.removeFirst(), clientPort: ports.removeFirst())
    }
    let list = members.map { "\($0.id.rawValue)=\($0.host):\($0.peerPort):\($0.clientPort)" }
      .joined(separator: ",")
    let cluster = String(id.rawValue, radix: 16)
    try FileManager.default.createDirectory(
      atPath: options.directory, withIntermediateDirectories: true)
    replicas = zip(members, places).map { member, place in
      let admin = SocketEndpoint(address: place.host, port: ports.removeFirst())
      let folder = "\(options.directory)/replica-\(member.id.rawValue)"
      return Replica(
        member, admin: admin,
        flags: [
          "--cluster", cluster, "--replica", "\(member.id.rawValue)", "--members", list,
          "--data-directory", folder, "--listen-admin", "\(admin)", "--insecure-plaintext",
          "--tls-enabled", "false", "--tls-clients", "plaintext",
        ] + options.flags, place: place, folder: folder)
    }
  }

  deinit { for replica in replicas { replica.process?.terminate() } }

  /// How clients reach the cluster.
  var clientConfiguration: ClientConfiguration {
    ClientConfiguration(
      cluster: id,
      replicas: replicas.map {
        ReplicaAddress(id: $0.id, host: $0.address.host, port: Int($0.address.clientPort))
      })
  }

  /// The most memory that a replica may have resident with so many clients, in bytes.
  func memoryMax(clients: Int) throws -> Int {
    try NodeConfiguration.load(
      file: nil, environment: ProcessInfo.processInfo.environment, flags: replicas[0].flags
    ).configuration.memoryMax(clients: clients)
  }

  /// Commands that the replicas which run have refused because there was no room.
  func overloadRefusals() async -> UInt64 {
    var count: UInt64 = 0
    for replica in replicas where replica.pid != nil {
      guard let status = try? await AdminClient(endpoint: replica.admin).status() else { continue }
      count += status.rejections["overloaded", default: 0]
      count += status.rejections["logBufferFull", default: 0]
    }
    return count
  }

  /// Formats what is not formatted, and starts every replica that does not run.
  func start() throws {
    for replica in replicas where replica.pid == nil { try start(replica) }
  }

  func start(_ replica: Replica) throws {
    if !FileManager.default.fileExists(atPath: replica.folder + "/identity") {
      let format = try run("format", replica)
      format.waitUntilExit()
      guard format.terminationStatus == 0 else {
        throw CommandFailure(
          .usage, "replica \(replica.id) cannot be formatted: \(replica.lastWords)")
      }
    }
    replica.process = try run("serve", replica)
  }

  /// The exit status of a replica that ended by itself, once; nil while it runs, and for one that was killed here.
  func ended(_ replica: Replica) -> Int32? {
    guard let process = replica.process, !process.isRunning else { return nil }
    replica.process = nil
    return process.terminationStatus
  }

  /// Ends a process at once, as a crash would.
  func kill(_ replica: Replica) {
    guard let process = replica.process, let pid = replica.pid else { return }
    Foundation.kill(pid, SIGKILL)
    process.waitUntilExit()
    replica.process = nil
  }

  /// Asks every process to end, and waits.
  func stop() {
    for replica in replicas { replica.process?.terminate() }
    for replica in replicas {
      replica.process?.waitUntilExit()
      replica.process = nil
    }
  }

  private func run(_ command: String, _ replica: Replica) throws -> Process {
    let log = replica.logPath
    if !FileManager.default.fileExists(atPath: log) {
      FileManager.default.createFile(atPath: log, contents: nil)
    }
    guard let output = FileHandle(forWritingAtPath: log) else {
      throw CommandFailure(.usage, "\(log) cannot be written")
    }
    output.seekToEndOfFile()
    let process = Process()
    let line = replica.place.launcher + [executable, command] + replica.flags
    process.executableURL = URL(fileURLWithPath: line[0])
    process.arguments = Array(line[1...])
    if !replica.place.environment.isEmpty {
      process.environment = ProcessInfo.processInfo.environment.merging(replica.place.environment) {
        $1
      }
    }
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return process
  }
}

/// Ports that nobody listens at, below those that the system gives to outgoing connections: a client that tries such a
/// port again and again would one day be connected to itself.
enum FreePorts {
  static func take(_ count: Int) throws -> [UInt16] {
    var ports: [UInt16] = []
    for _ in 0..<1_000 where ports.count < count {
      let port = UInt16.random(in: 15_000..<30_000)
      if !ports.contains(port), isFree(port) { ports.append(port) }
    }
    guard ports.count == count else { throw CommandFailure(.usage, "no free ports on 127.0.0.1") }
    return ports
  }

  private static func isFree(_ port: UInt16) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}
