import Foundation
import Protocol
import Testing

@testable import RealRuntime

@Suite struct CredentialsTests {
  static let cluster = ClusterID(0x8f2c_51a0_7be3_4d19)

  @Test(arguments: [
    PeerIdentity.Role.replica(ReplicaID(7)), .client("bench-1.example"), .admin("ops_2"),
  ]) func identitiesAreReadAsTheyAreWritten(role: PeerIdentity.Role) throws {
    let identity = PeerIdentity(cluster: Self.cluster, role: role)
    #expect(PeerIdentity(uri: identity.uri) == identity)
  }

  @Test(arguments: [
    "rsl://8f2c51a07be34d19/replica/0", "rsl://8f2c51a07be34d19/replica/01",
    "rsl://8f2c51a07be34d19/replica/-1", "rsl://8f2c51a07be34d19/replica/4294967296",
    "rsl://8F2C51A07BE34D19/replica/1", "rsl://f/replica/1", "rsl://0000000000000000/replica/1",
    "rsl://8f2c51a07be34d19/replica/1/", "rsl://8f2c51a07be34d19/replica", "rsl:///replica/1",
    "rsl://8f2c51a07be34d19/root/x", "rsl://8f2c51a07be34d19/client/", "rsl:replica/1", "",
    "rsl://8f2c51a07be34d19/client/a b", "http://8f2c51a07be34d19/replica/1",
    "rsl://8f2c51a07be34d19/client/\(String(repeating: "x", count: 65))",
  ]) func otherNamesAreNobody(uri: String) {
    #expect(PeerIdentity(uri: uri) == nil)
  }

  @Test func issuedCertificatesAreUsable() async throws {
    try await withFolder { folder async throws in
      let path = folder.appending(path: "pki").path
      let authority = try DevCA(folder: path, cluster: Self.cluster)
      let member = try authority.issue(.replica(ReplicaID(2)), hosts: ["127.0.0.1", "db.example"])
      let files = TLSCredentials.Files(
        ca: authority.caFile, certificate: member.certificate, key: member.key)
      let credentials = try TLSCredentials(files: files)
      #expect(credentials.identity.uri == "rsl://8f2c51a07be34d19/replica/2")
      #expect(credentials.identity.dnsName == "replica-2.8f2c51a07be34d19.rsl")
      let days = (Double(credentials.expiry) - Date().timeIntervalSince1970) / 86_400
      #expect((824...825).contains(days))
      func mode(_ file: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions] as? Int
      }
      #expect(try mode(path) == 0o700)
      #expect(try mode(member.key) == 0o600)
      #expect(try mode(path + "/ca.key") == 0o600)
      #expect(try mode(member.certificate) == 0o644)
      let names = try FileManager.default.contentsOfDirectory(atPath: path).sorted()
      #expect(names == ["ca.key", "ca.pem", "replica-2.key", "replica-2.pem"])
    }
  }

  @Test func aFolderKeepsItsAuthority() async throws {
    try await withFolder { folder async throws in
      let first = try DevCA(folder: folder.path, cluster: Self.cluster)
      let before = try String(contentsOfFile: first.caFile, encoding: .utf8)
      let second = try DevCA(folder: folder.path, cluster: Self.cluster)
      #expect(try String(contentsOfFile: second.caFile, encoding: .utf8) == before)
      let problem = #expect(throws: DevCA.Problem.self) {
        try DevCA(folder: folder.path, cluster: ClusterID(1))
      }
      #expect(
        problem?.description
          == "\(first.caFile): is of another cluster than 0000000000000001")
    }
  }

  @Test func unusableFilesAreExplained() async throws {
    try await withFolder { folder async throws in
      let authority = try DevCA(folder: folder.path, cluster: Self.cluster)
      let member = try authority.issue(.replica(ReplicaID(2)))
      let other = try authority.issue(.replica(ReplicaID(3)))
      let old = try authority.issue(.client("old"), validity: -10 ..< -1)
      let garbage = folder.appending(path: "garbage").path
      try "not PEM".write(toFile: garbage, atomically: true, encoding: .utf8)
      let identity = PeerIdentity(cluster: Self.cluster, role: .replica(ReplicaID(2)))
      func complaint(_ ca: String, _ certificate: String, _ key: String) -> String? {
        let files = TLSCredentials.Files(ca: ca, certificate: certificate, key: key)
        do {
          _ = try TLSCredentials(files: files, expecting: identity)
          return nil
        } catch {
          return error.description
        }
      }
      let ca = authority.caFile
      #expect(complaint(ca, member.certificate, member.key) == nil)
      #expect(
        complaint("/nowhere/ca.pem", member.certificate, member.key)
          == "/nowhere/ca.pem: there is no such file, or it may not be read")
      #expect(
        complaint(garbage, member.certificate, member.key)
          == "\(garbage): expected certificates in PEM")
      #expect(
        complaint(ca, member.certificate, garbage)
          == "\(garbage): expected a private key without a passphrase in PEM")
      #expect(
        complaint(ca, member.certificate, other.key)
          == "\(other.key): is not the key of \(member.certificate)")
      #expect(
        complaint(ca, other.certificate, other.key)
          == "\(other.certificate): is of rsl://8f2c51a07be34d19/replica/3, expected \(identity)")
      #expect(
        complaint(ca, ca, folder.path + "/ca.key") == "\(ca): the certificate has no rsl:// name")
      let files = TLSCredentials.Files(ca: ca, certificate: old.certificate, key: old.key)
      let problem = #expect(throws: TLSCredentials.Problem.self) {
        try TLSCredentials(files: files)
      }
      #expect(problem?.description.hasPrefix("\(old.certificate): expired on 20") == true)
    }
  }

  @Test func aFailedReloadKeepsTheOldCertificate() async throws {
    try await withFolder { folder async throws in
      let authority = try DevCA(folder: folder.path, cluster: Self.cluster)
      let member = try authority.issue(.replica(ReplicaID(2)), validity: 0..<10)
      let files = TLSCredentials.Files(
        ca: authority.caFile, certificate: member.certificate, key: member.key)
      let credentials = try TLSCredentials(files: files)
      let before = credentials.expiry
      let text = try String(contentsOfFile: member.certificate, encoding: .utf8)
      try "broken".write(toFile: member.certificate, atomically: true, encoding: .utf8)
      #expect(throws: TLSCredentials.Problem.self) { try credentials.reload() }
      #expect(credentials.expiry == before)
      try text.write(toFile: member.certificate, atomically: true, encoding: .utf8)
      try authority.issue(.replica(ReplicaID(2)), validity: 0..<20)
      try credentials.reload()
      #expect(credentials.expiry >= before + 10 * 86_400)
    }
  }
}
