import Foundation
import Testing

@testable import Protocol

/// Whole files of snapshots in `Tests/Golden/Snapshots`, one of each version, which this code and all later code must read.
///
/// A file is never changed. With RSL_WRITE_GOLDEN=1 in the environment those that are missing are written, and then read like
/// the others.
@Suite struct GoldenSnapshotTests {
  private static let folder = GoldenJournal.folder.deletingLastPathComponent()
    .appendingPathComponent("Snapshots")

  /// An application that has done a little of everything that is in a snapshot.
  private static func application() throws -> Application<LogMachine> {
    var application = Application(machine: LogMachine(), limits: .init())
    var replies = ReplyBuffer()
    for session in 1...3 as ClosedRange<UInt64> {
      var bytes: [UInt8] = []
      Command.encodeRegistration(nonce: 70 + session, into: &bytes)
      try application.apply(Slot(session), bytes.span.bytes, into: &replies)
    }
    for i in 0..<12 as Range<UInt64> {
      var bytes: [UInt8] = []
      Command.encode(
        session: SessionID((1 + i % 3) << 16), sequence: SequenceNumber(1 + i / 3),
        acknowledgedUpTo: SequenceNumber(0), payload: [UInt8(i), 1, 2, 3].span.bytes, into: &bytes)
      try application.apply(Slot(4 + i), bytes.span.bytes, into: &replies)
    }
    return application
  }

  private static func content(_ application: Application<LogMachine>) -> [UInt8] {
    var (bytes, source): ([UInt8], _) = ([], application.snapshot())
    while source.chunk(limit: 1 << 16, into: &bytes) {}
    return bytes
  }

  /// As this code writes it, but for the length of blocks: some in a small file.
  private static func make(version: Int) throws -> [UInt8] {
    let content = content(try application())
    var sums = SnapshotSums(blockLength: 256)
    sums.take(content.span.bytes)
    sums.finish()
    let info = SnapshotInfo(slot: Slot(15), length: sums.length, digest: sums.digest)
    var bytes: [UInt8] = []
    guard version > 1 else {
      bytes.put(UInt64(0x504E_5349_4D52_534C))
      for word in [info.slot.rawValue, info.length, info.digest] { bytes.put(word) }
      return bytes + content
    }
    let head = SnapshotFileHead(info, blockLength: 256)
    head.encode(into: &bytes)
    return bytes + content + head.table(sums.blocks)
  }

  @Test(arguments: [1, 2]) func isReadAsItWas(version: Int) throws {
    let file = Self.folder.appendingPathComponent("v\(version).txt")
    if ProcessInfo.processInfo.environment["RSL_WRITE_GOLDEN"] == "1",
      !FileManager.default.fileExists(atPath: file.path)
    {
      let bytes = try Self.make(version: version)
      let lines = stride(from: 0, to: bytes.count, by: 32).map { begin in
        bytes[begin..<min(begin + 32, bytes.count)].map {
          ($0 < 16 ? "0" : "") + String($0, radix: 16)
        }.joined()
      }
      let story =
        "# A snapshot's file, version \(version): slot 15, three sessions of four commands each. See docs/journal-format.md."
      try Data(([story] + lines).joined(separator: "\n").appending("\n").utf8).write(to: file)
    }
    let bytes = try Self.bytes(file)
    let check = try #require(SnapshotFileHead.check(bytes))
    #expect(check.head.version == version && check.isWhole)
    #expect(check.head.info.slot == Slot(15))
    #expect(check.head.hasBlockChecksums == (version > 1))
    var restorer = Application(machine: LogMachine(), limits: .init()).restorer()
    try restorer.take(bytes.span.bytes.extracting(check.head.length..<check.head.tableOffset))
    let application = try restorer.finish()
    #expect(application.appliedUpTo == Slot(15))
    #expect(application.digest == (try Self.application()).digest)
    // Written today it is the same, byte for byte, in the version of today.
    if version == SnapshotFileHead.version { #expect(try Self.make(version: version) == bytes) }
  }

  private static func bytes(_ file: URL) throws -> [UInt8] {
    let text = try String(contentsOf: file, encoding: .utf8)
    return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.flatMap { line in
      try stride(from: 0, to: line.count, by: 2).map { at in
        try #require(UInt8(line.dropFirst(at).prefix(2), radix: 16))
      }
    }
  }
}
