import Foundation
import Protocol
import RSLClient
import RealRuntime
import Testing

/// `rsl recover`: a replica whose disk is gone comes back, with real processes.
@Suite(.serialized, .timeLimit(.minutes(20))) struct RecoverCommandTests {
  private static func cluster(_ folder: URL, _ replicas: Int = 3) throws -> LocalCluster {
    var options = LocalCluster.Options(directory: folder.path)
    options.replicas = replicas
    options.executable = RslProcess.url.path
    return try LocalCluster(options)
  }

  private static func recover(
    _ replica: LocalCluster.Replica, _ flags: String...
  ) async throws -> RslProcess.Result {
    try await RslProcess.run(["recover"] + flags + replica.flags)
  }

  private static func status(_ replica: LocalCluster.Replica) async -> NodeStatus? {
    try? await AdminClient(endpoint: replica.admin).status()
  }

  private static func log(_ replica: LocalCluster.Replica) throws -> String {
    try String(contentsOfFile: replica.logPath, encoding: .utf8)
  }

  @Test func aWipedReplicaIsCuredUnderLoad() async throws {
    try await withFolder { folder in
      let cluster = try Self.cluster(folder)
      try cluster.start()
      let client = cluster.client
      for i in 1...40 as ClosedRange<UInt64> {
        #expect(try await client.put(i % 5, [UInt8(i)]) == (i + 4) / 5)
      }
      let victim = cluster.replicas[2]
      cluster.kill(victim)
      try FileManager.default.removeItem(atPath: victim.folder)
      let made = try await Self.recover(victim, "--wiped", "--confirm-lost-votes")
      #expect(made.status == 0, "\(made.errors)")
      #expect(made.output.contains("replica r3 rejoins without a voice"), "\(made.output)")
      let inspected = try await RslProcess.run("inspect", victim.folder)
      #expect(
        inspected.status == 2 && inspected.output.contains("any vote may be lost, and a promise"),
        "\(inspected.output)\(inspected.errors)")

      // One other is down as well: it has nobody to learn everything from, and two of three choose nothing.
      let third = cluster.replicas[1]
      cluster.kill(third)
      try cluster.start(victim)
      try await waitUntil("it says what it waits for") {
        await Self.status(victim)?.suspicion?.contains("r2") == true
      }
      try cluster.start(third)
      for i in 41...80 as ClosedRange<UInt64> {
        #expect(try await client.put(i % 5, [UInt8(i)]) == (i + 4) / 5)
      }
      try await waitUntil("it votes again") {
        guard let status = await Self.status(victim) else { return false }
        return status.suspicion == nil
      }
      try await waitUntil("it says so") { try Self.log(victim).contains("cured: votes again") }

      // Its vote decides, and it knows what was chosen before it was there.
      cluster.kill(cluster.replicas[0])
      for i in 81...120 as ClosedRange<UInt64> {
        #expect(try await client.put(i % 5, [UInt8(i)]) == (i + 4) / 5)
      }
      for key in 0..<5 as Range<UInt64> { #expect(try await client.get(key)?.puts == 24) }
      await client.close()
      #expect(cluster.stop(victim) == 0)
      let sound = try await RslProcess.run("inspect", victim.folder)
      #expect(sound.status == 0, "\(sound.errors)")
      cluster.stop()
    }
  }

  @Test func whatMayNotBeRecoveredIsRefusedInALine() async throws {
    try await withFolder { folder in
      let replica = try Self.cluster(folder).replicas[0]
      func refusal(_ flags: String...) async throws -> String {
        let result = try await RslProcess.run(["recover"] + flags + replica.flags)
        #expect(result.status == 1 && result.output == "", "\(result)")
        #expect(result.errors.split(separator: "\n").count == 1, "\(result.errors)")
        return result.errors
      }
      #expect(try await refusal().contains("say what was lost: --wiped"))
      let both = try await refusal("--wiped", "--last-survivor", folder.path)
      #expect(both.contains("say what was lost"))
      let risk = try await refusal("--wiped")
      #expect(risk.contains("will not vote before r2, r3 have all answered, 2 of them sound"))
      #expect(risk.contains("rsl recover --wiped --cluster") && risk.hasSuffix("-votes\n"))
      #expect(!FileManager.default.fileExists(atPath: replica.folder))

      try FileManager.default.createDirectory(
        atPath: replica.folder, withIntermediateDirectories: false)
      try Data([1]).write(to: URL(filePath: replica.folder + "/mine"))
      let confirmed = ["--wiped", "--confirm-lost-votes"]
      #expect(
        try await refusal(confirmed[0], confirmed[1]).contains("is not empty (it holds mine)"))
      try FileManager.default.removeItem(atPath: replica.folder + "/mine")
      #expect(try await RslProcess.run(["recover"] + confirmed + replica.flags).status == 0)
      #expect(
        try await refusal(confirmed[0], confirmed[1]).contains("is a replica's directory already"))

      let alone = try Self.cluster(folder.appending(path: "alone"), 1).replicas[0]
      let result = try await Self.recover(alone, "--wiped", "--confirm-lost-votes")
      #expect(result.status == 1 && result.errors.contains("is the only member"), "\(result)")
      #expect(!FileManager.default.fileExists(atPath: alone.folder))
    }
  }

  // MARK: A lost majority

  private static func puts(
    _ client: Client, _ numbers: ClosedRange<UInt64>, before: UInt64
  ) async throws {
    for i in numbers {
      #expect(try await client.put(i % 5, [UInt8(i)]) == (before + i + 4) / 5)
    }
  }

  /// Two of three directories are gone for good. What the third one had is all there in a new cluster, no member of which
  /// chooses anything without it; the old members have no part in it.
  @Test func aNewClusterIsFoundedOnTheLastSurvivor() async throws {
    try await withFolder { folder in
      let old = try Self.cluster(folder.appending(path: "old"))
      try old.start()
      let oldClient = old.client
      try await Self.puts(oldClient, 1...40, before: 0)
      _ = try await AdminClient(endpoint: old.replicas[0].admin).takeSnapshot()
      try await Self.puts(oldClient, 41...80, before: 0)
      await oldClient.close()
      try await waitUntil("the survivor knows all of it") {
        let reached = await Self.status(old.replicas[0])?.appliedUpTo ?? 0
        for other in old.replicas[1...] {
          guard let status = await Self.status(other), status.chosenUpTo <= reached else {
            return false
          }
        }
        return true
      }
      for replica in old.replicas { old.kill(replica) }
      let lost = folder.appending(path: "lost").path
      try FileManager.default.moveItem(atPath: old.replicas[1].folder, toPath: lost)
      try FileManager.default.removeItem(atPath: old.replicas[2].folder)

      let new = try Self.cluster(folder.appending(path: "new"))
      let survivor = new.replicas[0]
      let words = ["--last-survivor", old.replicas[0].folder]
      func recover(_ flags: [String]) async throws -> RslProcess.Result {
        try await RslProcess.run(["recover"] + words + flags + survivor.flags)
      }
      let risk = try await recover([])
      #expect(risk.status == 1 && risk.output == "", "\(risk.output)")
      #expect(risk.errors.contains("are known to be chosen, and kept"), "\(risk.errors)")
      #expect(
        risk.errors.contains("rsl recover --last-survivor \(old.replicas[0].folder) --cluster"))
      #expect(risk.errors.hasSuffix(" --confirm-lost-writes\n"), "\(risk.errors)")
      #expect(!FileManager.default.fileExists(atPath: survivor.folder))
      let made = try await recover(["--confirm-lost-writes"])
      #expect(made.status == 0, "\(made.errors)")
      let slot = try #require(made.output.firstMatch(of: /format --founded-up-to (\d+)/)?.1)
      let founded = try #require(UInt64(slot))
      #expect(founded >= 81, "registration and 80 puts: \(made.output)")
      let again = try await recover(["--confirm-lost-writes"])
      #expect(again.status == 1 && again.errors.contains("is a replica's directory already"))

      for replica in new.replicas[1...] {
        let format = try await RslProcess.run(
          ["format", "--founded-up-to", "\(founded)"] + replica.flags)
        #expect(format.status == 0, "\(format.errors)")
      }
      // Two of three, and both without the log: they choose nothing.
      try new.start(new.replicas[1])
      try new.start(new.replicas[2])
      for replica in new.replicas[1...] {
        try await waitUntil("it says what it waits for") {
          await Self.status(replica)?.suspicion?.contains("waits for slots up to \(founded)")
            == true
        }
        #expect(await Self.status(replica)?.leader == nil)
      }
      // Nor after another start.
      #expect(new.stop(new.replicas[1]) == 0)
      try new.start(new.replicas[1])
      try await waitUntil("it waits for the same") {
        await Self.status(new.replicas[1])?.suspicion?.contains("waits for slots up to \(founded)")
          == true
      }

      try new.start(survivor)
      let client = new.client
      for key in 0..<5 as Range<UInt64> {
        #expect(try await client.get(key)?.puts == 16, "key \(key)")
      }
      try await Self.puts(client, 1...40, before: 80)
      for replica in new.replicas[1...] {
        try await waitUntil("it votes") {
          guard let status = await Self.status(replica) else { return false }
          return status.suspicion == nil
        }
      }
      // From now on any two are enough.
      new.kill(survivor)
      try await Self.puts(client, 41...80, before: 80)
      for key in 0..<5 as Range<UInt64> { #expect(try await client.get(key)?.puts == 32) }
      await client.close()
      new.stop()

      // An old member's directory is the old cluster's.
      let flags = new.replicas[1].flags
      let place = try #require(flags.firstIndex(of: new.replicas[1].folder))
      let refused = try await RslProcess.run(
        ["serve"] + flags[..<place] + [lost] + flags[(place + 1)...])
      #expect(refused.status == 1, "\(refused.errors)")
      #expect(
        (refused.errors + refused.output).contains("but the configuration says cluster"),
        "\(refused.errors)\(refused.output)")
    }
  }
}
