import Testing

@testable import Protocol

/// The bytes of recordings. A change of steps is a change of format: raise `RecordingFormat.version`. A change of the
/// checkpoint alone, because a replica has another field: raise `stateVersion`. Old recordings are then refused by name
/// instead of being misread.
@Suite struct GoldenRecordingTests {
  static let other = Ballot(round: 9, proposer: ReplicaID(3))
  static let request = RequestID(session: SessionID(0x71), sequence: SequenceNumber(0x72))
  static let info = GoldenTests.snapshot
  static let chunk = SnapshotChunk(snapshot: info, offset: 0x61, bytes: GoldenTests.bytes)

  static let events: [(name: String, event: Event)] =
    [
      ("started", .started),
      ("persisted", .persisted(upTo: JournalPosition(300))),
      ("deadlineReached", .deadlineReached),
      (
        "commandReceived",
        .commandReceived(
          CommandRef(
            session: SessionID(0x71), sequence: SequenceNumber(1),
            bytes: BytesRef(position: 0x4000, length: 64), checksum: 0xC1C2_C3C4))
      ),
      ("readReceived quorum", .readReceived(request, .quorum)),
      ("readReceived lease", .readReceived(request, .lease)),
      ("readReceived local", .readReceived(request, .local(atLeast: Slot(0x31)))),
      ("snapshotTaken", .snapshotTaken(info)),
      ("snapshotStored", .snapshotStored(info, isValid: true)),
      ("transferRequested", .transferRequested(to: ReplicaID(3))),
      ("leadershipPermitted", .leadershipPermitted(false)),
      ("snapshotRequested", .snapshotRequested),
      (
        "digestsChanged",
        .digestsChanged(
          DigestStanding(
            slot: Slot(0x30), digest: 0x1918_1716_1514_1312, reportedUpTo: Slot(0x20),
            vouchedUpTo: Slot(0x10)))
      ),
      (
        "reportEntered",
        .reportEntered(
          CommandRef(
            session: SessionID(2), sequence: SequenceNumber(0x30),
            bytes: BytesRef(position: 0x4000, length: 48), checksum: 0xC1C2_C3C4))
      ),
      (
        "messageReceived astray",
        .messageReceived(
          Envelope(
            from: ReplicaID(2), to: ReplicaID(3), epoch: Epoch(7),
            message: .standForElection(StandForElection(ballot: other))))
      ),
    ]
    + GoldenTests.messages.map { name, message in
      (
        "messageReceived \(name)",
        .messageReceived(
          Envelope(from: ReplicaID(2), to: ReplicaID(1), epoch: Epoch(1), message: message))
      )
    }

  static let effects: [(name: String, effect: Effect)] = [
    ("persist promised", .persist(JournalRecord(.promised(other), epoch: Epoch(1)))),
    ("persist cured", .persist(JournalRecord(.cured(other, Slot(7)), epoch: Epoch(1)))),
    (
      "persist accepted",
      .persist(JournalRecord(.accepted(Slot(0x31), other, GoldenTests.value), epoch: Epoch(1)))
    ),
    (
      "persist learned",
      .persist(JournalRecord(.learned(Slot(0x31), GoldenTests.value), epoch: Epoch(1)))
    ),
    (
      "persist learned no-op", .persist(JournalRecord(.learned(Slot(0x31), .noop), epoch: Epoch(1)))
    ),
    ("persist chosenUpTo", .persist(JournalRecord(.chosenUpTo(Slot(0x30)), epoch: Epoch(1)))),
    ("persist otherwise", .persist(JournalRecord(.chosenUpTo(Slot(0x30)), epoch: Epoch(2)))),
    ("persist snapshot", .persist(JournalRecord(.snapshot(info), epoch: Epoch(1)))),
    ("send", .send(to: ReplicaID(3), .standForElection(StandForElection(ballot: other)))),
    ("broadcast", .broadcast(.standForElection(StandForElection(ballot: other)))),
    ("apply", .apply(Slot(0x31), GoldenTests.value)),
    ("serveRead", .serveRead(request, appliedUpTo: Slot(0x30))),
    ("reject notLeader", .reject(request, .notLeader(leader: ReplicaID(3)))),
    ("reject notLeader unknown", .reject(request, .notLeader(leader: nil))),
    ("reject overloaded", .reject(request, .overloaded)),
    ("reject transferring", .reject(request, .transferring(to: ReplicaID(3)))),
    ("reject tooLarge", .reject(request, .tooLarge(limit: 4_096))),
    ("reject notApplied", .reject(request, .notApplied(appliedUpTo: Slot(0x30)))),
    ("reject leasesDisabled", .reject(request, .leasesDisabled)),
    ("reject noRoom", .reject(request, .noRoom)),
    ("setDeadline", .setDeadline(at(100))),
    ("takeSnapshot", .takeSnapshot(Slot(0x30))),
    (
      "sendSnapshotChunk",
      .sendSnapshotChunk(to: ReplicaID(3), info, offset: 0x61, lengthMax: 65_536)
    ),
    ("storeSnapshotChunk", .storeSnapshotChunk(chunk, isLast: true)),
    ("restoreSnapshot", .restoreSnapshot(info)),
    ("truncate", .truncate(upTo: Slot(0x30))),
    ("roleChanged follower", .roleChanged(.follower, other, leader: ReplicaID(3))),
    ("roleChanged leader", .roleChanged(.leader, other, leader: nil)),
    (
      "enterReport",
      .enterReport(
        DigestReport(
          replica: ReplicaID(2), epoch: Epoch(1), voters: 3, slot: Slot(0x30),
          digest: 0x1918_1716_1514_1312))
    ),
  ]

  private func effects(_ effects: Effect...) -> EffectBuffer {
    var buffer = EffectBuffer()
    for effect in effects { buffer.append(effect) }
    return buffer
  }

  @Test func everyEvent() {
    for (name, event) in Self.events {
      let bytes = StepCodingTests.encode([(event, at(1), effects())])
      #expect(hex(bytes) == GoldenRecordings.events[name], "\(name)")
    }
    #expect(GoldenRecordings.events.count == Self.events.count)
  }

  /// Behind a step without a change of time: head, the effect.
  @Test func everyEffect() {
    for (name, effect) in Self.effects {
      let bytes = StepCodingTests.encode([(.started, .zero, effects(effect))])
      #expect(hex(bytes) == GoldenRecordings.effects[name], "\(name)")
    }
    #expect(GoldenRecordings.effects.count == Self.effects.count)
  }

  /// What is the same as before is not written again.
  @Test func aSecondStep() {
    let accept = Message.accept(
      Accept(
        ballot: Self.other, slot: Slot(0x31), value: GoldenTests.value, chosenUpTo: Slot(0x30)))
    let vote = effects(
      .persist(JournalRecord(.accepted(Slot(0x31), Self.other, GoldenTests.value), epoch: Epoch(1)))
    )
    let envelope = Envelope(
      from: ReplicaID(2), to: ReplicaID(1), epoch: Epoch(1), message: accept)
    let step: StepCodingTests.Step = (.messageReceived(envelope), at(1), vote)
    let once = StepCodingTests.encode([step])
    #expect(hex(StepCodingTests.encode([step, step]).dropFirst(once.count)) == "21096401016101")
  }

  @Test func aWholeFile() throws {
    var options = Cluster.options(
      lease: LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 1_000))
    options.windowSlots = 2
    options.logSlots = 16
    options.snapshotInterval = 8
    let members = [Member(id: ReplicaID(1)), Member(id: ReplicaID(2), priorityRank: 3)]
    let replica = try Replica(
      id: ReplicaID(1), configuration: Configuration(voters: members), options: options, seed: 1)
    var writer = RecordingWriter(identity: Recorded.identity(1))
    var bytes: [UInt8] = []
    writer.beginFile(replica, recordedAt: 1_700_000_000_000_000_000, into: &bytes)
    writer.note(.started, now: at(1), effects(.setDeadline(at(800))), into: &bytes)
    writer.note(.deadlineReached, now: at(2), effects(), into: &bytes)
    writer.endFile(.rotated, into: &bytes)
    // Whether contracts are compiled in is a matter of the build.
    let place = RecordingFormat.chunkHeader + 1 + 8 + 3
    #expect(bytes[place] == (ContractRecorder.isEnabled ? 3 : 1))
    bytes[place] = 1
    var sealer = RecordingSealer()
    sealer.seal(&bytes)
    #expect(hex(bytes) == GoldenRecordings.file.joined())
  }
}
