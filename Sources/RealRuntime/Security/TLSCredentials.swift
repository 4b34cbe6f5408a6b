internal import Foundation
public import NIOSSL
internal import Protocol
internal import Synchronization

/// The certificates of this process, exchangeable while it runs.
///
/// `reload()` reads the files anew: handshakes that begin afterwards use them, connections that exist stay. When the new
/// files are not usable the old certificates stay in use.
public final class TLSCredentials: Sendable {
  public struct Files: Hashable, Sendable {
    /// PEM: the CA's certificates; this process's chain, leaf first; its key.
    public var ca: String
    public var certificate: String
    public var key: String

    public init(ca: String, certificate: String, key: String) {
      self.ca = ca
      self.certificate = certificate
      self.key = key
    }
  }

  /// A file that cannot be used, and why.
  public struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
    public var description: String
  }

  struct Contexts: Sendable {
    /// Between members: TLS 1.3, both show certificates.
    var member: NIOSSLContext
    /// For clients and operators who show a certificate: TLS 1.2 or later.
    var mutual: NIOSSLContext
    /// For clients who show none.
    var server: NIOSSLContext
    /// Connecting to a member whose name is known.
    var client: NIOSSLContext
    /// Connecting to any member of the cluster: whoever uses it checks the identity.
    var caller: NIOSSLContext
    var identity: PeerIdentity
    /// Seconds since 1970.
    var expiry: Int
  }

  private let files: Files
  /// Whom the certificate must name; nil: anybody.
  private let expected: PeerIdentity?
  private let state: Mutex<Contexts>

  public init(files: Files, expecting identity: PeerIdentity? = nil) throws(Problem) {
    self.files = files
    expected = identity
    state = Mutex(try Self.load(files, expecting: identity))
  }

  /// The credentials of a member, as configured.
  public convenience init(_ configuration: NodeConfiguration) throws(Problem) {
    let tls = configuration.tls
    try self.init(
      files: Files(ca: tls.ca, certificate: tls.certificate, key: tls.key),
      expecting: PeerIdentity(
        cluster: configuration.cluster, role: .replica(configuration.replica)))
  }

  var contexts: Contexts { state.withLock { $0 } }

  /// For connecting to members as a client, of which each is verified by its name (`PeerIdentity.dnsName`).
  public var clientContext: NIOSSLContext { contexts.client }

  /// Whom this process's certificate names.
  public var identity: PeerIdentity { contexts.identity }

  /// When this process's certificate expires, in seconds since 1970.
  public var expiry: Int { contexts.expiry }

  /// Reads the files anew. Throws, and changes nothing, when they are not usable.
  public func reload() throws(Problem) {
    let fresh = try Self.load(files, expecting: expected)
    state.withLock { $0 = fresh }
  }

  private static func load(
    _ files: Files, expecting expected: PeerIdentity?
  ) throws(Problem)
    -> Contexts
  {
    func read<T>(_ path: String, _ what: String, _ body: () throws -> T) throws(Problem) -> T {
      guard FileManager.default.isReadableFile(atPath: path) else {
        throw Problem(description: "\(path): there is no such file, or it may not be read")
      }
      do { return try body() } catch {
        throw Problem(description: "\(path): expected \(what) in PEM")
      }
    }
    let roots = try read(files.ca, "certificates") { try NIOSSLCertificate.fromPEMFile(files.ca) }
    let chain = try read(files.certificate, "a certificate chain") {
      try NIOSSLCertificate.fromPEMFile(files.certificate)
    }
    let key = try read(files.key, "a private key without a passphrase") {
      try NIOSSLPrivateKey(file: files.key, format: .pem)
    }
    guard let leaf = chain.first, !roots.isEmpty else {
      throw Problem(description: "\(files.certificate), \(files.ca): expected certificates in PEM")
    }
    let identity: PeerIdentity
    do throws(IdentityProblem) {
      identity = try PeerIdentity(certificate: leaf)
    } catch {
      throw Problem(description: "\(files.certificate): \(error)")
    }
    if let expected, identity != expected {
      throw Problem(description: "\(files.certificate): is of \(identity), expected \(expected)")
    }
    let expiry = Int(leaf.notValidAfter)
    guard Date().timeIntervalSince1970 < Double(expiry) else {
      let date = Date(timeIntervalSince1970: Double(expiry)).ISO8601Format()
      throw Problem(description: "\(files.certificate): expired on \(date)")
    }
    do {
      return try makeContexts(roots, chain, key, identity, expiry)
    } catch {
      throw Problem(description: "\(files.key): is not the key of \(files.certificate)")
    }
  }

  private static func makeContexts(
    _ roots: [NIOSSLCertificate], _ chain: [NIOSSLCertificate], _ key: NIOSSLPrivateKey,
    _ identity: PeerIdentity, _ expiry: Int
  ) throws -> Contexts {
    let sources = chain.map { NIOSSLCertificateSource.certificate($0) }
    var member = TLSConfiguration.makeServerConfigurationWithMTLS(
      certificateChain: sources, privateKey: .privateKey(key), trustRoots: .certificates(roots))
    member.minimumTLSVersion = .tlsv13
    var mutual = member
    mutual.minimumTLSVersion = .tlsv12
    var server = TLSConfiguration.makeServerConfiguration(
      certificateChain: sources, privateKey: .privateKey(key))
    server.minimumTLSVersion = .tlsv12
    var client = TLSConfiguration.makeClientConfiguration()
    client.minimumTLSVersion = .tlsv13
    client.trustRoots = .certificates(roots)
    client.certificateChain = sources
    client.privateKey = .privateKey(key)
    var caller = client
    caller.certificateVerification = .noHostnameVerification
    return Contexts(
      member: try NIOSSLContext(configuration: member),
      mutual: try NIOSSLContext(configuration: mutual),
      server: try NIOSSLContext(configuration: server),
      client: try NIOSSLContext(configuration: client),
      caller: try NIOSSLContext(configuration: caller),
      identity: identity, expiry: expiry)
  }
}
