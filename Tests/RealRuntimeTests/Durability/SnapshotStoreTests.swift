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

  init(reader: FileReader = .system, changes: FileChanges = .system) throws {
    worker = try WorkerThread(name: "test-files")
    poller = try Poller()
    let mailbox = Mailbox<SnapshotStore.Completion>(waker: poller.waker)
    self.mailbox = mailbox
    store = SnapshotStore(
      directory: directory.path, worker: worker, reader: reader, changes: changes
    ) {
      mailbox.post($0)
    }
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

  static func application(puts: Int, keys: Int = 100) throws -> ApplicationBox<ByteStore> {
    let box = ApplicationBox(ByteStore(), limits: .init())
    var replies = ReplyBuffer()
    var registration: [UInt8] = []
    Command.encodeRegistration(nonce: 77, into: &registration)
    try box.apply(Slot(1), registration.span.bytes, into: &replies)
    for i in 0..<puts {
      var payload: [UInt8] = []
      ByteStore.encodePut(UInt64(i % keys), value: [UInt8(i % 251), 1].span.bytes, into: &payload)
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

  /// Of the newest snapshot.
  func chunk(_ offset: Int, _ lengthMax: Int, into bytes: inout [UInt8]) -> String? {
    store.chunk(
      of: store.current, UInt64(offset), lengthMax: lengthMax, now: .zero, into: &bytes)
  }

  /// Receives a snapshot from another store, and answers what became of it.
  func receive(
    _ info: SnapshotInfo, from source: StoreRig, damaging place: Int? = nil
  ) throws -> SnapshotStore.Completion {
    var offset = 0
    while offset < Int(info.length) {
      var bytes: [UInt8] = []
      try #require(source.chunk(offset, 1_000, into: &bytes) == nil)
      if let place, offset / 1_000 == place / 1_000 { bytes[place % 1_000] ^= 4 }
      let chunk = SnapshotChunk(
        snapshot: info, offset: UInt64(offset),
        bytes: BytesRef(position: 0, length: UInt32(bytes.count)))
      offset += bytes.count
      try store.store(chunk, bytes.span.bytes, isLast: offset == Int(info.length))
    }
    return try completion()
  }

  /// Of the store's one file.
  func change(_ name: String, _ change: (inout Data) -> Void) throws {
    let path = URL(filePath: directory.path + "/" + name)
    var data = try Data(contentsOf: path)
    change(&data)
    // In place: the store has it open.
    let file = try FileHandle(forWritingTo: path)
    try file.write(contentsOf: data)
    try file.close()
  }
}

extension FileReader {
  /// As a disk that gives another byte back than was written, `times` times, where a file of this name is as long. A short file
  /// that is looked at is read three times: for its head, its table and its bytes.
  static func misreading(_ suffix: String, at place: Int, times: Int) -> FileReader {
    let left = Mutex(times)
    return FileReader { (file, path, buffer, offset) throws(SystemError) in
      let count = try FileReader.system.read(file, path, buffer, offset)
      guard path.hasSuffix(suffix), (offset..<offset + count).contains(place),
        left.withLock({ left in
          left -= 1
          return left >= 0
        })
      else { return count }
      buffer[place - offset] ^= 0x20
      return count
    }
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
    let target = try StoreRig()
    guard
      case .stored(info, isValid: false) = try target.receive(info, from: source, damaging: 2_003)
    else {
      Issue.record("damaged on its way, and taken")
      return
    }
    #expect(target.directory.names == [])
    guard case .stored(info, isValid: true) = try target.receive(info, from: source) else {
      Issue.record("not what was sent")
      return
    }
    try target.store.adopt(info)
    let restored = ApplicationBox(ByteStore(), limits: .init())
    try target.store.restore(restored)
    #expect(restored.digest == box.digest)
    // The same bytes as where they came from.
    let name = "/snapshot-\(info.slot)"
    #expect(
      try Data(contentsOf: URL(filePath: target.directory.path + name))
        == Data(contentsOf: URL(filePath: source.directory.path + name)))
  }

  @Test func whatIsNotReadBackAsWrittenIsGivenUp() throws {
    // Behind the end of the first one, which is short.
    let rig = try StoreRig(reader: .misreading("snapshot-new.tmp", at: 1_500, times: 3))
    let older = try rig.take(StoreRig.application(puts: 10))
    let box = try StoreRig.application(puts: 1_000)
    rig.store.take(box.snapshot())
    guard case .untaken(.misread(let path, let problem)) = try rig.completion() else {
      Issue.record("taken, or failed for good")
      return
    }
    #expect(path.hasSuffix("snapshot-new.tmp") && problem == "damaged in block 0 of 1")
    #expect(rig.store.current == older && rig.directory.names == ["snapshot-\(older.slot)"])
    #expect(try rig.take(box).slot == Slot(1_001))
  }

  @Test func aPeersIsGivenUpTooAndThePeerIsNotBlamed() throws {
    let source = try StoreRig()
    let info = try source.take(StoreRig.application(puts: 1_000))
    let rig = try StoreRig(reader: .misreading("snapshot-incoming.tmp", at: 1_500, times: 3))
    guard case .unstored(info, .misread) = try rig.receive(info, from: source) else {
      Issue.record("stored, or the peer is blamed")
      return
    }
    #expect(rig.directory.names == [])
    guard case .stored(info, isValid: true) = try rig.receive(info, from: source) else {
      Issue.record("not stored")
      return
    }
  }

  /// Its table of checksums alone would be more than there is memory.
  @Test func aBeginningOfSomethingEndlessIsRemoved() throws {
    let rig = try StoreRig()
    let path = "\(rig.directory.path)/snapshot-incoming.tmp"
    let info = SnapshotInfo(slot: Slot(1), length: SnapshotInfo.lengthMax, digest: 1)
    let file = try IncomingSnapshot(info, path, .system)
    try file.append([UInt8](repeating: 1, count: 1_000).span.bytes, at: 0)
    let store = rig.store
    try store.recover(into: StoreRig.application(puts: 1))
    #expect(rig.directory.names == [] && store.current == .none)
  }

  @Test func noPeerIsGivenADamagedBlock() throws {
    let rig = try StoreRig()
    let box = try StoreRig.application(puts: 10_000, keys: 10_000)
    let info = try rig.take(box)
    #expect(info.length > 3 * 65_536)
    try rig.change("snapshot-\(info.slot)") { $0[SnapshotFileHead.lengthMax + 65_536 + 7] ^= 1 }
    var bytes: [UInt8] = []
    #expect(rig.chunk(0, 65_536, into: &bytes) == nil && bytes.count == 65_536)
    // A byte of the block is enough, on either side.
    for offset in [1, 65_536, 70_000, 131_071] {
      let problem = rig.chunk(offset, 65_536, into: &bytes)
      #expect(problem == "damaged in block 1 of 4" && bytes.count == 65_536)
    }
    #expect(rig.chunk(131_072, 1_000, into: &bytes) == nil)
    #expect(bytes.count == 66_536)
    // Written anew, in place of the damaged file.
    #expect(try rig.take(box) == info)
    #expect(rig.chunk(1, 65_536, into: &bytes) == nil)
  }

  @Test func aFileOfVersionOneIsReadAndOneOfTheFutureIsRefused() throws {
    let rig = try StoreRig()
    let box = try StoreRig.application(puts: 1_000)
    let info = try rig.take(box)
    let name = "snapshot-\(info.slot)"
    let path = URL(filePath: rig.directory.path + "/" + name)
    let second = try Data(contentsOf: path)
    var first: [UInt8] = []
    for word in [0x504E_5349_4D52_534C, info.slot.rawValue, info.length, info.digest] {
      withUnsafeBytes(of: word.littleEndian) { first += $0 }
    }
    first += second[40..<40 + Int(info.length)]
    try Data(first).write(to: path)
    rig.reopen()
    let restored = ApplicationBox(ByteStore(), limits: .init())
    try rig.store.recover(into: restored)
    #expect(rig.store.current == info && restored.digest == box.digest)
    var bytes: [UInt8] = []
    #expect(rig.chunk(100, 50, into: &bytes) == nil)
    #expect(bytes == Array(second[140..<190]))
    // A later version, in a head that is whole.
    var third = [UInt8](second)
    third[4] = 3
    withUnsafeBytes(of: CRC32C.checksum(Array(third[..<36])).littleEndian) {
      third.replaceSubrange(36..<40, with: $0)
    }
    try Data(third).write(to: path)
    rig.reopen()
    let refusal = #expect(throws: SnapshotRefusal.self) { try rig.store.recover(into: restored) }
    #expect("\(refusal!)".contains("\(name) was written by a later version"), "\(refusal!)")
    #expect(rig.directory.names == [name])
  }

  @Test func olderOnesThatACrashHasLeftAreRemoved() throws {
    let rig = try StoreRig()
    let older = try rig.take(StoreRig.application(puts: 10))
    let saved = try Data(contentsOf: URL(filePath: rig.directory.path + "/snapshot-11"))
    let newer = try rig.take(StoreRig.application(puts: 20))
    try saved.write(to: URL(filePath: rig.directory.path + "/snapshot-11"))
    rig.reopen()
    try rig.store.recover(into: ApplicationBox(ByteStore(), limits: .init()))
    #expect(rig.store.current == newer && older.slot == Slot(11))
    #expect(rig.directory.names == ["snapshot-21"])
  }
}
