internal import Crypto
internal import Foundation
public import Protocol
internal import SwiftASN1
internal import X509

/// A certificate authority for development: its key lies beside its certificates, in plain files.
///
/// Keys are P-256. Private keys are readable by their owner only.
public struct DevCA: Sendable {
  /// A file that cannot be written or read, and why.
  public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  /// Where the certificates and keys of one holder are.
  public struct Issued: Hashable, Sendable {
    public var certificate: String
    public var key: String
  }

  public static let caName = "ca.pem"
  public static let caKeyName = "ca.key"

  public let cluster: ClusterID
  private let folder: URL
  private let certificate: Certificate
  private let key: Certificate.PrivateKey

  /// The CA's certificate: what everybody trusts.
  public var caFile: String { folder.appending(path: Self.caName).path }

  /// The CA of the folder, made if there is none yet.
  ///
  /// A folder holds the CA of one cluster; another cluster's identity is an error.
  public init(folder path: String, cluster: ClusterID, days: Int = 3_650) throws(Problem) {
    self.cluster = cluster
    folder = URL(filePath: path)
    let files = FileManager.default
    do {
      try files.createDirectory(
        at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch {
      throw Problem(description: "\(path): the folder cannot be made")
    }
    let names = (folder.appending(path: Self.caName), folder.appending(path: Self.caKeyName))
    let name = "swift-rsl development CA \(cluster.hex)"
    let title = Self.title(name)
    do {
      if files.fileExists(atPath: names.0.path) {
        certificate = try Certificate(pemEncoded: String(contentsOf: names.0, encoding: .utf8))
        key = try Certificate.PrivateKey(
          pemEncoded: String(contentsOf: names.1, encoding: .utf8))
      } else {
        key = Certificate.PrivateKey(P256.Signing.PrivateKey())
        certificate = try Self.makeRoot(title, key, days: days)
        try Self.write(key.serializeAsPEM().pemString, to: names.1, mode: 0o600)
        try Self.write(certificate.serializeAsPEM().pemString, to: names.0, mode: 0o644)
      }
    } catch {
      throw Problem(
        description: "\(path): \(Self.caName) and \(Self.caKeyName) cannot be read or written")
    }
    guard certificate.subject == title else {
      throw Problem(description: "\(names.0.path): is of another cluster than \(cluster.hex)")
    }
  }

  /// Writes a certificate and its key; `NAME.pem` and `NAME.key`. Existing ones are replaced.
  ///
  /// `validity` may lie in the past, for tests.
  @discardableResult
  public func issue(
    _ role: PeerIdentity.Role, validity: Range<Int> = 0..<825, hosts: [String] = []
  ) throws(Problem) -> Issued {
    let identity = PeerIdentity(cluster: cluster, role: role)
    let base: String
    switch role {
    case .replica(let id): base = "replica-\(id.rawValue)"
    case .client(let name): base = "client-\(name)"
    case .admin(let name): base = "admin-\(name)"
    }
    let files = (folder.appending(path: base + ".pem"), folder.appending(path: base + ".key"))
    do {
      let leafKey = Certificate.PrivateKey(P256.Signing.PrivateKey())
      let leaf = try makeLeaf(identity, leafKey, validity: validity, hosts: hosts)
      try Self.write(leafKey.serializeAsPEM().pemString, to: files.1, mode: 0o600)
      try Self.write(leaf.serializeAsPEM().pemString, to: files.0, mode: 0o644)
    } catch {
      throw Problem(description: "\(folder.path): \(base).pem and .key cannot be written")
    }
    return Issued(certificate: files.0.path, key: files.1.path)
  }

  // MARK: Certificates

  private static func makeRoot(
    _ title: DistinguishedName, _ key: Certificate.PrivateKey, days: Int
  ) throws -> Certificate {
    let start = Self.now
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: key.publicKey,
      notValidBefore: start, notValidAfter: start + Double(days) * 86_400, issuer: title,
      subject: title, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: key.publicKey)
      }, issuerPrivateKey: key)
  }

  private func makeLeaf(
    _ identity: PeerIdentity, _ leafKey: Certificate.PrivateKey, validity: Range<Int>,
    hosts: [String]
  ) throws -> Certificate {
    let now = Self.now
    let isServer = identity.replica != nil
    let names =
      [GeneralName.uniformResourceIdentifier(identity.uri)]
      + (identity.dnsName.map { [.dnsName($0)] } ?? [])
      + hosts.map { host in
        IPAddress(host).map { .ipAddress(ASN1OctetString(contentBytes: $0.bytes[...])) }
          ?? .dnsName(host)
      }
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: leafKey.publicKey,
      notValidBefore: now + Double(validity.lowerBound) * 86_400,
      notValidAfter: now + Double(validity.upperBound) * 86_400, issuer: certificate.subject,
      subject: Self.title(identity.uri), signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage(isServer ? [.serverAuth, .clientAuth] : [.clientAuth])
        SubjectAlternativeNames(names)
      }, issuerPrivateKey: key)
  }

  /// Five minutes back: the clocks of two machines differ, and a certificate's times are rounded to seconds.
  private static var now: Date { Date() - 300 }

  private static func title(_ name: String) -> DistinguishedName {
    // The builder only fails for types that are not strings.
    (try? DistinguishedName { CommonName(name) }) ?? DistinguishedName()
  }

  /// Writes a file that never exists with other permissions than these, not even for a moment.
  private static func write(_ text: String, to file: URL, mode: Int) throws {
    let fresh = file.deletingLastPathComponent().appending(
      path: ".\(file.lastPathComponent).\(UUID().uuidString)")
    let descriptor = open(fresh.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_t(mode))
    guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
    let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    try handle.write(contentsOf: Data((text + "\n").utf8))
    try handle.synchronize()
    try handle.close()
    guard rename(fresh.path, file.path) == 0 else {
      try? FileManager.default.removeItem(at: fresh)
      throw CocoaError(.fileWriteUnknown)
    }
  }
}
