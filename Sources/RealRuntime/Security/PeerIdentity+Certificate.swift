internal import NIOSSL
internal import X509

/// Why a certificate whose chain is good names nobody we know.
enum IdentityProblem: Error, Hashable, CustomStringConvertible {
  case missing
  case unreadable
  /// Not exactly one URI that begins with `rsl:`.
  case names([String])
  case unknownForm(String)

  var description: String {
    switch self {
    case .missing: "no certificate"
    case .unreadable: "the certificate cannot be read"
    case .names(let names):
      names.isEmpty
        ? "the certificate has no rsl:// name" : "the certificate has \(names.count) rsl:// names"
    case .unknownForm(let name): "the certificate's name \(name) is not of a known form"
    }
  }
}

extension PeerIdentity {
  /// The holder of a certificate that was verified already.
  init(certificate: NIOSSLCertificate?) throws(IdentityProblem) {
    guard let certificate else { throw .missing }
    let names: [String]
    do {
      let parsed = try Certificate(derEncoded: certificate.toDERBytes())
      names = try (parsed.extensions.subjectAlternativeNames ?? SubjectAlternativeNames())
        .compactMap {
          guard case .uniformResourceIdentifier(let uri) = $0 else { return nil }
          return uri.lowercased().hasPrefix("rsl:") ? uri : nil
        }
    } catch {
      throw .unreadable
    }
    guard names.count == 1 else { throw .names(names) }
    guard let identity = PeerIdentity(uri: names[0]) else { throw .unknownForm(names[0]) }
    self = identity
  }
}
