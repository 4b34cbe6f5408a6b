import NIOSSL
import Protocol
import RSLClient
import Testing

extension OverSockets {
  @Suite struct ClientTLSTests {
    private func server() throws -> NIOSSLContext {
      let certificate = try NIOSSLCertificate(bytes: Array(Self.certificate.utf8), format: .pem)
      let key = try NIOSSLPrivateKey(bytes: Array(Self.key.utf8), format: .pem)
      return try NIOSSLContext(
        configuration: .makeServerConfiguration(
          certificateChain: [.certificate(certificate)], privateKey: .privateKey(key)))
    }

    /// Trusts the authority of these tests and nobody else.
    private func client(name: @escaping @Sendable (ReplicaID) -> String?) throws -> ClientTLS {
      var configuration = TLSConfiguration.makeClientConfiguration()
      configuration.trustRoots = .certificates([
        try NIOSSLCertificate(bytes: Array(Self.authority.utf8), format: .pem)
      ])
      return ClientTLS(
        context: try NIOSSLContext(configuration: configuration), serverHostname: name)
    }

    @Test func aReplicaThatProvesItsNameIsTalkedTo() async throws {
      let cluster = try await FakeCluster.start(2, tls: try server())
      var configuration = try await cluster.configuration()
      configuration.tls = try client { "replica-\($0.rawValue).test" }
      let report = try await DriverRun.commands(100, outstanding: 10, configuration)
      #expect(report.counters.applied == 100)
      try await cluster.stop()
    }

    /// The certificate is of the right authority, but for other names.
    @Test func anotherNameIsRefused() async throws {
      let cluster = try await FakeCluster.start(1, tls: try server())
      var configuration = try await cluster.configuration()
      configuration.tls = try client { "replica-\($0.rawValue).elsewhere" }
      let report = try await DriverRun.commands(
        5, outstanding: 5, timeout: .milliseconds(500), configuration)
      #expect(report.counters.unavailable == 5)
      #expect(try await cluster.with { $0.received } == 0)
      try await cluster.stop()
    }

    @Test func aPlaintextReplicaIsRefused() async throws {
      let cluster = try await FakeCluster.start(1)
      var configuration = try await cluster.configuration()
      configuration.tls = try client { "replica-\($0.rawValue).test" }
      let report = try await DriverRun.commands(
        5, outstanding: 5, timeout: .milliseconds(500), configuration)
      #expect(report.counters.unavailable == 5)
      #expect(try await cluster.with { $0.received } == 0)
      try await cluster.stop()
    }
  }
}

// Made for these tests, used by nothing else: an authority, a certificate for replica-1.test and replica-2.test until
// 2126, and its key.
extension OverSockets.ClientTLSTests {
  private static let authority = """
    -----BEGIN CERTIFICATE-----
    MIIBiTCCAS+gAwIBAgIUJ2Aajq5fElMvTqHVPHPJPnIEPIswCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIxMTI1OTEyWhgPMjEy
    NjEwMjgxMjU5MTJaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
    zj0CAQYIKoZIzj0DAQcDQgAEWG+IK/3ws7WkTpCwMNloT/lH8h6DRzBjsWWN75Sh
    rvJsUZI3dQopW8d0bT3p8MrnTK16PzwOw1FkoiPm9a0L2qNTMFEwHQYDVR0OBBYE
    FAhulGKqkkkmuR3Ld95ZRUimuzJEMB8GA1UdIwQYMBaAFAhulGKqkkkmuR3Ld95Z
    RUimuzJEMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgBMZ5BXmS
    KCvMtejSusNEICvoXdnNX4ZqZ3QQTFcmhgACIQCIyWjkreMyn37CpHdCCezXTb7K
    yCmIg2VC0GAO3yrkzA==
    -----END CERTIFICATE-----
    """

  private static let certificate = """
    -----BEGIN CERTIFICATE-----
    MIIBmzCCAUKgAwIBAgIUYL0/8XImnQIihv4eXEIYZDYLR6AwCgYIKoZIzj0EAwIw
    GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjYxMTIxMTI1OTEyWhgPMjEy
    NjEwMjgxMjU5MTJaMBIxEDAOBgNVBAMMB3JlcGxpY2EwWTATBgcqhkjOPQIBBggq
    hkjOPQMBBwNCAAS5HwQpcPigIN2v8q9Znll2QoDFLQOtotRlzf3pUyjFPNxSHu8Z
    w9h3RPxiJEI7vmNUSeV3gKvBswuxVHByB4CAo20wazApBgNVHREEIjAggg5yZXBs
    aWNhLTEudGVzdIIOcmVwbGljYS0yLnRlc3QwHQYDVR0OBBYEFOYGZ3glJIJ6EEIu
    w/7Ljg4gJaImMB8GA1UdIwQYMBaAFAhulGKqkkkmuR3Ld95ZRUimuzJEMAoGCCqG
    SM49BAMCA0cAMEQCIAxMSmrTeAs9H22vUAbQNwzn2pfikXb3V3UbFnkv0+X7AiBG
    eYj97JQ8BJ0cBakO9RRmG4THVc3QmRPNoGoAmuJXyQ==
    -----END CERTIFICATE-----
    """

  private static let key = """
    -----BEGIN EC PRIVATE KEY-----
    MHcCAQEEIE3S47VA9+iqNMI3b8LqIBblbSPVF1iIE0F36warRL0zoAoGCCqGSM49
    AwEHoUQDQgAEuR8EKXD4oCDdr/KvWZ5ZdkKAxS0DraLUZc396VMoxTzcUh7vGcPY
    d0T8YiRCO75jVEnld4CrwbMLsVRwcgeAgA==
    -----END EC PRIVATE KEY-----
    """
}
