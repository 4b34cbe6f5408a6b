import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// Snapshots for which there is no space: given up, and nothing of them stays.
@Suite(
  .enabled(if: SmallDisk.isPossible, "\(SmallDisk.obstacle ?? "")"), .timeLimit(.minutes(2)))
struct SnapshotRoomTests {
  @Test func theOwnOneIsGivenUpAndTakenLater() throws {
    let rig = try StoreRig()
    let disk = try SmallDisk(at: rig.directory.path, bytes: 1 << 20)
    rig.reopen()
    let box = try StoreRig.application(puts: 300)
    try disk.fill()
    rig.store.take(box.snapshot())
    guard case .untaken(.noRoom(let error)) = try rig.completion() else {
      Issue.record("taken, or failed for good")
      return
    }
    #expect(error.code == ENOSPC && error.subject.hasPrefix(rig.directory.path))
    #expect(rig.directory.names == ["ballast"])
    disk.free()
    #expect(try rig.take(box).slot > .zero)
  }

  @Test func aPeersIsGivenUpAndReceivedLater() throws {
    let source = try StoreRig()
    let info = try source.take(StoreRig.application(puts: 300))
    let rig = try StoreRig()
    let disk = try SmallDisk(at: rig.directory.path, bytes: 1 << 20)
    rig.reopen()
    func send() throws {
      let step = 512
      for offset in stride(from: 0, to: Int(info.length), by: step) {
        var bytes: [UInt8] = []
        #expect(source.chunk(offset, step, into: &bytes) == nil)
        let chunk = SnapshotChunk(
          snapshot: info, offset: UInt64(offset),
          bytes: BytesRef(position: 0, length: UInt32(bytes.count)))
        try rig.store.store(
          chunk, bytes.span.bytes, isLast: offset + bytes.count == Int(info.length))
      }
    }
    try disk.fill()
    // What still comes of it is nobody's any more.
    try send()
    guard case .unstored(let what, .noRoom(let error)) = try rig.completion() else {
      Issue.record("stored, or failed for good")
      return
    }
    #expect(what == info && error.code == ENOSPC)
    #expect(rig.directory.names == ["ballast"])
    disk.free()
    try send()
    guard case .stored(info, isValid: true) = try rig.completion() else {
      Issue.record("not stored")
      return
    }
  }
}
