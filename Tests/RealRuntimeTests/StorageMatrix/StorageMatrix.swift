import Foundation
import InMemoryLogging
import Logging
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Three real replicas, one of which is stopped with everything in its directory that a replica writes. Each cell puts that
/// directory back, does one thing to it, and starts the replica.
final class StorageMatrix {
  struct Row {
    var field: StorageField
    var fault: StorageFault
    /// In words, and what it ends with: repaired, refused or wrong.
    var detected: String
    var outcome: String
    var milliseconds: Double?
    /// It was found, and it is repaired.
    var isRight: Bool
    /// It is in bytes that nothing rests on, and recovery's result is that of the undamaged directory.
    var isHarmless = false

    var line: String {
      [field.file, field.name, fault.rawValue, detected, outcome].joined(separator: " | ")
    }
  }

  let cluster: RealCluster
  let client: Client
  private let victim: UInt32
  private let others: [UInt32]
  private let image: URL
  private var puts: UInt64 = 0
  let fields: StorageFields

  private var directory: String { cluster.configurations[Int(victim) - 1].dataDirectory }
  /// Every cell sets the disk back, and its peers would say so: to them all these lives are one.
  private static let seed: UInt64 = 1
  private static let identity = JournalIdentity(cluster: RealCluster.cluster, replica: ReplicaID(3))

  private init(
    _ cluster: RealCluster, _ client: Client, puts: UInt64, victim: UInt32, others: [UInt32]
  ) throws {
    (self.cluster, self.client, self.victim, self.others) = (cluster, client, victim, others)
    self.puts = puts
    image = URL(filePath: cluster.directory.path + "/image")
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    try FileManager.default.copyItem(at: URL(filePath: directory), to: image)
    fields = try StorageFields(image.path, Self.identity)
    pristine = try DirectoryInspection(directory: image.path)
    pristineJournal = try Self.recover(image.path, .system, pristine)
  }

  private let pristine: DirectoryInspection
  private let pristineJournal: RecoveredJournal?

  // MARK: The image

  static func make() async throws -> StorageMatrix {
    let cluster = try RealCluster(3, "matrix") {
      $0.journal.segmentBytes = 64 << 10
      $0.options.batchBytesMax = 4 << 10
      $0.options.queuedBatchesMax = 4
      $0.options.snapshotInterval = 3_000
      $0.options.snapshotTailSlots = 0
      // A watermark is noted whenever so many slots are chosen.
      $0.options.windowSlots = 16
      $0.options.heartbeatInterval = .milliseconds(20)
    }
    try cluster.startAll()
    let client = cluster.client
    let (victim, others): (UInt32, [UInt32]) = (3, [1, 2])
    var puts: UInt64 = 0
    func put(_ count: Int) async throws {
      for _ in 0..<count {
        puts += 1
        #expect(try await client.put(1, [UInt8](repeating: 7, count: 37)) == puts)
      }
    }
    /// A follower that has promised another ballot, and voted by it.
    func elect(_ next: UInt32) async throws {
      try await cluster.until("replica \(next) leads") {
        if try await cluster.status(next)?.role == .leader { return true }
        for number in [victim] + others where number != next {
          if try await cluster.status(number)?.role == .leader {
            try cluster.node(number).handOver(to: ReplicaID(next))
          }
        }
        return false
      }
      try await put(20)
    }
    func down(_ body: () throws -> Void = {}) async throws {
      try await cluster.stop(victim)
      try body()
      // It learns these without having voted.
      try await put(20)
      try cluster.start(victim, seed: seed)
      try await cluster.until("the replica follows and is sound") {
        let (a, b) = (try await cluster.status(victim), try await cluster.status(others[0]))
        return a?.suspicion == nil && a?.appliedUpTo == b?.appliedUpTo && a?.leader != nil
      }
    }
    try await put(30)
    try await elect(1)
    let directory = cluster.configurations[Int(victim) - 1].dataDirectory
    try await down { try DamageTests.harm(.flip, directory) }
    try await cluster.until("what was damaged is gone") {
      try SegmentFiles.numbers(in: directory).count == 1
    }
    // One more, behind the cure.
    let cured = try await cluster.status(victim)?.snapshot ?? .zero
    try await elect(2)
    try cluster.node(victim).mailbox.post(.takeSnapshot)
    try await cluster.until("another snapshot") {
      try await cluster.status(victim)?.snapshot ?? .zero > cured
    }
    try await elect(1)
    try await elect(2)
    try await down()
    try await elect(1)
    try await down()
    try await elect(2)
    try await cluster.stop(victim)
    return try StorageMatrix(cluster, client, puts: puts, victim: victim, others: others)
  }

  /// What is wrong with the image that all cells begin with; nil when it holds everything.
  var imageProblem: String? {
    let types = ["padding", "promised", "accepted", "learned", "chosenUpTo", "snapshot", "cured"]
    let missing = types.filter { !fields.types.contains($0) }
    if !missing.isEmpty { return "no record of \(missing)" }
    if !pristine.problems.isEmpty { return pristine.problems.joined(separator: "; ") }
    if pristine.segments.count < 3 { return "\(pristine.segments.count) segments" }
    return pristine.snapshots.contains(where: \.isWhole) ? nil : "no snapshot"
  }

  func close() async throws {
    await client.close()
    try await cluster.stopAll()
  }

  // MARK: A cell

  /// Nil where the fault would change nothing.
  func run(_ field: StorageField, _ fault: StorageFault) async throws -> Row? {
    try FileManager.default.removeItem(atPath: directory)
    try FileManager.default.copyItem(atPath: image.path, toPath: directory)
    guard try fault.apply(to: field, in: directory) else { return nil }
    let reader = fault.reader(field, in: directory)
    let detected = detected(reader)
    let begun = ContinuousClock.now
    let log = InMemoryLogHandler()
    do {
      try cluster.start(
        victim, logger: Logger(label: "victim") { _ in log }, reader: reader, seed: Self.seed)
    } catch {
      return Row(
        field: field, fault: fault, detected: detected ?? "at the start",
        outcome: "refused: \(error)", isRight: false)
    }
    let isSuspect = try await cluster.status(victim)?.suspicion != nil
    let isLogged = log.entries.contains { $0.level == .warning }
    let isRepaired = try await isRepaired()
    let milliseconds = (ContinuousClock.now - begun) / .milliseconds(1)
    try await cluster.stop(victim)
    let left = try DirectoryInspection(directory: directory).doubt
    var row = Row(
      field: field, fault: fault, detected: "", outcome: "", milliseconds: milliseconds,
      isRight: isRepaired && left == nil)
    row.outcome =
      isRepaired
      ? left.map { "NOT DURABLE: \($0)" } ?? String(format: "%.0f ms", milliseconds)
      : "NOT REPAIRED"
    if let detected, isLogged {
      row.detected = "\(isSuspect ? "suspect" : "logged"): \(detected)"
    } else if let detected {
      row.detected = "inspect: \(detected)"
    } else if let harmless = field.harmless, isSame(field, fault), !isSuspect {
      row.detected = "no need: \(harmless)"
      row.isHarmless = true
    } else {
      row.detected = isSuspect ? "suspect: at the start" : "NOT DETECTED"
      row.isRight = row.isRight && isSuspect
    }
    return row
  }

  /// What `rsl inspect` says.
  private func detected(_ reader: FileReader) -> String? {
    do {
      let found = try DirectoryInspection(directory: directory, reader: reader)
      let more = found.problems.count > 1 ? " and \(found.problems.count - 1) more" : ""
      return found.problems.first.map { $0 + more }
    } catch {
      return "\(error)"
    }
  }

  /// Whether recovery's result is that of the undamaged image: done again, since the replica has changed its directory.
  private func isSame(_ field: StorageField, _ fault: StorageFault) -> Bool {
    do {
      try FileManager.default.removeItem(atPath: directory)
      try FileManager.default.copyItem(atPath: image.path, toPath: directory)
      _ = try fault.apply(to: field, in: directory)
      let reader = fault.reader(field, in: directory)
      let found = try DirectoryInspection(directory: directory, reader: reader)
      let journal = try Self.recover(directory, reader, found)
      return journal?.durable == pristineJournal?.durable
        && journal?.highestSlot == pristineJournal?.highestSlot && journal?.damages == []
        && found.snapshots == pristine.snapshots
    } catch {
      return false
    }
  }

  private static func recover(
    _ directory: String, _ reader: FileReader, _ found: DirectoryInspection
  ) throws -> RecoveredJournal? {
    let newest = found.snapshots.filter(\.isWhole).max { $0.slot! < $1.slot! }
    let snapshot = newest.map {
      SnapshotInfo(
        slot: Slot($0.slot!), length: $0.contentBytes!, digest: UInt64($0.checksum!, radix: 16)!)
    }
    return try RecoveredFiles.withSegments(in: directory, reader) { segments in
      try JournalRecovery.recover(segments, identity: identity, snapshot: snapshot ?? .none)
    }
  }

  /// It votes again, and has everything that was acknowledged, also while it was repaired.
  private func isRepaired() async throws -> Bool {
    puts += 1
    guard try await client.put(1, [UInt8(truncatingIfNeeded: puts)]) == puts else { return false }
    let end = ContinuousClock.now + .seconds(30)
    while ContinuousClock.now < end {
      let mine = try await cluster.status(victim)
      let theirs = [try await cluster.status(others[0]), try await cluster.status(others[1])]
      if let mine, mine.suspicion == nil,
        theirs.allSatisfy({ $0?.appliedUpTo == mine.appliedUpTo && $0?.digest == mine.digest })
      {
        return true
      }
      // What is waited for happens on other threads and tells nobody.
      try await Task.sleep(for: .milliseconds(2))
    }
    return false
  }

  /// Its vote decides: everything is there that was acknowledged in any cell.
  func countsEverything() async throws -> Bool {
    try cluster.start(victim, seed: Self.seed)
    guard try await isRepaired() else { return false }
    try await cluster.stop(others[0])
    puts += 1
    let isVoted = try await client.put(1, [1]) == puts
    return try await client.get(1)?.puts == puts && isVoted
  }
}
