import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// What a journal promises, on everything it can be kept on. In persistent memory by `make guest`.
@Suite struct DeviceConformanceTests {
  static let ballot = Ballot(round: 1, proposer: ReplicaID(1))

  @Test(arguments: JournalDevice.all)
  func whatWasFlushedIsRecovered(_ device: JournalDevice) throws {
    let rig = try device.rig()
    for slot in 1...50 as ClosedRange<UInt64> {
      try rig.accept(slot, [UInt8](repeating: UInt8(slot), count: Int(slot) * 7))
      if slot % 5 == 0 { #expect(try rig.flush() == JournalPosition(slot)) }
    }
    let log = try LogBuffer(capacity: 1 << 20)
    let recovered = try rig.recover(into: log)
    #expect(recovered.durable.entries.map(\.slot.rawValue) == Array(1...50))
    for entry in recovered.durable.entries {
      try entry.value.verify(log.bytes(entry.value.bytes).bytes)
    }
    #expect(recovered.durable.promised == Self.ballot)
    #expect(recovered.tail == .clean)
  }

  /// Peers hold a journal to what it said: recovery finds all of that, and each life says more than the one before, also one in
  /// which nothing is written.
  @Test(arguments: JournalDevice.all)
  func whatIsSaidToBeDurableIsFound(_ device: JournalDevice) throws {
    let rig = try device.rig()
    func found() throws -> JournalMark {
      try rig.recover(into: LogBuffer(capacity: 1 << 20)).end.mark
    }
    #expect(rig.journal.durable > .zero)
    for life in 1...4 as ClosedRange<UInt64> {
      let begin = rig.journal.durable
      #expect(try found() == begin, "life \(life) begins")
      if life % 2 == 0 {
        try rig.accept(life, [1])
        #expect(rig.journal.durable == begin, "nothing was flushed")
        _ = try rig.flush()
        #expect(try rig.journal.durable > begin && found() == rig.journal.durable)
        let flushed = rig.journal.durable
        try rig.journal.vouch(isLast: true)
        #expect(try rig.journal.durable > flushed && found() == rig.journal.durable)
      }
      let said = rig.journal.durable
      try rig.reopen(device.flush, acceptsVolatileMemory: device.acceptsVolatileMemory)
      #expect(rig.journal.durable > said, "life \(life) ends")
    }
  }

  /// Also when it goes on in files, and back: the bytes are the same.
  @Test(arguments: JournalDevice.all)
  func aSecondLifeGoesOnBehindTheFirst(_ device: JournalDevice) throws {
    let rig = try device.rig()
    var slot: UInt64 = 0
    for mode in [device.flush, .fdatasync, device.flush] {
      try rig.reopen(mode, acceptsVolatileMemory: device.acceptsVolatileMemory)
      for _ in 0..<10 {
        slot += 1
        try rig.accept(slot, [UInt8](repeating: UInt8(slot), count: 3))
      }
      _ = try rig.flush()
    }
    let again = try rig.recover(into: LogBuffer(capacity: 1 << 20))
    #expect(again.durable.entries.map(\.slot.rawValue) == Array(1...30))
  }

  @Test(arguments: JournalDevice.all)
  func segmentsFollowOneAnotherAndAreRecycled(_ device: JournalDevice) throws {
    let rig = try device.rig()
    var slot: UInt64 = 0
    // Each segment holds about eight of these; every third flush holds two, so that some lie on both sides of a change.
    func fill(_ count: Int) throws {
      for _ in 0..<count {
        slot += 1
        try rig.accept(slot, [UInt8](repeating: 1, count: 7_000))
        if slot % 3 == 0 { continue }
        _ = try rig.flush()
        rig.log.release(upTo: rig.log.end)
      }
    }
    try fill(40)
    let segments = rig.journal.segmentCount
    #expect(segments >= 4)
    #expect(try rig.recover(into: LogBuffer(capacity: 1 << 20)).durable.entries.count == 40)
    let snapshot = SnapshotInfo(slot: Slot(30), length: 1, digest: 1)
    try rig.journal.append(JournalRecord(.snapshot(snapshot), epoch: Epoch(1)), rig.log)
    _ = try rig.flush()
    rig.journal.drop(upTo: Slot(30))
    #expect(rig.journal.segmentCount < segments)
    // What is voided and used again never comes back to life.
    try fill(30)
    // The worker may still be voiding one of them; no process recovers beside it.
    rig.settle()
    let recovered = try rig.recover(into: LogBuffer(capacity: 1 << 20), snapshot: snapshot)
    #expect(recovered.durable.entries.map(\.slot.rawValue) == Array(31...70))
  }

  /// A write that a crash cut short: whichever of its 8-byte pieces are there, what was flushed before is recovered, and of
  /// the rest at most whole records in order.
  @Test(arguments: JournalDevice.all)
  func anAbandonedWriteIsATornTail(_ device: JournalDevice) throws {
    let rig = try device.rig()
    for slot in 1...5 as ClosedRange<UInt64> { try rig.accept(slot, [7, 7, 7]) }
    _ = try rig.flush()
    let file = SegmentFiles.path(rig.directory.path, 1)
    let before = try Data(contentsOf: URL(filePath: file))
    for slot in 6...8 as ClosedRange<UInt64> { try rig.accept(slot, [9, 9, 9, UInt8(slot)]) }
    _ = try rig.flush()
    let after = try Data(contentsOf: URL(filePath: file))
    let changed = before.indices.filter { before[$0] != after[$0] }
    let pieces = Array(Set(changed.map { $0 / 8 })).sorted()
    try #require(pieces.count > 10)
    var torn = 0
    // Each piece missing alone, then ever longer beginnings, then ever longer ends.
    let survivors =
      pieces.map { missing in pieces.filter { $0 != missing } }
      + pieces.indices.map { Array(pieces[..<$0]) } + pieces.indices.map { Array(pieces[$0...]) }
    for kept in survivors {
      var image = before
      for piece in kept {
        let place = piece * 8..<piece * 8 + 8
        image.replaceSubrange(place, with: after[place])
      }
      try image.write(to: URL(filePath: file))
      let recovered = try rig.recover(into: LogBuffer(capacity: 1 << 20))
      let slots = recovered.durable.entries.map(\.slot.rawValue)
      #expect(slots.count >= 5 && slots == Array(1...UInt64(slots.count)))
      if recovered.tail != .clean { torn += 1 }
      if kept.first != pieces.first {
        #expect(slots.count == 5, "the head of the group is missing")
      }
    }
    #expect(torn > pieces.count)
  }

  @Test(
    .enabled(
      if: SmallDisk.isPossible, Comment(rawValue: SmallDisk.obstacle ?? "")
    ),
    arguments: JournalDevice.all.filter { $0.name != JournalDevice.persistentMemory?.name })
  func aFullDeviceIsAnErrorAndKeepsWhatWasFlushed(_ device: JournalDevice) throws {
    let folder = TemporaryDirectory("small")
    let small = try SmallDisk(at: folder.path, bytes: 400 << 10)
    var device = device
    device.folder = small.path
    let rig = try device.rig()
    var flushed: UInt64 = 0
    do {
      for slot in 1...1_000 as ClosedRange<UInt64> {
        try rig.accept(slot, [UInt8](repeating: 1, count: 7_000))
        _ = try rig.flush()
        rig.log.release(upTo: rig.log.end)
        flushed = slot
      }
      Issue.record("more was written than there is room for")
    } catch let error as SystemError {
      #expect(error.code == ENOSPC, "\(error)")
    }
    #expect(flushed >= 8)
    let recovered = try rig.recover(into: LogBuffer(capacity: 1 << 20))
    #expect(recovered.durable.entries.map(\.slot.rawValue) == Array(1...flushed))
  }
}

/// What only memory promises.
@Suite(
  .enabled(
    if: PmemSupport.unavailable == nil,
    "libpmem is not installed (Debian: libpmem1); journals in persistent memory cannot be tested"))
struct PmemJournalTests {
  private static let devices = JournalDevice.all.filter { $0.flush == .pmem }

  @Test(arguments: devices)
  func aFlushTakesAtMostTwoFences(_ device: JournalDevice) throws {
    let rig = try device.rig()
    let before = (flushes: rig.journal.flushes, fences: rig.journal.fences)
    for slot in 1...40 as ClosedRange<UInt64> {
      try rig.accept(slot, [UInt8](repeating: 1, count: 7_000))
      #expect(try rig.journal.submit(rig.log) == JournalPosition(slot), "by the loop itself")
      #expect(rig.journal.lowestPosition == nil)
      rig.log.release(upTo: rig.log.end)
    }
    #expect(rig.journal.segmentCount >= 4)
    let flushes = rig.journal.flushes - before.flushes
    #expect(flushes >= 40)
    #expect(rig.journal.fences - before.fences == 2 * flushes)
  }

  /// Files that are as long as a segment may be are filled to their end: nothing is stored behind it.
  @Test(arguments: devices)
  func aSegmentIsFilledToItsEnd(_ device: JournalDevice) throws {
    for length in stride(from: 7_000, to: 7_200, by: 8) {
      let rig = try device.rig()
      for slot in 1...18 as ClosedRange<UInt64> {
        try rig.accept(slot, [UInt8](repeating: 3, count: length))
        _ = try rig.flush()
      }
      #expect(try rig.recover(into: LogBuffer(capacity: 1 << 20)).durable.entries.count == 18)
    }
  }

  @Test func memoryThatIsNotPersistentIsRefused() throws {
    do {
      _ = try JournalRig(flush: .pmem, in: "/dev/shm")
      Issue.record("/dev/shm was taken for persistent memory")
    } catch let refusal as PmemSupport.Refusal {
      #expect("\(refusal)".contains("/dev/shm"))
      #expect("\(refusal)".contains("journal.pmem-accept-volatile"))
    }
    #expect(try JournalDevice.memory.rig().journal.persistence == .volatile)
  }

  @Test(
    .enabled(
      if: JournalDevice.persistentMemory != nil,
      "RSL_TEST_DAX names no folder on persistent memory; make guest has one"))
  func persistentMemoryIsKnown() throws {
    let rig = try #require(JournalDevice.persistentMemory).rig()
    #expect(rig.journal.persistence != .volatile)
    print("is_pmem=1 persistence=\(rig.journal.persistence?.rawValue ?? "")")
  }
}
