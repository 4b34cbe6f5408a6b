import Foundation
import Glibc
import Protocol
import Testing

@testable import RealRuntime

/// `rsl serve` as it is deployed: mutual TLS on every port.
@Suite(.timeLimit(.minutes(2))) struct ServeWithTLSTests {
  /// A port that was free a moment ago.
  private static func freePort() throws -> UInt16 {
    let listener = try Socket.listen(host: "127.0.0.1", port: 0)
    defer { close(listener) }
    return try #require(Socket.localPort(listener))
  }

  /// Asks until the answer is as wished; the time limit of the suite ends a vain wait.
  private static func until<T>(_ ask: () async -> T?) async throws -> T {
    while true {
      if let answer = await ask() { return answer }
      try Task.checkCancellation()
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  @Test func aServedReplicaRefusesStrangersAndReloadsItsCertificate() async throws {
    try await withFolder { folder async throws in
      let cluster = ClusterID(0xABCD)
      let authority = try DevCA(folder: folder.appending(path: "pki").path, cluster: cluster)
      let member = try authority.issue(.replica(ReplicaID(1)), validity: 0..<10)
      let operatorFiles = try authority.issue(.admin("ops"))
      let credentials = try TLSCredentials(
        files: .init(
          ca: authority.caFile, certificate: operatorFiles.certificate, key: operatorFiles.key))
      let ports = [try Self.freePort(), try Self.freePort(), try Self.freePort()]
      let flags = [
        "--cluster", "abcd", "--replica", "1", "--members", "1=127.0.0.1:\(ports[0]):\(ports[1])",
        "--data-directory", folder.appending(path: "data").path, "--listen-admin",
        "127.0.0.1:\(ports[2])", "--tls-admin", "mutual", "--tls-ca", authority.caFile,
        "--tls-certificate", member.certificate, "--tls-key", member.key,
      ]
      let format = try await RslProcess.run(["format"] + flags)
      try #require(format.status == 0, "\(format.errors)")
      let process = Process()
      process.executableURL = RslProcess.url
      process.arguments = ["serve"] + flags
      process.environment = [:]
      process.standardInput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      defer { process.terminate() }

      let client = AdminClient(
        endpoint: SocketEndpoint(address: "127.0.0.1", port: ports[2]), credentials: credentials)
      let first = try await Self.until { () -> NodeStatus? in
        let status = try? await client.status()
        return status?.role == "leader" ? status : nil
      }
      #expect(
        first.certificateExpiry.map { $0 < Int(Date().timeIntervalSince1970) + 864_000 } == true)
      // Plaintext at the peer port and at the client port.
      for port in ports[0...1] {
        let stranger = try TestSocket(port: port)
        try? await stranger.send("GET / HTTP/1.1\r\n\r\n")
        _ = try await stranger.receiveAll()
      }
      _ = try await Self.until { () -> Bool? in
        let refused = try? await client.status().refusedConnections
        return refused?["plaintext"] == 2 ? true : nil
      }
      // A new certificate, and the signal to use it.
      try authority.issue(.replica(ReplicaID(1)), validity: 0..<20)
      kill(process.processIdentifier, SIGHUP)
      _ = try await Self.until { () -> Bool? in
        let expiry = try? await client.status().certificateExpiry
        return expiry.map { $0 > (first.certificateExpiry ?? 0) } == true ? true : nil
      }
      process.terminate()
      let status = try await offPool {
        process.waitUntilExit()
        return process.terminationStatus
      }
      #expect(status == 0)
    }
  }
}
