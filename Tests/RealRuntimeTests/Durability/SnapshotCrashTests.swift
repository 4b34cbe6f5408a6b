import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// A store that is stopped before each of its calls: what a crash leaves there has the old snapshot or the new one, whole.
@Suite struct SnapshotCrashTests {
  enum Origin: CaseIterable, Sendable { case own, peer, ownInPlaceOfADamagedOne }

  /// What there was, what there is to be, and the calls between them.
  private struct Life {
    var before: [String: [UInt8]]
    var old: SnapshotInfo?
    var new: SnapshotInfo
    var calls: [RecordedChanges.Call]
    /// So many of them were made when the new one was said to be durable.
    var callsUntilDurable: Int
    var digests: [Slot: UInt64]
  }

  private func contents(_ directory: TemporaryDirectory) throws -> [String: [UInt8]] {
    try directory.names.reduce(into: [:]) {
      $0[$1] = [UInt8](try Data(contentsOf: URL(filePath: directory.path + "/" + $1)))
    }
  }

  private func live(_ origin: Origin) throws -> Life {
    let recorded = RecordedChanges()
    let rig = try StoreRig(changes: recorded.changes)
    let first = try StoreRig.application(puts: 200)
    let old = try rig.take(first)
    if origin == .ownInPlaceOfADamagedOne {
      try rig.change("snapshot-\(old.slot)") { $0[900] ^= 1 }
    }
    let before = try contents(rig.directory)
    let begin = recorded.calls.count
    let second =
      origin == .ownInPlaceOfADamagedOne ? first : try StoreRig.application(puts: 3_000)
    let new: SnapshotInfo
    if origin == .peer {
      let source = try StoreRig()
      new = try source.take(second)
      guard case .stored(new, isValid: true) = try rig.receive(new, from: source) else {
        throw SystemError("store", code: EIO)
      }
    } else {
      rig.store.take(second.snapshot())
      guard case .taken(let info) = try rig.completion() else {
        throw SystemError("take", code: EIO)
      }
      new = info
    }
    let callsUntilDurable = recorded.calls.count - begin
    try rig.store.adopt(new)
    return Life(
      before: before, old: origin == .ownInPlaceOfADamagedOne ? nil : old, new: new,
      calls: Array(recorded.calls[begin...]), callsUntilDurable: callsUntilDurable,
      digests: [old.slot: first.digest].merging([new.slot: second.digest]) { $1 })
  }

  @Test(arguments: Origin.allCases) func oldOrNewAndNeverNeither(origin: Origin) throws {
    let life = try live(origin)
    #expect(life.calls.count >= 6)
    let next = try StoreRig.application(puts: 3_100)
    var found: Set<Slot> = []
    var disk = CrashingDirectory(life.before)
    for made in 0...life.calls.count {
      let survivals: [CrashingDirectory.Survival] =
        [.nothing, .everything, .names, .bytes] + (0..<8).map { .some(seed: UInt64($0)) }
      for survival in survivals {
        let left = disk.crashed(survival)
        let place = "\(origin), after \(made) of \(life.calls.count) calls, \(survival)"
        let slot = try recover(left, life, next, place)
        found.insert(slot)
        // What was said to be durable is there, and what was there stays until then.
        if made >= life.callsUntilDurable { #expect(slot == life.new.slot, "\(place)") }
        if life.old != nil { #expect(slot != .zero, "\(place): neither") }
      }
      if made < life.calls.count { disk.perform(life.calls[made]) }
    }
    let possible = life.old.map { [$0.slot, life.new.slot] } ?? [.zero, life.new.slot]
    #expect(found == Set(possible), "both are seen")
  }

  /// A store that begins with these files; the slot of what it found.
  private func recover(
    _ files: [String: [UInt8]], _ life: Life, _ next: ApplicationBox<ByteStore>, _ place: String
  ) throws -> Slot {
    let rig = try StoreRig()
    for (name, bytes) in files {
      try Data(bytes).write(to: URL(filePath: rig.directory.path + "/" + name))
    }
    let application = ApplicationBox(ByteStore(), limits: .init())
    try rig.store.recover(into: application)
    let slot = rig.store.current.slot
    if slot > .zero {
      #expect([life.old, life.new].contains(rig.store.current), "\(place)")
      #expect(application.digest == life.digests[slot], "\(place)")
      // What came of a peer's is at hand until it is not needed any more.
      let left = rig.directory.names.filter {
        $0 != "snapshot-incoming.tmp" || slot == life.new.slot
      }
      #expect(left == ["snapshot-\(slot)"], "\(place)")
    }
    // The next one is taken as ever, and is alone then.
    let last = try rig.take(next)
    #expect(rig.directory.names == ["snapshot-\(last.slot)"], "\(place)")
    return slot
  }
}
