import Testing

@testable import Protocol

/// A message that a correct peer cannot have sent, and why it is put aside.
struct Screened: Sendable, CustomTestStringConvertible {
  var testDescription: String
  var reason: ScreenReason
  var message: Message
  var from = 2 as UInt32
  var to = 1 as UInt32
  var epoch = Epoch(1)

  init(
    _ name: String, _ reason: ScreenReason, _ message: Message, from: UInt32 = 2, to: UInt32 = 1,
    epoch: Epoch = Epoch(1)
  ) {
    testDescription = name
    self.reason = reason
    self.message = message
    self.from = from
    self.to = to
    self.epoch = epoch
  }

  static let badNoop = Value(bytes: BytesRef(position: 0, length: 8), count: 0, digest: 3)
  static let fine = Message.preVote(PreVote(ballot: ballot(5, 2), chosenUpTo: .zero))

  static func promise(first: UInt64, truncated: UInt64, chosen: UInt64, last: UInt64) -> Message {
    .promise(
      Promise(
        ballot: ballot(1), firstSlot: Slot(first), chosenUpTo: Slot(chosen),
        truncatedUpTo: Slot(truncated), lastSlot: Slot(last)))
  }

  static func preVoteReply(_ granted: Bool, _ b: Ballot, promised: Ballot) -> Message {
    .preVoteReply(
      PreVoteReply(ballot: b, isGranted: granted, promised: promised, chosenUpTo: .zero))
  }

  static let all: [Screened] = [
    .init("another's", .notForThisReplica, fine, to: 3),
    .init("from itself", .fromItself, fine, from: 1),
    .init("a stranger's", .notAMember, fine, from: 9),
    .init("an older epoch's", .otherEpoch, fine, epoch: Epoch(0)),
    .init("a newer epoch's", .otherEpoch, fine, epoch: Epoch(2)),
    .init(
      "foreign Prepare", .foreignBallot,
      .prepare(Prepare(ballot: ballot(5, 3), firstSlot: Slot(1)))),
    .init("foreign Accept", .foreignBallot, .accept(accept(1, ballot(5, 3), value(1)))),
    .init(
      "foreign Heartbeat", .foreignBallot,
      .heartbeat(Heartbeat(ballot: ballot(5, 3), round: 1, chosenUpTo: .zero))),
    .init(
      "foreign PreVote", .foreignBallot, .preVote(PreVote(ballot: ballot(5, 3), chosenUpTo: .zero))),
    .init(
      "foreign request to stand", .foreignBallot,
      .standForElection(StandForElection(ballot: ballot(5, 3)))),
    .init(
      "Prepare from slot 0", .impossible, .prepare(Prepare(ballot: ballot(5, 2), firstSlot: .zero))),
    .init(
      "Prepare of round 0", .impossible,
      .prepare(Prepare(ballot: ballot(0, 2), firstSlot: Slot(1)))),
    .init(
      "Prepare of a round without successor", .impossible,
      .prepare(Prepare(ballot: ballot(.max, 2), firstSlot: Slot(1)))),
    .init("Accept in slot 0", .impossible, .accept(accept(0, ballot(5, 2), value(1)))),
    .init("Accept of round 0", .impossible, .accept(accept(1, ballot(0, 2), value(1)))),
    .init(
      "Accept of a round without successor", .impossible,
      .accept(accept(1, ballot(.max, 2), value(1)))),
    .init("Accept of a no-op with bytes", .impossible, .accept(accept(1, ballot(5, 2), badNoop))),
    .init(
      "Heartbeat of round 0", .impossible,
      .heartbeat(Heartbeat(ballot: ballot(0, 2), round: 1, chosenUpTo: .zero))),
    .init(
      "PreVote of round 0", .impossible, .preVote(PreVote(ballot: ballot(0, 2), chosenUpTo: .zero))),
    .init(
      "Rejected with a round without successor", .impossible,
      .rejected(Rejected(ballot: ballot(1), promised: ballot(.max, 3)))),
    .init("Promise from slot 0", .impossible, promise(first: 0, truncated: 0, chosen: 0, last: 0)),
    .init(
      "Promise truncated above chosen", .impossible,
      promise(first: 1, truncated: 3, chosen: 2, last: 9)),
    .init(
      "Promise chosen above last", .impossible, promise(first: 1, truncated: 0, chosen: 2, last: 1)),
    .init(
      "Report of slot 0", .impossible,
      .report(
        Report(
          ballot: ballot(1), slot: .zero, votedBallot: .zero, value: .noop, isChosen: false))),
    .init(
      "Report of a vote at its ballot", .impossible,
      .report(
        Report(
          ballot: ballot(1), slot: Slot(1), votedBallot: ballot(1), value: value(1),
          isChosen: false))),
    .init(
      "Report of a no-op with bytes", .impossible,
      .report(
        Report(
          ballot: ballot(2), slot: Slot(1), votedBallot: ballot(1), value: badNoop,
          isChosen: false))),
    .init(
      "Accepted of slot 0", .impossible,
      .accepted(Accepted(ballot: ballot(1), firstSlot: .zero, lastSlot: Slot(1)))),
    .init(
      "Accepted backwards", .impossible,
      .accepted(Accepted(ballot: ballot(1), firstSlot: Slot(2), lastSlot: Slot(1)))),
    .init(
      "Accepted of what was not proposed", .impossible,
      .accepted(Accepted(ballot: ballot(1), firstSlot: Slot(1), lastSlot: Slot(1)))),
    .init(
      "an answer to a round never sent", .impossible,
      .heartbeatReply(HeartbeatReply(ballot: ballot(1), round: 99, chosenUpTo: .zero))),
    .init("Fetch from slot 0", .impossible, .fetch(Fetch(firstSlot: .zero, limit: 1))),
    .init("Fetch of nothing", .impossible, .fetch(Fetch(firstSlot: Slot(1), limit: 0))),
    .init(
      "Learn of slot 0", .impossible,
      .learn(Learn(slot: .zero, value: value(1), chosenUpTo: Slot(1)))),
    .init(
      "Learn above the watermark", .impossible,
      .learn(Learn(slot: Slot(2), value: value(1), chosenUpTo: Slot(1)))),
    .init(
      "Learn of a no-op with bytes", .impossible,
      .learn(Learn(slot: Slot(1), value: badNoop, chosenUpTo: Slot(1)))),
    .init("offer of nothing", .impossible, .snapshotOffer(SnapshotOffer(snapshot: .none))),
    .init(
      "offer of an empty snapshot", .impossible,
      .snapshotOffer(SnapshotOffer(snapshot: SnapshotInfo(slot: Slot(3), length: 0, digest: 1)))),
    .init(
      "offer of more than any file holds", .impossible,
      .snapshotOffer(
        SnapshotOffer(
          snapshot: SnapshotInfo(slot: Slot(3), length: SnapshotInfo.lengthMax + 1, digest: 1)))),
    .init(
      "a pre-vote granted below the promise", .impossible,
      preVoteReply(true, ballot(5), promised: ballot(5))),
    .init(
      "a pre-vote refused for a round without successor", .impossible,
      preVoteReply(false, ballot(5), promised: ballot(.max, 3))),
  ]
}

@Suite struct ReplicaMessagesTests {
  @Test(arguments: Screened.all) func whatCannotBeIsPutAside(_ screened: Screened) {
    let cluster = Cluster(3).elect(1)
    let before = cluster[1]
    cluster.step(
      1,
      .messageReceived(
        Envelope(
          from: ReplicaID(screened.from), to: ReplicaID(screened.to), epoch: screened.epoch,
          message: screened.message)))
    for reason in ScreenReason.allCases {
      #expect(cluster[1].screened[reason] == (reason == screened.reason ? 1 : 0), "\(reason)")
    }
    #expect(cluster.effects(1).isEmpty)
    let after = cluster[1]
    #expect(after.acceptor == before.acceptor && after.window == before.window)
    #expect(after.proposer == before.proposer && after.election == before.election)
    #expect(after.catchUp == before.catchUp && after.role == before.role)
  }

  @Test func everyReasonHasACase() {
    #expect(Set(Screened.all.map(\.reason)) == Set(ScreenReason.allCases))
  }

  /// Any message of a member, however absurd its numbers: no trap, no violated contract.
  @Test(arguments: 0..<8 as Range<UInt64>) func arbitraryMessagesAreSurvived(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let edges = [0, 1, 2, 3, 9, 63, 64, 65, 1 << 32, .max - 1, .max] as [UInt64]
    func word() -> UInt64 { edges[Int(random.next(below: UInt64(edges.count)))] }
    func slot() -> Slot { Slot(word()) }
    func anyBallot() -> Ballot { ballot(word(), UInt32(1 + random.next(below: 3))) }
    func info() -> SnapshotInfo { SnapshotInfo(slot: slot(), length: word(), digest: 1) }
    func flag() -> Bool { random.next(below: 2) == 0 }
    // Values agree per slot, as a protocol that works brings them; everything else is arbitrary.
    func content(_ s: Slot) -> Value { value(s.rawValue & 0xFFFF) }
    func message() -> Message {
      let (s, b) = (slot(), anyBallot())
      switch random.next(below: 19) {
      case 0: return .prepare(Prepare(ballot: b, firstSlot: s, releasedLease: anyBallot()))
      case 1:
        return .promise(
          Promise(
            ballot: b, firstSlot: s, chosenUpTo: slot(), truncatedUpTo: slot(), lastSlot: slot()))
      case 2:
        return .report(
          Report(
            ballot: b, slot: s, votedBallot: anyBallot(), value: content(s), isChosen: flag()))
      case 3: return .accept(Accept(ballot: b, slot: s, value: content(s), chosenUpTo: slot()))
      case 4: return .accepted(Accepted(ballot: b, firstSlot: s, lastSlot: slot()))
      case 5: return .rejected(Rejected(ballot: b, promised: anyBallot()))
      case 6: return .heartbeat(Heartbeat(ballot: b, round: word(), chosenUpTo: s))
      case 7: return .heartbeatReply(HeartbeatReply(ballot: b, round: word(), chosenUpTo: s))
      case 8: return .preVote(PreVote(ballot: b, chosenUpTo: s))
      case 9:
        return .preVoteReply(
          PreVoteReply(ballot: b, isGranted: flag(), promised: anyBallot(), chosenUpTo: s))
      case 10: return .standForElection(StandForElection(ballot: b))
      case 11: return .fetch(Fetch(firstSlot: s, limit: UInt32(truncatingIfNeeded: word())))
      case 12: return .learn(Learn(slot: s, value: content(s), chosenUpTo: slot()))
      case 13: return .snapshotOffer(SnapshotOffer(snapshot: info()))
      case 14: return .snapshotFetch(SnapshotFetch(snapshot: info(), offset: word()))
      case 15: return .inquiry(Inquiry(nonce: word()))
      case 16:
        return .standing(
          Standing(
            nonce: word(), isSound: flag(), promised: b, leading: anyBallot(), lastSlot: s))
      case 17: return .stateDigest(StateDigest(slot: s, digest: word()))
      default:
        return .snapshotChunk(
          SnapshotChunk(
            snapshot: info(), offset: word(), bytes: BytesRef(position: 0, length: 64)))
      }
    }
    var replica = try! Replica(
      id: ReplicaID(1), configuration: configuration(3), options: Cluster.options(), seed: seed)
    var effects = EffectBuffer()
    var now = at(0)
    replica.step(.started, now: now, into: &effects)
    for n in 0..<4_000 {
      now = now + .milliseconds(random.next(below: 40))
      let event: Event =
        switch random.next(below: 12) {
        case 0: .deadlineReached
        case 1, 2: .persisted(upTo: replica.journalPosition)
        default:
          .messageReceived(
            Envelope(
              from: ReplicaID(2 + UInt32(random.next(below: 2))), to: ReplicaID(1),
              epoch: Epoch(1), message: message()))
        }
      effects.removeAll()
      replica.step(event, now: now, into: &effects)
      if let violation = replica.contracts.violation {
        Issue.record("\(violation.id) at step \(n) by \(event)")
        return
      }
    }
  }
}
