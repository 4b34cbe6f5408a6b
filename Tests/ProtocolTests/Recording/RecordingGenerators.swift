@testable import Protocol

// Events and effects of every kind, with numbers that are small, huge or anything.
extension Generator {
  static let eventKinds = 13
  static let effectKinds = 14

  mutating func request() -> RequestID {
    RequestID(session: SessionID(u64()), sequence: SequenceNumber(u64()))
  }

  mutating func bytesRef() -> BytesRef { BytesRef(position: u64(), length: u32()) }

  mutating func command() -> CommandRef {
    CommandRef(
      session: SessionID(u64()), sequence: SequenceNumber(u64()), bytes: bytesRef(), checksum: u32()
    )
  }

  /// Also a value that no peer would get past the screen: a recording holds what came, not what is right.
  mutating func anyValue() -> Value {
    below(4) == 0 ? .noop : Value(bytes: bytesRef(), count: u32(), digest: u64())
  }

  mutating func anyMessage(kind: Int) -> Message {
    switch kind {
    case 2:
      .report(
        Report(
          ballot: ballot(), slot: slot(), votedBallot: ballot(), value: anyValue(),
          isChosen: bool()))
    case 3:
      .accept(Accept(ballot: ballot(), slot: slot(), value: anyValue(), chosenUpTo: slot()))
    case 12: .learn(Learn(slot: slot(), value: anyValue(), chosenUpTo: slot()))
    case 14: .snapshotFetch(SnapshotFetch(snapshot: snapshot(), offset: u64()))
    case 15: .snapshotChunk(chunk())
    default: message(kind: kind).0
    }
  }

  mutating func chunk() -> SnapshotChunk {
    SnapshotChunk(snapshot: snapshot(), offset: u64(), bytes: bytesRef())
  }

  mutating func anyMessage() -> Message { anyMessage(kind: below(Self.messageKinds)) }

  mutating func readMode() -> ReadMode {
    switch below(3) {
    case 0: .quorum
    case 1: .lease
    default: .local(atLeast: slot())
    }
  }

  mutating func event(kind: Int, messageKind: Int? = nil) -> Event {
    switch kind {
    case 0: .started
    case 1:
      .messageReceived(
        Envelope(
          from: ReplicaID(u32()), to: bool() ? ReplicaID(1) : ReplicaID(u32()),
          epoch: bool() ? Epoch(1) : Epoch(u64()),
          message: anyMessage(kind: messageKind ?? below(Self.messageKinds))))
    case 2: .persisted(upTo: JournalPosition(u64()))
    case 3: .deadlineReached
    case 4: .commandReceived(command())
    case 5: .readReceived(request(), readMode())
    case 6: .snapshotTaken(snapshot())
    case 7: .snapshotStored(snapshot(), isValid: bool())
    case 8: .transferRequested(to: ReplicaID(u32()))
    case 9: .leadershipPermitted(bool())
    case 10: .snapshotRequested
    case 11:
      .digestsChanged(
        DigestStanding(slot: slot(), digest: u64(), reportedUpTo: slot(), vouchedUpTo: slot()))
    default: .reportEntered(command())
    }
  }

  mutating func rejection() -> Rejection {
    switch below(8) {
    case 0: .notLeader(leader: nil)
    case 1: .notLeader(leader: ReplicaID(u32()))
    case 2: .overloaded
    case 3: .transferring(to: ReplicaID(u32()))
    case 4: .tooLarge(limit: u32())
    case 5: .notApplied(appliedUpTo: slot())
    case 6: .leasesDisabled
    default: .noRoom
    }
  }

  mutating func anyRecord() -> JournalRecord {
    JournalRecord(fact(), epoch: bool() ? Epoch(1) : Epoch(u64()))
  }

  private mutating func fact() -> JournalFact {
    switch below(Self.recordKinds) {
    case 0: .promised(ballot())
    case 1: .accepted(slot(), ballot(), anyValue())
    case 2: .learned(slot(), anyValue())
    case 3: .chosenUpTo(slot())
    case 4: .cured(ballot(), slot())
    default: .snapshot(snapshot())
    }
  }

  mutating func role() -> Role {
    [.follower, .preCandidate, .candidate, .recoveringLeader, .leader][below(5)]
  }

  mutating func effect(kind: Int) -> Effect {
    switch kind {
    case 0: .persist(anyRecord())
    case 1: .send(to: ReplicaID(u32()), anyMessage())
    case 2: .broadcast(anyMessage())
    case 3: .apply(slot(), anyValue())
    case 4: .serveRead(request(), appliedUpTo: slot())
    case 5: .reject(request(), rejection())
    case 6: .setDeadline(Instant(nanoseconds: u64()))
    case 7: .takeSnapshot(slot())
    case 8:
      .sendSnapshotChunk(to: ReplicaID(u32()), snapshot(), offset: u64(), lengthMax: u32())
    case 9: .storeSnapshotChunk(chunk(), isLast: bool())
    case 10: .restoreSnapshot(snapshot())
    case 11: .truncate(upTo: slot())
    case 12: .roleChanged(role(), ballot(), leader: bool() ? ReplicaID(u32()) : nil)
    default:
      .enterReport(
        DigestReport(
          replica: ReplicaID(u32()), epoch: Epoch(u64()), voters: u32(), slot: slot(),
          digest: u64()))
    }
  }

  mutating func step(effects count: Int) -> (event: Event, now: Instant, effects: EffectBuffer) {
    var effects = EffectBuffer()
    for _ in 0..<count { effects.append(effect(kind: below(Self.effectKinds))) }
    return (event(kind: below(Self.eventKinds)), Instant(nanoseconds: u64()), effects)
  }
}
