import Protocol
import Testing

/// What a new cluster is founded on when only one journal of the old one is left.
@Suite struct LastSurvivorTests {
  private static let identity = JournalIdentity(
    cluster: ClusterID(0xC2), ring: RingID(0), replica: ReplicaID(2), incarnation: Incarnation(1))
  private static let span = ConfigurationSpan(epoch: Epoch(1))
  private static let ballot = Ballot(round: 5, proposer: ReplicaID(2))

  /// A journal, what is on its disk, and what was found there.
  private struct Left {
    var life: JournalLife
    var disk: [(number: UInt64, bytes: [UInt8])]
    var survivor: LastSurvivor

    init(
      seed: UInt64 = 1, snapshot: SnapshotInfo = .none, _ write: (inout JournalLife) -> Void
    ) throws {
      life = JournalLife(seed: seed)
      life.snapshot = snapshot
      write(&life)
      life.flush()
      disk = life.crashed(.nothing)
      survivor = LastSurvivor(try life.recover(disk).get())
    }

    mutating func lose(_ body: (inout [(number: UInt64, bytes: [UInt8])]) -> Void) throws {
      body(&disk)
      survivor = LastSurvivor(try life.recover(disk).get())
    }

    /// What a replica of the new cluster would start from, and the bytes of its journal.
    func founded() throws -> (recovered: RecoveredJournal, bytes: [UInt8]) {
      let all = disk.flatMap(\.bytes)
      var begins: [UInt64: Int] = [:]
      var begin = 0
      for file in disk {
        begins[file.number] = begin
        begin += file.bytes.count
      }
      let journal = all.withUnsafeBytes { all in
        survivor.journal(of: LastSurvivorTests.identity, under: LastSurvivorTests.span) { value in
          let at = begins[value.position >> 32]! + Int(UInt32(truncatingIfNeeded: value.position))
          return UnsafeRawBufferPointer(rebasing: all[at..<at + Int(value.length)])
        }
      }
      let bytes = try #require(journal)
      let recovered = try JournalRecovery.recover(
        [(number: 1, bytes: bytes)], identity: LastSurvivorTests.identity,
        snapshot: survivor.snapshot)
      return (recovered, bytes)
    }
  }

  private static func vote(_ life: inout JournalLife, _ slots: ClosedRange<UInt64>) {
    for slot in slots {
      let (value, payload) = life.generator.value(lengthMax: 60)
      life.append(.accepted(Slot(slot), ballot, value), payload)
    }
  }

  /// The new journal says that exactly these slots are chosen, with the values of the old one, and nothing is in doubt.
  private static func check(_ left: Left, upTo last: UInt64, above snapshot: UInt64 = 0) throws {
    let (founded, bytes) = try left.founded()
    #expect(founded.damages.isEmpty && founded.durable.doubt == nil && founded.tail == .clean)
    #expect(founded.durable.snapshot == left.survivor.snapshot)
    #expect(founded.durable.chosenUpTo == Slot(last))
    #expect(founded.durable.entries.map(\.slot.rawValue) == Array((snapshot + 1)..<(last + 1)))
    #expect(founded.durable.entries.allSatisfy { $0.isLearned && $0.epoch == span.epoch })
    let old = try left.life.recover(left.disk).get().durable
    #expect(founded.durable.promised == old.promised)
    for (new, old) in zip(founded.durable.entries, old.entries) {
      #expect(new.slot == old.slot && new.value.isSame(as: old.value))
      let begin = Int(UInt32(truncatingIfNeeded: new.value.bytes.position))
      let payload = left.life.history.last { $0.record.payload == old.value.bytes }?.payload
      #expect(payload == Array(bytes[begin..<begin + Int(new.value.bytes.length)]))
    }
    #expect(founded.durable.configurations == [span])
  }

  @Test func whatIsKnownToBeChosenIsKept() throws {
    let left = try Left { life in
      Self.vote(&life, 1...20)
      life.append(.chosenUpTo(Slot(20)))
    }
    #expect(left.survivor.chosenUpTo == Slot(20) && left.survivor.foundedUpTo == Slot(20))
    #expect(left.survivor.votedOnly.isEmpty && left.survivor.dropped.isEmpty)
    #expect(left.survivor.promised == Self.ballot && left.survivor.doubt == nil)
    try Self.check(left, upTo: 20)
  }

  @Test func votesWithoutAGapAreTakenAsChosenAndNamed() throws {
    let left = try Left { life in
      Self.vote(&life, 1...10)
      life.append(.chosenUpTo(Slot(6)))
      // This one somebody said to be chosen, out of order.
      let (value, payload) = life.generator.value(lengthMax: 60)
      life.append(.learned(Slot(8), value), payload)
    }
    #expect(left.survivor.chosenUpTo == Slot(6) && left.survivor.foundedUpTo == Slot(10))
    #expect(left.survivor.votedOnly == [Slot(7), Slot(9), Slot(10)])
    try Self.check(left, upTo: 10)
  }

  @Test func votesAloneAreEnough() throws {
    let left = try Left { Self.vote(&$0, 1...3) }
    #expect(left.survivor.chosenUpTo == .zero && left.survivor.foundedUpTo == Slot(3))
    #expect(left.survivor.votedOnly == [Slot(1), Slot(2), Slot(3)])
    try Self.check(left, upTo: 3)
  }

  @Test func theLastVoteOfASlotCounts() throws {
    let left = try Left { life in
      Self.vote(&life, 1...2)
      life.append(.accepted(Slot(2), Ballot(round: 6, proposer: ReplicaID(1)), .noop))
    }
    let founded = try left.founded().recovered
    #expect(founded.durable.entries[1].value.isSame(as: .noop))
    #expect(founded.durable.promised == Ballot(round: 6, proposer: ReplicaID(1)))
  }

  /// Also what is known to be chosen there: no log has holes.
  @Test func whatLiesBehindAGapIsDroppedAndNamed() throws {
    let left = try Left { life in
      Self.vote(&life, 1...4)
      Self.vote(&life, 6...7)
      let (value, payload) = life.generator.value(lengthMax: 60)
      life.append(.learned(Slot(9), value), payload)
      life.append(.chosenUpTo(Slot(2)))
    }
    #expect(left.survivor.chosenUpTo == Slot(2) && left.survivor.foundedUpTo == Slot(4))
    #expect(left.survivor.votedOnly == [Slot(3), Slot(4)])
    #expect(left.survivor.dropped == [Slot(6), Slot(7), Slot(9)])
    try Self.check(left, upTo: 4)
  }

  @Test func aSnapshotAloneIsEnough() throws {
    let info = SnapshotInfo(slot: Slot(30), length: 10, digest: 1)
    let left = try Left(snapshot: info) { life in
      life.append(.snapshot(info))
    }
    #expect(left.survivor.snapshot == info && left.survivor.foundedUpTo == Slot(30))
    #expect(left.survivor.chosenUpTo == Slot(30) && left.survivor.promised == .zero)
    try Self.check(left, upTo: 30, above: 30)
  }

  @Test func theLogGoesOnBehindTheSnapshot() throws {
    let info = SnapshotInfo(slot: Slot(30), length: 10, digest: 1)
    let left = try Left(snapshot: info) { life in
      Self.vote(&life, 28...33)
      life.append(.snapshot(info))
    }
    #expect(left.survivor.votedOnly == [Slot(31), Slot(32), Slot(33)])
    try Self.check(left, upTo: 33, above: 30)
    // Behind a gap after the snapshot, nothing.
    let gap = try Left(snapshot: info) { Self.vote(&$0, 32...33) }
    #expect(gap.survivor.foundedUpTo == Slot(30) && gap.survivor.dropped == [Slot(32), Slot(33)])
  }

  @Test func nothingIsNothingToGoOnFrom() throws {
    #expect(try Left { $0.append(.promised(Self.ballot)) }.survivor.isEmpty)
    // The first slots are gone with their segment.
    var cut = try Left { Self.vote(&$0, 1...40) }
    #expect(cut.disk.count > 2)
    try cut.lose { $0.removeFirst() }
    #expect(cut.survivor.isEmpty && !cut.survivor.dropped.isEmpty && cut.survivor.doubt != nil)
  }

  /// A record in the middle is lost: what lies behind it is a gap, and the doubt is told.
  @Test func damageIsToldAndEndsTheLog() throws {
    var left = try Left { life in
      Self.vote(&life, 1...10)
      life.append(.chosenUpTo(Slot(10)))
      life.flush()
      Self.vote(&life, 11...12)
    }
    let lost = left.life.history[4]
    try left.lose { disk in
      let i = disk.firstIndex { $0.number == lost.begin.segment }!
      disk[i].bytes[Int(lost.begin.offset) + 20] ^= 1
    }
    #expect(left.survivor.doubt != nil)
    #expect(left.survivor.chosenUpTo <= Slot(4) && left.survivor.foundedUpTo == Slot(4))
    #expect(left.survivor.dropped.first == Slot(6))
    try Self.check(left, upTo: 4)
  }

  // MARK: The other members

  /// A new member of the new cluster has no voice before it holds the log, after any number of starts.
  @Test func aJoiningMemberDoubtsEverySlotOfTheLog() throws {
    var recovered = RecoveredJournal.joining(upTo: Slot(40))
    var disk: [(number: UInt64, bytes: [UInt8])] = []
    for start in 1...3 as ClosedRange<UInt64> {
      var writer = JournalWriter(identity: Self.identity, after: recovered)
      var out: [UInt8] = []
      #expect(writer.beginSegment(under: Self.span, into: &out) == start)
      if start == 2 {
        writer.append(
          JournalRecord(.learned(Slot(1), .noop), epoch: Epoch(1)),
          payload: [UInt8]().span.bytes, into: &out)
      }
      writer.padToBlock(into: &out)
      disk.append((start, out))
      recovered = try JournalRecovery.recover(disk, identity: Self.identity, snapshot: .none)
      #expect(
        recovered.durable.doubt == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(40)),
        "start \(start)")
    }
    // Also when the first segment is lost; and no longer when a snapshot covers it all.
    let rest = Array(disk[1...])
    recovered = try JournalRecovery.recover(rest, identity: Self.identity, snapshot: .none)
    #expect(recovered.durable.doubt?.slotsUpTo == Slot(40))
    recovered = try JournalRecovery.recover(
      disk, identity: Self.identity,
      snapshot: SnapshotInfo(slot: Slot(40), length: 1, digest: 1))
    #expect(recovered.durable.doubt == nil)
  }
}
