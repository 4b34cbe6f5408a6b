import Foundation
import RSLClient
import RealRuntime

extension LocalCluster {
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
}
