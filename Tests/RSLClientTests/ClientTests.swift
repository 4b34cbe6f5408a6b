import Protocol
import RSLClient
import Testing

extension OverSockets {
  @Suite struct ClientTests {
    @Test func aCommandIsPerformedAndAnswered() async throws {
      let cluster = try await FakeCluster.start()
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      let first = try await client.execute(bytes(7))
      #expect(first.bytes == bytes(7) + bytes(1))
      let second = try await client.execute(bytes(8, length: 100))
      #expect(second.bytes == bytes(8) + bytes(2))
      #expect(second.slot > first.slot)
      await client.close()
      #expect(try await cluster.with { $0.app.machine.applied } == [7, 8])
      try await cluster.stop()
    }

    @Test func callsAtTheSameTimeSharePackets() async throws {
      let cluster = try await FakeCluster.start(1)
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      _ = try await client.execute(bytes(0))
      let replies = try await withThrowingTaskGroup(of: UInt64.self) { group in
        for number in 1...500 as ClosedRange<UInt64> {
          group.addTask { try await client.execute(bytes(number)).bytes.number() }
        }
        return try await group.reduce(into: [UInt64]()) { $0.append($1) }
      }
      #expect(replies.sorted() == Array(1...500))
      let counters = await client.counters()
      #expect(counters.applied == 501)
      #expect(counters.connectionsMade == 1)
      #expect(counters.framesSent < 400, "\(counters.framesSent)")
      await client.close()
      try await cluster.stop()
    }

    @Test func readsSeeWhatTheClientDid() async throws {
      let cluster = try await FakeCluster.start()
      var configuration = try await cluster.configuration()
      configuration.sessions = 3
      let client = Client(configuration, timeout: .seconds(60))
      for number in 1...20 as ClosedRange<UInt64> {
        let written = try await client.execute(bytes(number))
        for mode in [.quorum, .lease, .local(atLeast: .zero)] as [ReadMode] {
          let read = try await client.read([], mode: mode)
          #expect(read.bytes == bytes(number))
          #expect(read.slot >= written.slot)
        }
      }
      try await cluster.with { $0.leasesEnabled = false }
      await #expect(throws: ClientError.leasesDisabled) { try await client.read([], mode: .lease) }
      await client.close()
      try await cluster.stop()
    }

    /// Every session has its places for reads; more at the same time than all of them together are refused.
    @Test func moreReadsThanPlacesAreOverloaded() async throws {
      let cluster = try await FakeCluster.start(1)
      try await cluster.with { $0.treat = { _, _ in .dropRequest } }
      var configuration = try await cluster.configuration()
      configuration.sessions = 3
      configuration.options = ClientOptions(
        replicas: configuration.replicas.map(\.id), readsMax: 2, retryMin: .seconds(60),
        retryMax: .seconds(60))
      let client = Client(configuration, timeout: .seconds(60))
      let reads = (0..<6).map { _ in Task { try await client.read([]) } }
      try await cluster.received(6)
      await #expect(throws: ClientError.overloaded) { try await client.read([]) }
      await client.close(grace: .zero)
      for read in reads {
        #expect(await read.result.failure == .closed)
      }
      try await cluster.stop()
    }

    @Test func errorsAreTyped() async throws {
      let cluster = try await FakeCluster.start(1)
      var configuration = try await cluster.configuration()
      configuration.options.payloadMax = 64
      let client = Client(configuration, timeout: .seconds(60))
      await #expect(throws: ClientError.tooLarge(limit: 64)) {
        try await client.execute(bytes(1, length: 65))
      }
      _ = try await client.execute(bytes(1, length: 64))
      try await cluster.with { $0.treat = { _, _ in .dropReply } }
      await #expect(throws: ClientError.unknownOutcome(nil)) {
        try await client.execute(bytes(2), timeout: .milliseconds(50))
      }
      await client.close(grace: .zero)
      await #expect(throws: ClientError.closed) { try await client.execute(bytes(3)) }
      await client.close()
      try await cluster.stop()
      let alone = Client(configuration)
      await #expect(throws: ClientError.unavailable) {
        try await alone.execute(bytes(4), timeout: .milliseconds(50))
      }
      await alone.close()
    }

    @Test func whatWasSentAndCancelledIsUnknown() async throws {
      let cluster = try await FakeCluster.start(1)
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      _ = try await client.execute(bytes(0))
      let before = try await cluster.with { cluster in
        cluster.treat = { _, _ in .dropReply }
        return cluster.received
      }
      let call = Task { try await client.execute(bytes(1)) }
      try await cluster.received(before + 1)
      call.cancel()
      #expect(await call.result.failure == .unknownOutcome(nil))
      // It was performed all the same, and does not disturb the next one.
      try await cluster.with { $0.treat = { _, _ in .answer } }
      #expect(try await client.execute(bytes(2)).bytes == bytes(2) + bytes(3))
      await client.close()
      try await cluster.stop()
    }

    @Test func whatWasCancelledBeforeIsNotPerformed() async throws {
      let cluster = try await FakeCluster.start(1)
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      let call = Task {
        withUnsafeCurrentTask { $0?.cancel() }
        return try await client.execute(bytes(1))
      }
      let failure = await call.result.failure
      // Which of the two depends on how fast the event loop is; that it ends at once does not.
      #expect(failure == .cancelled || failure == .unknownOutcome(nil))
      if failure == .cancelled {
        _ = try await client.execute(bytes(2))
        #expect(try await cluster.with { $0.app.machine.applied } == [2])
      }
      await client.close()
      try await cluster.stop()
    }

    @Test func closingWaitsForWhatIsUnderWay() async throws {
      let cluster = try await FakeCluster.start(1)
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      _ = try await client.execute(bytes(0))
      let before = try await cluster.with { cluster in
        cluster.treat = { _, _ in .dropRequest }
        return cluster.received
      }
      let call = Task { try await client.execute(bytes(1)) }
      try await cluster.received(before + 1)
      async let closed: Void = client.close(grace: .seconds(60))
      try await cluster.with { $0.treat = { _, _ in .answer } }
      #expect(try await call.value.bytes == bytes(1) + bytes(2))
      await closed
      #expect(await client.counters().outstanding == 0)
      try await cluster.stop()
    }

    @Test func closingAtOnceLeavesItUnknown() async throws {
      let cluster = try await FakeCluster.start(1)
      let client = Client(try await cluster.configuration(), timeout: .seconds(60))
      _ = try await client.execute(bytes(0))
      let before = try await cluster.with { cluster in
        cluster.treat = { _, _ in .dropRequest }
        return cluster.received
      }
      let call = Task { try await client.execute(bytes(1)) }
      try await cluster.received(before + 1)
      await client.close(grace: .zero)
      #expect(await call.result.failure == .unknownOutcome(nil))
      try await cluster.stop()
    }

    /// A client that nobody has any more disconnects.
    @Test func aDroppedClientDisconnects() async throws {
      let cluster = try await FakeCluster.start(1)
      var client: Client? = Client(try await cluster.configuration(), timeout: .seconds(60))
      _ = try await client?.execute(bytes(1))
      let channel = try await cluster.with { $0.channels[0].1 }
      client = nil
      try await channel.closeFuture.get()
      try await cluster.stop()
    }
  }
}

extension Result where Success == Reply {
  var failure: ClientError? {
    if case .failure(let error) = self { error as? ClientError } else { nil }
  }
}
