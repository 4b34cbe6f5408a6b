import Foundation
import InMemoryLogging
import Logging
import Protocol
import RSLClient
import Synchronization
import Testing

@testable import RealRuntime

/// Real replicas whose files rot while they run: it is found without a restart, and repaired from memory.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ScrubTests {
  enum Place: String, CaseIterable, Sendable { case sealedSegment, header, segmentBeingWritten }

  private func makeCluster(
    _ name: String, _ change: (inout NodeConfiguration) -> Void = { _ in }
  ) throws -> RealCluster {
    try RealCluster(3, name) {
      $0.journal.segmentBytes = 64 << 10
      $0.options.batchBytesMax = 4 << 10
      $0.options.queuedBatchesMax = 4
      // None by itself: what there is then is the repair's.
      $0.options.snapshotInterval = 3_000
      $0.scrub.period = .milliseconds(100)
      $0.scrub.bytesPerSecond = 64 << 20
      change(&$0)
    }
  }

  private func put(_ count: Int, _ client: Client) async throws {
    for _ in 0..<count { _ = try await client.put(1, [UInt8](repeating: 7, count: 400)) }
  }

  /// Changes a byte of a file that a process has open.
  private func flip(_ path: String, at offset: Int) throws {
    let file = try check("open", path) { open(path, O_RDWR | O_CLOEXEC) }
    defer { close(file) }
    var byte: UInt8 = 0
    try check("pread", path) { pread(file, &byte, 1, off_t(offset)) }
    byte ^= 0x10
    try check("pwrite", path) { pwrite(file, &byte, 1, off_t(offset)) }
    try check("fsync", path) { fsync(file) }
  }

  private func follower(_ cluster: RealCluster) async throws -> UInt32 {
    try await cluster.leader() % 3 + 1
  }

  private func untilRepaired(_ victim: UInt32, _ cluster: RealCluster) async throws -> HostStatus {
    try await cluster.until("found") {
      try await cluster.status(victim)?.scrub.damagesFound ?? 0 > 0
    }
    try await cluster.until("repaired") {
      let status = try await cluster.status(victim)
      return status?.damage == nil && status?.scrub.damagesRepaired == status?.scrub.damagesFound
    }
    return try #require(try await cluster.status(victim))
  }

  /// Stops it, and looks: sound, and nothing is in doubt. Starts it again: a voter at once, with everything.
  private func restartIsSound(
    _ victim: UInt32, _ cluster: RealCluster, _ client: Client, puts: UInt64
  ) async throws {
    try await cluster.stop(victim)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    let found = try DirectoryInspection(directory: directory)
    #expect(found.problems == [] && found.doubt == nil)
    try cluster.start(victim)
    #expect(try await cluster.status(victim)?.suspicion == nil)
    let other = try #require([1, 2, 3].first { $0 != victim })
    try await cluster.stop(other)
    #expect(try await client.put(1, [1]) == puts + 1)
    #expect(try await client.get(1)?.puts == puts + 1)
    await client.close()
    try await cluster.stopAll()
  }

  @Test(arguments: Place.allCases) func aSegmentIsFoundAndDropped(place: Place) async throws {
    let cluster = try makeCluster("scrub-\(place)")
    try cluster.startAll()
    let client = cluster.client
    try await put(400, client)
    let victim = try await follower(cluster)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    let numbers = try SegmentFiles.numbers(in: directory)
    #expect(numbers.count >= 3)
    let number = place == .segmentBeingWritten ? numbers.last! : numbers[1]
    let path = SegmentFiles.path(directory, number)
    try flip(path, at: place == .header ? 60 : SegmentHeader.length + 9)
    let status = try await untilRepaired(victim, cluster)
    #expect(status.snapshot > .zero && status.scrub.passes > 0 && status.scrub.bytesRead > 0)
    #expect(try !SegmentFiles.numbers(in: directory).contains(number))
    #expect(try await cluster.node(victim).health().isAlive)
    try await restartIsSound(victim, cluster, client, puts: 400)
  }

  @Test(arguments: [true, false]) func aSnapshotIsFoundAndReplaced(isIdle: Bool) async throws {
    let cluster = try makeCluster("scrub-snapshot-\(isIdle)")
    try cluster.startAll()
    let client = cluster.client
    try await put(40, client)
    let victim = try await follower(cluster)
    try await cluster.until("all is applied") {
      let statuses = [
        try await cluster.status(1), try await cluster.status(2), try await cluster.status(3),
      ]
      return statuses.allSatisfy { $0?.appliedUpTo == statuses[0]?.appliedUpTo }
    }
    let slot = try await cluster.node(victim).takeSnapshot()
    if !isIdle { try await put(5, client) }
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    try flip("\(directory)/snapshot-\(slot)", at: SnapshotFileHead.lengthMax + 70)
    let status = try await untilRepaired(victim, cluster)
    #expect(isIdle ? status.snapshot == slot : status.snapshot > slot)
    try await restartIsSound(victim, cluster, client, puts: isIdle ? 40 : 45)
  }

  @Test func whatCannotBeReadIsDamageAndNoEnd() async throws {
    let cluster = try makeCluster("scrub-unreadable")
    try cluster.startAll()
    let client = cluster.client
    try await put(400, client)
    let victim = try await follower(cluster)
    try await cluster.stop(victim)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    let path = SegmentFiles.path(directory, try SegmentFiles.numbers(in: directory)[1])
    // After the start.
    let isBroken = Mutex(false)
    let failing = FileReader.failing(path, from: 8_192, to: 12_288)
    let reader = FileReader { (file, path, buffer, offset) throws(SystemError) in
      let reader = isBroken.withLock { $0 } ? failing : .system
      return try reader.read(file, path, buffer, offset)
    }
    let log = InMemoryLogHandler()
    try cluster.start(victim, logger: Logger(label: "victim") { _ in log }, reader: reader)
    isBroken.withLock { $0 = true }
    _ = try await untilRepaired(victim, cluster)
    let lines = log.entries.filter { $0.message == "damaged at rest, it is being repaired" }
    #expect(lines.first?.level == .error)
    #expect("\(lines)".contains("4096 bytes cannot be read: Input/output error"), "\(lines)")
    #expect(log.entries.contains { $0.message == "repaired" })
    try await restartIsSound(victim, cluster, client, puts: 400)
  }

  @Test func untilItIsRepairedTheNodeSaysSo() async throws {
    // No snapshot can be taken: none that is written is read back as it was.
    let cluster = try makeCluster("scrub-says")
    try cluster.startAll()
    let client = cluster.client
    try await put(400, client)
    let victim = try await follower(cluster)
    try await cluster.stop(victim)
    let isWell = Mutex(false)
    let misreading = FileReader.misreading("snapshot-new.tmp", at: 60, times: .max)
    let reader = FileReader { (file, path, buffer, offset) throws(SystemError) in
      let reader = isWell.withLock { $0 } ? .system : misreading
      return try reader.read(file, path, buffer, offset)
    }
    try cluster.start(victim, reader: reader)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    let number = try SegmentFiles.numbers(in: directory)[1]
    try flip(SegmentFiles.path(directory, number), at: SegmentHeader.length + 9)
    let node = try cluster.node(victim)
    try await cluster.until("it says so") {
      let status: NodeStatus = try await node.status()
      return status.damage?.hasPrefix("journal segment \(number), byte 160: ") == true
        && status.damage?.hasSuffix("; waits for a new snapshot") == true
        && status.scrub.misreads > 0
    }
    let status: NodeStatus = try await node.status()
    var text = PrometheusText()
    status.write(into: &text)
    #expect(text.text.contains("\nrsl_damaged_at_rest 1\n"), "\(text.text)")
    #expect(text.text.contains("\nrsl_scrub_damages_found_total 1\n"))
    let endpoint = try #require(SocketEndpoint("127.0.0.1:1"))
    #expect(
      StatusText.overview([(endpoint, .success(status))]).contains {
        $0.hasPrefix("node \(victim) is damaged at rest: journal segment \(number), byte 160: ")
      })
    isWell.withLock { $0 = true }
    _ = try await untilRepaired(victim, cluster)
    try await restartIsSound(victim, cluster, client, puts: 400)
  }

  @Test func whereItIsOffNothingIsRead() async throws {
    let cluster = try makeCluster("scrub-off") { $0.scrub.isEnabled = $0.replica != ReplicaID(2) }
    try cluster.startAll()
    try await cluster.until("the others have read everything three times") {
      let (a, b) = (try await cluster.status(1), try await cluster.status(3))
      return a?.scrub.passes ?? 0 > 2 && b?.scrub.passes ?? 0 > 2
    }
    #expect(try await cluster.status(2)?.scrub == ScrubCounters())
    try await cluster.stopAll()
  }

  /// Found because a peer asks for it: no damaged byte leaves, and the peer gets the one that takes its place.
  @Test func aDamagedSnapshotIsNotGivenToAPeer() async throws {
    let cluster = try makeCluster("scrub-serving") {
      $0.scrub.isEnabled = false
      $0.options.snapshotTailSlots = 0
    }
    try cluster.startAll()
    let client = cluster.client
    let straggler = try await follower(cluster)
    try await cluster.stop(straggler)
    try await put(40, client)
    let others = [1, 2, 3].filter { $0 != straggler } as [UInt32]
    for number in others {
      let slot = try await cluster.node(number).takeSnapshot()
      let directory = cluster.configurations[Int(number) - 1].dataDirectory
      try flip("\(directory)/snapshot-\(slot)", at: SnapshotFileHead.lengthMax + 70)
    }
    try cluster.start(straggler)
    try await cluster.until("it has caught up") {
      let (a, b) = (try await cluster.status(straggler), try await cluster.status(others[0]))
      return a?.appliedUpTo == b?.appliedUpTo && a?.digest == b?.digest
    }
    var found: UInt64 = 0
    for number in others { found += try await cluster.status(number)?.scrub.damagesFound ?? 0 }
    #expect(found >= 1)
    #expect(try await client.put(1, [1]) == 41)
    await client.close()
    try await cluster.stopAll()
  }
}
