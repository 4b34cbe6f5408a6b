import Foundation
import Logging
import Protocol
import Synchronization
import Testing

@testable import RealRuntime

/// TLS over real sockets, good and bad.
@Suite(.timeLimit(.minutes(2))) struct TLSBridgeTests {
  static let cluster = ClusterID(0x8f2c_51a0_7be3_4d19)
  static let one = PeerIdentity(cluster: cluster, role: .replica(ReplicaID(1)))
  static let two = PeerIdentity(cluster: cluster, role: .replica(ReplicaID(2)))

  static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

  /// A listening replica 1 with a CA, and everything that connects to it.
  final class World: Sendable {
    let authority: DevCA
    let foreign: DevCA
    let bridge: TLSBridge
    let endpoint: SocketEndpoint
    let ledger: RefusalLedger
    let accepted: AsyncStream<TLSBridge.Bridged>
    /// Every refusal that the listener notes.
    private let refused: AsyncStream<ConnectionRefusal>

    init(
      _ folder: URL, for port: TLSBridge.Port = .members([ReplicaID(2), ReplicaID(3)]),
      deadline: TimeSpan = .seconds(10), connectionsMax: Int = 100, silenceMax: TimeSpan? = nil
    ) throws {
      authority = try DevCA(folder: folder.appending(path: "own").path, cluster: cluster)
      foreign = try DevCA(folder: folder.appending(path: "foreign").path, cluster: cluster)
      let (stream, continuation) = AsyncStream.makeStream(of: TLSBridge.Bridged.self)
      accepted = stream
      let (refused, refusal) = AsyncStream.makeStream(of: ConnectionRefusal.self)
      self.refused = refused
      ledger = RefusalLedger(logger: TLSBridgeTests.silent) { refusal.yield($0) }
      bridge = TLSBridge(
        credentials: try Self.credentials(authority, .replica(ReplicaID(1))), ledger: ledger,
        handshakeDeadline: deadline, connectionsMax: connectionsMax, memberSilenceMax: silenceMax)
      endpoint = try bridge.listen(
        at: SocketEndpoint(address: "127.0.0.1", port: 0), for: port
      ) { continuation.yield($0) }
    }

    deinit { bridge.stop() }

    static func credentials(
      _ authority: DevCA, _ role: PeerIdentity.Role, trusting ca: DevCA? = nil
    ) throws -> TLSCredentials {
      let issued = try authority.issue(role)
      return try TLSCredentials(
        files: .init(
          ca: (ca ?? authority).caFile, certificate: issued.certificate, key: issued.key))
    }

    /// What a process with these credentials connects with; its own refusals are counted apart.
    func caller(_ credentials: TLSCredentials) -> (bridge: TLSBridge, ledger: RefusalLedger) {
      let ledger = RefusalLedger(logger: TLSBridgeTests.silent)
      return (TLSBridge(credentials: credentials, ledger: ledger), ledger)
    }

    func connect(
      _ caller: TLSBridge, expecting identity: PeerIdentity = one, port: UInt16? = nil
    ) async
      -> Result<TestSocket, TLSBridge.Failure>
    {
      await withCheckedContinuation { continuation in
        let port = port ?? endpoint.port
        caller.connect(host: "127.0.0.1", port: port, expecting: identity) { result in
          continuation.resume(returning: result.map { TestSocket(owning: $0) })
        }
      }
    }

    func next() async throws -> (socket: TestSocket, bridged: TLSBridge.Bridged) {
      for await bridged in accepted {
        return (TestSocket(owning: bridged.descriptor), bridged)
      }
      throw CancellationError()
    }

    /// A connection of replica 2 and its other end.
    func pair() async throws -> (caller: TestSocket, listener: TestSocket) {
      let caller = caller(try Self.credentials(authority, .replica(ReplicaID(2))))
      let socket = try await connect(caller.bridge).get()
      return (socket, try await next().socket)
    }

    /// Waits for that many refusals; whether they were all for this reason, and nothing else was counted.
    func refusals(_ reason: ConnectionRefusal, _ count: UInt64) async -> Bool {
      var seen: [ConnectionRefusal] = []
      for await refusal in refused {
        seen.append(refusal)
        if seen.count == count { break }
      }
      return seen.allSatisfy { $0 == reason } && ledger.counts == [reason.rawValue: count]
    }
  }

  /// - Parameter deadline: by default long: on a busy machine a caller may take its time between two calls.
  static func withWorld<T>(
    for port: TLSBridge.Port = .members([ReplicaID(2), ReplicaID(3)]),
    deadline: TimeSpan = .seconds(600), connectionsMax: Int = 100,
    _ body: (World) async throws -> T
  ) async throws -> T {
    try await withFolder { folder in
      try await body(
        try World(folder, for: port, deadline: deadline, connectionsMax: connectionsMax))
    }
  }

  // MARK: Good connections

  @Test func membersTalkThroughIt() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(try World.credentials(world.authority, .replica(ReplicaID(2))))
      let socket = try await world.connect(caller.bridge).get()
      let (other, bridged) = try await world.next()
      #expect(bridged.identity == Self.two)
      #expect(bridged.remote == "127.0.0.1")
      try await socket.send("to the listener")
      #expect(try await other.receive() == Array("to the listener".utf8))
      try await other.send("and back")
      #expect(try await socket.receive() == Array("and back".utf8))
      #expect(world.ledger.counts.isEmpty && caller.ledger.counts.isEmpty)
    }
  }

  /// The kernel knows when to give a member's connection up: otherwise it would try for a quarter of an hour.
  @Test(arguments: [true, false]) func membersConnectionsEndInTime(_ areMembers: Bool) async throws
  {
    try await withFolder { folder in
      let world = try World(
        folder, for: areMembers ? .members([ReplicaID(2)]) : .certified,
        silenceMax: .milliseconds(1_234))
      let pair = try await world.pair()
      let timeouts = (0..<4_096).filter { Socket.localPort($0) == world.endpoint.port }.map {
        var (value, length) = (Int32(-1), socklen_t(MemoryLayout<Int32>.size))
        getsockopt($0, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, &value, &length)
        return value
      }
      // Of the listener, and of the connection.
      #expect(timeouts.sorted() == (areMembers ? [0, 1_234] : [0, 0]))
      withExtendedLifetime(pair) {}
    }
  }

  @Test func descriptorsDoNotBlock() async throws {
    try await Self.withWorld { world async throws in
      let caller = world.caller(try World.credentials(world.authority, .replica(ReplicaID(2))))
      let descriptor = await withCheckedContinuation { continuation in
        caller.bridge.connect(host: "127.0.0.1", port: world.endpoint.port, expecting: Self.one) {
          continuation.resume(returning: try? $0.get())
        }
      }
      let flags = fcntl(try #require(descriptor), F_GETFL)
      #expect(flags & O_NONBLOCK != 0)
      #expect(fcntl(try #require(descriptor), F_GETFD) & FD_CLOEXEC != 0)
      close(try #require(descriptor))
    }
  }

  @Test func theEndOfADirectionIsPassedOn() async throws {
    try await Self.withWorld { world async throws in
      let (caller, listener) = try await world.pair()
      try await caller.send("question")
      caller.finishSending()
      #expect(try await listener.receiveAll() == Array("question".utf8))
      // The other direction is still open.
      try await listener.send("answer")
      listener.finishSending()
      #expect(try await caller.receiveAll() == Array("answer".utf8))
    }
  }

  @Test func whatWasSentBeforeClosingArrives() async throws {
    try await Self.withWorld { world async throws in
      let pair = try await world.pair()
      let bytes = Self.noise(300_000, seed: 3)
      let sender = Task {
        try await pair.listener.send(bytes)
        pair.listener.end()
      }
      #expect(try await pair.caller.receiveAll() == bytes)
      _ = try? await sender.value
    }
  }

  static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededRandom(seed: seed)
    return (0..<(count + 7) / 8).flatMap { _ in
      withUnsafeBytes(of: random.next()) { Array($0) }
    }.prefix(count).map { $0 }
  }

  @Test func fiftyMegabytesPassUnchangedAndHeldBack() async throws {
    try await Self.withWorld { world async throws in
      let (caller, listener) = try await world.pair()
      let block = Self.noise(1 << 20, seed: 7)
      let total = 50 << 20
      // Nobody reads yet: what is on the way is bounded, so the sender comes to a stand.
      let taken = try await caller.sendUntilHeldBack(block, atMost: 40 << 20)
      #expect(taken < 25 << 20, "\(taken) bytes were taken while nobody read")
      async let isEqual = offPool {
        var place = 0
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
          let count = buffer.withUnsafeMutableBytes {
            recv(listener.descriptor, $0.baseAddress, $0.count, 0)
          }
          guard count > 0 else { return count == 0 && place == total }
          for offset in 0..<count where buffer[offset] != block[(place + offset) & 0xF_FFFF] {
            return false
          }
          place += count
        }
      }
      var sent = taken
      while sent < total {
        let part = Array(block[(sent & 0xF_FFFF)...].prefix(total - sent))
        try await caller.send(part)
        sent += part.count
      }
      caller.finishSending()
      #expect(try await isEqual)
    }
  }

  @Test func newCertificatesAreUsedByNewHandshakes() async throws {
    try await withFolder { folder async throws in
      let old = try DevCA(folder: folder.appending(path: "old").path, cluster: Self.cluster)
      let new = try DevCA(folder: folder.appending(path: "new").path, cluster: Self.cluster)
      func files(_ authority: DevCA, _ id: UInt32) throws -> TLSCredentials.Files {
        let issued = try authority.issue(.replica(ReplicaID(id)))
        return .init(ca: authority.caFile, certificate: issued.certificate, key: issued.key)
      }
      // The process reads copies, which are exchanged.
      let (from, to) = (try files(old, 1), folder.appending(path: "live"))
      try FileManager.default.createDirectory(at: to, withIntermediateDirectories: true)
      let live = TLSCredentials.Files(
        ca: to.path + "/ca", certificate: to.path + "/certificate", key: to.path + "/key")
      func install(_ files: TLSCredentials.Files) throws {
        for (source, target) in [
          (files.ca, live.ca), (files.certificate, live.certificate), (files.key, live.key),
        ] {
          try Data(contentsOf: URL(filePath: source)).write(
            to: URL(filePath: target), options: .atomic)
        }
      }
      try install(from)
      let credentials = try TLSCredentials(files: live)
      let ledger = RefusalLedger(logger: TLSBridgeTests.silent)
      let (stream, continuation) = AsyncStream.makeStream(of: TLSBridge.Bridged.self)
      let bridge = TLSBridge(credentials: credentials, ledger: ledger)
      defer { bridge.stop() }
      let endpoint = try bridge.listen(
        at: SocketEndpoint(address: "127.0.0.1", port: 0), for: .members([ReplicaID(2)])
      ) { continuation.yield($0) }
      var accepted = stream.makeAsyncIterator()
      func call(_ authority: DevCA) async throws -> TestSocket? {
        let caller = TLSBridge(
          credentials: try TLSCredentials(files: try files(authority, 2)), ledger: ledger)
        return await withCheckedContinuation { continuation in
          caller.connect(host: "127.0.0.1", port: endpoint.port, expecting: Self.one) {
            continuation.resume(returning: try? $0.map { TestSocket(owning: $0) }.get())
          }
        }
      }
      let first = try #require(try await call(old))
      let firstEnd = TestSocket(owning: try #require(await accepted.next()).descriptor)
      try install(try files(new, 1))
      try credentials.reload()
      #expect(try await call(old) == nil)
      let second = try #require(try await call(new))
      let secondEnd = TestSocket(owning: try #require(await accepted.next()).descriptor)
      for (near, far) in [(first, firstEnd), (second, secondEnd)] {
        try await near.send("still here")
        #expect(try await far.receive() == Array("still here".utf8))
      }
    }
  }
}
