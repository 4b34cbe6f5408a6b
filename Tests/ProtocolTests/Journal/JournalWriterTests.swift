import Protocol
import Testing

@Suite struct JournalWriterTests {
  @Test(arguments: 0..<Generator.recordKinds) func roundTrip(kind: Int) throws {
    var generator = Generator(seed: UInt64(kind))
    for _ in 0..<200 {
      var life = JournalLife(seed: 0)
      let (fact, payload) = generator.fact(kind: kind)
      if case .snapshot(let info) = fact { life.snapshot = info }
      life.append(fact, payload)
      life.flush()
      let recovered = try life.recover(life.crashed(.nothing)).get()
      #expect(recovered.durable == life.model(life.history[...]))
      #expect(recovered.tail == .clean)
    }
  }

  /// No flush ever touches a block that an earlier flush made durable.
  @Test(arguments: [64, 512, 4096]) func flushesEndOnBlocks(blockLength: Int) {
    var life = JournalLife(seed: 1, segmentLengthMax: 1 << 20, blockLength: blockLength)
    for _ in 0..<200 {
      for _ in 0..<life.generator.below(4) { life.appendAnything() }
      life.flush()
      #expect(life.files[0].bytes.count % blockLength == 0)
      #expect(Int(life.writer.end.mark.offset) == life.files[0].bytes.count)
      #expect(life.writer.durable == life.writer.end.mark)
    }
  }

  @Test func positionsCountRecordsAndNotPadding() {
    var life = JournalLife(seed: 2)
    for n in 1...20 as ClosedRange<UInt64> {
      life.append(.chosenUpTo(Slot(n)))
      #expect(life.writer.position == JournalPosition(n))
      life.flush()
      #expect(life.writer.flush().position == JournalPosition(n))
    }
    #expect(life.writer.end.sequence > 20)
  }

  @Test func aFullSegmentSaysSo() {
    var life = JournalLife(seed: 3, segmentLengthMax: 340)
    let value = Value(bytes: BytesRef(position: 0, length: 1000), count: 1, digest: 1)
    // An empty segment takes any record, or a long one would fit nowhere.
    #expect(life.writer.hasRoom(for: record(.learned(Slot(1), value))))
    life.append(.chosenUpTo(Slot(1)))
    #expect(!life.writer.hasRoom(for: record(.learned(Slot(1), value))))
    #expect(life.writer.hasRoom(for: record(.chosenUpTo(Slot(1)))))
    life.append(.chosenUpTo(Slot(1)))
    life.append(.chosenUpTo(Slot(1)))
    #expect(life.files.count == 1)
    #expect(!life.writer.hasRoom(for: record(.chosenUpTo(Slot(1)))))
    life.append(.chosenUpTo(Slot(1)))
    #expect(life.files.count == 2)
    let fresh = JournalWriter(identity: JournalLife.identity, after: .fresh)
    #expect(!fresh.hasRoom(for: record(.chosenUpTo(Slot(1)))))
  }

  @Test func droppingKeepsThePromise() throws {
    var life = JournalLife(seed: 4, segmentLengthMax: 300)
    let high = Ballot(round: 1000, proposer: ReplicaID(3))
    life.append(.promised(high))
    for n in 1...9 as ClosedRange<UInt64> {
      life.append(
        .accepted(Slot(n), Ballot(round: 1, proposer: ReplicaID(1)), .noop))
    }
    life.append(.chosenUpTo(Slot(9)))
    life.snapshot = SnapshotInfo(slot: Slot(7), length: 1, digest: 1)
    life.append(.snapshot(life.snapshot))
    let count = life.files.count
    #expect(count > 3)
    // Nothing is durable yet, so nothing may go.
    #expect(life.writer.drop(upTo: Slot(7)).isEmpty)
    life.flush()
    life.drop()
    #expect(life.files.count < count)
    #expect(life.files[0].number > 1)
    let recovered = try life.recover(life.crashed(.nothing)).get()
    #expect(recovered.durable.promised == high)
    #expect(recovered.durable.chosenUpTo == Slot(9))
    #expect(recovered.durable.entries.map(\.slot) == [Slot(8), Slot(9)])
    // With an older snapshot the slots between are gone, and recovery says so.
    life.snapshot = SnapshotInfo(slot: Slot(1), length: 1, digest: 1)
    let doubt = try life.recover(life.crashed(.nothing)).get().durable.doubt
    #expect(doubt?.slotsUpTo.map { $0 >= Slot(7) } == true)
  }

  /// Of what was flushed last nothing says that it was, until a block behind it does; then every byte of it is vouched for.
  @Test(arguments: [8, 64, 512])
  func whatIsVouchedForIsNoTornTail(blockLength: Int) throws {
    var life = JournalLife(seed: 7, segmentLengthMax: 2_000, blockLength: blockLength)
    #expect(!life.writer.needsVouching, "nothing is written yet")
    life.append(.promised(Ballot(round: 3, proposer: ReplicaID(2))))
    let end = Int(life.writer.end.mark.offset)
    life.flush()
    let flushed = life.files[0].bytes.count
    #expect(life.writer.needsVouching)
    let last = SegmentHeader.length..<end
    for place in last {
      var disk = life.crashed(.nothing)
      disk[0].bytes[place] ^= 1
      #expect(try life.recover(disk).get().damages.isEmpty, "byte \(place)")
    }
    var out: [UInt8] = []
    var hasRoom = life.writer.vouch(into: &out)
    #expect(hasRoom)
    #expect(out.count >= blockLength && out.count % blockLength == 0)
    life.files[0].bytes += out
    #expect(!life.writer.needsVouching)
    // Not before it is durable itself.
    var disk = life.crashed(.nothing)
    #expect(disk[0].bytes.count == flushed)
    life.flush()
    #expect(!life.writer.needsVouching, "it is no record")
    for place in last {
      var disk = life.crashed(.nothing)
      disk[0].bytes[place] ^= 1
      #expect(try life.recover(disk).get().damages.count == 1, "byte \(place)")
    }
    disk = life.crashed(.nothing)
    #expect(try life.recover(disk).get().damages.isEmpty)
    // Where it does not fit, the next segment's header says it.
    while Int(life.writer.end.mark.offset) + blockLength + 64 <= 2_000 {
      life.append(.chosenUpTo(Slot(1)))
      life.flush()
    }
    out = []
    hasRoom = life.writer.vouch(into: &out)
    if !hasRoom { #expect(out.isEmpty && life.writer.needsVouching) }
    life.beginSegment()
    #expect(!life.writer.needsVouching)
  }

  @Test func theSegmentBeingWrittenIsNeverDropped() {
    var life = JournalLife(seed: 5)
    life.append(.chosenUpTo(Slot(1)))
    life.flush()
    #expect(life.writer.drop(upTo: .last).isEmpty)
    #expect(life.writer.segments.count == 1)
  }

  @Test func gatheredRecordsAreTheSameBytes() {
    var generator = Generator(seed: 6)
    var copied: [UInt8] = []
    var fixed: [UInt8] = []
    var places: [(Int, [UInt8])] = []
    var a = JournalWriter(identity: JournalLife.identity, after: .fresh)
    var b = a
    let span = ConfigurationSpan(epoch: Epoch(1))
    _ = a.beginSegment(under: span, into: &copied)
    _ = b.beginSegment(under: span, into: &fixed)
    for _ in 0..<200 {
      let (fact, payload) = generator.fact(kind: generator.below(Generator.recordKinds))
      let record = record(fact)
      a.append(record, payload: payload.span.bytes, into: &copied)
      places.append((b.appendGathered(record, payload: payload.span.bytes, into: &fixed), payload))
    }
    #expect(a == b)
    var gathered: [UInt8] = []
    var from = 0
    for (place, payload) in places {
      gathered += fixed[from..<place] + payload
      from = place
    }
    gathered += fixed[from...]
    #expect(gathered == copied)
  }

  @Test func recoveryPlacesEverySurvivingValueOnce() throws {
    var life = JournalLife(seed: 7, segmentLengthMax: 700)
    for _ in 0..<60 { life.appendAnything() }
    life.flush()
    let disk = life.crashed(.nothing)
    var asked: [PayloadLocation] = []
    let recovered = try JournalRecovery.recover(
      disk, identity: JournalLife.identity, snapshot: .none
    ) { location in
      asked.append(location)
      return UInt64(asked.count)
    }
    let values = recovered.durable.entries.map(\.value).filter { $0.bytes.length > 0 }
    #expect(values.map(\.bytes.position) == (0..<values.count).map { UInt64($0 + 1) })
    #expect(asked.map(\.length) == values.map(\.bytes.length))
  }
}
