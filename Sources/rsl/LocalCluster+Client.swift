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
}
