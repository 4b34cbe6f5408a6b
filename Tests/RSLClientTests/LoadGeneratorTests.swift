import Protocol
import RSLClient
import RSLLoad
import Testing

extension OverSockets {
  @Suite struct LoadGeneratorTests {
    /// For `TallyMachine`: the number comes back, followed by how many there were.
    struct TallyWorkload: LoadWorkload {
      func write(operation: UInt64, of connection: UInt64, into out: inout [UInt8]) {
        out += bytes(connection << 32 | operation)
      }

      func isRight(_ reply: RawSpan, operation: UInt64, of connection: UInt64) -> Bool {
        reply.byteCount == 16 && TallyMachine.number(reply) == connection << 32 | operation
      }
    }

    @Test func everyOperationIsPerformedAndCounted() async throws {
      let cluster = try await FakeCluster.start(3)
      var options = LoadOptions(workload: TallyWorkload())
      options.connections = 3
      options.outstanding = 20
      options.threads = 2
      options.warmUp = .zero
      options.duration = .seconds(60)
      options.operationsMax = 600
      options.timeout = .seconds(60)
      let result = try await LoadGenerator.run(options, against: try await cluster.configuration())
      #expect(result.errors == 0)
      #expect(result.operations >= 600 && result.operations < 700)
      let applied = try await cluster.with { $0.app.machine.applied }
      #expect(Set(applied).count == applied.count)
      // What ended the measurement may have been followed by what was under way.
      #expect(applied.count >= Int(result.operations))
      #expect(applied.count == Int(result.operationsInAll))
      #expect(result.operationsPerSecond > 0)
      let percentiles = [50.0, 99, 99.9].map { result.latency(atPercentile: $0) }
      #expect(percentiles == percentiles.sorted() && percentiles[0] > .zero)
      #expect(result.latencyMax >= percentiles[2])
      #expect(result.framesSent > 0 && result.bytesReceived > result.operations * 48)
      try await cluster.stop()
    }

    /// The replies of another workload's machine are wrong.
    @Test func wrongRepliesAreCounted() async throws {
      let cluster = try await FakeCluster.start(1)
      var options = LoadOptions(workload: EchoWorkload(payload: 16))
      options.outstanding = 4
      options.warmUp = .zero
      options.duration = .milliseconds(100)
      let result = try await LoadGenerator.run(options, against: try await cluster.configuration())
      #expect(result.operations == 0)
      #expect(result.wrongReplies > 0)
      #expect(result.errors == result.wrongReplies)
      #expect(result.latency(atPercentile: 50) == .zero)
      try await cluster.stop()
    }

    @Test func theEchoMachineSurvivesASnapshot() throws {
      var app = Application(
        machine: EchoMachine(), limits: .init(sessionsMax: 4, outstandingMax: 4, replyLengthMax: 64)
      )
      var batch: [UInt8] = []
      Command.encodeRegistration(nonce: 5, into: &batch)
      var payload: [UInt8] = []
      EchoWorkload(payload: 64).write(operation: 3, of: 4, into: &payload)
      Command.encode(
        session: SessionID(1 << 16), sequence: SequenceNumber(1),
        acknowledgedUpTo: SequenceNumber(0), payload: payload.span.bytes, into: &batch)
      var replies = ReplyBuffer()
      try app.apply(Slot(1), batch.span.bytes, into: &replies)
      #expect(Array(replies.bytes[replies.replies[1].bytes]) == bytes(3) + bytes(4))
      var state: [UInt8] = []
      #expect(app.machine.snapshotChunk(at: 0, limit: 100, into: &state) == nil)
      var copy = EchoMachine()
      copy.beginRestore()
      try copy.restoreChunk(state.span.bytes)
      try copy.finishRestore()
      #expect(copy.digest == app.machine.digest && copy.count == 1)
      #expect(throws: SnapshotInvalid.length) { try copy.restoreChunk(payload.span.bytes) }
    }
  }
}
