import Protocol
import Testing

@Suite struct JournalRecoveryTests {
  /// Recovery found a prefix of the log that holds everything acknowledged, and nothing else.
  private func check(
    _ life: JournalLife, _ disk: [(number: UInt64, bytes: [UInt8])],
    _ comment: @autoclosure () -> String = "", sourceLocation: SourceLocation = #_sourceLocation
  ) -> RecoveredJournal? {
    switch life.recover(disk) {
    case .failure(let damage):
      Issue.record("\(comment()): \(damage)", sourceLocation: sourceLocation)
      return nil
    case .success(let recovered):
      let found = life.history.prefix { $0.sequence <= recovered.end.sequence }
      let isComplete = found.count >= life.acknowledged
      let segment = recovered.end.mark.segment
      let isExact =
        recovered.durable == life.model(found, through: segment)
        && recovered.durable.configurations == life.configurations(through: segment)
      if !isComplete || !isExact {
        Issue.record(
          "\(comment()): \(found.count) of \(life.acknowledged) records, exact: \(isExact)",
          sourceLocation: sourceLocation)
      }
      // The bytes really lie where recovery says.
      for entry in recovered.durable.entries where entry.value.bytes.length > 0 {
        let position = entry.value.bytes.position
        let offset = Int(position & 0xFFFF_FFFF)
        let file = disk.first { $0.number == position >> 32 }
        let bytes = file?.bytes[offset..<offset + Int(entry.value.bytes.length)]
        let isThere = found.contains { bytes.map(Array.init) == $0.payload }
        if !isThere { Issue.record("slot \(entry.slot) lies elsewhere") }
      }
      return recovered
    }
  }

  @Test func nothingWrittenIsNothingFound() throws {
    let recovered = try JournalRecovery.recover(
      [(number: UInt64, bytes: [UInt8])](), identity: JournalLife.identity, snapshot: .none)
    #expect(recovered == .fresh)
  }

  /// The main property: lives of several starts, crashes of every kind, segments that roll and are dropped.
  @Test(arguments: [8, 64, 512, 4096]) func aLifeOfCrashesLosesNothing(blockLength: Int) {
    var tornTails = 0
    var drops = 0
    for seed in 0..<250 as Range<UInt64> {
      var life = JournalLife(
        seed: seed, segmentLengthMax: 600 + Int(seed % 7) * 500, blockLength: blockLength)
      for start in 0..<6 {
        for step in 0..<life.generator.below(40) {
          // A host flushes the new segment before anything else; a crash may come before that.
          switch step == 0 ? 0 : life.generator.below(10) {
          case 0, 1: life.flush()
          case 2 where life.generator.below(8) == 0: life.reconfigure(after: 1)
          case 2 where life.generator.below(4) == 0: life.takeSnapshot()
          case 3:
            let before = life.files.count
            life.drop()
            drops += before - life.files.count
          default: life.appendAnything()
          }
        }
        let tear = JournalLife.Tear.allCases[life.generator.below(5)]
        let disk = life.crashed(tear)
        guard let recovered = check(life, disk, "seed \(seed), start \(start), \(tear)") else {
          return
        }
        // Recovery changes nothing, so a crash during it finds the same.
        #expect(life.recover(disk) == .success(recovered))
        if recovered.tail != .clean { tornTails += 1 }
        life.restart(disk, recovered)
      }
    }
    #expect(tornTails > 100)
    #expect(drops > 50)
  }

  @Test func cutAtEveryByte() {
    var life = JournalLife(seed: 1, segmentLengthMax: 900)
    for _ in 0..<4 {
      for _ in 0..<5 { life.appendAnything() }
      life.flush()
    }
    for _ in 0..<12 { life.appendAnything() }
    for i in life.files.indices {
      for length in life.files[i].durable...life.files[i].bytes.count {
        // Everything before the cut survived, nothing behind it.
        let disk = life.files.enumerated().map { j, file in
          let kept = j < i ? file.bytes.count : j == i ? length : file.durable
          return (number: file.number, bytes: Array(file.bytes[..<kept]))
        }
        guard let recovered = check(life, disk, "file \(i) cut at \(length)") else { return }
        var next = life
        next.restart(disk, recovered)
        next.append(.promised(Ballot(round: 99, proposer: ReplicaID(1))))
        next.flush()
        guard check(next, next.crashed(.nothing), "after \(length)") != nil else { return }
      }
    }
  }

  /// Every subset of the unflushed pieces of 8 bytes, exhaustively.
  @Test func tornInEveryWay() {
    var life = JournalLife(seed: 2)
    life.append(.promised(Ballot(round: 1, proposer: ReplicaID(1))))
    life.flush()
    life.append(.chosenUpTo(Slot(0)))
    life.append(.promised(Ballot(round: 2, proposer: ReplicaID(1))))
    let file = life.files[0]
    let pieces = (file.bytes.count - file.durable) / 8
    #expect(pieces == 15)
    var counts: [UInt64: Int] = [:]
    for subset in 0..<1 << pieces {
      var bytes = file.bytes
      for piece in 0..<pieces where subset >> piece & 1 == 0 {
        for i in 0..<8 { bytes[file.durable + 8 * piece + i] = 0 }
      }
      guard let recovered = check(life, [(1, bytes)], "subset \(subset)") else { return }
      counts[recovered.end.sequence, default: 0] += 1
    }
    // Only whole records count. (Pieces that are zero anyway make more than one subset whole.)
    #expect(counts.values.reduce(0, +) == 1 << 15)
    #expect(counts.count == 3)
  }

  /// Of a batch [a, b] only b reached the disk. Nothing written later may make b valid again.
  @Test(arguments: [8, 512]) func aStaleRecordBehindATornOneStaysDead(blockLength: Int) throws {
    var life = JournalLife(seed: 3, blockLength: blockLength)
    let one = Ballot(round: 1, proposer: ReplicaID(1))
    life.append(.promised(one))
    life.flush()
    let begin = life.files[0].bytes.count
    life.append(.chosenUpTo(Slot(7)))
    let middle = life.files[0].bytes.count
    life.append(.promised(Ballot(round: 9, proposer: ReplicaID(1))))
    var disk = [(number: UInt64(1), bytes: life.files[0].bytes)]
    for i in begin..<middle { disk[0].bytes[i] = 0 }
    let recovered = try #require(check(life, disk))
    #expect(recovered.durable.promised == one)
    #expect(recovered.durable.chosenUpTo == .zero)
    #expect(recovered.tail != .clean)
    // The same record again: same length, same sequence, same predecessor.
    life.restart(disk, recovered)
    life.append(.chosenUpTo(Slot(7)))
    life.flush()
    let again = try #require(check(life, life.crashed(.nothing)))
    #expect(again.durable.promised == one)
    #expect(again.durable.chosenUpTo == Slot(7))
    // Not even when the lost bytes turn up after all, or were written in place by someone: the cut is behind them.
    var late = life.crashed(.nothing)
    for i in begin..<middle {
      late[0].bytes[i] = life.files[1].bytes[SegmentHeader.length + i - begin]
    }
    #expect(try life.recover(late).get().durable.promised == one)
  }

  @Test func rotInWhatWasProvenDurableIsDamage() {
    var life = JournalLife(seed: 4)
    for _ in 0..<3 {
      for _ in 0..<3 { life.appendAnything() }
      life.flush()
    }
    life.append(.promised(Ballot(round: 50, proposer: ReplicaID(1))))
    life.flush()
    let whole = life.crashed(.nothing)
    let expected = life.recover(whole)
    // The last flush has no later witness; everything before it has.
    let proven = life.files[0].bytes.count - 512
    var detected = 0
    for bit in 0..<proven * 8 {
      var disk = whole
      disk[0].bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      switch life.recover(disk) {
      case .failure: detected += 1
      case .success(let recovered) where !recovered.damages.isEmpty:
        detected += 1
        if recovered.damages[0].what == .notCured {
          Issue.record("bit \(bit): \(recovered.damages)")
        }
      case .success(let recovered):
        // A byte nobody looks at; never another state, and never other bytes of a value.
        #expect(.success(recovered) == expected, "bit \(bit)")
        _ = check(life, disk, "bit \(bit)")
      }
    }
    #expect(detected > proven * 8 / 4)
  }

  @Test func rotIsToldFromATornTail() throws {
    var life = JournalLife(seed: 5)
    for round in 1...3 as ClosedRange<UInt64> {
      life.append(.promised(Ballot(round: round, proposer: ReplicaID(1))))
      life.flush()
    }
    // The second record's block, whose durability the third record vouches for.
    var disk = life.crashed(.nothing)
    disk[0].bytes[512 + 20] ^= 1
    #expect(
      life.damage(disk)
        == JournalDamage(segment: 1, offset: 512, what: .record(.checksum)))
    // Gone altogether: a hole.
    disk = life.crashed(.nothing)
    for i in 512..<1024 { disk[0].bytes[i] = 0 }
    #expect(
      life.damage(disk)
        == JournalDamage(segment: 1, offset: 512, what: .record(.unknownTag)))
    // The header, and the header of a segment that was begun by a restart.
    disk = life.crashed(.nothing)
    disk[0].bytes[50] ^= 1
    #expect(
      life.damage(disk)
        == JournalDamage(segment: 1, offset: 0, what: .header(.checksum)))
    var next = life
    next.restart(life.crashed(.nothing), try life.recover(life.crashed(.nothing)).get())
    // The end of the first segment is proven by the second one's header alone.
    disk = next.crashed(.everything)
    #expect(disk[1].bytes.count == SegmentHeader.length)
    disk[0].bytes.removeLast(512)
    #expect(
      next.damage(disk)
        == JournalDamage(segment: 1, offset: 1024, what: .record(.truncated)))
    next.append(.chosenUpTo(Slot(1)))
    next.flush()
    disk = next.crashed(.nothing)
    disk[0].bytes.removeLast(512)
    #expect(
      next.damage(disk)
        == JournalDamage(segment: 1, offset: 1024, what: .record(.truncated)))
    // The second header: without any later flush of its segment it cannot be told from a torn one, with one it can.
    next.append(.chosenUpTo(Slot(2)))
    next.flush()
    disk = next.crashed(.nothing)
    disk[1].bytes[60] ^= 1
    #expect(
      next.damage(disk)
        == JournalDamage(segment: 2, offset: 0, what: .header(.checksum)))
  }

  @Test func missingAndForeignSegmentsAreFound() throws {
    var life = JournalLife(seed: 6, segmentLengthMax: 400)
    for _ in 0..<30 { life.appendAnything() }
    life.flush()
    let disk = life.crashed(.nothing)
    #expect(disk.count > 4)
    func what(_ disk: [(number: UInt64, bytes: [UInt8])]) -> JournalDamage.What? {
      life.damage(disk)?.what
    }
    #expect(what(disk) == nil)
    var changed = disk
    changed.remove(at: 2)
    #expect(what(changed) == .segmentMissing)
    // The oldest one gone, although no snapshot covers its slots.
    guard case .slotsMissing = what(Array(disk[1...])) else {
      Issue.record("a lost first segment was not missed")
      return
    }
    // The last one gone is no different from never begun, as far as anyone can tell; the one before proves nothing.
    changed = disk
    changed[1].bytes = disk[2].bytes
    #expect(what(changed) == .misplaced(3))
    #expect(what(disk.reversed()) == .segmentMissing)
    for field in 0..<4 {
      var other = JournalLife.identity
      switch field {
      case 0: other.cluster = ClusterID(9)
      case 1: other.ring = RingID(9)
      case 2: other.replica = ReplicaID(9)
      default: other.incarnation = Incarnation(9)
      }
      var found: JournalDamage.What?
      do throws(JournalDamage) {
        _ = try JournalRecovery.recover(disk, identity: other, snapshot: .none)
      } catch {
        found = error.what
      }
      #expect(found == .foreign(JournalLife.identity))
    }
  }

  @Test func aSnapshotThatIsGoneIsMissed() throws {
    var life = JournalLife(seed: 7)
    life.snapshot = SnapshotInfo(slot: Slot(10), length: 3, digest: 4)
    life.append(.snapshot(life.snapshot))
    life.flush()
    let disk = life.crashed(.nothing)
    #expect(try life.recover(disk).get().durable.chosenUpTo == Slot(10))
    var older = life
    older.snapshot = SnapshotInfo(slot: Slot(9), length: 3, digest: 4)
    let damage = older.damage(disk)
    #expect(damage?.what == .snapshotMissing(recorded: Slot(10), found: Slot(9)))
    let doubt = try older.recover(disk).get().durable.doubt
    #expect(doubt == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(10)))
    // A newer one than recorded is fine: it was durable before its record.
    older.snapshot = SnapshotInfo(slot: Slot(11), length: 3, digest: 4)
    #expect(try older.recover(disk).get().durable.snapshot.slot == Slot(11))
    // No segment at all, but a snapshot: the journal was lost.
    #expect(
      life.recover([]) == .failure(JournalDamage(segment: 1, offset: 0, what: .segmentMissing)))
  }

  @Test func aNewFormatIsNotMistakenForDamage() {
    var life = JournalLife(seed: 8)
    life.append(.chosenUpTo(Slot(1)))
    life.flush()
    var disk = life.crashed(.nothing)
    for version in [1, 3] as [UInt8] {
      disk[0].bytes[4] = version
      disk[0].bytes.set(CRC32C.checksum(Array(disk[0].bytes[..<156])), at: 156)
      #expect(
        life.recover(disk)
          == .failure(JournalDamage(segment: 1, offset: 4, what: .unsupportedVersion)))
    }
  }

  @Test func preallocatedZeroesAreACleanEnd() throws {
    var life = JournalLife(seed: 9)
    for _ in 0..<5 { life.appendAnything() }
    life.flush()
    var disk = life.crashed(.nothing)
    disk[0].bytes += [UInt8](repeating: 0, count: 10_000)
    #expect(try life.recover(disk).get().tail == .clean)
    disk[0].bytes[disk[0].bytes.count - 5_000] = 1
    guard case .torn(let dropped) = try life.recover(disk).get().tail else {
      Issue.record("a byte behind the end was not seen")
      return
    }
    #expect(dropped > 4_000)
  }

  /// A file that is used again: its old records are whole, but of another segment.
  @Test func recordsOfAReusedFileAreNotFound() throws {
    var life = JournalLife(seed: 10)
    for _ in 0..<10 { life.appendAnything() }
    life.flush()
    var next = JournalLife(seed: 11)
    next.restart(life.crashed(.nothing), try life.recover(life.crashed(.nothing)).get())
    next.history = life.history
    next.acknowledged = life.acknowledged
    next.append(.promised(Ballot(round: 77, proposer: ReplicaID(1))))
    next.flush()
    var disk = next.crashed(.nothing)
    let old = disk[0].bytes
    disk[1].bytes += old[min(disk[1].bytes.count, old.count)...]
    let recovered = try next.recover(disk).get()
    #expect(recovered.durable == next.model(next.history[...]))
  }

  /// The same, but the header that would have told was torn: what the file held before proves nothing.
  @Test func aReusedFileWithATornHeaderIsATornTail() throws {
    var life = JournalLife(seed: 13, segmentLengthMax: 1 << 20)
    for _ in 0..<4 {
      for _ in 0..<4 { life.appendAnything() }
      life.flush()
    }
    var disk = life.crashed(.nothing)
    let expected = try life.recover(disk).get().durable
    disk.append((2, disk[0].bytes))
    for i in 0..<512 { disk[1].bytes[i] = 0 }
    let recovered = try life.recover(disk).get()
    #expect(recovered.durable == expected)
    #expect(recovered.tail != .clean)
    #expect(recovered.nextSegment == 3)
  }

  /// Two histories of the same replica (its disk was copied, and both copies went on): a block of one in the other has the
  /// right place, the right number and a right checksum. Only the chain tells.
  @Test func aRecordOfAnotherHistoryIsOutOfChain() {
    func history(_ round: UInt64) -> JournalLife {
      var life = JournalLife(seed: 14)
      for i in 0..<3 as Range<UInt64> {
        life.append(.promised(Ballot(round: round + i, proposer: ReplicaID(1))))
        life.flush()
      }
      return life
    }
    var life = history(10)
    var other = history(90)
    var disk = life.crashed(.nothing)
    let copy = other.crashed(.nothing)[0].bytes
    disk[0].bytes.replaceSubrange(512..<1024, with: copy[512..<1024])
    #expect(
      life.recover(disk) == .failure(JournalDamage(segment: 1, offset: 512, what: .outOfChain)))
    // A whole segment of the other history: whole in itself, but not what the next segment goes on from.
    let before = life.crashed(.nothing)
    guard case .success(let recovered) = life.recover(before) else { return }
    life.restart(before, recovered)
    life.flush()
    disk = life.crashed(.nothing)
    disk[0].bytes = copy
    #expect(
      life.recover(disk)
        == .failure(JournalDamage(segment: 1, offset: copy.count, what: .outOfChain)))
  }

  @Test func randomBytesNeverTrap() {
    var generator = Generator(seed: 12)
    var life = JournalLife(seed: 12, segmentLengthMax: 500)
    for _ in 0..<20 { life.appendAnything() }
    life.flush()
    let whole = life.crashed(.nothing)
    for i in 0..<20_000 {
      var disk: [(number: UInt64, bytes: [UInt8])]
      if i % 2 == 0 {
        disk = (0..<UInt64(generator.below(4))).map {
          (1 + $0, generator.bytes(generator.below(300)))
        }
      } else {
        disk = whole
        for _ in 0..<1 + generator.below(8) {
          let file = generator.below(disk.count)
          guard !disk[file].bytes.isEmpty else { continue }
          switch generator.below(3) {
          case 0: disk[file].bytes.removeLast(generator.below(disk[file].bytes.count))
          default:
            let at = generator.below(disk[file].bytes.count)
            disk[file].bytes[at] = UInt8(truncatingIfNeeded: generator.random.next())
          }
        }
      }
      if case .success(let recovered) = life.recover(disk) {
        #expect(recovered.end.sequence <= life.writer.end.sequence)
      }
    }
  }
}
