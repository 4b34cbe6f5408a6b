public import Protocol

/// Who is at the other end of a connection, as its certificate says.
///
/// A certificate names its holder by one URI among its subject alternative names: `rsl://CLUSTER/replica/ID` for a
/// member, `rsl://CLUSTER/client/NAME` for a client, `rsl://CLUSTER/admin/NAME` for an operator, where CLUSTER are the
/// sixteen digits of the cluster's identity. A member's certificate has the DNS name `replica-ID.CLUSTER.rsl` as well, for
/// whoever connects to it.
public struct PeerIdentity: Hashable, Sendable, CustomStringConvertible {
  public enum Role: Hashable, Sendable {
    case replica(ReplicaID)
    case client(String)
    case admin(String)
  }

  public var cluster: ClusterID
  public var role: Role

  public init(cluster: ClusterID, role: Role) {
    self.cluster = cluster
    self.role = role
  }

  /// Names are of this form: 1 to 64 letters, digits, dots, hyphens and underscores.
  public static func isName(_ text: some StringProtocol) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
          || [45, 46, 95].contains($0)
      }
  }

  /// From the URI of a certificate; nil: not one of ours, or not in the one form we write.
  public init?(uri: String) {
    let parts = uri.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count == 5, parts[0] == "rsl:", parts[1].isEmpty,
      let cluster = SettingForm<ClusterID>.cluster.parse(String(parts[2]))
    else { return nil }
    switch parts[3] {
    case "replica":
      guard let id = SettingForm<ReplicaID>.replica.parse(String(parts[4])) else { return nil }
      self.init(cluster: cluster, role: .replica(id))
    case "client" where Self.isName(parts[4]):
      self.init(cluster: cluster, role: .client(String(parts[4])))
    case "admin" where Self.isName(parts[4]):
      self.init(cluster: cluster, role: .admin(String(parts[4])))
    default: return nil
    }
    // Another spelling of the same number is not what was signed for.
    guard self.uri == uri else { return nil }
  }

  public var uri: String {
    switch role {
    case .replica(let id): "rsl://\(cluster.hex)/replica/\(id.rawValue)"
    case .client(let name): "rsl://\(cluster.hex)/client/\(name)"
    case .admin(let name): "rsl://\(cluster.hex)/admin/\(name)"
    }
  }

  /// The name by which a member is verified; nil for who is never connected to.
  public var dnsName: String? {
    guard case .replica(let id) = role else { return nil }
    return "replica-\(id.rawValue).\(cluster.hex).rsl"
  }

  public var description: String { uri }

  public var replica: ReplicaID? {
    guard case .replica(let id) = role else { return nil }
    return id
  }
}
