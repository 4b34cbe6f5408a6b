import Foundation
import Protocol
import Testing

@testable import RealRuntime

@Suite struct DirectoryInspectionTests {
  /// A journal of several segments in a formatted directory: 40 slots, every one of them flushed.
  private func makeRig() throws -> JournalRig {
    let rig = try JournalRig()
    let formatted = TemporaryDirectory("formatted")
    try DataDirectory.format(formatted.path, cluster: ClusterID(9), replica: ReplicaID(1))
    try FileManager.default.copyItem(
      atPath: formatted.path + "/identity", toPath: rig.directory.path + "/identity")
    for slot in 1...40 as ClosedRange<UInt64> {
      try rig.accept(slot, [UInt8](repeating: 1, count: 7_000))
      _ = try rig.flush()
      rig.log.release(upTo: rig.log.end)
    }
    rig.settle()
    return rig
  }

  private func contents(_ rig: JournalRig) throws -> [String: Data] {
    try rig.directory.names.reduce(into: [:]) {
      $0[$1] = try Data(contentsOf: URL(filePath: rig.directory.path + "/" + $1))
    }
  }

  private func change(_ path: String, at offset: Int, _ bytes: [UInt8]) throws {
    let file = try #require(FileHandle(forUpdatingAtPath: path))
    try file.seek(toOffset: UInt64(offset))
    try file.write(contentsOf: bytes)
    try file.close()
  }

  @Test func everySegmentSaysWhichRecordsItHas() async throws {
    let rig = try makeRig()
    let before = try contents(rig)
    let found = try DirectoryInspection(directory: rig.directory.path)
    #expect(found.cluster == "0000000000000009" && found.replica == 1)
    #expect(found.problems == [])
    let journal = try #require(found.journal)
    #expect(journal.slots == 40 && journal.highestSlot == 40 && journal.tornBytes == 0)
    #expect(journal.promised == "1.1" && journal.lastRecord >= 40)
    #expect(found.segments.count >= 4)
    var next: UInt64 = 1
    for segment in found.segments where segment.firstRecord != nil {
      #expect(segment.bytes == 1 << 16 && segment.epoch == 1)
      #expect(segment.firstRecord == next)
      next = try #require(segment.lastRecord) + 1
    }
    #expect(next == journal.lastRecord + 1)
    let result = try await RslProcess.run("inspect", rig.directory.path, "--format", "json")
    #expect(result.status == 0, "\(result.errors)")
    #expect(
      try JSONDecoder().decode(DirectoryInspection.self, from: Data(result.output.utf8)) == found)
    #expect(try contents(rig) == before)
  }

  @Test func aTornTailIsNoDamage() throws {
    let rig = try makeRig()
    let end = try #require(try DirectoryInspection(directory: rig.directory.path).journal)
    try change(
      SegmentFiles.path(rig.directory.path, end.endSegment), at: Int(end.endOffset),
      [UInt8](repeating: 7, count: 100))
    let found = try DirectoryInspection(directory: rig.directory.path)
    #expect(found.problems == [])
    #expect(found.journal?.tornBytes == 100)
    #expect(found.journal?.lastRecord == end.lastRecord)
  }

  @Test func damageHasAPlaceAndAnExitStatus() async throws {
    let rig = try makeRig()
    // Within the first record of the second segment, which later records vouch for.
    let offset = SegmentHeader.length
    try change(SegmentFiles.path(rig.directory.path, 2), at: offset + 60, [0xFF, 0xFE, 0xFD])
    let before = try contents(rig)
    let found = try DirectoryInspection(directory: rig.directory.path)
    #expect(found.journal != nil && found.doubt != nil)
    #expect(found.damages.first?.segment == 2 && found.damages.first?.offset == offset)
    let result = try await RslProcess.run("inspect", rig.directory.path)
    #expect(result.status == 2)
    #expect(
      result.errors.hasPrefix("rsl: damaged: journal segment 2, byte \(offset): "),
      "\(result.errors)")
    #expect(result.output.contains("journal 1: 65536 bytes, records 1 to 19"), "\(result.output)")
    #expect(try contents(rig) == before)
  }

  @Test func aSnapshotIsHeldAgainstItsChecksums() async throws {
    let rig = try makeRig()
    let content = [UInt8](repeating: 3, count: 150_000)
    let info = SnapshotInfo(
      slot: Slot(20), length: UInt64(content.count), digest: UInt64(CRC32C.checksum(content)))
    let path = rig.directory.path + "/snapshot-20"
    try Data(SnapshotFileHead.file(info, content)).write(to: URL(filePath: path))
    let whole = try DirectoryInspection(directory: rig.directory.path)
    #expect(whole.problems == [] && whole.journal?.slots == 20)
    #expect(whole.snapshots.map(\.slot) == [20] && whole.snapshots[0].contentBytes == 150_000)
    #expect(whole.snapshots[0].version == 2 && whole.snapshots[0].blocks == 3)
    try change(path, at: 70_000, [4])
    let damaged = try DirectoryInspection(directory: rig.directory.path)
    #expect(damaged.problems == ["snapshot-20: not whole, damaged in block 1 of 3"])
    #expect(damaged.snapshots.map(\.isWhole) == [false])
    #expect(damaged.snapshots[0].badBlocks == [1])
    let result = try await RslProcess.run("inspect", rig.directory.path)
    #expect(
      result.output.contains("snapshot-20: version 2, slot 20, 150000 bytes in 3 blocks"),
      "\(result.output)")
    // A block that cannot be read, and one that is not what it was.
    let reader = FileReader.failing(path, from: 0, to: 0)
    #expect(try DirectoryInspection(directory: rig.directory.path, reader: reader) == damaged)
    let unreadable = FileReader.failing(path, from: 135_168, to: 139_264)
    let two = try DirectoryInspection(directory: rig.directory.path, reader: unreadable)
    #expect(two.snapshots[0].badBlocks == [1, 2])
    // What a crash leaves under a temporary name harms nobody.
    try FileManager.default.moveItem(atPath: path, toPath: rig.directory.path + "/snapshot-new.tmp")
    #expect(try DirectoryInspection(directory: rig.directory.path).problems == [])
  }

  @Test func aDirectoryThatIsUsedOrNoReplicasIsRefused() async throws {
    let rig = try makeRig()
    let lock = try DataDirectory.open(
      rig.directory.path, cluster: ClusterID(9), replica: ReplicaID(1))
    let used = try await RslProcess.run("inspect", rig.directory.path)
    #expect(used.status == 1)
    #expect(used.errors.contains("in use by another process"), "\(used.errors)")
    withExtendedLifetime(lock) {}
    let empty = TemporaryDirectory()
    let none = try await RslProcess.run("inspect", empty.path)
    #expect(none.status == 1)
    #expect(none.errors.contains("is not a replica's directory"), "\(none.errors)")
    #expect(empty.names == [])
  }
}
