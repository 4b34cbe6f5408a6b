import Protocol
import Testing

@testable import RSLClient

@Suite struct OutboxTests {
  private static let route = FrameRoute.request(
    cluster: ClusterID(1), ring: RingID(0), to: ReplicaID(1))

  private func messages(in bytes: [UInt8]) throws -> [[[UInt8]]] {
    var frames: [[[UInt8]]] = []
    var offset = 0
    while offset < bytes.count,
      case .frame(let header, let body) = try FrameParser().next(
        in: bytes.span.bytes, from: offset)
    {
      var iterator = ClientMessages(header, body: body)
      var found: [[UInt8]] = []
      while let range = try iterator.next(in: bytes.span.bytes) {
        found.append(Array(bytes[range]))
      }
      frames.append(found)
      offset = body.upperBound
    }
    #expect(offset == bytes.count)
    return frames
  }

  private func message(_ length: Int, _ fill: UInt8) -> [UInt8] {
    Array(repeating: fill, count: length)
  }

  private func expect(
    _ addition: Outbox.Addition, _ message: [UInt8], _ outbox: inout Outbox,
    _ location: SourceLocation = #_sourceLocation
  ) {
    let result = outbox.append(message.span.bytes)
    #expect(result == addition, sourceLocation: location)
  }

  @Test func oneFrameUntilItGrowsTooLong() throws {
    var outbox = Outbox(route: Self.route, frameLengthMax: 2 << 20, bytesMax: 8 << 20)
    var sent: [[UInt8]] = []
    for i in 0..<100 {
      let next = message(100 + 900 * (i % 2), UInt8(i))
      expect(.added, next, &outbox)
      sent.append(next)
    }
    // Longer than the goal, but not than a frame may be.
    let long = message(1_500_000, 7)
    expect(.added, long, &outbox)
    outbox.finish()
    let frames = try messages(in: outbox.bytes)
    #expect(frames.flatMap { $0 } == sent + [long])
    #expect(frames.count == 3)
    #expect(outbox.frames == 3)
    outbox.removeAll()
    #expect(outbox.isEmpty)
  }

  @Test func itIsBounded() throws {
    var outbox = Outbox(route: Self.route, frameLengthMax: 1000, bytesMax: 3000)
    let most = message(outbox.messageLengthMax, 1)
    #expect(FrameHeader.length + FrameWriter.encodedLength(ofClientMessage: most.count) == 1000)
    let more = message(outbox.messageLengthMax + 1, 1)
    expect(.tooLong, more, &outbox)
    expect(.added, most, &outbox)
    expect(.added, most, &outbox)
    expect(.added, most, &outbox)
    expect(.full, message(8, 2), &outbox)
    outbox.finish()
    #expect(outbox.bytes.count == 3000)
    #expect(try messages(in: outbox.bytes) == [[most], [most], [most]])
  }

  /// Before its hello nobody knows how long a frame a replica takes.
  @Test func whatTheReplicaDoesNotTakeIsDropped() throws {
    var outbox = Outbox(route: Self.route, frameLengthMax: 10_000, bytesMax: 100_000)
    let short = message(300, 1)
    expect(.added, short, &outbox)
    let fits = outbox.limit(frameLength: 2000)
    #expect(fits)
    #expect(!outbox.isEmpty)
    expect(.tooLong, message(3000, 1), &outbox)
    expect(.added, message(1200, 1), &outbox)
    let fitsStill = outbox.limit(frameLength: 1024)
    #expect(!fitsStill)
    #expect(outbox.isEmpty)
  }
}
