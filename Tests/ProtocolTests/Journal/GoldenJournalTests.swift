import Foundation
import Testing

@testable import Protocol

/// Whole journals in `Tests/Golden/Journals`, which this code and all later code must read as they were meant.
///
/// A file is never changed. A new version of the format adds files: with RSL_WRITE_GOLDEN=1 in the environment those of
/// `GoldenJournal.all` that are missing are written, and then read like the others.
@Suite struct GoldenJournalTests {
  @Test(arguments: GoldenJournal.all.map(\.name)) func isReadAsItWas(name: String) throws {
    let file = GoldenJournal.folder.appendingPathComponent("\(name).txt")
    if ProcessInfo.processInfo.environment["RSL_WRITE_GOLDEN"] == "1",
      !FileManager.default.fileExists(atPath: file.path)
    {
      let journal = try #require(GoldenJournal.all.first { $0.name == name })
      try Data(try journal.make().utf8).write(to: file)
    }
    let golden = try GoldenFile(String(contentsOf: file, encoding: .utf8))
    let recovered = try JournalRecovery.recover(
      golden.segments, identity: JournalLife.identity, snapshot: golden.snapshot)
    #expect(GoldenFile.text(of: recovered, golden.segments) == golden.expected)
  }

  @Test func everyTypeAndStateIsThere() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: GoldenJournal.folder.path)
    #expect(Set(GoldenJournal.all.map { "\($0.name).txt" }).isSubset(of: names))
    var types = Set<UInt8>()
    for name in names where name.hasSuffix(".txt") {
      let file = GoldenJournal.folder.appendingPathComponent(name)
      let golden = try GoldenFile(String(contentsOf: file, encoding: .utf8))
      for (number, bytes) in golden.segments {
        let stamp = JournalCodec.stamp(JournalLife.identity, segment: number)
        bytes.withUnsafeBytes { bytes in
          for offset in stride(from: SegmentHeader.length, to: bytes.count - 48, by: 8) {
            let head = try? JournalCodec.decodeHead(
              bytes, at: offset, stamp: stamp, segment: number)
            if let head { types.insert(head.type.rawValue) }
          }
        }
      }
    }
    #expect(types == Set(1...7), "types of records \(types.sorted())")
  }
}

/// A journal that was once written by this code, and the story of its life.
struct GoldenJournal: Sendable {
  static let folder = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Golden/Journals")

  let name: String
  let story: String
  let live: @Sendable (inout JournalLife) throws -> Void

  static let all = [
    GoldenJournal(
      name: "v2-sound",
      story: "Three segments of two lives; a block at the end vouches for the rest."
    ) { life in
      try sound(&life)
    },
    GoldenJournal(
      name: "v2-torn", story: "The last flush was torn: only its second block is there."
    ) { life in
      try sound(&life)
      let durable = life.files[life.files.count - 1].durable
      for slot in 40...47 as ClosedRange<UInt64> { accept(slot, round: 9, &life) }
      var out: [UInt8] = []
      life.writer.padToBlock(into: &out)
      let last = life.files.count - 1
      life.files[last].bytes += out
      for i in durable..<durable + 512 { life.files[last].bytes[i] = 0 }
    },
    GoldenJournal(
      name: "v2-suspect", story: "A vote's value has rotted, and nothing was cured yet."
    ) { life in
      try sound(&life)
      let rotten = try #require(life.history.last { !$0.payload.isEmpty })
      let file = try #require(life.files.firstIndex { $0.number == rotten.begin.segment })
      life.files[file].bytes[Int(rotten.begin.offset) + 80] ^= 1
    },
    GoldenJournal(
      name: "v2-cured",
      story: "Began on an empty disk as a suspect for any promise and vote; cured."
    ) { life in
      life.files = []
      life.begun = []
      life.writer = JournalWriter(
        identity: JournalLife.identity, after: .wiped, segmentLengthMax: 4_000)
      life.beginSegment()
      life.flush()
      life.snapshot = SnapshotInfo(slot: Slot(30), length: 64, digest: 7)
      life.append(.snapshot(life.snapshot))
      life.append(.cured(Ballot(round: 12, proposer: ReplicaID(3)), Slot(30)))
      accept(31, round: 12, &life)
      life.flush()
    },
  ]

  private static func accept(_ slot: UInt64, round: UInt64, _ life: inout JournalLife) {
    let (value, payload) = life.generator.value(lengthMax: 90)
    life.append(.accepted(Slot(slot), Ballot(round: round, proposer: ReplicaID(1)), value), payload)
  }

  private static func sound(_ life: inout JournalLife) throws {
    life.append(.promised(Ballot(round: 7, proposer: ReplicaID(1))))
    for slot in 1...20 as ClosedRange<UInt64> {
      accept(slot, round: 7, &life)
      if slot % 5 == 0 { life.flush() }
    }
    life.append(.chosenUpTo(Slot(18)))
    life.snapshot = SnapshotInfo(slot: Slot(16), length: 100, digest: 0xABCD)
    life.append(.snapshot(life.snapshot))
    life.flush()
    life.drop()
    var disk = life.crashed(.nothing)
    life.restart(disk, try life.recover(disk).get())
    life.append(.promised(Ballot(round: 9, proposer: ReplicaID(1))))
    let (value, payload) = life.generator.value(lengthMax: 90)
    life.append(.learned(Slot(21), value), payload)
    accept(22, round: 9, &life)
    accept(19, round: 9, &life)
    life.append(.chosenUpTo(Slot(21)))
    life.flush()
    disk = life.crashed(.nothing)
    #expect(try life.recover(disk).get().damages.isEmpty)
    var out: [UInt8] = []
    let hasRoom = life.writer.vouch(into: &out)
    #expect(hasRoom)
    life.files[life.files.count - 1].bytes += out
    life.flush()
  }

  /// The text of the file.
  func make() throws -> String {
    var life = JournalLife(seed: 2, segmentLengthMax: 4_000)
    try live(&life)
    let segments = life.files.map { ($0.number, $0.bytes) }
    let recovered = try JournalRecovery.recover(
      segments, identity: JournalLife.identity, snapshot: life.snapshot)
    return GoldenFile(
      snapshot: life.snapshot, segments: segments,
      expected: GoldenFile.text(of: recovered, segments)
    ).text(story)
  }
}

/// The text of a golden file: comments, the snapshot beside the journal, what recovery must make of both, and the bytes.
struct GoldenFile {
  var snapshot: SnapshotInfo
  var segments: [(number: UInt64, bytes: [UInt8])]
  var expected: [String]

  struct Malformed: Error { var line: String }

  init(snapshot: SnapshotInfo, segments: [(UInt64, [UInt8])], expected: [String]) {
    self.snapshot = snapshot
    self.segments = segments
    self.expected = expected
  }

  init(_ text: String) throws {
    (snapshot, segments, expected) = (.none, [], [])
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      let words = line.split(separator: " ")
      switch words[0] {
      case "snapshot":
        guard words.count == 4, let slot = UInt64(words[1]), let length = UInt64(words[2]),
          let digest = UInt64(words[3])
        else { throw Malformed(line: String(line)) }
        snapshot = SnapshotInfo(slot: Slot(slot), length: length, digest: digest)
      case "expect": expected.append(String(line.dropFirst("expect ".count)))
      case "segment":
        guard let number = UInt64(words[1]) else { throw Malformed(line: String(line)) }
        segments.append((number, []))
      case "zero":
        guard let count = Int(words[1]) else { throw Malformed(line: String(line)) }
        segments[segments.count - 1].bytes += [UInt8](repeating: 0, count: count)
      default:
        guard !segments.isEmpty, line.count % 2 == 0 else { throw Malformed(line: String(line)) }
        var rest = line
        while !rest.isEmpty {
          guard let byte = UInt8(rest.prefix(2), radix: 16) else {
            throw Malformed(line: String(line))
          }
          segments[segments.count - 1].bytes.append(byte)
          rest = rest.dropFirst(2)
        }
      }
    }
  }

  func text(_ story: String) -> String {
    var lines = [
      "# \(story)", "# Cluster c1, ring 3, replica 2, incarnation 1. See docs/journal-format.md.",
      "snapshot \(snapshot.slot) \(snapshot.length) \(snapshot.digest)",
    ]
    lines += expected.map { "expect \($0)" }
    for (number, bytes) in segments {
      lines.append("segment \(number)")
      for begin in stride(from: 0, to: bytes.count, by: 32) {
        let line = bytes[begin..<min(begin + 32, bytes.count)]
        lines.append(
          line.allSatisfy { $0 == 0 }
            ? "zero \(line.count)"
            : line.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined())
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Everything recovery says, a line each; of a value also what its bytes are.
  static func text(
    of recovered: RecoveredJournal, _ segments: [(number: UInt64, bytes: [UInt8])]
  ) -> [String] {
    let state = recovered.durable
    var lines = [
      "promised \(state.promised) in epoch \(state.promisedEpoch.rawValue)",
      "chosen \(state.chosenUpTo)", "snapshot \(state.snapshot.slot)",
      "highest slot \(recovered.highestSlot)", "next segment \(recovered.nextSegment)",
      "tail \(recovered.tail)", "doubt \(state.doubt.map { "\($0)" } ?? "none")",
    ]
    for span in state.configurations {
      lines.append("configuration \(span.epoch.rawValue) slots \(span.firstSlot)-\(span.lastSlot)")
    }
    lines += recovered.damages.map { "damage \($0)" }
    for entry in state.entries {
      let bytes = entry.value.bytes
      let file = segments.first { $0.number == bytes.position >> 32 }?.bytes ?? []
      let begin = Int(UInt32(truncatingIfNeeded: bytes.position))
      let payload = bytes.length == 0 ? [] : Array(file[begin..<begin + Int(bytes.length)])
      lines.append(
        "slot \(entry.slot) \(entry.isLearned ? "learned" : "voted \(entry.ballot)") count \(entry.value.count)"
          + " digest \(entry.value.digest) bytes \(payload.count) checksum \(CRC32C.checksum(payload))"
      )
    }
    return lines
  }
}
