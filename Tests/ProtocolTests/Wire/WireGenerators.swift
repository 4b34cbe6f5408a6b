import Protocol

/// Seeded values of everything that is encoded. Numbers are small, huge or anything, so that bounds are met.
struct Generator {
  var random: SeededRandom

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  mutating func below(_ n: Int) -> Int { Int(random.next(below: UInt64(n))) }
  mutating func bool() -> Bool { below(2) == 1 }

  mutating func u64() -> UInt64 {
    switch below(4) {
    case 0: random.next(below: 4)
    case 1: .max - random.next(below: 4)
    case 2: random.next(below: 1 << 20)
    default: random.next()
    }
  }

  mutating func u32() -> UInt32 { UInt32(truncatingIfNeeded: u64()) }
  mutating func slot() -> Slot { Slot(u64()) }
  mutating func ballot() -> Ballot { Ballot(round: u64(), proposer: ReplicaID(u32())) }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
  }

  /// A value and its bytes: every fifth a no-op.
  mutating func value(lengthMax: Int = 100) -> (Value, [UInt8]) {
    guard below(5) > 0 else { return (.noop, []) }
    let bytes = bytes(1 + below(lengthMax))
    let count = UInt32(1 + below(bytes.count))
    let value = Value(
      bytes: BytesRef(position: u64(), length: UInt32(bytes.count)), count: count,
      digest: random.next() | 1)
    return (value, bytes)
  }

  mutating func snapshot() -> SnapshotInfo {
    below(6) == 0 ? .none : SnapshotInfo(slot: slot(), length: u64(), digest: u64())
  }

  static let messageKinds = 19

  mutating func message(kind: Int) -> (Message, [UInt8]) {
    var payload: [UInt8] = []
    func takeValue(_ generator: inout Generator) -> Value {
      let (value, bytes) = generator.value()
      payload = bytes
      return value
    }
    let message: Message
    switch kind {
    case 0:
      message = .prepare(Prepare(ballot: ballot(), firstSlot: slot(), releasedLease: ballot()))
    case 1:
      message = .promise(
        Promise(
          ballot: ballot(), firstSlot: slot(), chosenUpTo: slot(), truncatedUpTo: slot(),
          lastSlot: slot()))
    case 2:
      message = .report(
        Report(
          ballot: ballot(), slot: slot(), votedBallot: ballot(), value: takeValue(&self),
          isChosen: bool()))
    case 3:
      message = .accept(
        Accept(ballot: ballot(), slot: slot(), value: takeValue(&self), chosenUpTo: slot()))
    case 4: message = .accepted(Accepted(ballot: ballot(), firstSlot: slot(), lastSlot: slot()))
    case 5: message = .rejected(Rejected(ballot: ballot(), promised: ballot()))
    case 6: message = .heartbeat(Heartbeat(ballot: ballot(), round: u64(), chosenUpTo: slot()))
    case 7:
      message = .heartbeatReply(
        HeartbeatReply(ballot: ballot(), round: u64(), chosenUpTo: slot()))
    case 8: message = .preVote(PreVote(ballot: ballot(), chosenUpTo: slot()))
    case 9:
      message = .preVoteReply(
        PreVoteReply(
          ballot: ballot(), isGranted: bool(), promised: ballot(), chosenUpTo: slot()))
    case 10: message = .standForElection(StandForElection(ballot: ballot()))
    case 11: message = .fetch(Fetch(firstSlot: slot(), limit: u32()))
    case 12: message = .learn(Learn(slot: slot(), value: takeValue(&self), chosenUpTo: slot()))
    case 13: message = .snapshotOffer(SnapshotOffer(snapshot: snapshot()))
    case 14:
      let info = snapshot()
      message = .snapshotFetch(
        SnapshotFetch(snapshot: info, offset: info.length == .max ? 7 : u64() % (info.length + 1)))
    case 16: message = .inquiry(Inquiry(nonce: u64()))
    case 17:
      message = .standing(
        Standing(
          nonce: u64(), isSound: bool(), promised: ballot(), leading: ballot(), lastSlot: slot()))
    case 18: message = .stateDigest(StateDigest(slot: slot(), digest: u64()))
    default:
      payload = bytes(below(60))
      let info = SnapshotInfo(
        slot: slot(), length: UInt64(payload.count) + random.next(below: 1 << 40), digest: u64())
      let offset = random.next(below: info.length - UInt64(payload.count) + 1)
      let ref =
        payload.isEmpty ? BytesRef.empty : BytesRef(position: u64(), length: UInt32(payload.count))
      message = .snapshotChunk(SnapshotChunk(snapshot: info, offset: offset, bytes: ref))
    }
    return (message, payload)
  }

  mutating func envelope(kind: Int) -> (Envelope, [UInt8]) {
    let (message, payload) = message(kind: kind)
    return (
      Envelope(from: ReplicaID(u32()), to: ReplicaID(u32()), epoch: Epoch(u64()), message: message),
      payload
    )
  }

  mutating func route() -> FrameRoute {
    FrameRoute(
      cluster: ClusterID(u64()), ring: RingID(u32()), sender: ReplicaID(u32()),
      receiver: ReplicaID(u32()), senderIncarnation: Incarnation(u32()),
      receiverIncarnation: Incarnation(u32()))
  }

  static let recordKinds = 6

  mutating func fact(kind: Int) -> (JournalFact, [UInt8]) {
    switch kind {
    case 0: return (.promised(ballot()), [])
    case 1:
      let (value, bytes) = value()
      return (.accepted(slot(), ballot(), value), bytes)
    case 2:
      let (value, bytes) = value()
      return (.learned(slot(), value), bytes)
    case 3: return (.chosenUpTo(slot()), [])
    // Of no snapshot: it alone is then a sound journal.
    case 4: return (.cured(ballot(), .zero), [])
    default: return (.snapshot(snapshot()), [])
    }
  }
}

func hex(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
