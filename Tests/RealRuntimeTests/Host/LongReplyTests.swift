import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Answers commands and queries with as many bytes as they ask for, u32.
private struct Echoing: StateMachine {
  var digest: UInt64 { 0 }

  private func answer(_ bytes: RawSpan, _ reply: inout ReplyWriter) {
    guard bytes.byteCount == 4 else { return }
    let count = bytes.unsafeLoadUnaligned(as: UInt32.self)
    reply.append(contentsOf: [UInt8](repeating: 7, count: Int(count)))
  }

  mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    answer(command, &reply)
  }
  func query(_ query: RawSpan, reply: inout ReplyWriter) { answer(query, &reply) }
  func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? { nil }
  mutating func beginRestore() {}
  mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) { throw .length }
  mutating func finishRestore() throws(SnapshotInvalid) {}
}

@Suite struct LongReplyTests {
  private static func asking(_ count: UInt32) -> [UInt8] { withUnsafeBytes(of: count, Array.init) }

  /// What no frame holds must not end a replica, let alone one after the other.
  @Test func anAnswerLongerThanAFrameIsRefusedAndNobodyDies() async throws {
    let cluster = try RealCluster {
      $0.limits.frameBytes = 128 << 10
      $0.limits.peerUnsentBytes = 1 << 20
      $0.options.snapshotChunkBytes = 16 << 10
    }
    for number in 1...3 as ClosedRange<UInt32> { try cluster.start(number, Echoing()) }
    let client = cluster.client
    let longest: UInt32 = (128 << 10) - 56 - 8 - 32
    for _ in 0..<3 {
      // The session keeps none of these replies, but this one is sent.
      #expect(try await client.execute(Self.asking(longest)).bytes.count == Int(longest))
      await #expect(throws: ClientError.replyLost) {
        try await client.execute(Self.asking(longest + 1))
      }
      #expect(try await client.read(Self.asking(longest)).bytes.count == Int(longest))
      await #expect(throws: ClientError.tooLarge(limit: longest)) {
        try await client.read(Self.asking(longest + 1))
      }
      await #expect(throws: ClientError.replyLost) {
        try await client.execute(Self.asking(8 << 20))
      }
    }
    #expect(try await client.execute(Self.asking(3)).bytes == [7, 7, 7])
    let counters = await client.counters()
    #expect(counters.connectionsLost == 0)
    await client.close()
    try await cluster.stopAll()
  }
}
