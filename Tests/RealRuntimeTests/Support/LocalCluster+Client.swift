import RSLClient
import RealRuntime

extension LocalCluster {
  /// A client of these processes that is patient.
  var client: Client {
    Client(
      ClientConfiguration(
        cluster: id,
        replicas: replicas.map {
          ReplicaAddress(id: $0.id, host: $0.address.host, port: Int($0.address.clientPort))
        }), timeout: .seconds(60))
  }
}
