import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// A new cluster's directory, made from an old one's.
@Suite struct LastSurvivorDirectoryTests {
  private static let cluster = ClusterID(0xC2)
  private static let replica = ReplicaID(1)

  private static func membership(_ ids: UInt32...) throws -> Configuration {
    try Configuration(voters: ids.map { Member(id: ReplicaID($0)) })
  }

  /// The directory of replica 1 of cluster 9: a snapshot of slot 11, and votes behind it up to slot 15.
  private static func survivor() throws -> JournalRig {
    let store = try StoreRig()
    let info = try store.take(StoreRig.application(puts: 10))
    let rig = try JournalRig()
    try FileManager.default.copyItem(
      atPath: store.directory.path + "/snapshot-11", toPath: rig.directory.path + "/snapshot-11")
    for slot in 1...15 as ClosedRange<UInt64> {
      try rig.accept(slot, [UInt8](repeating: UInt8(slot), count: 100))
    }
    for fact in [JournalFact.snapshot(info), .chosenUpTo(Slot(12))] {
      try rig.journal.append(JournalRecord(fact, epoch: Epoch(1)), rig.log)
    }
    _ = try rig.flush()
    return rig
  }

  private static func contents(_ path: String) throws -> [String: Data] {
    var files: [String: Data] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "lock" {
      files[name] = try Data(contentsOf: URL(filePath: path + "/" + name))
    }
    return files
  }

  /// What a replica of the new cluster finds.
  private static func check(_ path: String) throws {
    let store = SnapshotStore(
      directory: path, worker: try WorkerThread(name: "test-files"), completed: { _ in })
    let application = ApplicationBox(ByteStore(), limits: .init())
    try store.recover(into: application)
    #expect(store.current.slot == Slot(11) && application.appliedUpTo == Slot(11))
    let log = try LogBuffer(capacity: 1 << 20)
    let recovered = try RecoveredFiles.recover(
      directory: path, identity: JournalIdentity(cluster: cluster, replica: replica),
      snapshot: store.current, into: log)
    #expect(recovered.damages.isEmpty && recovered.durable.chosenUpTo == Slot(15))
    #expect(recovered.durable.promised == DeviceConformanceTests.ballot)
    #expect(recovered.durable.entries.map(\.slot.rawValue) == [12, 13, 14, 15])
    for entry in recovered.durable.entries {
      #expect(entry.isLearned)
      try entry.value.verify(log.bytes(entry.value.bytes).bytes)
    }
  }

  private static let ends: [DataDirectory.FoundingStep?] = [
    .snapshotCopied, .journalWritten, .journalNamed, nil,
  ]

  @Test(arguments: ends)
  func aCrashAtAnyStepLeavesTheOldOrTheNewOne(_ last: DataDirectory.FoundingStep?) throws {
    let rig = try Self.survivor()
    let old = rig.directory.path
    rig.settle()
    let before = try Self.contents(old)
    let folder = TemporaryDirectory("founded")
    let path = folder.path + "/new"
    let membership = try Self.membership(1, 4, 5)
    func found() throws -> LastSurvivor {
      try DataDirectory.found(path, on: old, Self.cluster, Self.replica, membership, false) {
        step throws(SystemError) in
        if step == last { throw SystemError("crash", code: EINTR) }
      }
    }
    if last == nil {
      let survivor = try found()
      #expect(survivor.chosenUpTo == Slot(12) && survivor.foundedUpTo == Slot(15))
      #expect(survivor.votedOnly == [Slot(13), Slot(14), Slot(15)])
    } else {
      #expect(throws: DataDirectory.Failure.self) { try found() }
    }
    #expect(try Self.contents(old) == before)
    if last == nil || last == .journalNamed {
      let lock = try DataDirectory.open(path, cluster: Self.cluster, replica: Self.replica)
      #expect((lock.repaired == nil) == (last == nil))
      try Self.check(path)
    } else {
      // No replica starts from it, and nobody takes it for an empty one.
      #expect(!DataDirectory.isFormatted(path))
      do {
        _ = try DataDirectory.open(path, cluster: Self.cluster, replica: Self.replica)
        Issue.record("half a directory was opened")
      } catch { #expect("\(error)".contains("not a replica's directory")) }
      do {
        try DataDirectory.format(path, cluster: Self.cluster, replica: Self.replica)
        Issue.record("half a directory was made an empty one")
      } catch { #expect("\(error)".contains("is not empty")) }
    }
    // With what was left removed it is made after all.
    try FileManager.default.removeItem(atPath: path)
    try DataDirectory.found(
      path, on: old, cluster: Self.cluster, replica: Self.replica, membership: membership)
    try Self.check(path)
    #expect(try Self.contents(old) == before)
  }

  @Test func whatCannotBeFoundedIsRefusedAndNothingIsMade() throws {
    let rig = try Self.survivor()
    let old = rig.directory.path
    let folder = TemporaryDirectory("refused")
    let path = folder.path + "/new"
    func refusal(
      _ cluster: ClusterID, _ replica: UInt32, _ members: Configuration, on old: String
    ) -> String {
      do {
        try DataDirectory.found(
          path, on: old, cluster: cluster, replica: ReplicaID(replica), membership: members)
        return "none"
      } catch { return "\(error)" }
    }
    let three = try Self.membership(1, 2, 3)
    #expect(refusal(ClusterID(9), 1, three, on: old).contains("has the old one's number"))
    #expect(refusal(Self.cluster, 2, three, on: old).contains("it is replica r1's"))
    let without = try Self.membership(2, 3, 4)
    #expect(refusal(Self.cluster, 1, without, on: old).contains("no member of the new cluster"))
    #expect(refusal(Self.cluster, 1, three, on: folder.path).contains("not a replica's directory"))
    let lock = try DataDirectory.open(old, cluster: ClusterID(9), replica: Self.replica)
    #expect(refusal(Self.cluster, 1, three, on: old).contains("in use by another process"))
    withExtendedLifetime(lock) {}
    let empty = TemporaryDirectory("empty")
    try DataDirectory.format(empty.path, cluster: ClusterID(9), replica: Self.replica)
    #expect(refusal(Self.cluster, 1, three, on: empty.path).contains("nothing was ever chosen"))
    #expect(!FileManager.default.fileExists(atPath: path))
  }

  /// A survivor that is damaged itself is all there is: it is used when somebody has said so.
  @Test func aDamagedSurvivorNeedsAnotherWord() throws {
    let rig = try Self.survivor()
    try rig.journal.vouch(isLast: true)
    let file = SegmentFiles.path(rig.directory.path, 1)
    var bytes = try Data(contentsOf: URL(filePath: file))
    // The value of the vote in slot 14.
    let place = try #require(bytes.range(of: Data(repeating: 14, count: 100)))
    bytes[place.lowerBound] ^= 1
    try bytes.write(to: URL(filePath: file))
    let folder = TemporaryDirectory("damaged")
    let path = folder.path + "/new"
    let membership = try Self.membership(1, 2, 3)
    let survivor = try DataDirectory.survivor(
      of: rig.directory.path, cluster: Self.cluster, replica: Self.replica, membership: membership)
    #expect(survivor.doubt == JournalDoubt(isPromiseLost: false, slotsUpTo: Slot(15)))
    #expect(survivor.foundedUpTo == Slot(13) && survivor.dropped == [Slot(15)])
    func found(_ accepts: Bool) throws {
      try DataDirectory.found(
        path, on: rig.directory.path, cluster: Self.cluster, replica: Self.replica,
        membership: membership, acceptsDamage: accepts)
    }
    do {
      try found(false)
      Issue.record("damage was not noticed")
    } catch { #expect("\(error)".contains("its journal is damaged (votes up to slot 15")) }
    #expect(!FileManager.default.fileExists(atPath: path))
    try found(true)
    let recovered = try RecoveredFiles.recover(
      directory: path, identity: JournalIdentity(cluster: Self.cluster, replica: Self.replica),
      snapshot: survivor.snapshot, into: LogBuffer(capacity: 1 << 20))
    #expect(recovered.damages.isEmpty && recovered.durable.chosenUpTo == Slot(13))
  }
}
