import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// A journal on real files, driven as the loop drives it.
final class JournalRig {
  let directory: TemporaryDirectory
  let log: LogBuffer
  let poller: Poller
  let worker: WorkerThread
  var journal: FileJournal
  let identity = JournalIdentity(
    cluster: ClusterID(9), ring: RingID(0), replica: ReplicaID(1), incarnation: Incarnation(1))
  private(set) var options: NodeConfiguration.Journal
  static let span = ConfigurationSpan(epoch: Epoch(1), firstSlot: Slot(1), lastSlot: .last)

  let reserve: JournalReserve
  let maker: SpareSegments.Maker
  let probe: WriteProbe

  init(
    segmentBytes: Int = 1 << 16, flush: NodeConfiguration.FlushMode = .fdatasync,
    in root: String = NSTemporaryDirectory(), acceptsVolatileMemory: Bool = false,
    reserve: JournalReserve = JournalReserve(),
    maker: @escaping SpareSegments.Maker = SpareSegments.makeZeroes,
    probe: WriteProbe = WriteProbe()
  ) throws {
    (self.reserve, self.maker, self.probe) = (reserve, maker, probe)
    directory = TemporaryDirectory("journal", in: root)
    log = try LogBuffer(capacity: 1 << 20)
    poller = try Poller()
    worker = try WorkerThread(name: "test-files")
    var options = NodeConfiguration.Journal()
    options.segmentBytes = segmentBytes
    options.flush = flush
    options.acceptsVolatileMemory = acceptsVolatileMemory
    self.options = options
    journal = try FileJournal(
      directory: directory.path, options: options, identity: identity,
      configuration: Self.span, recovered: .fresh, worker: worker, waker: poller.waker,
      reserve: reserve, maker: maker, probe: probe)
  }

  /// Waits until the thread of files has nothing more to do: it makes segments for later.
  func settle() {
    for _ in 0..<2 {
      let done = DispatchSemaphore(value: 0)
      worker.run { done.signal() }
      done.wait()
    }
  }

  /// As after a crash.
  func reopen(snapshot: SnapshotInfo = .none) throws {
    journal = try FileJournal(
      directory: directory.path, options: options, identity: identity, configuration: Self.span,
      recovered: recover(into: LogBuffer(capacity: 1 << 20), snapshot: snapshot), worker: worker,
      waker: poller.waker, reserve: reserve, maker: maker, probe: probe)
  }

  /// The value of one command with these bytes.
  func value(_ payload: [UInt8], sequence: UInt64) throws -> Value {
    var bytes: [UInt8] = []
    Command.encode(
      session: SessionID(1 << 16), sequence: SequenceNumber(sequence),
      acknowledgedUpTo: SequenceNumber(0), payload: payload.span.bytes, into: &bytes)
    let position = try #require(bytes.withUnsafeBytes { log.append($0) })
    return try Value(of: bytes.span.bytes, position: position)
  }

  func accept(_ slot: UInt64, _ payload: [UInt8]) throws {
    let value = try value(payload, sequence: slot)
    try journal.append(
      JournalRecord(
        .accepted(Slot(slot), Ballot(round: 1, proposer: ReplicaID(1)), value), epoch: Epoch(1)),
      log)
  }

  /// Hands over what was appended, and waits until it is durable.
  func flush() throws -> JournalPosition {
    if let position = try journal.submit(log) { return position }
    while true {
      if let position = try journal.completed() { return position }
      try poller.wait(until: .never) { _ in }
    }
  }

  func recover(
    into log: LogBuffer, snapshot: SnapshotInfo = .none
  ) throws -> RecoveredJournal {
    try RecoveredFiles.recover(
      directory: directory.path, identity: identity, snapshot: snapshot, into: log)
  }

  /// Another life on the same files.
  func reopen(_ flush: NodeConfiguration.FlushMode, acceptsVolatileMemory: Bool = false) throws {
    options.flush = flush
    options.acceptsVolatileMemory = acceptsVolatileMemory
    journal = try FileJournal(
      directory: directory.path, options: options, identity: identity, configuration: Self.span,
      recovered: try recover(into: LogBuffer(capacity: 1 << 20)), worker: worker,
      waker: poller.waker)
  }
}

@Suite struct FileJournalTests {
  @Test func whatIsOnItsWayKeepsItsBytes() throws {
    let rig = try JournalRig()
    #expect(rig.journal.lowestPosition == nil)
    try rig.accept(1, [UInt8](repeating: 1, count: 2 * FileJournal.inlineMax))
    let lowest = try #require(rig.journal.lowestPosition)
    #expect(lowest == 0)
    #expect(try rig.journal.submit(rig.log) == nil, "too much to be made durable by the loop")
    try rig.accept(2, [2])
    #expect(rig.journal.lowestPosition == 0, "in flight or staged")
    #expect(try rig.flush() == JournalPosition(1))
    #expect(try rig.flush() == JournalPosition(2))
    #expect(rig.journal.lowestPosition == nil)
  }

  /// Once, when nothing else was written in between; a replica at rest writes nothing.
  @Test(arguments: [NodeConfiguration.FlushMode.fdatasync, .direct])
  func whatWasWrittenLastIsVouchedFor(flush: NodeConfiguration.FlushMode) throws {
    let rig = try JournalRig(flush: flush)
    try rig.accept(1, [1])
    _ = try rig.flush()
    let flushes = rig.journal.flushes
    try rig.journal.vouch()
    #expect(rig.journal.flushes == flushes, "there was a flush since the last look")
    try rig.journal.vouch()
    #expect(rig.journal.flushes == flushes + 1)
    for _ in 0..<3 { try rig.journal.vouch() }
    #expect(rig.journal.flushes == flushes + 1)
    // The block of the record, behind that of the header.
    let path = SegmentFiles.path(rig.directory.path, 1)
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[FileJournal.blockLength + 60] ^= 1
    try bytes.write(to: URL(filePath: path))
    #expect(try rig.recover(into: LogBuffer(capacity: 1 << 20)).damages.count == 1)
    // At a stop at once, and what follows is in its place.
    try rig.accept(2, [2])
    _ = try rig.flush()
    try rig.journal.vouch(isLast: true)
    #expect(rig.journal.flushes == flushes + 3)
    bytes = try Data(contentsOf: URL(filePath: path))
    bytes[FileJournal.blockLength + 60] ^= 1
    try bytes.write(to: URL(filePath: path))
    let recovered = try rig.recover(into: LogBuffer(capacity: 1 << 20))
    #expect(recovered.damages.isEmpty && recovered.durable.entries.count == 2)
  }

  @Test func aFailedWriteIsReportedAndNotTriedAgain() throws {
    let rig = try JournalRig()
    try rig.accept(1, [1])
    // A descriptor that cannot be written in place of the segment's.
    let broken = open("/dev/null", O_RDONLY)
    dup2(broken, try #require(rig.journal.descriptors.last).descriptor)
    close(broken)
    #expect(throws: SystemError.self) {
      if try rig.journal.submit(rig.log) != nil { return }
      while try rig.journal.completed() == nil { try rig.poller.wait(until: .never) { _ in } }
    }
  }

  @Test func aDirectoryIsOneReplicas() throws {
    let directory = TemporaryDirectory()
    try DataDirectory.format(directory.path, cluster: ClusterID(1), replica: ReplicaID(2))
    #expect(throws: DataDirectory.Failure.self) {
      try DataDirectory.format(directory.path, cluster: ClusterID(1), replica: ReplicaID(2))
    }
    do {
      _ = try DataDirectory.open(directory.path, cluster: ClusterID(1), replica: ReplicaID(3))
      Issue.record("a foreign directory was opened")
    } catch {
      #expect("\(error)".contains("belongs to cluster 1, replica 2"), "\(error)")
    }
    let lock = try DataDirectory.open(directory.path, cluster: ClusterID(1), replica: ReplicaID(2))
    do {
      _ = try DataDirectory.open(directory.path, cluster: ClusterID(1), replica: ReplicaID(2))
      Issue.record("two processes at once")
    } catch {
      #expect("\(error)".contains("in use"))
    }
    withExtendedLifetime(lock) {}
    let other = TemporaryDirectory()
    #expect(throws: DataDirectory.Failure.self) {
      _ = try DataDirectory.open(other.path, cluster: ClusterID(1), replica: ReplicaID(2))
    }
    try "x".write(toFile: other.path + "/x", atomically: true, encoding: .utf8)
    #expect(throws: DataDirectory.Failure.self) {
      try DataDirectory.format(other.path, cluster: ClusterID(1), replica: ReplicaID(2))
    }
  }
}
