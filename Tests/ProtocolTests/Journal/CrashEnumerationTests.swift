import Protocol
import Testing

/// Every state a crash can leave of a scripted life of the journal: after each write, every subset of the unflushed pieces of
/// 8 bytes (the storage model of LeBlanc et al., "PoWER Never Corrupts", OSDI 2025). Each must recover to the state before
/// the write or after some of its records, and never to less than what was acknowledged. A journal whose host makes one of
/// the classic mistakes must be caught by the same enumeration.
@Suite struct CrashEnumerationTests {
  /// What a host may do wrong.
  enum Flaw: CaseIterable {
    /// Says that it flushed, and did not.
    case missingFlush
    /// Acknowledges when it has written, and flushes then.
    case flushAfterPublish
    /// Flushes the segment that is being written, and not the one before, whose end was written with it.
    case flushOfTheLastFileOnly
    /// Deletes segments as soon as a snapshot is taken, before anything says so durably.
    case droppedTooEarly
  }

  private struct Violation: Error, CustomStringConvertible {
    var description: String
  }

  /// What recovery may find after a crash, by the journal's count of records.
  private struct Expectation {
    var states: [UInt64: DurableState] = [:]
    var lowest: UInt64

    init(_ life: JournalLife, acknowledged: Int) {
      let before = acknowledged == 0 ? 0 : life.history[acknowledged - 1].sequence
      lowest = before
      for count in acknowledged...life.history.count {
        states[count == 0 ? 0 : life.history[count - 1].sequence] = life.model(
          life.history.prefix(count))
      }
    }

    /// Padding counts as a record, and adds nothing.
    func state(at sequence: UInt64) -> DurableState? {
      states.keys.filter { $0 <= sequence }.max().flatMap { states[$0] }
    }
  }

  /// A place of 8 bytes that a crash may or may not have kept.
  private struct Piece {
    var file: Int
    var offset: Int
  }

  private struct Explorer {
    var life: JournalLife
    let flaw: Flaw?
    var images = 0
    /// What was enumerated before: only images with a newer piece are new.
    private var known: [UInt64: Int] = [:]

    init(seed: UInt64, flaw: Flaw?) {
      life = JournalLife(seed: seed, segmentLengthMax: 640, blockLength: 8)
      self.flaw = flaw
    }

    /// Every image that a crash could leave now and could not before.
    mutating func explore() throws(Violation) {
      var pieces: [Piece] = []
      var isNew: [Bool] = []
      for (i, file) in life.files.enumerated() {
        let seen = known[file.number] ?? 0
        for offset in stride(from: file.durable, to: file.bytes.count, by: 8) {
          pieces.append(Piece(file: i, offset: offset))
          isNew.append(offset >= seen)
        }
        known[file.number] = file.bytes.count
      }
      guard isNew.contains(true) else { return }
      let expectation = Expectation(life, acknowledged: life.acknowledged)
      try CrashSubsets.forEach(
        of: isNew, drawn: 1 << CrashSubsets.piecesMax, keeps: { life.generator.bool() },
        visit: { kept throws(Violation) in try check(pieces, kept, expectation) })
    }

    private mutating func check(
      _ pieces: [Piece], _ kept: [Int], _ expectation: Expectation
    ) throws(Violation) {
      images += 1
      var disk = life.files.map { (number: $0.number, bytes: Array($0.bytes[..<$0.durable])) }
      for i in kept {
        let (file, offset) = (pieces[i].file, pieces[i].offset)
        let missing = offset + 8 - disk[file].bytes.count
        // What was not kept in between is zeroes: the file was made ahead.
        if missing > 0 { disk[file].bytes += [UInt8](repeating: 0, count: missing) }
        for j in offset..<offset + 8 { disk[file].bytes[j] = life.files[file].bytes[j] }
      }
      switch life.recover(disk) {
      case .failure(let damage):
        throw Violation(description: "refused: \(damage)")
      case .success(let recovered):
        let sequence = recovered.end.sequence
        guard sequence >= expectation.lowest, let state = expectation.state(at: sequence) else {
          throw Violation(
            description: "ends at \(sequence), \(expectation.lowest) was acknowledged")
        }
        guard recovered.durable.entries == state.entries,
          recovered.durable.promised == state.promised,
          recovered.durable.chosenUpTo == state.chosenUpTo
        else { throw Violation(description: "another state at \(sequence)") }
      }
    }

    // MARK: The host

    mutating func write(_ body: (inout JournalLife) -> Void) throws(Violation) {
      body(&life)
      if flaw == .flushAfterPublish { life.acknowledged = life.history.count }
      try explore()
    }

    mutating func flush() throws(Violation) {
      let durable = life.files.map(\.durable)
      life.flush()
      switch flaw {
      case .missingFlush:
        for i in durable.indices { life.files[i].durable = durable[i] }
      case .flushOfTheLastFileOnly:
        for i in durable.indices.dropLast() { life.files[i].durable = durable[i] }
      default: break
      }
      try explore()
    }

    mutating func drop() throws(Violation) {
      if flaw == .droppedTooEarly {
        while life.files.count > 1 { life.files.removeFirst() }
      } else {
        life.drop()
      }
      known = known.filter { entry in life.files.contains { $0.number == entry.key } }
      try explore()
    }

    /// A crash that keeps some of what was not flushed, and a start from what is found.
    mutating func crash() throws(Violation) {
      let disk = life.crashed(.pieces)
      guard case .success(let recovered) = life.recover(disk) else {
        throw Violation(description: "refused after a crash")
      }
      known = [:]
      life.restart(disk, recovered)
      try explore()
    }
  }

  /// A life of three starts; the number of images.
  private static func live(_ seed: UInt64, _ flaw: Flaw?) throws(Violation) -> Int {
    var explorer = Explorer(seed: seed, flaw: flaw)
    try explorer.explore()
    for start in 0..<3 {
      // The new segment is durable before anything else.
      try explorer.flush()
      for step in 0..<5 {
        try explorer.write { $0.appendAnything() }
        if step % 2 == 1 {
          try explorer.write { $0.append(.chosenUpTo(Slot(UInt64(step)))) }
        }
        if step == 2, start > 0 { try explorer.write { $0.takeSnapshot() } }
        try explorer.flush()
        if step == 3 { try explorer.drop() }
      }
      try explorer.write { $0.appendAnything() }
      try explorer.crash()
    }
    return explorer.images
  }

  @Test(arguments: 0..<4 as Range<UInt64>) func everyImageRecovers(seed: UInt64) throws {
    let images = try Self.live(seed, nil)
    // All seeds together beyond 100,000.
    #expect(images > 25_000)
  }

  @Test(arguments: Flaw.allCases) func everyFlawIsFound(flaw: Flaw) {
    for seed in 0..<20 as Range<UInt64> {
      do throws(Violation) { _ = try Self.live(seed, flaw) } catch { return }
    }
    Issue.record("\(flaw) was not found")
  }
}
