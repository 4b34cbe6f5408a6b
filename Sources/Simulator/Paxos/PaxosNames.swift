internal import Protocol

/// The endpoints of the simulated world under their names in the protocol: processes are replicas, counted from 1.
enum PaxosNames {
  static func replica(_ node: NodeIndex) -> ReplicaID { ReplicaID(UInt32(node.rawValue) + 1) }
  static func node(_ replica: ReplicaID) -> NodeIndex { NodeIndex(Int(replica.rawValue) - 1) }
  static let cluster = ClusterID(0x5253_4C53_494D_0001)
}
