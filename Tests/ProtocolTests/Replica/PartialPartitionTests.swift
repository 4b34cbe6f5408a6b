import Testing

@testable import Protocol

/// The scenarios of Omni-Paxos (Ng, Haridi, Carbone, EuroSys 2023 §2): whenever one replica is connected to a quorum,
/// some replica leads in the end, and goes on leading.
@Suite struct PartialPartitionTests {
  /// Lets through only what runs between the pairs.
  func connect(_ cluster: Cluster, _ pairs: [(UInt32, UInt32)]) {
    cluster.links = { e in
      pairs.contains { (a, b) in
        let ends = (e.from.rawValue, e.to.rawValue)
        return ends == (a, b) || ends == (b, a)
      }
    }
  }

  func expectProgress(_ cluster: Cluster, by leader: UInt32? = nil) throws {
    cluster.run(6_000)
    let elected = try #require(cluster.leader)
    if let leader { #expect(elected == leader) }
    let before = cluster.state(elected).count
    cluster.command(elected)
    cluster.run(500)
    #expect(cluster.state(elected).count == before + 1)
    let ballot = cluster[elected].proposer.ballot
    cluster.run(6_000)
    #expect(cluster.leader == elected && cluster[elected].proposer.ballot == ballot, "no livelock")
  }

  @Test func quorumLoss() throws {
    let cluster = Cluster(5).elect(5)
    cluster.run(300)
    connect(cluster, [(1, 2), (1, 3), (1, 4), (1, 5)])
    try expectProgress(cluster, by: 1)
  }

  @Test func constrainedElection() throws {
    let cluster = Cluster(5).elect(5)
    // Replica 1 misses what the others choose, and then is the only one that reaches a quorum.
    connect(cluster, [(5, 2), (5, 3), (5, 4)])
    for _ in 0..<6 { cluster.command(5) }
    cluster.run(300)
    #expect(cluster.state(5).count == 6 && cluster.state(1).isEmpty)
    connect(cluster, [(1, 2), (1, 3), (1, 4)])
    try expectProgress(cluster, by: 1)
    #expect(cluster.state(1).count >= 7)
  }

  @Test func constrainedElectionFarBehind() throws {
    let cluster = Cluster(5).elect(5)
    connect(cluster, [(5, 2), (5, 3), (5, 4)])
    for _ in 0..<100 {
      cluster.command(5)
      cluster.run(20)
    }
    #expect(cluster.state(5).count == 100 && cluster.state(1).isEmpty)
    connect(cluster, [(1, 2), (1, 3), (1, 4)])
    try expectProgress(cluster, by: 1)
    #expect(cluster.state(1).count == 101)
  }

  @Test func chained() throws {
    let cluster = Cluster(3).elect(2)
    cluster.run(300)
    connect(cluster, [(1, 2), (1, 3)])
    try expectProgress(cluster)
  }

  @Test func chainedWithTheLeaderInTheMiddle() throws {
    let cluster = Cluster(3).elect(1)
    cluster.run(300)
    connect(cluster, [(1, 2), (1, 3)])
    try expectProgress(cluster, by: 1)
  }

  @Test func longChain() throws {
    let cluster = Cluster(5).elect(3)
    cluster.run(300)
    connect(cluster, [(1, 2), (2, 3), (3, 4), (4, 5)])
    try expectProgress(cluster)
  }

  /// A leader that can send but not hear must not keep the others from electing one.
  @Test func deafLeader() throws {
    let cluster = Cluster(3).elect(1)
    cluster.links = { $0.to.rawValue != 1 }
    cluster.run(5_000)
    let next = try #require(cluster.ids.first { $0 != 1 && cluster[$0].role == .leader })
    cluster.command(next)
    cluster.run(300)
    #expect(cluster.state(next).count == 1)
  }

  @Test func muteLeader() throws {
    let cluster = Cluster(3).elect(1)
    cluster.links = { $0.from.rawValue != 1 }
    cluster.run(5_000)
    let next = try #require(cluster.ids.first { $0 != 1 && cluster[$0].role == .leader })
    #expect(!cluster[1].leads)
    cluster.command(next)
    cluster.run(300)
    #expect(cluster.state(next).count == 1)
  }
}
