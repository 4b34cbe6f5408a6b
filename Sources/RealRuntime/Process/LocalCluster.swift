internal import Foundation
public import Protocol
internal import Synchronization

/// Replicas as processes of their own on this machine, to try out, to measure and to test.
///
/// Each is one executable with the commands `format` and `serve`, which take the keys of the configuration as flags. They end
/// with `stop`, or when this value goes; not when this process is killed.
public final class LocalCluster {
  /// Where a replica's process runs.
  public struct Place: Sendable {
    public var host: String
    /// The command line in front of the replica's own.
    public var launcher: [String]
    /// Beside that of this process.
    public var environment: [String: String]

    public init(
      host: String = "127.0.0.1", launcher: [String] = [], environment: [String: String] = [:]
    ) {
      self.host = host
      self.launcher = launcher
      self.environment = environment
    }
  }

  public struct Options: Sendable {
    public var replicas = 3
    /// Where the data directories are made, or are found again.
    public var directory: String
    /// Passed to every replica: keys of the configuration as flags.
    public var flags: [String] = []
    /// Passed to one replica beside these.
    public var ownFlags: @Sendable (ReplicaID) -> [String] = { _ in [] }
    /// The path of the replicas' program; nil: this one.
    public var executable: String?
    /// By replica, from the first; those without one are beside this process.
    public var places: [Place] = []

    public init(directory: String) { self.directory = directory }
  }

  /// What this machine refused.
  public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  /// A replica's process, and where it is reached.
  public final class Replica {
    public let id: ReplicaID
    public let address: MemberAddress
    public let admin: SocketEndpoint
    public let flags: [String]
    public let place: Place
    /// What it keeps, and beside it the log.
    public let folder: String
    fileprivate var process: Process?

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

    /// What the process says.
    public var logPath: String { folder + ".log" }

    /// Nil while it does not run.
    public var pid: Int32? { process.flatMap { $0.isRunning ? $0.processIdentifier : nil } }

    /// The last thing the process said.
    public var lastLine: String {
      let text = (try? String(contentsOfFile: logPath, encoding: .utf8)) ?? ""
      return text.split(separator: "\n").last.map(String.init) ?? "it said nothing"
    }
  }

  public let options: Options
  public let id: ClusterID
  public let replicas: [Replica]
  private let executable: String

  /// Starts nothing yet. Ports are drawn anew each time; the cluster's identity is kept in the directory.
  public init(_ options: Options) throws {
    self.options = options
    executable =
      try options.executable
      ?? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
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
    try FileManager.default.createDirectory(
      atPath: options.directory, withIntermediateDirectories: true)
    id = try Self.identity(in: options.directory)
    let cluster = id.hex
    replicas = zip(members, places).map { member, place in
      let admin = SocketEndpoint(address: place.host, port: ports.removeFirst())
      let folder = "\(options.directory)/replica-\(member.id.rawValue)"
      return Replica(
        member, admin: admin,
        flags: [
          "--cluster", cluster, "--replica", "\(member.id.rawValue)", "--members", list,
          "--data-directory", folder, "--listen-admin", "\(admin)", "--insecure-plaintext",
          "--tls-enabled", "false", "--tls-clients", "plaintext",
        ] + options.flags + options.ownFlags(member.id), place: place, folder: folder)
    }
  }

  deinit { for replica in replicas { replica.process?.terminate() } }

  private static func identity(in directory: String) throws -> ClusterID {
    let path = directory + "/cluster"
    if FileManager.default.fileExists(atPath: path) {
      let text = try String(contentsOfFile: path, encoding: .utf8)
      guard let id = ClusterID(hex: text) else {
        throw Failure(description: "\(path) does not hold a cluster's identity; use another folder")
      }
      return id
    }
    let id = ClusterID(UInt64.random(in: 1...UInt64.max))
    try id.hex.write(toFile: path, atomically: true, encoding: .utf8)
    return id
  }

  /// Formats what is not formatted, and starts every replica that does not run.
  public func start() throws {
    for replica in replicas where replica.pid == nil { try start(replica) }
  }

  public func start(_ replica: Replica) throws {
    if !DataDirectory.isFormatted(replica.folder) {
      let format = try run("format", replica)
      format.waitUntilExit()
      guard format.terminationStatus == 0 else {
        throw Failure(
          description: "replica \(replica.id) cannot be formatted: \(replica.lastLine)")
      }
    }
    replica.process = try run("serve", replica)
  }

  /// The exit status of a replica that ended by itself, once; nil while it runs, and for one that was killed here.
  public func ended(_ replica: Replica) -> Int32? {
    guard let process = replica.process, !process.isRunning else { return nil }
    replica.process = nil
    return process.terminationStatus
  }

  /// Ends a process at once, as a crash would.
  public func kill(_ replica: Replica) {
    guard let process = replica.process, let pid = replica.pid else { return }
    Foundation.kill(pid, SIGKILL)
    process.waitUntilExit()
    replica.process = nil
  }

  /// Asks a process to end, as an operator would, and waits; returns its exit status, nil when it did not run.
  @discardableResult
  public func stop(_ replica: Replica) -> Int32? {
    guard let process = replica.process else { return nil }
    if process.isRunning { process.terminate() }
    process.waitUntilExit()
    replica.process = nil
    return process.terminationStatus
  }

  /// Asks every process to end, and waits.
  public func stop() {
    for replica in replicas { replica.process?.terminate() }
    for replica in replicas { stop(replica) }
  }

  private func run(_ command: String, _ replica: Replica) throws -> Process {
    let log = replica.logPath
    if !FileManager.default.fileExists(atPath: log) {
      _ = FileManager.default.createFile(atPath: log, contents: nil)
    }
    guard let output = FileHandle(forWritingAtPath: log) else {
      throw Failure(description: "\(log) cannot be written")
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
///
/// Each is held by a socket that is bound and does not listen, for as long as this process lives: no other process finds it
/// free, also while the replica it is for is down, and whoever sets `SO_REUSEADDR` can listen at it.
public enum FreePorts {
  private static let held = Mutex<[UInt16: Int32]>([:])

  /// Another time others: no port is handed out twice.
  public static func take(_ count: Int) throws -> [UInt16] {
    var ports: [UInt16] = []
    for _ in 0..<1_000 where ports.count < count {
      let port = UInt16.random(in: 15_000..<30_000)
      if hold(port) { ports.append(port) }
    }
    guard ports.count == count else {
      throw LocalCluster.Failure(description: "no free ports on 127.0.0.1")
    }
    return ports
  }

  /// Takes ports that were chosen otherwise, so that they are not handed out as well.
  public static func reserve(_ ports: some Sequence<UInt16>) {
    for port in ports { _ = hold(port) }
  }

  /// False when the port is in use, or held.
  private static func hold(_ port: UInt16) -> Bool {
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(AF_INET, type, 0)
    guard descriptor >= 0 else { return false }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let isFree = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    // Only now: set before, it would let the port be bound although another process holds it.
    var on: Int32 = 1
    guard isFree,
      setsockopt(
        descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size)) == 0
    else {
      close(descriptor)
      return false
    }
    held.withLock { $0[port] = descriptor }
    return true
  }
}
