import Foundation
import Protocol
import RSLClient
import Testing

@testable import RealRuntime

/// A replica whose directory is a copy from before, and nobody said so.
@Suite(.serialized) struct SetBackTests {
  private let files = FileManager.default

  /// What a directory was when the member had been stopped with it.
  private func copy(_ cluster: RealCluster, _ number: UInt32) throws -> String {
    let directory = cluster.configurations[Int(number) - 1].dataDirectory
    let copy = "\(cluster.directory.path)/copy"
    try files.copyItem(atPath: directory, toPath: copy)
    return copy
  }

  private func put(
    _ cluster: RealCluster, _ client: Client, _ values: ClosedRange<UInt64>
  ) async throws {
    for i in values { _ = try await client.put(i, [UInt8(truncatingIfNeeded: i)]) }
  }

  /// Waits until both others have heard of all of a journal that is durable, and that it is more than it was. Returns how far.
  private func untilAllIsHeard(
    _ cluster: RealCluster, of victim: UInt32, beyond mark: JournalMark
  ) async throws -> JournalMark {
    var (durable, heard) = (JournalMark.zero, [JournalMark]())
    do {
      try await cluster.until("the others have heard of all of \(victim)'s journal") {
        durable = try await cluster.status(victim)?.journalDurable ?? .zero
        heard = []
        for other in [1, 2, 3] as [UInt32] where other != victim {
          let peers = try await cluster.status(other)?.peers ?? []
          heard.append(peers.first { $0.id == ReplicaID(victim) }?.durable ?? .zero)
        }
        return durable > mark && heard.allSatisfy { $0 == durable }
      }
    } catch {
      Issue.record("was at \(mark), is durable up to \(durable), they have heard of \(heard)")
      throw error
    }
    return durable
  }

  private func endOfAFailure(_ cluster: RealCluster, _ number: UInt32) async throws -> HostFailure?
  {
    do {
      try await cluster.node(number).ended()
      return nil
    } catch {
      return error as? HostFailure
    }
  }

  enum Way: CaseIterable, Sendable {
    case copyFromBefore, formattedAgain
    /// Damaged as well, in a way that leaves less to be doubted than has been forgotten.
    case damagedCopy
  }

  @Test(.timeLimit(.minutes(5)), arguments: Way.allCases)
  func isFoundByWhatPeersRemember(way: Way) async throws {
    let cluster = try RealCluster(3, "set-back-\(way)")
    try cluster.startAll()
    let client = cluster.client
    try await put(cluster, client, 1...20)
    let victim = try await cluster.leader() % 3 + 1
    let configuration = cluster.configurations[Int(victim) - 1]
    let directory = configuration.dataDirectory
    let first = try await untilAllIsHeard(cluster, of: victim, beyond: .zero)
    try await cluster.stop(victim)
    let copy = try copy(cluster, victim)
    // The same directory is what peers remember: nothing is found. They hear of this life, though nothing is written in it.
    try cluster.start(victim)
    let second = try await untilAllIsHeard(cluster, of: victim, beyond: first)
    try await put(cluster, client, 21...40)
    _ = try await untilAllIsHeard(cluster, of: victim, beyond: second)
    #expect(try await cluster.status(victim)?.suspicion == nil)
    try await cluster.stop(victim)

    try files.removeItem(atPath: directory)
    switch way {
    case .copyFromBefore: try files.moveItem(atPath: copy, toPath: directory)
    case .formattedAgain:
      try DataDirectory.format(
        directory, cluster: RealCluster.cluster, replica: configuration.replica)
    case .damagedCopy:
      try files.moveItem(atPath: copy, toPath: directory)
      try DamageTests.harm(.flip, directory)
      let doubt = try #require(try DirectoryInspection(directory: directory).doubt)
      #expect(!doubt.contains("promise"), "a suspect that believes to know every promise: \(doubt)")
    }
    try cluster.start(victim)
    guard case .setBack(_, let heard, let found) = try await endOfAFailure(cluster, victim) else {
      Issue.record("it went on, or ended in another way")
      return
    }
    #expect(heard > found)
    #expect(way == .formattedAgain ? found == .zero : found > .zero)
    #expect(try SightingDesk.note.read(in: directory) != nil)

    // The next start knows, and its peers repair it.
    try cluster.start(victim)
    try await put(cluster, client, 41...60)
    try await cluster.until("cured") {
      let status = try await cluster.status(victim)
      return status != nil && status?.suspicion == nil
    }
    try await cluster.until("the note is gone") {
      try SightingDesk.note.read(in: directory) == nil
    }
    // With one of the others down its vote decides, and everything acknowledged is there.
    let other = try #require(([1, 2, 3] as [UInt32]).first { $0 != victim })
    try await cluster.stop(other)
    try await put(cluster, client, 61...70)
    for key in 1...70 as ClosedRange<UInt64> {
      #expect(try await client.get(key)?.value == [UInt8(key)])
    }
    // And it is one of the others again when it starts once more.
    try await cluster.stop(victim)
    try cluster.start(victim)
    try await put(cluster, client, 71...75)
    #expect(try await cluster.status(victim)?.suspicion == nil)
    await client.close()
    try await cluster.stopAll()
  }
}
