import Protocol
import Testing

/// The formats, byte for byte. A change here is a change of format: raise its version, or old journals and mixed clusters
/// are misread.
@Suite struct GoldenTests {
  static let ballot = Ballot(round: 0x0102_0304_0506_0708, proposer: ReplicaID(0xA1A2_A3A4))
  static let lower = Ballot(round: 0x11, proposer: ReplicaID(0x22))
  static let payload: [UInt8] = [0xDE, 0xAD, 0xBE, 0xEF, 0x99]
  static let bytes = BytesRef(position: 0, length: 5)
  static let value = Value(bytes: bytes, count: 2, digest: 0xD1D2_D3D4_D5D6_D7D9)
  static let snapshot = SnapshotInfo(slot: Slot(0x51), length: 0x5253, digest: 0x5455_5657)

  static let messages: [(name: String, message: Message)] = [
    ("prepare", .prepare(Prepare(ballot: ballot, firstSlot: Slot(0x31), releasedLease: lower))),
    (
      "promise",
      .promise(
        Promise(
          ballot: ballot, firstSlot: Slot(0x31), chosenUpTo: Slot(0x32), truncatedUpTo: Slot(0x33),
          lastSlot: Slot(0x34)))
    ),
    (
      "report",
      .report(
        Report(
          ballot: ballot, slot: Slot(0x31), votedBallot: lower, value: value, isChosen: true))
    ),
    (
      "accept",
      .accept(Accept(ballot: ballot, slot: Slot(0x31), value: value, chosenUpTo: Slot(0x30)))
    ),
    (
      "accept no-op",
      .accept(Accept(ballot: ballot, slot: Slot(0x31), value: .noop, chosenUpTo: Slot(0x30)))
    ),
    ("accepted", .accepted(Accepted(ballot: ballot, firstSlot: Slot(0x31), lastSlot: Slot(0x35)))),
    ("rejected", .rejected(Rejected(ballot: lower, promised: ballot))),
    ("heartbeat", .heartbeat(Heartbeat(ballot: ballot, round: 0x41, chosenUpTo: Slot(0x30)))),
    (
      "heartbeatReply",
      .heartbeatReply(HeartbeatReply(ballot: ballot, round: 0x41, chosenUpTo: Slot(0x30)))
    ),
    ("preVote", .preVote(PreVote(ballot: ballot, chosenUpTo: Slot(0x30)))),
    (
      "preVoteReply",
      .preVoteReply(
        PreVoteReply(ballot: ballot, isGranted: true, promised: lower, chosenUpTo: Slot(0x30)))
    ),
    ("standForElection", .standForElection(StandForElection(ballot: ballot))),
    ("fetch", .fetch(Fetch(firstSlot: Slot(0x31), limit: 0x42))),
    ("learn", .learn(Learn(slot: Slot(0x31), value: value, chosenUpTo: Slot(0x35)))),
    ("snapshotOffer", .snapshotOffer(SnapshotOffer(snapshot: snapshot))),
    ("snapshotFetch", .snapshotFetch(SnapshotFetch(snapshot: snapshot, offset: 0x61))),
    (
      "snapshotChunk",
      .snapshotChunk(SnapshotChunk(snapshot: snapshot, offset: 0x61, bytes: bytes))
    ),
    ("inquiry", .inquiry(Inquiry(nonce: 0x0908_0706))),
    (
      "standing",
      .standing(
        Standing(
          nonce: 0x0908_0706, isSound: true, promised: ballot, leading: lower,
          lastSlot: Slot(0x31)))
    ),
    ("stateDigest", .stateDigest(StateDigest(slot: Slot(0x31), digest: 0x1918_1716_1514_1312))),
  ]

  static let records: [(name: String, fact: JournalFact)] = [
    ("promised", .promised(ballot)),
    ("accepted", .accepted(Slot(0x31), ballot, value)),
    ("accepted no-op", .accepted(Slot(0x31), ballot, .noop)),
    ("learned", .learned(Slot(0x31), value)),
    ("chosenUpTo", .chosenUpTo(Slot(0x31))),
    ("snapshot", .snapshot(snapshot)),
  ]

  static let configuration = ConfigurationSpan(
    epoch: Epoch(0xE1E2), firstSlot: Slot(0xF1F2), lastSlot: Slot(0xF3F4_F5F6))

  private static func record(_ fact: JournalFact) -> JournalRecord {
    JournalRecord(fact, epoch: configuration.epoch)
  }

  private func payload(_ bytes: BytesRef) -> [UInt8] { bytes.length == 0 ? [] : Self.payload }

  @Test(arguments: messages.indices) func message(_ i: Int) {
    let (name, message) = Self.messages[i]
    var out: [UInt8] = []
    MessageCodec.encode(
      message, epoch: Epoch(0xE1E2), payload: payload(message.payload).span.bytes, into: &out)
    let expected = goldenMessages.first { $0.name == name }?.hex
    #expect(hex(out) == expected, "\(name)")
  }

  @Test func everyMessageAndRecordIsHere() {
    #expect(goldenMessages.map(\.name) == Self.messages.map(\.name))
    // Distinct tags: the no-op shares that of accept.
    #expect(Set(goldenMessages.map { $0.hex.prefix(2) }).count == Generator.messageKinds)
    #expect(goldenRecords.map(\.name) == ["header"] + Self.records.map(\.name) + ["padding"])
  }

  @Test func frame() {
    var out: [UInt8] = []
    var writer = FrameWriter(kind: .peer)
    writer.begin(
      FrameRoute(
        cluster: ClusterID(0xC1C2_C3C4_C5C6_C7C8), ring: RingID(0x1A), sender: ReplicaID(0x2A),
        receiver: ReplicaID(0x3A), senderIncarnation: Incarnation(0x4A),
        receiverIncarnation: Incarnation(0x5A)), into: &out)
    writer.append(
      .fetch(Fetch(firstSlot: Slot(0x31), limit: 0x42)), epoch: Epoch(0xE1E2),
      payload: [UInt8]().span.bytes, into: &out)
    writer.finish(into: &out)
    #expect(hex(out) == goldenFrame)
    var hello: [UInt8] = []
    Hello(oldestVersion: 1, newestVersion: 2, frameLengthMax: 0x0102_0304).encode(into: &hello)
    #expect(hex(hello) == "0102000004030201")
    var notices: [UInt8] = []
    HostNotice(
      isShortOfRoom: true, doubtsEverything: true,
      recovered: JournalMark(segment: 0x0102_0304_0506_0708, offset: 0x0A0B_0C0D),
      own: JournalSighting(life: 0x11, durable: JournalMark(segment: 0x22, offset: 0x33)),
      heard: JournalSighting(life: 0x44, durable: JournalMark(segment: 0x55, offset: 0x66))
    ).encode(into: &notices)
    #expect(
      hex(notices)
        == "0300000000000000" + "08070605040302010d0c0b0a00000000"
        + "1100000000000000" + "22000000000000003300000000000000"
        + "4400000000000000" + "55000000000000006600000000000000")
  }

  /// A request and a response, as in a frame to each side.
  @Test func clientFrame() {
    var message: [UInt8] = []
    ClientMessage.encodeRequest(
      command: operation(SessionID(0x51), 0x61, Self.payload).span.bytes, into: &message)
    var out: [UInt8] = []
    var writer = FrameWriter(kind: .client)
    let cluster = ClusterID(0xC1C2_C3C4_C5C6_C7C8)
    writer.begin(
      .request(cluster: cluster, ring: RingID(0x1A), to: ReplicaID(0x2A)), into: &out)
    writer.append(clientMessage: message.span.bytes, into: &out)
    writer.finish(into: &out)
    #expect(hex(out) == goldenRequestFrame)
    message = []
    ClientMessage.encodeReadResponse(
      RequestID(session: SessionID(0x51), sequence: SequenceNumber(0x61)), appliedUpTo: Slot(0x31),
      reply: Self.payload.span.bytes, into: &message)
    out = []
    writer.begin(
      .response(cluster: cluster, ring: RingID(0x1A), from: ReplicaID(0x2A), Incarnation(0x4A)),
      into: &out)
    writer.append(clientMessage: message.span.bytes, into: &out)
    writer.finish(into: &out)
    #expect(hex(out) == goldenResponseFrame)
  }

  /// One journal with every kind of record, cut where its parts end.
  @Test func journal() {
    var writer = JournalWriter(
      identity: JournalIdentity(
        cluster: ClusterID(0xC1C2_C3C4_C5C6_C7C8), ring: RingID(0x1A), replica: ReplicaID(0x2A),
        incarnation: Incarnation(0x4A)), after: .fresh)
    let segment = Self.configuration
    var parts: [(name: String, hex: String)] = []
    var out: [UInt8] = []
    _ = writer.beginSegment(under: segment, into: &out)
    _ = writer.flushed(writer.flush())
    parts.append(("header", hex(out)))
    for (name, fact) in Self.records {
      let record = Self.record(fact)
      out = []
      writer.append(record, payload: payload(record.payload).span.bytes, into: &out)
      parts.append((name, hex(out)))
    }
    out = []
    writer.padToBlock(into: &out)
    // The zeroes behind it are all alike.
    parts.append(("padding", hex(out[..<48])))
    for (name, bytes) in parts {
      let expected = goldenRecords.first { $0.name == name }?.hex
      #expect(bytes == expected, "\(name)")
    }
  }

  /// A second segment repeats what the first one established.
  @Test func secondSegmentHeader() {
    var writer = JournalWriter(
      identity: JournalIdentity(
        cluster: ClusterID(0xC1), ring: RingID(0x1A), replica: ReplicaID(0x2A),
        incarnation: Incarnation(0x4A)), after: .fresh)
    var out: [UInt8] = []
    _ = writer.beginSegment(under: Self.configuration, into: &out)
    for (_, fact) in Self.records {
      let record = Self.record(fact)
      writer.append(record, payload: payload(record.payload).span.bytes, into: &out)
    }
    _ = writer.flushed(writer.flush())
    out = []
    var next = Self.configuration
    next.epoch = Epoch(0xE1E3)
    next.firstSlot = Slot(0xF3F4_F5F7)
    next.lastSlot = .last
    _ = writer.beginSegment(under: next, into: &out)
    #expect(hex(out) == goldenSecondHeader)
  }
}
