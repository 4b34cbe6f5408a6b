import Foundation
import Testing

@testable import Protocol

/// Every record and header of a journal × every field × {flip, zero, cut}: what is left says the truth, and says what it
/// cannot know.
@Suite struct JournalDamageTests {
  /// A journal such as a replica leaves behind, whose ballots only rise and whose chosen slots keep their values.
  struct Past {
    var life: JournalLife
    var ballot = Ballot(round: 1, proposer: ReplicaID(1))
    /// Every slot up to here was noted as chosen, and its last value was.
    var chosen: UInt64 = 0
    var top: UInt64 = 0
    var values: [UInt64: (Value, [UInt8])] = [:]

    init(seed: UInt64, segmentLengthMax: Int) {
      life = JournalLife(seed: seed, segmentLengthMax: segmentLengthMax)
    }

    mutating func write() {
      switch life.generator.below(12) {
      case 0:
        ballot.round += 1
        life.append(.promised(ballot))
      case 1 where top > chosen:
        chosen += UInt64(1 + life.generator.below(Int(top - chosen)))
        life.append(.chosenUpTo(Slot(chosen)))
      case 2 where top > chosen:
        let slot = chosen + 1
        let (value, payload) = life.generator.value(lengthMax: 60)
        values[slot] = (value, payload)
        life.append(.learned(Slot(slot), value), payload)
        chosen = slot
        life.append(.chosenUpTo(Slot(chosen)))
      case 3 where top > chosen:
        // Voted for again, at a higher ballot and maybe for something else.
        let slot = chosen + 1 + UInt64(life.generator.below(Int(top - chosen)))
        ballot.round += 1
        vote(slot, life.generator.value(lengthMax: 60))
      case 4: life.flush()
      default:
        top += 1
        vote(top, life.generator.value(lengthMax: 60))
      }
    }

    mutating func vote(_ slot: UInt64, _ value: (Value, [UInt8])) {
      values[slot] = value
      life.append(.accepted(Slot(slot), ballot, value.0), value.1)
    }
  }

  private static let recordFields = [
    0..<2, 2..<3, 3..<4, 4..<8, 8..<12, 12..<16, 16..<24, 24..<28, 28..<32, 32..<36, 36..<40,
    40..<48,
    48..<56, 56..<64, 64..<72, 72..<80,
  ]
  private static let headerFields = [
    0..<4, 4..<5, 5..<8, 8..<16, 16..<20, 20..<24, 24..<28, 28..<32, 32..<40, 40..<48, 48..<56,
    56..<68,
    68..<72, 72..<80, 80..<104, 104..<112, 112..<120, 120..<128, 128..<136, 136..<144, 144..<152,
    152..<156, 156..<160,
  ]

  enum Harm: CaseIterable { case flip, zero, cut }

  private func harm(_ bytes: inout [UInt8], _ field: Range<Int>, _ harm: Harm) -> Bool {
    let field = field.clamped(to: 0..<bytes.count)
    guard !field.isEmpty else { return false }
    switch harm {
    case .flip: bytes[field.lowerBound + field.count / 2] ^= 0x10
    case .zero:
      guard bytes[field].contains(where: { $0 != 0 }) else { return false }
      for i in field { bytes[i] = 0 }
    case .cut: bytes.removeSubrange(field.lowerBound...)
    }
    return true
  }

  /// What must hold whatever was damaged, as long as it had been durable.
  private func check(
    _ past: Past, _ found: RecoveredJournal, _ name: @autoclosure () -> String
  ) {
    let state = found.durable
    var (promised, votes): (Ballot, [UInt64: Ballot]) = (.zero, [:])
    for written in past.life.history {
      switch written.record.fact {
      case .promised(let ballot): promised = max(promised, ballot)
      case .accepted(let slot, let ballot, _):
        promised = max(promised, ballot)
        votes[slot.rawValue] = ballot
      case .learned(let slot, _): votes[slot.rawValue] = nil
      case .chosenUpTo, .snapshot, .cured: break
      }
    }
    #expect(
      state.promised == promised || state.doubt?.isPromiseLost == true && state.promised < promised,
      "\(name()): promised \(state.promised) of \(promised)")
    for slot in votes.keys.sorted() {
      let entry = state.entries.first { $0.slot.rawValue == slot }
      if let entry, entry.isLearned || entry.ballot == votes[slot] { continue }
      let isDoubted = state.doubt.map { $0.slotsUpTo.map { $0.rawValue >= slot } ?? true } ?? false
      #expect(isDoubted, "\(name()): the vote in slot \(slot) is lost and not missed")
    }
    for entry in state.entries {
      let isReal = past.life.history.contains { written in
        switch written.record.fact {
        case .accepted(entry.slot, let ballot, let value):
          value == entry.value && (ballot == entry.ballot || entry.isLearned)
        case .learned(entry.slot, let value): value == entry.value
        default: false
        }
      }
      #expect(isReal, "\(name()): slot \(entry.slot) was made up")
      if entry.isLearned || entry.slot <= state.chosenUpTo {
        #expect(entry.slot.rawValue <= past.chosen, "\(name()): slot \(entry.slot) is not chosen")
        #expect(
          entry.value.isSame(as: past.values[entry.slot.rawValue]!.0),
          "\(name()): slot \(entry.slot) was chosen with another value")
      }
    }
  }

  @Test func everyFieldOfEveryRecord() {
    var (damaged, doubtful, refused, harmless) = (0, 0, 0, 0)
    for seed in 0..<12 as Range<UInt64> {
      var past = Past(seed: seed, segmentLengthMax: seed % 2 == 0 ? 1500 : 1 << 16)
      for _ in 0..<30 { past.write() }
      past.life.flush()
      // A restart proves what was flushed before it.
      let disk = past.life.crashed(.nothing)
      guard case .success(let sound) = past.life.recover(disk), sound.damages.isEmpty else {
        Issue.record("seed \(seed) is not sound to begin with")
        return
      }
      past.life.restart(disk, sound)
      past.life.append(.chosenUpTo(Slot(past.chosen)))
      past.life.flush()
      past.life.append(.chosenUpTo(Slot(past.chosen)))
      past.life.flush()
      let whole = past.life.crashed(.nothing)
      var places: [(file: Int, at: Int, fields: [Range<Int>], what: String)] = []
      for (i, file) in whole.enumerated() where i < whole.count - 1 {
        places.append((i, 0, Self.headerFields, "header \(file.number)"))
        for written in past.life.history where written.begin.segment == file.number {
          places.append(
            (i, Int(written.begin.offset), Self.recordFields, "\(written.record.fact)"))
        }
      }
      for place in places {
        for field in place.fields {
          for kind in Harm.allCases {
            var disk = whole
            let range = place.at + field.lowerBound..<place.at + field.upperBound
            guard harm(&disk[place.file].bytes, range, kind) else { continue }
            let name = "seed \(seed), \(place.what), byte \(range), \(kind)"
            switch past.life.recover(disk) {
            case .failure: refused += 1
            case .success(let found):
              if found.damages.isEmpty { harmless += 1 } else { damaged += 1 }
              if found.durable.doubt != nil { doubtful += 1 }
              check(past, found, name)
              restartStaysDoubtful(past, disk, found, name)
            }
          }
        }
      }
    }
    #expect(damaged > 5_000 && doubtful > 1_000, "\(damaged) \(doubtful) \(harmless) \(refused)")
    // What cannot be reasoned about is rare: bytes of a field that is not looked at, or nothing at all.
    #expect(refused * 10 < damaged, "\(refused) of \(damaged)")
    Self.report(
      "journals in memory, flip, zero, cut: \(damaged) cells damaged, of which \(doubtful) leave a doubt; "
        + "\(harmless) harmless, \(refused) refused")
  }

  /// What the disk does not give back may have been durable, wherever it lies: unlike zeroes, and unlike a torn tail, also at
  /// the very end.
  @Test func everyUnreadableBlock() {
    var (doubtful, harmless, refused) = (0, 0, 0)
    for seed in 0..<4 as Range<UInt64> {
      var past = Past(seed: seed, segmentLengthMax: seed % 2 == 0 ? 1500 : 1 << 16)
      for _ in 0..<30 { past.write() }
      past.life.flush()
      let whole = past.life.crashed(.nothing)
      for (file, segment) in whole.enumerated() {
        var ranges: [Range<Int>] = []
        for length in [8, 512, 4_096] {
          ranges += stride(from: 0, to: segment.bytes.count, by: length).map {
            $0..<min($0 + length, segment.bytes.count)
          }
        }
        // A file that was cut.
        ranges += stride(from: 0, to: segment.bytes.count, by: 24).map {
          $0..<segment.bytes.count
        }
        for range in ranges {
          var disk = whole
          for i in range { disk[file].bytes[i] = 0 }
          let lost = UnreadableBytes(range, why: "no")
          let name = "seed \(seed), segment \(segment.number), byte \(range)"
          let result = Result { () throws(JournalDamage) in
            try JournalRecovery.recover(
              disk, identity: JournalLife.identity, snapshot: past.life.snapshot,
              unreadable: [(segment.number, lost)])
          }
          guard case .success(let found) = result else {
            refused += 1
            #expect(whole.count == 1 && range.lowerBound < SegmentHeader.length, "\(name)")
            continue
          }
          if found.durable.doubt == nil { harmless += 1 } else { doubtful += 1 }
          #expect(
            found.damages.contains(
              JournalDamage(
                segment: segment.number, offset: range.lowerBound,
                what: .unreadable(bytes: range.count, why: "no"))), "\(name)")
          check(past, found, name)
        }
      }
    }
    #expect(doubtful > 1_000 && harmless > 30, "\(doubtful) \(harmless) \(refused)")
    Self.report(
      "journals in memory, EIO and short files: \(doubtful + harmless) cells damaged, of which \(doubtful) leave a doubt; "
        + "\(refused) refused: the only header")
  }

  /// `make storage-matrix` has it all in one table.
  private static func report(_ line: String) {
    guard let path = ProcessInfo.processInfo.environment["RSL_STORAGE_MATRIX"],
      let file = FileHandle(forWritingAtPath: path)
    else { return }
    file.seekToEndOfFile()
    file.write(Data((line + "\n").utf8))
    file.closeFile()
  }

  /// Nothing else would know of the last one.
  @Test func aLastSegmentThatIsGoneIsMissed() throws {
    var past = Past(seed: 5, segmentLengthMax: 1 << 16)
    for _ in 0..<10 { past.write() }
    past.life.flush()
    past.life.beginSegment()
    past.vote(past.top + 1, past.life.generator.value(lengthMax: 60))
    past.life.flush()
    let disk = past.life.crashed(.nothing)
    func recover(newest: UInt64?) throws -> RecoveredJournal {
      try disk[0].bytes.withUnsafeBytes { bytes in
        var segments = [JournalSegment(number: 1, bytes: bytes)]
        if let newest {
          let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
          segments.append(JournalSegment(number: newest, bytes: nothing, isMissing: true))
        }
        return try JournalRecovery.recover(
          segments, identity: JournalLife.identity, snapshot: .none)
      }
    }
    #expect(try recover(newest: nil).durable.doubt == nil, "nothing says that there was more")
    let found = try recover(newest: 2)
    #expect(found.damages == [JournalDamage(segment: 2, offset: 0, what: .segmentMissing)])
    #expect(found.durable.doubt == JournalDoubt(isPromiseLost: true, slotsUpTo: nil))
    #expect(found.nextSegment == 3 && found.segments.map(\.number) == [1])
  }

  /// A suspect that crashes before it is cured is a suspect again, with nothing more lost; cured, it is not.
  private func restartStaysDoubtful(
    _ past: Past, _ disk: [(number: UInt64, bytes: [UInt8])], _ found: RecoveredJournal,
    _ name: String
  ) {
    guard let doubt = found.durable.doubt else { return }
    var next = past.life
    next.restart(disk, found)
    next.append(.chosenUpTo(Slot(0)))
    next.flush()
    guard case .success(let again) = next.recover(next.crashed(.nothing)) else {
      Issue.record("\(name): refused at the second start")
      return
    }
    #expect(again.durable.doubt != nil, "\(name): forgotten")
    #expect(again.durable.doubt?.isPromiseLost == doubt.isPromiseLost, "\(name)")
    #expect(again.durable.entries == found.durable.entries, "\(name): entries")
    #expect(again.durable.promised == found.durable.promised, "\(name)")
    // Cured: a snapshot covers every slot, and the record says so.
    next.snapshot = SnapshotInfo(slot: Slot(past.top), length: 10, digest: 1)
    next.append(.snapshot(next.snapshot))
    let ballot = Ballot(round: past.ballot.round + 5, proposer: ReplicaID(2))
    next.append(.cured(ballot, next.snapshot.slot))
    next.flush()
    guard case .success(let cured) = next.recover(next.crashed(.nothing)) else {
      Issue.record("\(name): refused when it is cured")
      return
    }
    #expect(cured.durable.doubt == nil && cured.damages.isEmpty, "\(name): \(cured.damages)")
    #expect(cured.durable.promised == ballot)
    // And the next segment says so by itself, when the record is lost.
    var after = next
    after.restart(next.crashed(.nothing), cured)
    after.flush()
    #expect(try! after.recover(after.crashed(.nothing)).get().durable.doubt == nil, "\(name)")
  }

  @Test func aLostPromiseIsRepeatedByWhatComesLater() throws {
    func doubt(_ later: (inout JournalLife) -> Void) throws -> JournalDoubt? {
      var life = JournalLife(seed: 1)
      life.append(.promised(ballot(7)))
      life.flush()
      let place = 512
      life.append(.chosenUpTo(Slot(0)))
      life.append(.promised(ballot(9)))
      life.flush()
      later(&life)
      life.append(.chosenUpTo(Slot(0)))
      life.flush()
      var disk = life.crashed(.nothing)
      for i in place..<place + 512 { disk[0].bytes[i] = 0 }
      return try life.recover(disk).get().durable.doubt
    }
    // Nothing later has a ballot: it may have been any.
    #expect(try doubt { _ in } == JournalDoubt(isPromiseLost: true, slotsUpTo: nil))
    // A later promise was above every one before it; a later segment's header repeats promise and highest slot.
    #expect(
      try doubt { $0.append(.promised(ballot(10))) }
        == JournalDoubt(isPromiseLost: false, slotsUpTo: nil))
    #expect(try doubt { $0.beginSegment() } == nil)
  }

  @Test func aLostValueLeavesNothingElseInDoubt() throws {
    var life = JournalLife(seed: 2)
    for slot in 1...3 as ClosedRange<UInt64> {
      let (value, payload) = life.generator.value(lengthMax: 60)
      life.append(.accepted(Slot(slot), ballot(4), value), payload)
      life.flush()
    }
    life.append(.chosenUpTo(Slot(0)))
    life.flush()
    var disk = life.crashed(.nothing)
    let begin = Int(life.history[1].begin.offset)
    disk[0].bytes[begin + 80] ^= 1
    let found = try life.recover(disk).get()
    #expect(found.damages == [JournalDamage(segment: 1, offset: begin, what: .value(Slot(2)))])
    // Up to the last vote, which the cure stands for as well.
    #expect(found.durable.doubt == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(3)))
    #expect(found.durable.entries.map(\.slot) == [Slot(1), Slot(3)])
    #expect(found.durable.promised == ballot(4))
  }

  @Test func damageBelowTheSnapshotDoesNotMatter() throws {
    var past = Past(seed: 3, segmentLengthMax: 1 << 16)
    for _ in 0..<20 { past.write() }
    past.life.flush()
    past.life.snapshot = SnapshotInfo(slot: Slot(past.top), length: 10, digest: 1)
    past.life.append(.snapshot(past.life.snapshot))
    past.life.beginSegment()
    past.life.flush()
    past.life.append(.promised(Ballot(round: 99, proposer: ReplicaID(1))))
    past.life.flush()
    var disk = past.life.crashed(.nothing)
    disk[0].bytes[300] ^= 1
    let found = try past.life.recover(disk).get()
    #expect(found.damages.count == 1 && found.durable.doubt == nil)
    #expect(found.durable.promised.round == 99)
  }

  /// A cure rests on its snapshot: when that is lost later, the doubts are back, also where nothing but the cure names it.
  @Test(arguments: [false, true])
  func aCureDoesNotHideThatItsSnapshotIsLost(isItsRecordLost: Bool) throws {
    var life = JournalLife(seed: 5)
    let (value, payload) = life.generator.value(lengthMax: 60)
    life.append(.accepted(Slot(7), ballot(4), value), payload)
    life.flush()
    life.append(.chosenUpTo(Slot(0)))
    life.flush()
    var disk = life.crashed(.nothing)
    for i in 160..<512 { disk[0].bytes[i] = 0 }
    let found = try life.recover(disk).get()
    #expect(found.durable.doubt != nil)
    life.restart(disk, found)
    life.snapshot = SnapshotInfo(slot: Slot(9), length: 10, digest: 1)
    life.flush()
    let place = Int(life.writer.end.mark.offset)
    life.append(.snapshot(life.snapshot))
    life.flush()
    life.append(.cured(ballot(5), Slot(9)))
    life.flush()
    life.append(.chosenUpTo(Slot(9)))
    life.flush()
    disk = life.crashed(.nothing)
    #expect(try life.recover(disk).get().durable.doubt == nil)
    life.snapshot = .none
    if isItsRecordLost { for i in place..<place + 512 { disk[1].bytes[i] = 0 } }
    #expect(
      try life.recover(disk).get().durable.doubt
        == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(9)))
  }

  /// What a cure stands for may be damaged after it, and then nothing tells: so it waits for every vote that is in hand.
  @Test func aDoubtIncludesTheVotesInHand() throws {
    var life = JournalLife(seed: 6)
    for slot in [2, 8] as [UInt64] {
      let (value, payload) = life.generator.value(lengthMax: 60)
      life.append(.accepted(Slot(slot), ballot(4), value), payload)
      life.flush()
    }
    life.append(.chosenUpTo(Slot(0)))
    life.flush()
    var disk = life.crashed(.nothing)
    // The value of slot 2, and nothing else.
    disk[0].bytes[Int(life.history[0].begin.offset) + 80] ^= 1
    #expect(
      try life.recover(disk).get().durable.doubt
        == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(8)))
  }

  /// A sector that a misdirected write has put in the place of another one of the same segment holds no records there: older ones
  /// would vouch for what they do not know of.
  @Test func aRecordInTheWrongPlaceIsNone() throws {
    var life = JournalLife(seed: 7, segmentLengthMax: 1 << 16)
    for round in [3, 4, 5, 6] as [UInt64] {
      life.append(.promised(ballot(round)))
      life.flush()
    }
    life.append(.chosenUpTo(Slot(0)))
    life.flush()
    var disk = life.crashed(.nothing)
    // The promises of 4 and of 6 lie at 512 and 1,536.
    for i in 0..<512 {
      disk[0].bytes[1_536 + i] = disk[0].bytes[512 + i]
      disk[0].bytes[512 + i] = 0
    }
    let found = try life.recover(disk).get()
    #expect(found.durable.promised == ballot(5))
    #expect(found.durable.doubt == JournalDoubt(isPromiseLost: true, slotsUpTo: nil))
  }

  /// Without any header there is nothing to begin with, and a wiped directory beside a snapshot is not a new replica.
  @Test func nothingReadableIsRefused() {
    var past = Past(seed: 4, segmentLengthMax: 1 << 16)
    for _ in 0..<20 { past.write() }
    past.life.flush()
    past.life.append(.chosenUpTo(Slot(0)))
    past.life.flush()
    var disk = past.life.crashed(.nothing)
    disk[0].bytes[60] ^= 1
    guard case .failure(let damage) = past.life.recover(disk) else {
      Issue.record("a journal without a header was taken for one")
      return
    }
    #expect(damage == JournalDamage(segment: 1, offset: 0, what: .header(.checksum)))
  }
}
