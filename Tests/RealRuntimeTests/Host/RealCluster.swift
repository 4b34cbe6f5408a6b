import Foundation
import Logging
import Protocol
import RSLClient
import Synchronization
import Testing

@testable import RealRuntime

/// Replicas in this process, each with its own loop, sockets and files.
final class RealCluster: Sendable {
  static let cluster = ClusterID(0xC1)
  let directory: TemporaryDirectory
  let configurations: [NodeConfiguration]
  private let nodes = Mutex<[ReplicaID: ReplicaNode]>([:])

  init(
    _ count: Int = 3, _ name: String = #function,
    _ change: (inout NodeConfiguration) -> Void = { _ in }
  ) throws {
    directory = TemporaryDirectory(name)
    let ports = try FreePorts.take(2 * count)
    let members = (0..<count).map {
      MemberAddress(
        id: ReplicaID(UInt32($0 + 1)), host: "127.0.0.1", peerPort: ports[2 * $0],
        clientPort: ports[2 * $0 + 1])
    }
    var configurations: [NodeConfiguration] = []
    for member in members {
      var configuration = NodeConfiguration()
      configuration.cluster = Self.cluster
      configuration.replica = member.id
      configuration.members = members
      configuration.dataDirectory = "\(directory.path)/\(member.id)"
      configuration.listen.peer = SocketEndpoint(address: "127.0.0.1", port: member.peerPort)
      configuration.listen.client = SocketEndpoint(address: "127.0.0.1", port: member.clientPort)
      configuration.listen.admin = nil
      configuration.journal.segmentBytes = 4 << 20
      configuration.logBytes = 16 << 20
      configuration.options.batchBytesMax = 64 << 10
      configuration.tls.isEnabled = false
      configuration.tls.clients = .plaintext
      configuration.insecure.plaintext = true
      change(&configuration)
      try DataDirectory.format(
        configuration.dataDirectory, cluster: Self.cluster, replica: member.id)
      configurations.append(configuration)
    }
    self.configurations = configurations
  }

  var quietLogger: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

  func start(
    _ number: UInt32, _ machine: some StateMachine & Sendable = ByteStore(), logger: Logger? = nil,
    reader: FileReader = .system, seed: UInt64 = .random(in: 0 ... .max)
  ) throws {
    let configuration = configurations[Int(number) - 1]
    let node = try ReplicaNode.start(
      configuration: configuration, machine: machine, logger: logger ?? quietLogger, reader: reader,
      seed: seed)
    nodes.withLock { $0[ReplicaID(number)] = node }
  }

  func startAll() throws { for i in configurations.indices { try start(UInt32(i + 1)) } }

  func node(_ number: UInt32) throws -> ReplicaNode {
    try #require(nodes.withLock { $0[ReplicaID(number)] })
  }

  func stop(_ number: UInt32) async throws {
    let node = try node(number)
    node.stop()
    try await node.ended()
    nodes.withLock { $0[ReplicaID(number)] = nil }
  }

  func stopAll() async throws {
    for id in nodes.withLock({ $0.keys.map(\.rawValue) }) { try await stop(id) }
  }

  var client: Client {
    Client(
      ClientConfiguration(
        cluster: Self.cluster,
        replicas: configurations[0].members.map {
          ReplicaAddress(id: $0.id, host: $0.host, port: Int($0.clientPort))
        }), timeout: .seconds(60))
  }

  func status(_ number: UInt32) async throws -> HostStatus? {
    let node = try node(number)
    return await node.status() as HostStatus?
  }

  /// Waits until some replica leads, and returns it.
  func leader() async throws -> UInt32 {
    var found: UInt32?
    try await until("a leader") {
      for number in self.nodes.withLock({ $0.keys.map(\.rawValue).sorted() }) {
        if try await self.status(number)?.role == .leader { found = number }
      }
      return found != nil
    }
    return try #require(found)
  }

  func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    try await waitUntil(what, condition)
  }
}

extension Client {
  func put(_ key: UInt64, _ value: [UInt8]) async throws -> UInt64 {
    var command: [UInt8] = []
    ByteStore.encodePut(key, value: value.span.bytes, into: &command)
    let reply = try await execute(command)
    return reply.bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
  }

  func get(_ key: UInt64) async throws -> (puts: UInt64, value: [UInt8])? {
    var query: [UInt8] = []
    ByteStore.encodeGet(key, into: &query)
    let reply = try await read(query)
    guard reply.bytes.count >= 8 else { return nil }
    let puts = reply.bytes.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
    return (puts, Array(reply.bytes[8...]))
  }
}
