import Protocol
import Testing

@Suite struct ClientFramesTests {
  static let cluster = ClusterID(7)
  static let route = FrameRoute.request(cluster: cluster, ring: RingID(1), to: ReplicaID(2))

  /// A frame of these messages and where it begins.
  private func frame(_ messages: [[UInt8]], behind prefix: [UInt8] = []) -> [UInt8] {
    var out = prefix
    var writer = FrameWriter(kind: .client)
    writer.begin(Self.route, into: &out)
    for message in messages { writer.append(clientMessage: message.span.bytes, into: &out) }
    writer.finish(into: &out)
    return out
  }

  private func messages(_ generator: inout Generator, _ count: Int) -> [[UInt8]] {
    (0..<count).map { _ in generator.bytes(8 + generator.below(60)) }
  }

  private func walk(
    _ bytes: [UInt8], from begin: Int = 0
  ) throws -> (FrameHeader, body: Range<Int>, Result<[Range<Int>], DecodeError>) {
    guard
      case .frame(let header, let body) = try FrameParser().next(in: bytes.span.bytes, from: begin)
    else {
      Issue.record("no frame")
      throw FrameError.notAFrame
    }
    return (header, body, ranges(header, body, bytes))
  }

  private func ranges(
    _ header: FrameHeader, _ body: Range<Int>, _ bytes: [UInt8]
  ) -> Result<[Range<Int>], DecodeError> {
    var iterator = ClientMessages(header, body: body)
    var found: [Range<Int>] = []
    do throws(DecodeError) {
      while let range = try iterator.next(in: bytes.span.bytes) { found.append(range) }
      return .success(found)
    } catch {
      return .failure(error)
    }
  }

  @Test func messagesComeBackInOrder() throws {
    var generator = Generator(seed: 1)
    for count in 1...40 {
      let sent = messages(&generator, count)
      let prefix = generator.bytes(8 * generator.below(3))
      let bytes = frame(sent, behind: prefix)
      let (header, body, found) = try walk(bytes, from: prefix.count)
      #expect(header == FrameHeader(kind: .client, route: Self.route, count: UInt32(count)))
      #expect(body.upperBound == bytes.count)
      let ranges = try found.get()
      #expect(ranges.map { Array(bytes[$0]) } == sent)
      #expect(ranges.allSatisfy { $0.lowerBound % 8 == 0 })
      let lengths = sent.map { FrameWriter.encodedLength(ofClientMessage: $0.count) }
      #expect(body.count == lengths.reduce(0, +))
    }
  }

  /// Whatever the body is: an error that lies within it, or messages that give the same body again.
  @Test(arguments: 1...20)
  func everyByteOfTheBodyMatters(seed: UInt64) throws {
    var generator = Generator(seed: seed)
    var accepted = 0
    for _ in 0..<500 {
      let bytes = frame(messages(&generator, 1 + generator.below(4)))
      var changed = bytes
      let (header, body, _) = try walk(bytes)
      for _ in 0...generator.below(2) {
        changed[body.lowerBound + generator.below(body.count)] = UInt8(generator.below(80))
      }
      switch ranges(header, body, changed) {
      case .success(let found):
        accepted += 1
        #expect(frame(found.map { Array(changed[$0]) })[body] == changed[body])
      case .failure(let error):
        #expect(body.contains(error.offset) || error.offset == body.endIndex)
      }
    }
    #expect(accepted > 100)
  }

  @Test func garbageNeverTraps() {
    var generator = Generator(seed: 3)
    var refused = 0
    for _ in 0..<100_000 {
      let bytes = generator.bytes(generator.below(80)).map { $0 % 24 == 0 ? $0 : 0 }
      let header = FrameHeader(
        kind: .client, route: Self.route, count: UInt32(1 + generator.below(4)))
      let body = generator.below(20)..<20 + generator.below(70)
      switch ranges(header, body, bytes) {
      case .success(let found):
        #expect(found.allSatisfy { $0.lowerBound >= body.lowerBound })
        #expect(found.allSatisfy { $0.upperBound <= min(body.upperBound, bytes.count) })
      case .failure: refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test func malformedHeadsAreNamed() throws {
    var generator = Generator(seed: 4)
    let bytes = frame([generator.bytes(13), generator.bytes(8)])
    let (header, body, _) = try walk(bytes)
    func failure(
      count: UInt32? = nil, _ body: Range<Int>, _ change: (inout [UInt8]) -> Void = { _ in }
    ) -> DecodeError? {
      var changed = bytes
      change(&changed)
      var header = header
      header.count = count ?? header.count
      if case .failure(let error) = ranges(header, body, changed) { return error }
      return nil
    }
    #expect(failure(body) == nil)
    #expect(failure(count: 1, body) == DecodeError(.trailing, at: 80))
    #expect(failure(count: 3, body) == DecodeError(.truncated, at: 96))
    #expect(failure(56..<95) == DecodeError(.truncated, at: 88))
    #expect(failure(body) { $0[60] = 1 } == DecodeError(.reservedNotZero, at: 60))
    #expect(failure(body) { $0[56] = 7 } == DecodeError(.length, at: 56))
    #expect(failure(body) { $0[56] = 200 } == DecodeError(.truncated, at: 64))
    #expect(failure(body) { $0[59] = 255 } == DecodeError(.truncated, at: 64))
    #expect(failure(body) { $0[77] = 1 } == DecodeError(.reservedNotZero, at: 77))
  }

  /// What a server writes straight into the frame is what it could have encoded first.
  @Test func repliesAreEncodedAsMessages() throws {
    var app = Application(
      machine: LogMachine(), limits: .init(sessionsMax: 2, outstandingMax: 1, replyLengthMax: 99))
    var replies = ReplyBuffer()
    let session = SessionID(1 << 16)
    let batch =
      registration(4) + operation(session, 1) + operation(session, 3) + operation(session, 2)
      + operation(SessionID(99), 1)
    try app.apply(Slot(1), batch.span.bytes, into: &replies)
    var direct: [UInt8] = []
    var encoded: [UInt8] = []
    var writer = FrameWriter(kind: .client)
    writer.begin(Self.route, into: &direct)
    for reply in replies.replies { writer.append(reply, in: replies, into: &direct) }
    writer.finish(into: &direct)
    writer.begin(Self.route, into: &encoded)
    for reply in replies.replies {
      var message: [UInt8] = []
      ClientMessage.encodeResponse(reply, in: replies, into: &message)
      writer.append(clientMessage: message.span.bytes, into: &encoded)
    }
    writer.finish(into: &encoded)
    #expect(direct == encoded)
    #expect(try walk(direct).2.get().count == 5)
  }

  @Test func theScreensRefuseStrangers() {
    let server = FrameScreen(
      cluster: Self.cluster, replica: ReplicaID(2), incarnation: Incarnation(3))
    func refusal(_ change: (inout FrameRoute) -> Void) -> FrameRefusal? {
      var route = Self.route
      change(&route)
      return server.clientRefusal(of: route)
    }
    #expect(refusal { _ in } == nil)
    #expect(refusal { $0.receiverIncarnation = Incarnation(3) } == nil)
    #expect(refusal { $0.cluster = ClusterID(8) } == .wrongCluster(ClusterID(8)))
    #expect(refusal { $0.receiver = ReplicaID(1) } == .wrongReceiver(ReplicaID(1)))
    #expect(refusal { $0.receiver = .client } == .wrongReceiver(.client))
    #expect(refusal { $0.sender = ReplicaID(1) } == .notAClient(ReplicaID(1)))
    #expect(refusal { $0.senderIncarnation = Incarnation(1) } == .notAClient(.client))
    #expect(
      refusal { $0.receiverIncarnation = Incarnation(2) }
        == .otherLifeOfReceiver(Incarnation(2), current: Incarnation(3)))

    let client = ClientFrameScreen(cluster: Self.cluster, replica: ReplicaID(2))
    let answer = FrameRoute.response(
      cluster: Self.cluster, ring: RingID(1), from: ReplicaID(2), Incarnation(3))
    func refusalByClient(_ change: (inout FrameRoute) -> Void) -> FrameRefusal? {
      var route = answer
      change(&route)
      return client.refusal(of: route)
    }
    #expect(refusalByClient { _ in } == nil)
    #expect(refusalByClient { $0.cluster = ClusterID(8) } == .wrongCluster(ClusterID(8)))
    #expect(refusalByClient { $0.receiver = ReplicaID(1) } == .wrongReceiver(ReplicaID(1)))
    #expect(
      refusalByClient { $0.receiverIncarnation = Incarnation(1) } == .wrongReceiver(.client))
    #expect(refusalByClient { $0.sender = ReplicaID(1) } == .wrongSender(ReplicaID(1)))
    #expect(refusalByClient { $0.sender = .client } == .wrongSender(.client))
  }
}
