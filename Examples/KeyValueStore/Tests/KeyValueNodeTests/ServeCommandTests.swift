import Foundation
import Protocol
import RESP
import RealRuntime
import TestSupport
import Testing

/// `key-value-store serve` and `format` as a user types them.
@Suite(.timeLimit(.minutes(2))) struct ServeCommandTests {
  private static func run(_ arguments: [String]) async throws -> (status: Int32, errors: String) {
    let result = try await offPool { try Tools.run(DurableCluster.executable, arguments) }
    return (result.status, result.errors)
  }

  private static func yaml(_ ports: [UInt16], _ folder: String, _ more: String) -> String {
    """
    cluster: abcd
    replica: 1
    members: ["1=127.0.0.1:\(ports[0]):\(ports[1])"]
    data-directory: \(folder)/data
    listen.admin: none
    \(more)

    """
  }

  private static func file(_ folder: String, _ text: String) throws -> String {
    let path = folder + "/node.yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  @Test func whatCannotBeServedIsNamedWithItsLine() async throws {
    try await withFolder { folder async throws in
      let plaintext = "tls.enabled: false\ninsecure.plaintext: true\n"
      func complaint(_ more: String, _ flags: [String] = []) async throws -> String {
        let path = try Self.file(folder, Self.yaml([7101, 7201], folder, plaintext + more))
        let (status, errors) = try await Self.run(["serve", "--config", path] + flags)
        #expect(status == 1)
        return errors
      }
      #expect(
        try await complaint("resp.lissten: 127.0.0.1:6379").contains(
          "resp.lissten (node.yaml:8): unknown; did you mean resp.listen?"))
      #expect(
        try await complaint("resp:\n  threads: 0").contains(
          "resp.threads = \"0\" (node.yaml:9): expected a whole number from 1 to 64"))
      #expect(
        try await complaint("", ["--resp-timeout", "soon"]).contains(
          "resp.timeout = \"soon\" (--resp-timeout): expected a time"))
      #expect(try await complaint("").contains("is not a replica's directory"))
    }
  }

  @Test func plaintextBeyondLoopbackIsRefused() async throws {
    try await withFolder { folder async throws in
      let ports = try FreePorts.take(2)
      let path = try Self.file(
        folder,
        Self.yaml(
          ports, folder,
          "tls.enabled: false\ninsecure.plaintext: true\nresp.listen: 0.0.0.0:6379\n"))
      #expect(try await Self.run(["format", "--config", path]).status == 0)
      let (status, errors) = try await Self.run(["serve", "--config", path])
      #expect(status == 1)
      #expect(errors.contains("resp.listen = \"0.0.0.0:6379\": plaintext is refused"), "\(errors)")
    }
  }

  @Test func aNodeServesWithMutualTLSBetweenMembers() async throws {
    try await withFolder { folder async throws in
      let authority = try DevCA(folder: folder + "/pki", cluster: ClusterID(0xABCD))
      let member = try authority.issue(.replica(ReplicaID(1)))
      let ports = try FreePorts.take(3)
      let path = try Self.file(
        folder,
        Self.yaml(
          ports, folder,
          """
          tls: {ca: \(authority.caFile), certificate: \(member.certificate), key: \(member.key)}
          resp.listen: 127.0.0.1:\(ports[2])
          """))
      #expect(try await Self.run(["format", "--config", path]).status == 0)
      let process = Process()
      process.executableURL = URL(filePath: DurableCluster.executable)
      process.arguments = ["serve", "--config", path]
      process.standardInput = FileHandle.nullDevice
      process.standardError = FileHandle.nullDevice
      try process.run()
      defer { process.terminate() }
      let port = Int(ports[2])
      try await until("the node serves") {
        let answer = try? await offPool { try TestClient(port: port).perform("SET a 1") }
        return answer == .simple("OK")
      }
      #expect(try await offPool { try TestClient(port: port).perform("GET a") } == .bulk([49]))
      process.terminate()
      let status = try await offPool {
        process.waitUntilExit()
        return process.terminationStatus
      }
      #expect(status == 0)
    }
  }
}
