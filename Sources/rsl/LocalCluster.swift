import Foundation
import Protocol
import RSLClient
import RealRuntime

/// Replicas as processes of their own on this machine: for `bench`, `demo` and tests.
///
/// Its processes end with it, whatever happens to this one: they are asked to die when their parent does.
final class LocalCluster {
  struct Options {
    var replicas = 3
    /// Where the data directories are made.
    var directory: String
    /// Passed to every replica: keys of the configuration as flags.
    var flags: [String] = []
    /// The command line of a replica's process in front of `serve`; this executable.
    var executable = "/proc/self/exe"
  }

  /// A replica's process, and where it is reached.
  final class Replica {
    let id: ReplicaID
    let address: MemberAddress
    let admin: SocketEndpoint
    let flags: [String]
    fileprivate(set) var process: Process?
    let logPath: String

    fileprivate init(
      _ address: MemberAddress, admin: SocketEndpoint, flags: [String], logPath: String
    ) {
      id = address.id
      self.address = address
      self.admin = admin
      self.flags = flags
      self.logPath = logPath
    }

    var pid: Int32? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }
  }

  let options: Options
  let id: ClusterID
  let replicas: [Replica]
  private let executable: String

  init(_ options: Options) throws {
    self.options = options
    id = ClusterID(UInt64.random(in: 1...UInt64.max))
    executable = try FileManager.default.destinationOfSymbolicLink(atPath: options.executable)
    var ports = try FreePorts.take(options.replicas * 3)[...]
    let members = (1...options.replicas).map { number in
      MemberAddress(
        id: ReplicaID(UInt32(number)), host: "127.0.0.1", peerPort: ports.removeFirst(),
        clientPort: ports.removeFirst())
    }
    let list = members.map { "\($0.id.rawValue)=\($0.host):\($0.peerPort):\($0.clientPort)" }
      .joined(separator: ",")
    let cluster = String(id.rawValue, radix: 16)
    try FileManager.default.createDirectory(
      atPath: options.directory, withIntermediateDirectories: true)
    replicas = members.map { member in
      let admin = SocketEndpoint(address: "127.0.0.1", port: ports.removeFirst())
      let folder = "\(options.directory)/replica-\(member.id.rawValue)"
      return Replica(
        member, admin: admin,
        flags: [
          "--cluster", cluster, "--replica", "\(member.id.rawValue)", "--members", list,
          "--data-directory", folder, "--listen-admin", "\(admin)", "--insecure-plaintext",
          "--tls-enabled", "false", "--tls-clients", "plaintext",
        ] + options.flags, logPath: folder + ".log")
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

  /// Formats what is not formatted, and starts every replica that does not run.
  func start() throws {
    for replica in replicas where replica.pid == nil { try start(replica) }
  }

  func start(_ replica: Replica) throws {
    let folder = "\(options.directory)/replica-\(replica.id.rawValue)"
    if !FileManager.default.fileExists(atPath: folder + "/identity") {
      let format = try run(["format"] + replica.flags, log: replica.logPath)
      format.waitUntilExit()
      guard format.terminationStatus == 0 else {
        throw CommandFailure(
          .usage, "replica \(replica.id) cannot be formatted: \(lastLine(of: replica.logPath))")
      }
    }
    replica.process = try run(["serve"] + replica.flags, log: replica.logPath)
  }

  /// What a replica said last.
  func lastLine(of path: String) -> String {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
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

  private func run(_ arguments: [String], log: String) throws -> Process {
    if !FileManager.default.fileExists(atPath: log) {
      FileManager.default.createFile(atPath: log, contents: nil)
    }
    guard let output = FileHandle(forWritingAtPath: log) else {
      throw CommandFailure(.usage, "\(log) cannot be written")
    }
    output.seekToEndOfFile()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: executable)
    process.arguments = arguments
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
