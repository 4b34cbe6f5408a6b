import Testing

@testable import Protocol

/// Whole runs that reach every contract of the replica, the sessions and the client, and violate none.
@Suite struct ReplicaContractTests {
  @Test func aRunReachesEveryContractOfTheReplica() {
    var options = Cluster.options(
      lease: LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 100))
    options.snapshotChunkBytes = 256
    let cluster = Cluster(3, options: options).elect(1)
    cluster.run(200)
    cluster.partition([3], [1, 2])
    for _ in 0..<90 {
      cluster.command(1)
      cluster.settle()
    }
    cluster.read(1, .lease)
    cluster.read(1, .quorum)
    cluster.heal()
    cluster.run(2_000)
    #expect(cluster.state(3).count == 90)
    cluster.step(1, .transferRequested(to: ReplicaID(2)))
    cluster.run(1_000)
    #expect(cluster.leader == 2)
    // A slot learned twice, and one whose vote comes after its watermark.
    let (last, own) = (cluster[3].window.chosenUpTo, cluster[2].proposer.ballot)
    let known = cluster[3].window[last].value
    cluster.send(from: 2, to: 3, .learn(Learn(slot: last, value: known, chosenUpTo: last)))
    cluster.send(
      from: 2, to: 3, .heartbeat(Heartbeat(ballot: own, round: 999, chosenUpTo: last + 1)))
    cluster.network = []
    cluster.command(2)
    cluster.run(500)
    // A leader that goes while a vote is open, so that the next one hears of it in reports.
    cluster.command(2)
    cluster.deliver()
    cluster.crash(2)
    cluster.run(4_000)
    #expect(cluster.leader != nil)

    for contract in Contract.allCases
    where Self.handlers.contains(contract.handler) || contract == .applyPreIsChosen {
      let total = cluster.ids.reduce(0) { $0 + cluster[$1].contracts.evaluations(of: contract) }
      #expect(total > 0, "\(contract.id) was never evaluated")
    }
  }

  static let handlers: Set<Substring> = [
    "process1a", "process2a", "release", "prepare", "process1b", "lead", "propose", "process2b",
    "learner", "learn", "batcher", "preVote", "rounds", "lease", "leaseRead", "reads", "fetch",
    "transfer", "snapshotTaken", "truncate", "install", "persisted", "replica", "vote", "promise",
  ]

  @Test func everyHandlerBelongsToARun() {
    let others: Set<Substring> = [
      "admit", "record", "register", "forget", "client", "apply", "standing", "cure",
      "reportDigest", "enterReport", "foldReport",
    ]
    #expect(Set(Contract.allCases.map(\.handler)) == Self.handlers.union(others))
  }

  /// Clients, sessions and the application under loss, with sessions that are evicted.
  @Test func aRunReachesEveryContractOfSessionsAndClients() {
    var totals: [Contract: UInt64] = [:]
    for seed in 1...6 as ClosedRange<UInt64> {
      var world = LossyWorld(seed: seed, evicts: true, timeout: .milliseconds(300))
      world.play()
      #expect(world.client.contracts.violation == nil && world.app.contracts.violation == nil)
      for contract in Contract.allCases {
        totals[contract, default: 0] +=
          world.client.contracts.evaluations(of: contract)
          + world.app.contracts.evaluations(of: contract)
      }
    }
    let handlers: Set<Substring> = ["admit", "record", "register", "forget", "client"]
    let applying: Set<Contract> = [.applyPostOneAnswerPerCommand, .applyPostAdvancesByOneSlot]
    for contract in Contract.allCases
    where handlers.contains(contract.handler) || applying.contains(contract) {
      #expect(totals[contract]! > 0, "\(contract.id) was never evaluated")
    }
  }
}
