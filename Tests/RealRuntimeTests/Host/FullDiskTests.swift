import Foundation
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// Three processes on disks of 64 MiB, which fill up.
@Suite(
  .serialized, .enabled(if: SmallDisk.isPossible, "\(SmallDisk.obstacle ?? "")"),
  .timeLimit(.minutes(5)))
struct FullDiskTests {
  private final class Rig {
    // Unmounted before the folder goes: in the order of these lines.
    let disks: [SmallDisk]
    let folder = TemporaryDirectory("full")
    let cluster: LocalCluster
    let client: Client
    /// By key: how many puts were acknowledged, and how many may have been performed.
    var acknowledged: [UInt64: UInt64] = [:]
    var unknown: [UInt64: UInt64] = [:]

    /// - Parameter isShared: one disk for all of them; else each has its own.
    init(isShared: Bool = false) throws {
      let path = folder.path
      let places = isShared ? [path] : (1...3).map { "\(path)/replica-\($0)" }
      disks = try places.map { try SmallDisk(at: $0, bytes: 64 << 20) }
      var options = LocalCluster.Options(directory: path)
      options.executable = RslProcess.url.path
      options.flags = [
        "--journal-segment-bytes", "1MiB", "--batch-bytes-max", "64KiB", "--log-bytes", "4MiB",
        "--snapshot-tail-slots", "16",
      ]
      cluster = try LocalCluster(options)
      try cluster.start()
      client = cluster.client
    }

    func put(_ key: UInt64, bytes: Int = 4_096) async throws {
      do {
        let count = try await client.put(
          key, [UInt8](repeating: UInt8(truncatingIfNeeded: key), count: bytes))
        acknowledged[key, default: 0] += 1
        #expect(count >= acknowledged[key]!)
      } catch ClientError.unknownOutcome(let rejection) {
        unknown[key, default: 0] += 1
        throw ClientError.unknownOutcome(rejection)
      }
    }

    /// Every acknowledged put was performed, once, and no other than those nobody knows of.
    func verify() async throws {
      for (key, count) in acknowledged {
        let found = try #require(try await client.get(key), "key \(key) is gone")
        #expect(found.puts >= count && found.puts <= count + unknown[key, default: 0])
      }
    }

    func status(_ replica: LocalCluster.Replica) async -> NodeStatus? {
      try? await AdminClient(endpoint: replica.admin).status()
    }

    func leader() async throws -> LocalCluster.Replica {
      var found: LocalCluster.Replica?
      try await until("somebody leads") {
        for replica in self.cluster.replicas where found == nil && replica.pid != nil {
          if await self.status(replica)?.role == "leader" { found = replica }
        }
        return found != nil
      }
      return found!
    }

    /// The time limit of the suite ends a vain wait.
    func until(_ what: Comment, _ condition: () async throws -> Bool) async throws {
      while try await !condition() {
        for replica in cluster.replicas {
          guard let status = cluster.ended(replica) else { continue }
          Issue.record("\(replica.id) ended (\(status)): \(replica.lastLine)")
          throw CancellationError()
        }
        do { try await Task.sleep(for: .milliseconds(20)) } catch {
          Issue.record("never: \(what)")
          throw error
        }
      }
    }

    /// Puts until one is refused for want of room; returns the error, and how long that put took.
    func putUntilFull() async throws -> (ClientError, Duration) {
      for i in 0..<100_000 as Range<UInt64> {
        let begin = ContinuousClock.now
        do {
          try await put(i % 16)
        } catch let error as ClientError {
          return (error, ContinuousClock.now - begin)
        }
      }
      throw CancellationError()
    }

    func end() async {
      await client.close()
      cluster.stop()
    }
  }

  @Test func whereAllDisksAreFullCommandsAreRefusedAndReadsGoOn() async throws {
    let rig = try Rig()
    for key in 0..<16 as Range<UInt64> { try await rig.put(key) }
    for disk in rig.disks { try disk.fill() }
    let (error, time) = try await rig.putUntilFull()
    #expect(error == .noRoom || error == .unknownOutcome(.noRoom))
    #expect(time < .seconds(1), "\(time)")
    // From now on nothing is sent that could be performed.
    for _ in 0..<5 {
      let begin = ContinuousClock.now
      await #expect(throws: ClientError.noRoom) { try await rig.put(3) }
      #expect(ContinuousClock.now - begin < .seconds(1))
    }
    try await rig.verify()
    let leader = try await rig.leader()
    let status = try #require(await rig.status(leader))
    #expect(status.noRoom?.contains(leader.folder) == true, "\(status.noRoom ?? "nil")")
    #expect(status.rejections["noRoom"] ?? 0 > 0)
    #expect(
      StatusText.overview([(leader.admin, .success(status))]).last?.contains("no room") == true)
    // Promises still fit: another one leads, and answers. The one that was killed comes back.
    rig.cluster.kill(leader)
    var other = leader
    try await rig.until("another one leads") {
      other = try await rig.leader()
      return other.id != leader.id
    }
    try await rig.verify()
    try rig.cluster.start(leader)
    try await rig.until("it is back") { await rig.status(leader)?.leader == other.id.rawValue }
    await #expect(throws: ClientError.noRoom) { try await rig.put(3) }
    // Room: it goes on by itself.
    for disk in rig.disks { disk.free() }
    try await rig.until("commands are taken again") {
      do {
        try await rig.put(3)
        return true
      } catch ClientError.noRoom { return false }
    }
    for key in 0..<16 as Range<UInt64> { try await rig.put(key) }
    try await rig.until("everybody has room") {
      for replica in rig.cluster.replicas where await rig.status(replica)?.noRoom != nil {
        return false
      }
      return true
    }
    try await rig.verify()
    // And all of it is on the disks.
    for replica in rig.cluster.replicas { rig.cluster.kill(replica) }
    try rig.cluster.start()
    try await rig.verify()
    await rig.end()
  }

  @Test func aDiskThatTheReplicasFillThemselvesCanBeMadeLarger() async throws {
    let rig = try Rig(isShared: true)
    var key: UInt64 = 0
    var refused: ClientError?
    var time = Duration.zero
    while refused == nil {
      key += 1
      let begin = ContinuousClock.now
      do { try await rig.put(key, bytes: 16 << 10) } catch let error as ClientError {
        refused = error
        time = ContinuousClock.now - begin
      }
    }
    #expect(refused == .noRoom || refused == .unknownOutcome(.noRoom))
    #expect(time < .seconds(1), "\(time)")
    // Snapshots and journals of three replicas fit, and not much more than once.
    #expect(key > 400 && key < 4_096, "\(key)")
    try await rig.verify()
    // All of them die, and come back out of their reserve.
    for replica in rig.cluster.replicas { rig.cluster.kill(replica) }
    try rig.cluster.start()
    try await rig.verify()
    try rig.disks[0].resize(bytes: 128 << 20)
    try await rig.until("commands are taken again") {
      do {
        try await rig.put(key + 1)
        return true
      } catch ClientError.noRoom { return false } catch ClientError.unknownOutcome(.noRoom) {
        return false
      }
    }
    for key in 0..<100 as Range<UInt64> { try await rig.put(10_000 + key, bytes: 16 << 10) }
    try await rig.verify()
    await rig.end()
  }

  @Test func aLeaderWhoseDiskIsFullHandsOver() async throws {
    let rig = try Rig()
    for key in 0..<16 as Range<UInt64> { try await rig.put(key) }
    let first = try await rig.leader()
    let disk = rig.disks[Int(first.id.rawValue) - 1]
    try disk.fill()
    // Another one leads, and commands go on: two of three have room.
    var refusals = 0
    try await rig.until("another one leads, and takes commands") {
      for key in 0..<16 as Range<UInt64> {
        do { try await rig.put(key) } catch ClientError.noRoom {
          refusals += 1
        } catch ClientError.unknownOutcome(.noRoom) { refusals += 1 }
      }
      let status = await rig.status(first)
      return status?.noRoom != nil && status?.role == "follower"
    }
    #expect(refusals < 50)
    for key in 0..<16 as Range<UInt64> { try await rig.put(key) }
    let second = try await rig.leader()
    #expect(second.id != first.id)
    try await rig.until("its peers know") {
      let peers = await rig.status(second)?.peers ?? []
      return peers.contains { $0.id == first.id.rawValue && $0.isShortOfRoom }
    }
    // Far more than the reserve of the full one takes.
    for i in 0..<2_000 as Range<UInt64> { try await rig.put(i % 16) }
    #expect(await rig.status(first)?.role == "follower")
    disk.free()
    let target = try #require(await rig.status(second)).appliedUpTo
    try await rig.until("it has caught up") {
      let status = await rig.status(first)
      return status?.noRoom == nil && status?.appliedUpTo ?? 0 >= target
    }
    try await rig.verify()
    await rig.end()
  }
}
