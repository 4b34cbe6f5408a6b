import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// What a start reads where the disk does not answer, and who it takes the directory for.
@Suite struct FileReaderTests {
  private func fill(
    _ path: String, _ length: Int, _ reader: FileReader
  ) throws -> (
    [UInt8], [UnreadableBytes]
  ) {
    let file = try check("open", path) { open(path, O_RDONLY) }
    defer { close(file) }
    let buffer = try #require(
      mmap(nil, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    defer { munmap(buffer, length) }
    let memory = UnsafeMutableRawBufferPointer(start: buffer, count: length)
    let unreadable = reader.fill(memory, file, path)
    return (Array(memory), unreadable)
  }

  @Test func aBadBlockIsZeroAndNoted() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/file"
    // Longer than what is read at once, with a piece of zeroes in the middle.
    var bytes = (0..<(3 << 20) + 100).map { UInt8(truncatingIfNeeded: $0 &* 31 | 1) }
    for i in 1 << 20..<2 << 20 { bytes[i] = 0 }
    try Data(bytes).write(to: URL(filePath: path))
    let (all, none) = try fill(path, bytes.count, .system)
    #expect(all == bytes && none == [])
    let bad = (2 << 20) + 4_096..<(2 << 20) + 3 * 4_096
    let (read, lost) = try fill(
      path, bytes.count, .failing(path, from: bad.lowerBound, to: bad.upperBound))
    #expect(lost == [UnreadableBytes(bad, why: "Input/output error")])
    for i in bad { bytes[i] = 0 }
    #expect(read == bytes)
    let (longer, missing) = try fill(path, bytes.count + 50, .system)
    #expect(missing.map(\.range) == [bytes.count..<bytes.count + 50])
    #expect(longer.suffix(50) == ArraySlice(repeating: 0, count: 50))
  }

  @Test(arguments: ["gone", "flipped", "of another", "unreadable"])
  func theJournalSaysWhoseDirectoryItIs(harm: String) throws {
    let directory = TemporaryDirectory("whose")
    let (path, cluster, replica) = (directory.path + "/data", ClusterID(0xAB), ReplicaID(3))
    let membership = try Configuration(voters: (1...3).map { Member(id: ReplicaID($0)) })
    try DataDirectory.formatWiped(path, cluster: cluster, replica: replica, membership: membership)
    let identity = URL(filePath: path + "/identity")
    let whole = try Data(contentsOf: identity)
    var reader = FileReader.system
    switch harm {
    case "gone": try FileManager.default.removeItem(at: identity)
    case "flipped":
      var bytes = whole
      bytes[2] ^= 1
      try bytes.write(to: identity)
    case "of another":
      try Data("rsl 1\ncluster ab\nreplica 2\nincarnation 1\n".utf8).write(to: identity)
    default: reader = .failing(identity.path, from: 0, to: 1)
    }
    let inspection = try DirectoryInspection(directory: path, reader: reader)
    #expect(inspection.replica == 3 && inspection.problems.first?.hasPrefix("identity: ") == true)
    #expect(throws: DataDirectory.Failure.self, "of another replica, whatever the file says") {
      try DataDirectory.open(path, cluster: cluster, replica: ReplicaID(2), reader: reader)
    }
    let lock = try DataDirectory.open(path, cluster: cluster, replica: replica, reader: reader)
    #expect(lock.repaired != nil)
    #expect(try Data(contentsOf: identity) == whole)
    // Without a journal nothing else can tell.
    try FileManager.default.removeItem(atPath: SegmentFiles.path(path, 1))
    if harm != "gone" {
      try Data("rsl".utf8).write(to: identity)
      let failure = #expect(throws: DataDirectory.Failure.self) {
        try DataDirectory.owner(of: path)
      }
      #expect("\(failure!)".contains("restore it from a copy"), "\(failure!)")
    }
  }

  /// A file that is shorter than all others had been whole: what it ends in is no torn write.
  @Test func theEndOfTheJournalIsMissed() throws {
    let rig = try JournalRig()
    for slot in 1...9 as ClosedRange<UInt64> {
      try rig.accept(slot, [UInt8](repeating: 1, count: 100))
      _ = try rig.flush()
    }
    rig.settle()
    let path = SegmentFiles.path(rig.directory.path, 1)
    #expect(SegmentFiles.newest(in: rig.directory.path) == 1)
    let log = try LogBuffer(capacity: 1 << 20)
    let whole = try rig.recover(into: log)
    #expect(whole.damages == [] && whole.durable.entries.count == 9)
    // On a border between two records.
    #expect(truncate(path, off_t(whole.end.mark.offset - 512)) == 0)
    let cut = try rig.recover(into: log)
    #expect(cut.durable.doubt != nil && cut.durable.entries.count == 8)
    try rig.reopen()
    rig.settle()
    #expect(SegmentFiles.newest(in: rig.directory.path) == 2)
    try FileManager.default.removeItem(atPath: SegmentFiles.path(rig.directory.path, 2))
    let gone = try rig.recover(into: log)
    #expect(gone.damages.last?.what == .segmentMissing && gone.durable.doubt?.slotsUpTo == nil)
  }
}
