import ArgumentParser
import Protocol
import RealRuntime

struct DevCACommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dev-ca",
    abstract: "Make certificates for development: a CA, members, clients, operators.",
    discussion: """
      The CA's key lies beside the certificates: keep it off machines that matter. A second call with the same folder \
      uses the CA that is there.
      """)

  @Option(help: "Where certificates and keys go.") var directory: String
  @Option(help: "The cluster's identity, as in its configuration.") var cluster: String
  @Option(help: "Members to issue for, such as 1,2,3.") var replicas = ""
  @Option(help: "Names of clients to issue for, separated by commas.") var clients = ""
  @Option(help: "Names of operators to issue for: they may control nodes.") var admins = ""
  @Option(help: "How long the certificates are valid.") var days = 825
  @Option(help: "More names or addresses for the members, separated by commas.") var hosts = ""

  func run() throws {
    guard let cluster = ClusterID(hex: cluster) else {
      throw CommandFailure(
        .usage,
        "--cluster \(cluster): expected \(ConfigurationKey.named("cluster")?.expected ?? "")")
    }
    guard (1...3_650).contains(days) else {
      throw CommandFailure(.usage, "--days \(days): expected 1 to 3650")
    }
    let roles = try roles()
    do throws(DevCA.Problem) {
      let authority = try DevCA(folder: directory, cluster: cluster)
      print(authority.caFile)
      for role in roles {
        let hosts = role.isReplica ? words(hosts) : []
        let issued = try authority.issue(role, validity: 0..<days, hosts: hosts)
        print("\(issued.certificate)  \(PeerIdentity(cluster: cluster, role: role))")
      }
    } catch {
      throw CommandFailure(.usage, error.description)
    }
  }

  private func words(_ text: String) -> [String] { text.split(separator: ",").map(String.init) }

  private func roles() throws -> [PeerIdentity.Role] {
    let members = try words(replicas).map { word -> PeerIdentity.Role in
      guard let id = UInt32(word), id > 0 else {
        throw CommandFailure(.usage, "--replicas \(word): expected a member's number, from 1")
      }
      return .replica(ReplicaID(id))
    }
    func named(_ option: String, _ text: String) throws -> [String] {
      try words(text).map { word in
        guard PeerIdentity.isName(word) else {
          throw CommandFailure(
            .usage, "\(option) \(word): expected letters, digits, dots, hyphens, underscores")
        }
        return word
      }
    }
    return try members + named("--clients", clients).map { .client($0) }
      + named("--admins", admins).map { .admin($0) }
  }
}

extension PeerIdentity.Role {
  fileprivate var isReplica: Bool {
    if case .replica = self { true } else { false }
  }
}
