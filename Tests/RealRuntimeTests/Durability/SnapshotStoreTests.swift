import Foundation
import Protocol
import Synchronization
import Testing

@testable import RealRuntime

/// A store and what its worker told it.
final class StoreRig {
  let directory = TemporaryDirectory("snapshots")
  let worker: WorkerThread
  let poller: Poller
  let mailbox: Mailbox<SnapshotStore.Completion>
  var store: SnapshotStore

  init() throws {
    worker = try WorkerThread(name: "test-files")
    poller = try Poller()
    let mailbox = Mailbox<SnapshotStore.Completion>(waker: poller.waker)
    self.mailbox = mailbox
    store = SnapshotStore(directory: directory.path, worker: worker) { mailbox.post($0) }
  }

  func completion() throws -> SnapshotStore.Completion {
    while true {
      if let first = mailbox.take().first { return first }
      try poller.wait(until: .never) { _ in }
    }
  }

  /// As after a restart.
  func reopen() {
    let mailbox = mailbox
    store = SnapshotStore(directory: directory.path, worker: worker) { mailbox.post($0) }
  }

  static func application(puts: Int) throws -> ApplicationBox<ByteStore> {
    let box = ApplicationBox(ByteStore(), limits: .init())
    var replies = ReplyBuffer()
    var registration: [UInt8] = []
    Command.encodeRegistration(nonce: 77, into: &registration)
    try box.apply(Slot(1), registration.span.bytes, into: &replies)
    for i in 0..<puts {
      var payload: [UInt8] = []
      ByteStore.encodePut(UInt64(i % 100), value: [UInt8(i % 251), 1].span.bytes, into: &payload)
      var command: [UInt8] = []
      Command.encode(
        session: SessionID(1 << 16), sequence: SequenceNumber(UInt64(i + 1)),
        acknowledgedUpTo: SequenceNumber(UInt64(i)), payload: payload.span.bytes, into: &command)
      try box.apply(Slot(UInt64(i + 2)), command.span.bytes, into: &replies)
    }
    return box
  }

  func take(_ box: ApplicationBox<ByteStore>) throws -> SnapshotInfo {
    store.take(box.snapshot())
    guard case .taken(let info) = try completion() else { throw SystemError("snapshot", code: 5) }
    try store.adopt(info)
    return info
  }
}

@Suite struct SnapshotStoreTests {
  @Test func aSnapshotSurvivesARestart() throws {
    let rig = try StoreRig()
    let box = try StoreRig.application(puts: 1_000)
    let info = try rig.take(box)
    #expect(info.slot == Slot(1_001))
    rig.reopen()
    let restored = ApplicationBox(ByteStore(), limits: .init())
    try rig.store.recover(into: restored)
    #expect(rig.store.current == info)
    #expect(restored.digest == box.digest && restored.appliedUpTo == box.appliedUpTo)
  }

  @Test func onlyTheNewestIsKept() throws {
    let rig = try StoreRig()
    _ = try rig.take(StoreRig.application(puts: 10))
    _ = try rig.take(StoreRig.application(puts: 20))
    #expect(rig.directory.names == ["snapshot-21"])
  }

  @Test func aDamagedOneIsPassedOverForTheOneBefore() throws {
    let rig = try StoreRig()
    let older = try rig.take(StoreRig.application(puts: 10))
    let saved = try Data(contentsOf: URL(fileURLWithPath: rig.directory.path + "/snapshot-11"))
    _ = try rig.take(StoreRig.application(puts: 20))
    try saved.write(to: URL(fileURLWithPath: rig.directory.path + "/snapshot-11"))
    let path = rig.directory.path + "/snapshot-21"
    var newer = try Data(contentsOf: URL(fileURLWithPath: path))
    newer[newer.count / 2] ^= 1
    try newer.write(to: URL(fileURLWithPath: path))
    try "half".write(
      toFile: rig.directory.path + "/snapshot-new.tmp", atomically: true, encoding: .utf8)
    rig.reopen()
    try rig.store.recover(into: ApplicationBox(ByteStore(), limits: .init()))
    #expect(rig.store.current == older)
    #expect(!rig.directory.names.contains("snapshot-new.tmp"))
  }

  @Test func aTransferOfPiecesIsVerifiedAndInstalled() throws {
    let source = try StoreRig()
    let box = try StoreRig.application(puts: 3_000)
    let info = try source.take(box)
    for isDamaged in [false, true] {
      let target = try StoreRig()
      var offset: UInt64 = 0
      while offset < info.length {
        var bytes: [UInt8] = []
        try source.store.chunk(offset, lengthMax: 1_000, into: &bytes)
        if isDamaged, offset == 2_000 { bytes[3] ^= 4 }
        let chunk = SnapshotChunk(
          snapshot: info, offset: offset,
          bytes: BytesRef(position: 0, length: UInt32(bytes.count)))
        offset += UInt64(bytes.count)
        try target.store.store(chunk, bytes.span.bytes, isLast: offset == info.length)
      }
      guard case .stored(info, isValid: !isDamaged) = try target.completion() else {
        Issue.record("not what was sent, damaged: \(isDamaged)")
        continue
      }
      guard !isDamaged else { continue }
      try target.store.adopt(info)
      let restored = ApplicationBox(ByteStore(), limits: .init())
      try target.store.restore(restored)
      #expect(restored.digest == box.digest)
    }
  }
}
