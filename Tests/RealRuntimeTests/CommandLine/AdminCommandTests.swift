import Foundation
import Glibc
import Protocol
import Testing

@testable import RealRuntime

@Suite struct AdminCommandTests {
  private func withNode(
    _ backend: FakeBackend = FakeBackend(), credentials: TLSCredentials? = nil,
    _ body: (String) async throws -> Void
  ) async throws {
    let server = try await AdminServer.start(
      at: SocketEndpoint(address: "127.0.0.1", port: 0), backend: backend,
      credentials: credentials)
    do {
      try await body("127.0.0.1:\(server.address.port)")
      await server.stop()
    } catch {
      await server.stop()
      throw error
    }
  }

  @Test func statusIsATable() async throws {
    try await withNode { address async throws in
      let result = try await RslProcess.run("status", "--address", address)
      #expect(result.status == 0, "\(result.errors)")
      #expect(
        result.output == """
          NODE    ROLE  LEADER  BALLOT  CHOSEN  APPLIED  SNAPSHOT  JOURNAL  CLIENTS  UP
          2     leader       2     7.2    1234     1233         0  4.0 KiB        0  0s

          PEER        STATE  LAG  UNSENT         ADDRESS
          2 to 1  connected    4   128 B  127.0.0.1:7101
          2 to 3       lost    -     0 B  127.0.0.1:7103

          """)
    }
  }

  @Test func statusIsJSONToo() async throws {
    try await withNode { address async throws in
      let result = try await RslProcess.run("status", "--address", address, "--format", "json")
      let nodes = try JSONDecoder().decode([NodeStatus].self, from: Data(result.output.utf8))
      #expect(nodes.map(\.id) == [2])
    }
  }

  @Test func aNodeThatIsGoneIsSaidBesideTheOthers() async throws {
    try await withNode { address async throws in
      // Nobody listens at port 1.
      let result = try await RslProcess.run(
        "status", "--address", address, "--address", "127.0.0.1:1")
      #expect(result.status == 1)
      #expect(result.output.contains("2     leader"))
      #expect(result.errors == "rsl: 127.0.0.1:1: Connection refused\n")
    }
  }

  @Test func noLeaderHasAnExitStatus() async throws {
    try await withNode(FakeBackend { $0.status.leader = nil }) { address async throws in
      #expect(try await RslProcess.run("status", "--address", address).status == 3)
    }
  }

  @Test func controlCommandsReachTheNode() async throws {
    let backend = FakeBackend()
    try await withNode(backend) { address async throws in
      let moved = try await RslProcess.run("leader", "move", "--to", "1", "--address", address)
      #expect(moved.output == "replica 1 is to lead\n")
      let taken = try await RslProcess.run("snapshot", "--address", address)
      #expect(taken.output == "snapshot at slot 1233\n")
      #expect(backend.calls == ["move 1", "snapshot"])
      backend.state.withLock { $0.refusal = .notLeader(leader: ReplicaID(3)) }
      let refused = try await RslProcess.run("leader", "move", "--address", address)
      #expect(refused.status == 1)
      #expect(refused.errors == "rsl: this node does not lead; replica 3 does\n")
    }
  }

  @Test func topWithoutATerminalPrintsOnce() async throws {
    try await withNode { address async throws in
      let result = try await RslProcess.run("top", "--address", address)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output.contains("Replica 2: time from a command's arrival"))
      let chosen = result.lines.first { $0.hasPrefix("chosen") }
      #expect(chosen?.split(separator: " ").prefix(3) == ["chosen", "10", "-"])
      #expect(result.output.contains("Refused: overloaded 5"))
      #expect(!result.output.contains("\u{1B}"))
    }
  }

  /// Both ends of a terminal. `posix_openpt` and its like are not in the module Glibc, so the device is asked directly.
  private static func pseudoTerminal() throws -> (master: FileHandle, slave: FileHandle) {
    let unlock: UInt = 0x4004_5431
    let getNumber: UInt = 0x8004_5430
    let master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
    var (isLocked, number): (Int32, UInt32) = (0, 0)
    try #require(master >= 0)
    try #require(ioctl(master, unlock, &isLocked) == 0 && ioctl(master, getNumber, &number) == 0)
    let slave = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
    try #require(slave >= 0)
    return (
      FileHandle(fileDescriptor: master, closeOnDealloc: true),
      FileHandle(fileDescriptor: slave, closeOnDealloc: true)
    )
  }

  @Test func topOnATerminalRedraws() async throws {
    let (terminal, slave) = try Self.pseudoTerminal()
    try await withNode { address async throws in
      let process = Process()
      process.executableURL = RslProcess.url
      process.arguments = ["top", "--address", address, "--interval", "0.1"]
      process.environment = [:]
      process.standardInput = FileHandle.nullDevice
      process.standardOutput = slave
      try process.run()
      let seen = try await offPool {
        var text = ""
        while text.components(separatedBy: "\u{1B}[H").count < 4,
          let bytes = try terminal.read(upToCount: 4_096),
          !bytes.isEmpty
        { text += String(decoding: bytes, as: UTF8.self) }
        return text
      }
      process.terminate()
      await withCheckedContinuation { done in
        Thread.detachNewThread {
          process.waitUntilExit()
          done.resume()
        }
      }
      #expect(seen.components(separatedBy: "STAGE").count >= 3)
      #expect(seen.contains("\u{1B}[J"))
    }
  }

  @Test func wrongAddressesAreExplained() async throws {
    let result = try await RslProcess.run("status", "--address", "localhost")
    #expect(result.status == 1)
    #expect(
      result.errors
        == "rsl: --address localhost: expected a numeric address and a port, such as 127.0.0.1:7300\n"
    )
    let two = try await RslProcess.run(
      "snapshot", "--address", "127.0.0.1:1", "--address", "127.0.0.1:2")
    #expect(two.errors == "rsl: expected one --address, not 2\n")
  }

  @Test func aPortWithTLSWantsCertificates() async throws {
    try await withFolder { folder async throws in
      let cluster = ClusterID(1)
      let authority = try DevCA(folder: folder.path, cluster: cluster)
      func credentials(_ role: PeerIdentity.Role) throws -> [String] {
        let issued = try authority.issue(role)
        return [
          "--ca", authority.caFile, "--certificate", issued.certificate, "--key", issued.key,
        ]
      }
      let member = try authority.issue(.replica(ReplicaID(2)))
      let server = try TLSCredentials(
        files: .init(ca: authority.caFile, certificate: member.certificate, key: member.key))
      let backend = FakeBackend()
      try await withNode(backend, credentials: server) { address async throws in
        let plain = try await RslProcess.run("status", "--address", address)
        #expect(plain.status == 1)
        #expect(plain.errors.contains("is TLS on at one end only?"))
        let admin = try credentials(.admin("ops"))
        let client = try credentials(.client("bench"))
        let read = try await RslProcess.run(["status", "--address", address] + client)
        #expect(read.status == 0, "\(read.errors)")
        let refused = try await RslProcess.run(["snapshot", "--address", address] + client)
        #expect(refused.status == 1)
        #expect(refused.errors.contains("admin certificates of this cluster"))
        #expect(backend.calls.isEmpty)
        let taken = try await RslProcess.run(["snapshot", "--address", address] + admin)
        #expect(taken.output == "snapshot at slot 1233\n", "\(taken.errors)")
      }
    }
  }

  @Test func anotherClusterIsNotTalkedTo() async throws {
    try await withFolder { folder async throws in
      // Two CAs: neither side knows the other's.
      let own = try DevCA(folder: folder.appending(path: "a").path, cluster: ClusterID(1))
      let foreign = try DevCA(folder: folder.appending(path: "b").path, cluster: ClusterID(2))
      let member = try foreign.issue(.replica(ReplicaID(2)))
      let server = try TLSCredentials(
        files: .init(ca: foreign.caFile, certificate: member.certificate, key: member.key))
      let backend = FakeBackend()
      try await withNode(backend, credentials: server) { address async throws in
        let issued = try own.issue(.admin("ops"))
        for ca in [own.caFile, foreign.caFile] {
          let result = try await RslProcess.run(
            "snapshot", "--address", address, "--ca", ca, "--certificate", issued.certificate,
            "--key", issued.key)
          #expect(result.status == 1)
          #expect(result.errors.hasPrefix("rsl: \(address): "), "\(result.errors)")
        }
        #expect(backend.calls.isEmpty)
      }
    }
  }
}
