import Testing

@testable import Protocol

/// Segments at rest, one by one: what is damaged in them is found as recovery would find it, and nothing else.
@Suite struct JournalScrubTests {
  /// Some segments of two lives, all of which is durable, and how much of each belongs to the log.
  private func makeLife(_ seed: UInt64) throws -> JournalLife {
    var life = JournalLife(seed: seed)
    func live(_ life: inout JournalLife) {
      for i in 0..<60 {
        life.appendAnything()
        if i % 4 == 0 { life.flush() }
        if i % 25 == 24 { life.takeSnapshot() }
      }
      life.flush()
    }
    live(&life)
    // What is not durable at the crash: a void end, in a segment of its own mostly.
    life.appendAnything()
    let disk = life.crashed(.nothing)
    life.restart(disk, try life.recover(disk).get())
    live(&life)
    return life
  }

  private func headers(_ life: JournalLife) -> [SegmentHeader] {
    life.files.compactMap { file in
      file.bytes.withUnsafeBytes { try? SegmentHeader.read($0) }
    }
  }

  private func durableEnd(_ file: JournalLife.File, _ life: JournalLife) -> Int? {
    file.number == life.files.last!.number
      ? file.durable : end(of: file.number, headers(life))
  }

  private func end(of number: UInt64, _ headers: [SegmentHeader]) -> Int? {
    guard case .at(let end) = SegmentEnds(headers)[number] else { return nil }
    return end
  }

  private func damages(
    _ number: UInt64, _ bytes: [UInt8], _ end: Int, unreadable: [UnreadableBytes] = []
  ) -> [JournalDamage] {
    bytes.withUnsafeBytes { buffer in
      JournalRecovery.damages(
        in: JournalSegment(number: number, bytes: buffer, unreadable: unreadable), upTo: end,
        identity: JournalLife.identity)
    }
  }

  /// A crash right behind two new segments leaves the second one's header without the first one's: the log never ran there.
  @Test func whatOnlyAVoidHeaderGoesOnFromIsVoid() throws {
    var header = try #require(headers(makeLife(1)).last)
    func make(_ number: UInt64, from segment: UInt64, _ offset: UInt32) -> SegmentHeader {
      header.number = number
      header.continued.mark = JournalMark(segment: segment, offset: offset)
      return header
    }
    let all = [make(4, from: 3, 512), make(5, from: 4, 1_024), make(7, from: 6, 256)]
    let after = [make(8, from: 5, 2_048), make(9, from: 8, 4_096)]
    let ends = SegmentEnds(all + after)
    #expect(
      (3...9).map { ends[$0] } == [
        .at(512), .at(1_024), .at(2_048), .void, .void, .at(4_096), .lost,
      ])
    // The header of 8 is lost: 9 still says where 8 ends, and nobody where any before it does.
    let lost = SegmentEnds(all + after.suffix(1))
    #expect((3...8).map { lost[$0] } == [.lost, .lost, .lost, .lost, .lost, .at(4_096)])
    #expect(SegmentEnds([make(5, from: 5, 0)])[4] == .lost)
    #expect(SegmentEnds([])[4] == .lost)
  }

  @Test(arguments: 1...30 as ClosedRange<UInt64>) func whatIsSoundIsFoundSound(seed: UInt64) throws
  {
    let life = try makeLife(seed)
    #expect(life.files.count > 4)
    var looked = 0
    for file in life.files {
      guard let end = durableEnd(file, life) else { continue }
      looked += 1
      #expect(damages(file.number, Array(file.bytes[..<end]), end) == [])
    }
    #expect(looked >= life.files.count - 1, "only a void segment has no end")
  }

  /// What recovery reads of a segment, in bytes.
  private func read(_ number: UInt64, _ bytes: [UInt8], _ end: Int) throws -> [Range<Int>] {
    try bytes.withUnsafeBytes { buffer in
      var (ranges, offset) = ([0..<SegmentHeader.length], SegmentHeader.length)
      let stamp = JournalCodec.stamp(JournalLife.identity, segment: number)
      while offset < end {
        let head = try JournalCodec.decodeHead(buffer, at: offset, stamp: stamp, segment: number)
        let (record, payload, next) = try JournalCodec.decodeFields(head, buffer, at: offset)
        let fields = offset + JournalCodec.headLength + head.type.fieldsLength
        ranges.append(offset..<(record == nil ? offset + JournalCodec.headLength : fields))
        if record != nil { ranges.append(payload) }
        offset = next
      }
      return ranges
    }
  }

  @Test func everyFlippedByteIsFound() throws {
    let life = try makeLife(3)
    for file in life.files {
      guard let end = durableEnd(file, life) else { continue }
      let sound = Array(file.bytes[..<end])
      let read = try read(file.number, sound, end)
      for place in 0..<end {
        var bytes = sound
        bytes[place] ^= 0x10
        let found = damages(file.number, bytes, end)
        let isRead = read.contains { $0.contains(place) }
        #expect(found.isEmpty != isRead, "segment \(file.number), byte \(place): \(found)")
        #expect(found.allSatisfy { $0.segment == file.number && $0.offset <= place })
      }
    }
  }

  /// With recovery alone the last record would be taken for a torn write, since nothing vouches for it.
  @Test func theLastRecordIsNoTornTail() throws {
    let life = try makeLife(5)
    let file = life.files.last!
    var bytes = Array(file.bytes[..<file.durable])
    let last = try #require(life.history.last)
    bytes[Int(last.begin.offset) + 10] ^= 1
    let found = damages(file.number, bytes, file.durable)
    #expect(found.first?.offset == Int(last.begin.offset), "\(found)")
  }

  @Test func whatCannotBeReadAndWhatIsCutIsFound() throws {
    let life = try makeLife(7)
    let file = life.files[1]
    let end = try #require(durableEnd(file, life))
    var bytes = Array(file.bytes[..<end])
    let block = 512..<1_024
    for i in block { bytes[i] = 0 }
    let lost = UnreadableBytes(block, why: "the disk's answer")
    let found = damages(file.number, bytes, end, unreadable: [lost])
    #expect(
      found.first
        == JournalDamage(
          segment: file.number, offset: 512,
          what: .unreadable(bytes: 512, why: "the disk's answer")))
    #expect(!damages(file.number, Array(file.bytes[..<512]), end).isEmpty)
    #expect(!damages(file.number, [], end).isEmpty)
  }

  @Test func anothersSegmentIsFound() throws {
    let life = try makeLife(9)
    let (a, b) = (life.files[1], life.files[2])
    let bytes = Array(b.bytes[..<(try #require(durableEnd(b, life)))])
    let found = damages(a.number, bytes, bytes.count)
    #expect(found.map(\.what) == [.misplaced(b.number)])
  }
}
