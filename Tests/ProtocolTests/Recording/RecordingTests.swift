import Testing

@testable import Protocol

/// Files of a recording: written, rotated, torn, damaged, replayed.
@Suite struct RecordingTests {
  struct Replayed: Equatable {
    var steps: UInt64 = 0
    var effects: UInt64 = 0
    var difference: RecordingDifference?
    var violation: Contract?
    var end: RecordingEnd?
    var tornBytes = 0

    var isClean: Bool { difference == nil && violation == nil && end != nil && tornBytes == 0 }
  }

  static func replay(_ bytes: [UInt8]) throws(RecordingInvalid) -> Replayed {
    var replay = try RecordingReplay(try RecordingReader(bytes))
    while try replay.next() != nil {}
    return Replayed(
      steps: replay.steps, effects: replay.effects, difference: replay.difference,
      violation: replay.replica.contracts.violation, end: replay.reader.end,
      tornBytes: replay.reader.tornBytes)
  }

  /// A short recording of a life with an election in it.
  static func sample(seed: UInt64 = 3, rounds: Int = 25) -> Recorded.File {
    Recorded.lives(seed: seed, rounds: rounds).flatMap(\.files).max { $0.steps < $1.steps }!
  }

  @Test(arguments: 1...40 as ClosedRange<UInt64>) func everyFileReplaysWithoutADifference(
    seed: UInt64
  ) throws {
    var steps: UInt64 = 0
    for recorded in Recorded.lives(seed: seed, rounds: 150) {
      var before: RecordingReplay?
      for file in recorded.files {
        let reader = try RecordingReader(file.bytes)
        if let before, before.reader.end == .rotated {
          #expect(reader.header.firstStep == before.reader.nextStep)
          let goesOn = reader.begins(with: before.replica)
          #expect(goesOn, "the next file goes on from this one's end")
        }
        var replay = try RecordingReplay(reader)
        while try replay.next() != nil {}
        #expect(replay.difference == nil)
        #expect(replay.replica.contracts.violation == nil)
        #expect(replay.steps == file.steps)
        #expect(replay.reader.end != nil && replay.reader.tornBytes == 0)
        steps += replay.steps
        before = replay
      }
    }
    #expect(steps > 200)
  }

  @Test func theHeaderSaysWhatItIs() throws {
    let recorded = try #require(Recorded.lives(seed: 6, rounds: 150).first { $0.files.count > 2 })
    let header = try RecordingReader(recorded.files[1].bytes).header
    #expect(header.identity == Recorded.identity(header.identity.replica.rawValue))
    #expect(header.recordedAt == 1_700_000_000_000_000_000)
    #expect(header.hasContracts == ContractRecorder.isEnabled)
    #expect(header.firstStep == recorded.files[0].steps)
    #expect(header.configuration.voters.contains { $0.id == header.identity.replica })
    #expect(header.options.snapshotChunkBytes == 400)
  }

  @Test func everyTornEndIsRecognisedAndTheRestReplays() throws {
    let file = Self.sample(rounds: 12)
    let whole = try Self.replay(file.bytes)
    #expect(whole.isClean)
    var before: UInt64 = 0
    for count in 0..<file.bytes.count {
      let torn = Array(file.bytes[..<count])
      do {
        let replayed = try Self.replay(torn)
        #expect(replayed.difference == nil && replayed.end == nil)
        #expect(replayed.steps >= before && replayed.steps <= whole.steps)
        before = replayed.steps
      } catch {
        #expect(error == (count < 4 ? .notARecording : .noCheckpoint), "at \(count)")
        #expect(before == 0)
      }
    }
    #expect(before == whole.steps, "only the end is missing")
    // Room that was made and never filled.
    let padded = try Self.replay(file.bytes.dropLast(33) + [UInt8](repeating: 0, count: 500))
    #expect(padded.steps == whole.steps && padded.tornBytes == 500)
  }

  @Test func everyFlippedBitIsFound() throws {
    let bytes = Self.sample(rounds: 12).bytes
    #expect(try Self.replay(bytes).isClean)
    for place in bytes.indices {
      var damaged = bytes
      damaged[place] ^= 1 << UInt8(place % 8)
      guard let replayed = try? Self.replay(damaged) else { continue }
      #expect(!replayed.isClean, "byte \(place)")
    }
  }

  /// As if whoever damages it had made the checksums good again.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func damageBehindGoodChecksumsIsAnErrorOrADifference(
    seed: UInt64
  ) throws {
    var generator = Generator(seed: seed)
    let bytes = Self.sample(seed: seed).bytes
    let clean = try RecordingReader(bytes)
    var found = 0
    for _ in 0..<200 {
      var damaged = bytes
      // Behind the checkpoint: a state that is not one is not what a step can be given.
      let place =
        clean.checkpoint.upperBound
        + generator.below(
          bytes.count - clean.checkpoint.upperBound)
      damaged[place] ^= UInt8(1 << generator.below(8))
      guard Self.reseal(&damaged) else { continue }
      var reader = try RecordingReader(damaged)
      var effects = EffectBuffer()
      var steps: UInt64 = 0
      do {
        while try reader.next(into: &effects) != nil { steps += 1 }
        if reader.tornBytes > 0 { found += 1 }
      } catch {
        found += 1
      }
      #expect(steps <= reader.nextStep - reader.header.firstStep)
    }
    #expect(found > 0)
  }

  /// Seals bytes again; false when they are no longer chunks.
  private static func reseal(_ bytes: inout [UInt8]) -> Bool {
    var start = 0
    while start < bytes.count {
      guard bytes.count - start >= RecordingFormat.chunkHeader else { return false }
      let length = (0..<4).reduce(0) {
        $0 | Int(bytes[start + RecordingFormat.lengthOffset + $1]) << (8 * $1)
      }
      start += RecordingFormat.chunkHeader + length
    }
    guard start == bytes.count else { return false }
    var sealer = RecordingSealer()
    sealer.seal(&bytes)
    return true
  }

  @Test func anotherRandomnessIsFound() throws {
    let difference = try #require(try Self.standing(with: 4711).difference)
    #expect(difference.step.event == .deadlineReached)
    guard case .setDeadline(let expected)? = difference.expected,
      case .setDeadline(let actual)? = difference.actual
    else {
      Issue.record("\(difference)")
      return
    }
    #expect(expected != actual)
    #expect(try Self.standing(with: nil).isClean)
  }

  /// Replica 2 stands and fails; its checkpoint says that it will draw from another seed.
  private static func standing(with seed: UInt64?) throws -> Replayed {
    let cluster = Cluster(3)
    cluster.links = { _ in false }
    var bytes: [UInt8] = []
    var writer = RecordingWriter(identity: Recorded.identity(2))
    var other = cluster[2]
    if let seed { other.random = SeededRandom(seed: seed) }
    writer.beginFile(other, into: &bytes)
    cluster.observe = { [unowned cluster] _, event, effects, after in
      guard after.id == ReplicaID(2) else { return }
      writer.note(event, now: cluster.now, effects, into: &bytes)
    }
    cluster.run(5_000)
    writer.endFile(.closed, into: &bytes)
    var sealer = RecordingSealer()
    sealer.seal(&bytes)
    return try replay(bytes)
  }

  @Test func missingAndAdditionalEffectsAreFound() throws {
    let cluster = Cluster(3)
    for change in [-1, 1] {
      var bytes: [UInt8] = []
      var writer = RecordingWriter(identity: Recorded.identity(1))
      writer.beginFile(cluster[1], into: &bytes)
      var replica = cluster[1]
      var effects = EffectBuffer()
      replica.step(.deadlineReached, now: at(60_000), into: &effects)
      try #require(effects.count > 1)
      var changed = EffectBuffer()
      for effect in effects.all.dropLast(change < 0 ? 1 : 0) { changed.append(effect) }
      if change > 0 { changed.append(.truncate(upTo: Slot(9))) }
      writer.note(.deadlineReached, now: at(60_000), changed, into: &bytes)
      writer.endFile(.closed, into: &bytes)
      var sealer = RecordingSealer()
      sealer.seal(&bytes)
      let difference = try #require(try Self.replay(bytes).difference)
      #expect(difference.effect == effects.count - (change < 0 ? 1 : 0))
      #expect((difference.expected == nil) == (change < 0))
      #expect((difference.actual == nil) == (change > 0))
      #expect(difference.step.number == 0 && difference.step.now == at(60_000))
    }
  }

  @Test func chunksDoNotMixAndDoNotMove() throws {
    var files = Recorded.lives(seed: 11, rounds: 60).flatMap(\.files).filter { $0.steps > 20 }
    try #require(files.count > 1)
    let (a, b) = (files.removeFirst().bytes, files.removeFirst().bytes)
    // The end of another file, which is an undamaged chunk.
    #expect(throws: RecordingInvalid.self) { try Self.replay(a.dropLast(33) + b.suffix(33)) }
    #expect(throws: RecordingInvalid.self) { try Self.replay(a + a) }
    #expect(throws: RecordingInvalid.notARecording) {
      try Self.replay([UInt8](repeating: 7, count: 99))
    }
    #expect(throws: RecordingInvalid.notARecording) { try Self.replay(Array(a.dropFirst())) }
  }

  @Test func aNewerVersionIsNamed() throws {
    var bytes = Self.sample(rounds: 5).bytes
    bytes[4] = 9
    #expect(throws: RecordingInvalid.damaged(offset: 0)) { try RecordingReader(bytes) }
    try #require(Self.reseal(&bytes))
    #expect(throws: RecordingInvalid.version(9)) { try RecordingReader(bytes) }
  }

  @Test func skippedStepsAreCounted() throws {
    let cluster = Cluster(3)
    var writer = RecordingWriter(identity: Recorded.identity(1))
    for _ in 0..<5 { writer.skip() }
    var bytes: [UInt8] = []
    writer.beginFile(cluster[1], into: &bytes)
    writer.endFile(.gap, into: &bytes)
    var sealer = RecordingSealer()
    sealer.seal(&bytes)
    var reader = try RecordingReader(bytes)
    var effects = EffectBuffer()
    #expect(try reader.next(into: &effects) == nil)
    #expect(reader.header.firstStep == 5 && reader.nextStep == 5 && reader.end == .gap)
  }
}
