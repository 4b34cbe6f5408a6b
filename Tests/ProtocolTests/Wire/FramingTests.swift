import Protocol
import Testing

@Suite struct FramingTests {
  /// A frame of `count` messages, with what went in.
  private func frame(
    _ generator: inout Generator, count: Int, into out: inout [UInt8]
  ) -> (FrameRoute, [(Message, Epoch, [UInt8])]) {
    let route = generator.route()
    var writer = FrameWriter(kind: .peer)
    writer.begin(route, into: &out)
    var messages: [(Message, Epoch, [UInt8])] = []
    for _ in 0..<count {
      let kind = generator.below(Generator.messageKinds)
      let (message, payload) = generator.message(kind: kind)
      let epoch = Epoch(generator.u64())
      writer.append(message, epoch: epoch, payload: payload.span.bytes, into: &out)
      messages.append((message, epoch, payload))
    }
    writer.finish(into: &out)
    return (route, messages)
  }

  private func refusal(
    _ parser: FrameParser = FrameParser(), of bytes: [UInt8]
  ) -> FrameError? {
    do throws(FrameError) {
      _ = try parser.next(in: bytes.span.bytes)
      return nil
    } catch {
      return error
    }
  }

  @Test func severalMessagesShareAFrameAndComeBackInOrder() throws {
    var generator = Generator(seed: 1)
    for count in 1...40 {
      var bytes = generator.bytes(generator.below(3))
      let begin = bytes.count
      let (route, sent) = frame(&generator, count: count, into: &bytes)
      guard
        case .frame(let header, let body) = try FrameParser().next(
          in: bytes.span.bytes, from: begin)
      else {
        Issue.record("no frame")
        return
      }
      #expect(header == FrameHeader(kind: .peer, route: route, count: UInt32(count)))
      #expect(body.upperBound == bytes.count)
      var messages = FrameMessages(header, body: body)
      for (message, epoch, payload) in sent {
        let next = try messages.next(
          in: bytes.span.bytes, placing: .at(message.payload.position))
        let decoded = try #require(next)
        #expect(
          decoded.envelope
            == Envelope(from: route.sender, to: route.receiver, epoch: epoch, message: message))
        #expect(Array(bytes[decoded.payload]) == payload)
      }
      let behind = try messages.next(in: bytes.span.bytes, placing: .at(0))
      #expect(behind == nil)
    }
  }

  @Test func anySplitOfTheStreamGivesTheSameFrames() throws {
    var generator = Generator(seed: 2)
    for _ in 0..<50 {
      var stream: [UInt8] = []
      var ends: [Int] = []
      for _ in 0..<1 + generator.below(5) {
        _ = frame(&generator, count: 1 + generator.below(4), into: &stream)
        ends.append(stream.count)
      }
      var received: [UInt8] = []
      var consumed = 0
      var found: [Int] = []
      while received.count < stream.count {
        let piece = min(stream.count - received.count, 1 + generator.below(90))
        received += stream[received.count..<received.count + piece]
        parsing: while true {
          switch try FrameParser().next(in: received.span.bytes, from: consumed) {
          case .needsMore(let total):
            #expect(total > received.count - consumed)
            break parsing
          case .frame(_, let body):
            consumed = body.upperBound
            found.append(consumed)
          }
        }
      }
      #expect(found == ends)
    }
  }

  @Test func everyTruncationAsksForMore() throws {
    var generator = Generator(seed: 3)
    var bytes: [UInt8] = []
    _ = frame(&generator, count: 3, into: &bytes)
    for length in 0..<bytes.count {
      let parse = try FrameParser().next(in: Array(bytes[..<length]).span.bytes)
      #expect(parse == .needsMore(total: length < FrameHeader.length ? 56 : bytes.count))
    }
  }

  @Test func everyFlippedBitIsDetected() {
    var generator = Generator(seed: 4)
    for count in [1, 2, 7] {
      var bytes: [UInt8] = []
      _ = frame(&generator, count: count, into: &bytes)
      for bit in 0..<bytes.count * 8 {
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        #expect(refusal(of: bytes) != nil, "bit \(bit)")
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      }
      #expect(refusal(of: bytes) == nil)
    }
  }

  @Test func garbageNeverTraps() {
    var generator = Generator(seed: 5)
    var bytes: [UInt8] = []
    _ = frame(&generator, count: 2, into: &bytes)
    for i in 0..<100_000 {
      var garbage = generator.bytes(generator.below(100))
      if i % 2 == 0 { for j in 0..<min(garbage.count, 8) { garbage[j] = bytes[j] } }
      // Nothing random has a valid checksum; it is refused or too short to tell.
      if refusal(of: garbage) == nil { #expect(garbage.count < FrameHeader.length) }
    }
  }

  /// Changes the header and makes its checksum right again.
  private func rewritten(_ bytes: [UInt8], _ change: (inout [UInt8]) -> Void) -> [UInt8] {
    var bytes = bytes
    change(&bytes)
    bytes.set(CRC32C.checksum(Array(bytes[..<52])), at: 52)
    return bytes
  }

  @Test func errorsAreTyped() {
    var generator = Generator(seed: 6)
    var bytes: [UInt8] = []
    _ = frame(&generator, count: 2, into: &bytes)
    let length = UInt32(bytes.count)
    #expect(refusal(of: [0x47]) == .notAFrame)
    #expect(refusal(of: Array("GET / HTTP".utf8)) == .notAFrame)
    #expect(refusal(of: rewritten(bytes) { $0[4] = 2 }) == .unsupportedVersion(2))
    #expect(refusal(of: rewritten(bytes) { $0[5] = 9 }) == .unknownKind(9))
    #expect(refusal(of: rewritten(bytes) { $0[6] = 57 }) == .unsupportedHeader)
    #expect(refusal(of: rewritten(bytes) { $0[12] = 1 }) == .unsupportedHeader)
    #expect(
      refusal(of: rewritten(bytes) { $0.set(UInt32(55), at: 8) }) == .impossibleLength(declared: 55)
    )
    #expect(
      refusal(of: rewritten(bytes) { $0.set(UInt32(56), at: 8) }) == .impossibleLength(declared: 56)
    )
    #expect(
      refusal(of: rewritten(bytes) { $0.set(UInt32.max, at: 44) })
        == .impossibleLength(declared: length))
    #expect(
      refusal(of: rewritten(bytes) { $0.set(UInt32(0), at: 44) })
        == .impossibleLength(declared: length))
    var damaged = bytes
    damaged[20] ^= 1
    #expect(refusal(of: damaged) == .headerChecksum)
    damaged = bytes
    damaged[damaged.count - 1] ^= 1
    #expect(refusal(of: damaged) == .bodyChecksum)
  }

  @Test func absurdLengthsAreRefusedByTheHeaderAlone() {
    var generator = Generator(seed: 7)
    var bytes: [UInt8] = []
    _ = frame(&generator, count: 1, into: &bytes)
    let header = Array(bytes[..<56])
    #expect(
      refusal(of: rewritten(header) { $0.set(UInt32.max, at: 8) })
        == .tooLong(declared: .max, limit: FrameParser.lengthMaxDefault))
    let tight = FrameParser(lengthMax: bytes.count - 1)
    #expect(
      refusal(tight, of: header) == .tooLong(declared: UInt32(bytes.count), limit: bytes.count - 1))
    #expect(refusal(FrameParser(lengthMax: bytes.count), of: bytes) == nil)
  }

  @Test func aBodyMustHoldExactlyItsMessages() throws {
    var generator = Generator(seed: 8)
    var bytes: [UInt8] = []
    _ = frame(&generator, count: 2, into: &bytes)
    for claimed in [1, 3] as [UInt32] {
      let changed = rewritten(bytes) { $0.set(claimed, at: 44) }
      guard case .frame(let header, let body) = try FrameParser().next(in: changed.span.bytes)
      else {
        Issue.record("no frame")
        return
      }
      var messages = FrameMessages(header, body: body)
      var failure: DecodeError?
      do throws(DecodeError) {
        while try messages.next(in: changed.span.bytes, placing: .at(0)) != nil {}
      } catch {
        failure = error
      }
      #expect(failure?.what == (claimed == 1 ? .trailing : .truncated))
    }
  }

  @Test func gatheredFramesAreTheSameBytes() {
    var generator = Generator(seed: 9)
    for _ in 0..<50 {
      let route = generator.route()
      var copied: [UInt8] = []
      var fixed: [UInt8] = generator.bytes(3)
      let prefix = fixed.count
      var places: [(Int, [UInt8])] = []
      var a = FrameWriter(kind: .peer)
      var b = FrameWriter(kind: .peer)
      a.begin(route, into: &copied)
      b.begin(route, into: &fixed)
      for _ in 0..<1 + generator.below(6) {
        let (message, payload) = generator.message(kind: generator.below(16))
        a.append(message, epoch: Epoch(1), payload: payload.span.bytes, into: &copied)
        let place = b.appendFixed(
          message, epoch: Epoch(1), payload: payload.span.bytes, into: &fixed)
        places.append((place, payload))
      }
      #expect(a.length == b.length)
      a.finish(into: &copied)
      b.finish(into: &fixed)
      var gathered: [UInt8] = []
      var from = prefix
      for (place, payload) in places {
        gathered += fixed[from..<place] + payload
        from = place
      }
      gathered += fixed[from...]
      #expect(gathered == copied)
    }
  }

  @Test func aFrameWithoutMessagesIsNotSent() {
    var generator = Generator(seed: 10)
    var out: [UInt8] = [1, 2, 3]
    var writer = FrameWriter(kind: .peer)
    writer.begin(generator.route(), into: &out)
    writer.finish(into: &out)
    #expect(out == [1, 2, 3])
  }

  @Test func roomIsCounted() {
    var generator = Generator(seed: 11)
    var out: [UInt8] = []
    var writer = FrameWriter(kind: .peer, lengthMax: 100)
    writer.begin(generator.route(), into: &out)
    #expect(writer.hasRoom(for: 44))
    #expect(!writer.hasRoom(for: 45))
    writer.append(
      .standForElection(StandForElection(ballot: .zero)), epoch: Epoch(1),
      payload: [UInt8]().span.bytes, into: &out)
    #expect(writer.hasRoom(for: 12))
    #expect(!writer.hasRoom(for: 13))
  }

  @Test func theScreenRefusesStrangersAndThePast() {
    let screen = FrameScreen(
      cluster: ClusterID(7), replica: ReplicaID(2), incarnation: Incarnation(3))
    let good = FrameRoute(
      cluster: ClusterID(7), ring: RingID(0), sender: ReplicaID(1), receiver: ReplicaID(2),
      senderIncarnation: Incarnation(5), receiverIncarnation: Incarnation(3))
    func refusal(_ current: Incarnation?, _ change: (inout FrameRoute) -> Void) -> FrameRefusal? {
      var route = good
      change(&route)
      return screen.refusal(of: route, sender: current)
    }
    #expect(refusal(nil) { _ in } == nil)
    #expect(refusal(Incarnation(5)) { _ in } == nil)
    #expect(refusal(Incarnation(4)) { _ in } == nil)
    #expect(refusal(nil) { $0.receiverIncarnation = Incarnation(0) } == nil)
    #expect(refusal(nil) { $0.cluster = ClusterID(8) } == .wrongCluster(ClusterID(8)))
    #expect(refusal(nil) { $0.receiver = ReplicaID(1) } == .wrongReceiver(ReplicaID(1)))
    #expect(refusal(nil) { $0.sender = ReplicaID(2) } == .fromSelf)
    #expect(
      refusal(Incarnation(6)) { _ in } == .oldSender(Incarnation(5), current: Incarnation(6)))
    for other in [2, 4] as [UInt32] {
      #expect(
        refusal(nil) { $0.receiverIncarnation = Incarnation(other) }
          == .otherLifeOfReceiver(Incarnation(other), current: Incarnation(3)))
    }
  }

  @Test func helloRoundTripAndVersionChoice() throws {
    let hello = Hello(oldestVersion: 1, newestVersion: 3, frameLengthMax: 1 << 20)
    var bytes: [UInt8] = []
    hello.encode(into: &bytes)
    #expect(bytes.count == Hello.encodedLength)
    func decode(_ bytes: [UInt8], _ length: Int) -> Result<Hello, DecodeError> {
      do throws(DecodeError) {
        return .success(try Hello(body: 0..<length, of: bytes.span.bytes))
      } catch {
        return .failure(error)
      }
    }
    #expect(decode(bytes, 8) == .success(hello))
    for length in 0..<8 {
      guard case .failure(let error) = decode(bytes, length) else {
        Issue.record("\(length) bytes were decoded")
        continue
      }
      #expect(error.what == .truncated)
    }
    #expect(decode(bytes + [0], 9) == .failure(DecodeError(.trailing, at: 8)))
    #expect(decode([4] + bytes[1...], 8) == .failure(DecodeError(.contradiction, at: 0)))
    func common(_ oldest: UInt8, _ newest: UInt8) -> UInt8? {
      hello.commonVersion(
        with: Hello(oldestVersion: oldest, newestVersion: newest, frameLengthMax: 100))
    }
    #expect(common(2, 9) == 3)
    #expect(common(1, 2) == 2)
    #expect(common(4, 9) == nil)
  }
}
