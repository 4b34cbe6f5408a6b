import Protocol
import RSLClient
import RealRuntime

/// The state that is replicated: a number that every command adds one to.
struct Counter: StateMachine {
  private(set) var count: UInt64 = 0
  /// Replicas in the same state have the same digest.
  var digest: UInt64 { count }

  mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    count &+= 1
    reply.append(count)
  }

  func query(_ query: RawSpan, reply: inout ReplyWriter) { reply.append(count) }

  func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    withUnsafeBytes(of: count.littleEndian) { bytes.append(contentsOf: $0) }
    return nil
  }

  mutating func beginRestore() { count = 0 }

  mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    guard bytes.byteCount == 8 else { throw .length }
    count = UInt64(littleEndian: bytes.unsafeLoadUnaligned(as: UInt64.self))
  }

  mutating func finishRestore() throws(SnapshotInvalid) {}
}

@main
struct CounterExample {
  static func main() async throws {
    let folder = CommandLine.arguments.dropFirst().first ?? "counter-data"
    let cluster = ClusterID(0xC0_0417)
    let ports = try FreePorts.take(6)
    let members = (0..<3).map { i in
      MemberAddress(
        id: ReplicaID(UInt32(i + 1)), host: "127.0.0.1", peerPort: ports[i],
        clientPort: ports[i + 3])
    }

    // Three replicas in one process. In earnest each is in a process of its own, on a machine of its own.
    let nodes = try members.map { member in
      let configuration = NodeConfiguration(
        cluster: cluster, replica: member.id, members: members,
        dataDirectory: "\(folder)-\(member.id.rawValue)"
      ).plaintextOnLoopback
      if !DataDirectory.isFormatted(configuration.dataDirectory) {
        try DataDirectory.format(
          configuration.dataDirectory, cluster: cluster, replica: member.id)
      }
      return try ReplicaNode.start(configuration: configuration, machine: Counter())
    }

    // A client finds the leader; a command is performed exactly once, a read sees every command before it.
    let client = Client(
      ClientConfiguration(
        cluster: cluster,
        replicas: members.map {
          ReplicaAddress(id: $0.id, host: $0.host, port: Int($0.clientPort))
        }))
    for _ in 0..<3 { _ = try await client.execute([]) }
    let count = try await client.read([]).bytes
    print("count", count.withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) })

    await client.close()
    for node in nodes { node.stop() }
    for node in nodes { try await node.ended() }
  }
}
