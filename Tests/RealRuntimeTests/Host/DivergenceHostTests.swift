import Foundation
import Protocol
import RSLClient
import Synchronization
import Testing

@testable import RealRuntime

/// Real replicas, one of whose state machines does once what the others do not.
@Suite(.serialized) struct DivergenceHostTests {
  /// Tells a machine to go wrong at its next command.
  final class Flaw: Sendable {
    private let isPlanted = Atomic(false)
    func plant() { isPlanted.store(true, ordering: .releasing) }
    func take() -> Bool { isPlanted.exchange(false, ordering: .acquiringAndReleasing) }
  }

  struct FlawedStore: StateMachine, Sendable {
    var store = ByteStore()
    let flaw: Flaw
    var skew: UInt64 = 0

    var digest: UInt64 { store.digest ^ skew }

    mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
      if flaw.take() { skew = 0xBAD }
      store.apply(command, slot: slot, reply: &reply)
    }
    func query(_ query: RawSpan, reply: inout ReplyWriter) { store.query(query, reply: &reply) }
    func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
      store.snapshotChunk(at: cursor, limit: limit, into: &bytes)
    }
    mutating func beginRestore() {
      skew = 0
      store.beginRestore()
    }
    mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
      try store.restoreChunk(bytes)
    }
    mutating func finishRestore() throws(SnapshotInvalid) { try store.finishRestore() }
  }

  static func snapshots(_ directory: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: directory).filter {
      $0.hasPrefix("snapshot-") && !$0.hasSuffix(".tmp")
    }
  }

  /// By its log where no snapshot was taken; by a peer's snapshot where one was.
  @Test(arguments: [32, 1_500]) func aDivergedReplicaEndsAndIsRepaired(interval: Int) async throws {
    let cluster = try RealCluster(3, "divergence-\(interval)") {
      $0.options.digestPeriod = 16
      $0.options.snapshotInterval = interval
      $0.options.snapshotTailSlots = 4
    }
    let flaws = (1...3).map { _ in Flaw() }
    for i in 0..<3 { try cluster.start(UInt32(i + 1), FlawedStore(flaw: flaws[i])) }
    let client = cluster.client
    for i in 1...60 as ClosedRange<UInt64> { _ = try await client.put(i % 7, [UInt8(i)]) }
    let victim = try await cluster.leader() % 3 + 1
    if interval == 32 {
      try await cluster.until("a snapshot") {
        (try await cluster.status(victim)?.snapshot ?? .zero) > .zero
      }
    }
    try await cluster.until("agreement") {
      (try await cluster.status(victim)?.digests.vouchedUpTo ?? .zero) > .zero
    }
    flaws[Int(victim) - 1].plant()
    let node = try cluster.node(victim)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    let ended = Mutex<(any Error)?>(nil)
    let waiting = Task {
      do { try await node.ended() } catch { ended.withLock { $0 = error } }
    }
    for i in 0..<200 as Range<UInt64> where ended.withLock({ $0 == nil }) {
      _ = try await client.put(i % 7, [UInt8(i)])
    }
    await waiting.value
    guard case .diverged(let divergence, times: 1)? = ended.withLock({ $0 }) as? HostFailure else {
      Issue.record("ended by \(String(describing: ended.withLock { $0 }))")
      return
    }
    #expect(divergence.own ^ divergence.agreed != 0)
    #expect(try Self.snapshots(directory) == [])
    #expect(try DivergenceNote.read(in: directory) == 1)

    try cluster.start(victim, FlawedStore(flaw: flaws[Int(victim) - 1]))
    try await cluster.until("repaired") {
      _ = try await client.put(1, [1])
      guard let status = try await cluster.status(victim) else { return false }
      return status.suspicion == nil && status.digests.divergences == 0
    }
    #expect(try DivergenceNote.read(in: directory) == 0)
    try await cluster.until("the same state") {
      let all = [
        try await cluster.status(1), try await cluster.status(2), try await cluster.status(3),
      ]
      return Set(all.map { $0?.appliedUpTo }).count == 1 && Set(all.map { $0?.digest }).count == 1
    }
    try await cluster.stopAll()
  }

  /// A machine that goes wrong again and again is not started again and again.
  @Test func whoDivergesTooOftenDoesNotStart() throws {
    let cluster = try RealCluster(1, "diverges-again")
    let directory = cluster.configurations[0].dataDirectory
    try DivergenceNote.write(ReplicaHost.divergencesMax, in: directory)
    do {
      try cluster.start(1)
      Issue.record("it started")
    } catch let failure as HostFailure {
      #expect("\(failure)".contains("has diverged 3 times in a row"))
      #expect("\(failure)".contains("remove \(directory)/diverged"))
    }
  }

  @Test func aNoteThatCannotBeReadCountsOnce() throws {
    let directory = TemporaryDirectory("note")
    #expect(try DivergenceNote.read(in: directory.path) == 0)
    try DivergenceNote.write(12, in: directory.path)
    #expect(try DivergenceNote.read(in: directory.path) == 12)
    try Data("what".utf8).write(to: URL(filePath: DivergenceNote.file.path(directory.path)))
    #expect(try DivergenceNote.read(in: directory.path) == 1)
    DivergenceNote.file.remove(in: directory.path)
    #expect(try DivergenceNote.read(in: directory.path) == 0)
  }
}
