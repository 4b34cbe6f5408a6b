import Foundation
import Protocol
import Synchronization
import Testing

@testable import RealRuntime

/// Makes spare segments, unless there is said to be no space; counts how often it was asked.
private final class Disk: Sendable {
  let isFull = Mutex(false)
  let attempts = Atomic(0)

  var maker: SpareSegments.Maker {
    { [self] (path, length) throws(SystemError) in
      attempts.add(1, ordering: .relaxed)
      if isFull.withLock({ $0 }) {
        // What a disk that fills up on the way leaves behind.
        try SpareSegments.makeZeroes(path, length / 2)
        throw SystemError("pwrite", path, code: ENOSPC)
      }
      try SpareSegments.makeZeroes(path, length)
    }
  }
}

/// A journal whose disk is full.
@Suite(.timeLimit(.minutes(2))) struct JournalRoomTests {
  private static let reserve = JournalReserve(commands: 1 << 16, promises: 1 << 14)

  private func spares(_ rig: JournalRig) -> [String] {
    rig.directory.names.filter { $0.hasPrefix("spare") }
  }

  /// Writes records of 7,000 bytes until `condition`, and returns how many.
  private func fill(
    _ rig: JournalRig, from slot: UInt64, until condition: () -> Bool
  ) throws -> UInt64 {
    var slot = slot
    while !condition() {
      slot += 1
      try rig.accept(slot, [UInt8](repeating: 1, count: 7_000))
      _ = try rig.flush()
      rig.log.release(upTo: rig.log.end)
      try #require(slot < 1_000, "never full")
    }
    return slot
  }

  /// Waits for the worker, which does one thing after the other.
  private func settle(_ rig: JournalRig) async {
    await withCheckedContinuation { done in rig.worker.run { done.resume() } }
  }

  @Test func theReserveIsThereFromTheStartAndThroughRestarts() async throws {
    let disk = Disk()
    let rig = try JournalRig(reserve: Self.reserve, maker: disk.maker)
    // One for the next segment, two that hold 80 KiB, one for a restart; the first one is in use.
    #expect(disk.attempts.load(ordering: .relaxed) == 4)
    #expect(spares(rig).count == 3)
    #expect(rig.journal.bytesLeft > 2 << 16 && !rig.journal.isShortOfRoom)
    // What is left over is used again: a full disk lets a replica start as long as there is one.
    disk.isFull.withLock { $0 = true }
    for left in [2, 1, 0] {
      try rig.reopen()
      await settle(rig)
      #expect(spares(rig).count == left)
      #expect(rig.journal.shortage?.code == ENOSPC)
    }
    do {
      try rig.reopen()
      Issue.record("began without a segment")
    } catch let error as SystemError {
      #expect(error.code == ENOSPC)
    }
    #expect(spares(rig) == [], "what was not finished is removed")
  }

  @Test func aNewReplicaDoesNotBeginOnAFullDisk() throws {
    let disk = Disk()
    disk.isFull.withLock { $0 = true }
    #expect(throws: SystemError.self) {
      try JournalRig(reserve: Self.reserve, maker: disk.maker)
    }
  }

  @Test func leftoversThatAreNotWholeAreMadeAnew() async throws {
    let rig = try JournalRig(reserve: Self.reserve)
    for name in spares(rig) { unlink(rig.directory.path + "/" + name) }
    // Too short, with something in it that looks like a header, and unfinished.
    func put(_ name: String, _ bytes: [UInt8]) throws {
      try Data(bytes).write(to: URL(fileURLWithPath: rig.directory.path + "/" + name))
    }
    try put("spare-3", [UInt8](repeating: 0, count: 4_096))
    try put("spare-4", [1] + [UInt8](repeating: 0, count: (1 << 16) - 1))
    try put("spare-5.tmp", [UInt8](repeating: 0, count: 1 << 16))
    try put("spare", [UInt8](repeating: 0, count: 1 << 16))
    try put("spare-9", [UInt8](repeating: 0, count: 1 << 16))
    try rig.reopen()
    await settle(rig)
    // Whether another one was made for the one that was taken depends on who was first; now it is.
    rig.journal.replenish()
    await settle(rig)
    // The whole one was kept, and the numbers go on behind it.
    #expect(spares(rig).count == 4)
    #expect(Set(spares(rig)).isSubset(of: (9...13).map { "spare-\($0)" }))
    try rig.accept(1, [1])
    #expect(try rig.flush() == JournalPosition(1))
  }

  @Test func withoutSpacePromisesStillFitAndItGoesOn() async throws {
    let disk = Disk()
    let rig = try JournalRig(reserve: Self.reserve, maker: disk.maker)
    disk.isFull.withLock { $0 = true }
    var slot = try fill(rig, from: 0) { rig.journal.bytesLeft < 7 << 14 }
    await settle(rig)
    #expect(rig.journal.shortage?.code == ENOSPC)
    // What is left takes more than the reserve is for: commands go on.
    #expect(!rig.journal.isShortOfRoom)
    slot = try fill(rig, from: slot) { rig.journal.isShortOfRoom }
    #expect(rig.journal.room.takesVotes && rig.journal.bytesLeft >= 1 << 16)
    slot = try fill(rig, from: slot) { !rig.journal.room.takesVotes }
    #expect(rig.journal.room.takesPromises)
    var promises: UInt64 = 0
    while rig.journal.room.takesPromises {
      promises += 1
      let ballot = Ballot(round: 1 + promises, proposer: ReplicaID(1))
      try rig.journal.append(JournalRecord(.promised(ballot), epoch: Epoch(1)), rig.log)
      _ = try rig.flush()
    }
    #expect(promises >= 20)
    // Every record is there, and nothing unfinished, once the files' thread has given up.
    await settle(rig)
    let recovered = try rig.recover(into: LogBuffer(capacity: 1 << 20))
    #expect(recovered.durable.entries.count == Int(slot))
    #expect(recovered.durable.promised.round == 1 + promises)
    #expect(!rig.directory.names.contains { $0.hasSuffix(".tmp") })
    // Still none, then some.
    rig.journal.replenish()
    await settle(rig)
    #expect(rig.journal.isShortOfRoom)
    disk.isFull.withLock { $0 = false }
    rig.journal.replenish()
    await settle(rig)
    #expect(rig.journal.shortage == nil && !rig.journal.isShortOfRoom)
    #expect(spares(rig).count == 4)
    slot = try fill(rig, from: slot) { rig.journal.segmentCount > 6 }
    let again = try rig.recover(into: LogBuffer(capacity: 1 << 20))
    #expect(again.durable.entries.count == Int(slot))
  }

  @Test func segmentsThatAreDroppedMakeRoom() async throws {
    let disk = Disk()
    let rig = try JournalRig(reserve: Self.reserve, maker: disk.maker)
    disk.isFull.withLock { $0 = true }
    _ = try fill(rig, from: 0) { rig.journal.bytesLeft < 7 << 14 }
    await settle(rig)
    let slot = try fill(rig, from: 20) { rig.journal.isShortOfRoom }
    let snapshot = SnapshotInfo(slot: Slot(slot), length: 1, digest: 1)
    try rig.journal.append(JournalRecord(.snapshot(snapshot), epoch: Epoch(1)), rig.log)
    _ = try rig.flush()
    rig.journal.drop(upTo: Slot(slot))
    await settle(rig)
    #expect(!rig.journal.isShortOfRoom && rig.journal.segmentCount == 1)
  }

  @Test(.enabled(if: SmallDisk.isPossible, "\(SmallDisk.obstacle ?? "")"))
  func aRealDiskIsNotFilledToItsLastBlock() async throws {
    let rig = try JournalRig(reserve: Self.reserve)
    let disk = try SmallDisk(at: rig.directory.path + "/small", bytes: 1 << 20)
    let spares = try SpareSegments(
      directory: disk.path, length: 300 << 10, mode: .fdatasync, wanted: 9, isNew: false,
      worker: rig.worker)
    await settle(rig)
    #expect(spares.count == 3 && spares.hasShortage)
    #expect(spares.shortage?.call == "fallocate")
    try spares.makeNow()
    #expect(spares.count == 3)
    // The rest is somebody else's.
    try Data([UInt8](repeating: 1, count: 90 << 10)).write(
      to: URL(fileURLWithPath: disk.path + "/other"))
    #expect(throws: SystemError.self) {
      _ = try SpareSegments(
        directory: disk.path, length: 300 << 10, mode: .fdatasync, wanted: 9, isNew: true,
        worker: rig.worker)
    }
  }
}
