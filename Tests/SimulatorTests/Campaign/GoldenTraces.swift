import Protocol

@testable import Simulator

/// A situation worth reading step by step: a small cluster without jitter, disturbed by hand.
///
/// The trace begins and ends where the story does, and shows only the nodes that play a part in it.
struct GoldenTrace: Sendable {
  var name: String
  /// What to look for; the head of the file.
  var story: [String]
  var nodes: [Int]
  /// One way of a packet.
  var delay = TimeSpan.microseconds(50)
  var snapshotInterval = 256
  /// Whether clients play a part.
  var showsClients = true
  var play: @Sendable (inout Stage) -> Void

  static let all = [election, steadyPipeline, failOver, catchUp, snapshotInstall, tornFlush]

  /// The file's content.
  func render() -> String {
    var stage = Stage(delay, snapshotInterval: snapshotInterval)
    play(&stage)
    let shown = nodes.map { "n\($0)" }
    let lines = stage.taken.filter { line in
      let words = line.split(separator: " ")
      guard words.count > 2, shown.contains(String(words[1])) else { return false }
      return showsClients || !words.contains("client") && words[2] != "reject"
    }
    return (story.map { "# \($0)" } + [""] + lines).joined(separator: "\n") + "\n"
  }

  // MARK: The situations

  static let election = GoldenTrace(
    name: "election",
    story: [
      "Election of the first leader among three replicas.",
      "Look for: pre-vote, Prepare on every acceptor, each Promise behind its flush, the first heartbeats.",
    ], nodes: [0, 1, 2], showsClients: false
  ) { stage in
    stage.advance { $0.leader != nil && $0.followers == 2 }
    stage.cut()
  }

  static let steadyPipeline = GoldenTrace(
    name: "steady-pipeline",
    story: [
      "A leader with several slots in flight.",
      "Look for: an Accept for the next slot before the one below it is chosen, votes behind their flush,",
      "the chosen watermark that travels with later messages, replies after the slot was applied.",
    ], nodes: [0, 1, 2], delay: .milliseconds(10)
  ) { stage in
    stage.settle()
    stage.begin()
    let slot = stage.applied + 4
    stage.advance { $0.applied >= slot }
    stage.cut()
  }

  static let failOver = GoldenTrace(
    name: "fail-over",
    story: [
      "The leader dies with two slots in flight, of which only the second reached anybody.",
      "Look for: the next leader's Prepare over its whole window, the vote that one Promise reports,",
      "a no-op for the gap below it, and the vote's value proposed again at the new ballot.",
    ], nodes: [0, 1, 2], showsClients: false
  ) { stage in
    stage.settle()
    stage.begin()
    let leader = stage.leader!
    let others = stage.replicas.filter { $0 != leader }
    // The first slot reaches nobody, the second one follower.
    let first = stage.cutLinks(from: leader, to: others)
    let slot = stage.highest(leader)
    stage.advance { $0.highest(leader) > slot }
    stage.simulation.restoreLinks(first)
    _ = stage.cutLinks(from: leader, to: [others[0]])
    stage.advance { $0.highest(others[1]) > slot + 1 && $0.isIdle(others[1]) }
    stage.simulation.crashNow(leader)
    stage.advance { $0.leader != nil && $0.leader != leader && $0.applied > slot + 1 }
    stage.cut()
  }

  static let catchUp = GoldenTrace(
    name: "catch-up",
    story: [
      "A follower that was cut off comes back while its slots are still in its peers' memory.",
      "Look for: the watermark that shows the gap, the fetch after a moment's patience, the slots, and that",
      "they are journalled and applied without a vote of this follower.",
    ], nodes: [2], showsClients: false
  ) { stage in
    stage.settle()
    let behind = stage.follower
    let links = stage.isolate(behind)
    let slot = stage.applied + 5
    stage.advance { $0.applied >= slot }
    stage.begin()
    stage.simulation.restoreLinks(links)
    stage.advance { $0.appliedUpTo(behind) >= slot }
    stage.cut()
  }

  static let snapshotInstall = GoldenTrace(
    name: "snapshot-install",
    story: [
      "A follower comes back after its peers have truncated what it lacks.",
      "Look for: the snapshot that a peer offers instead of slots, its chunks one by one, the install, and",
      "the slots behind it.",
    ], nodes: [2], snapshotInterval: 8, showsClients: false
  ) { stage in
    stage.settle()
    let behind = stage.follower
    let links = stage.isolate(behind)
    let slot = stage.applied
    stage.advance { $0.truncatedEverywhereElse(behind) > slot + 1 }
    stage.begin()
    stage.simulation.restoreLinks(links)
    stage.advance { $0.appliedUpTo(behind) > slot + 8 && !$0.isInstalling(behind) }
    stage.cut()
  }

  static let tornFlush = GoldenTrace(
    name: "torn-flush",
    story: [
      "A follower loses power in the middle of a flush; of what was not yet durable, half a write remains.",
      "Look for: no Accepted left before the power failed, the restart that drops the torn tail, and slot 7:",
      "its vote is gone, so the watermark alone does not teach it, and it comes from the leader.",
    ], nodes: [2], showsClients: false
  ) { stage in
    stage.settle()
    let victim = stage.follower
    stage.begin()
    stage.advance { !$0.isIdle(victim) }
    let torn = stage.simulation.world.faults[.writeTorn]
    stage.simulation.crashNow(victim)
    precondition(stage.simulation.world.faults[.writeTorn] > torn, "nothing was torn")
    let slot = stage.appliedUpTo(victim) + 2
    stage.simulation.restartNow(victim)
    stage.advance { $0.appliedUpTo(victim) >= slot }
    stage.cut()
  }
}

/// The cluster that golden traces are taken from, and what they ask of it.
struct Stage {
  var simulation: Simulation<PaxosSystem>
  private(set) var taken: [String] = []
  private var begun = 0

  init(_ delay: TimeSpan, snapshotInterval: Int) {
    var options = PaxosOptions()
    options.profile = .calm
    options.replicas = 3
    options.commands = 400
    options.trace = TraceOptions(full: true)
    var replica = ReplicaOptions()
    replica.windowSlots = 4
    replica.logSlots = snapshotInterval * 4
    replica.batchCommandsMax = 1
    replica.snapshotInterval = snapshotInterval
    replica.snapshotTailSlots = 4
    replica.snapshotChunkBytes = 256
    replica.retransmitInterval = .milliseconds(400)
    replica.catchUpDelay = .milliseconds(5)
    options.replicaOptions = replica
    options.adjustPlan = { plan in
      plan = FaultPlan()
      plan.delayBase = delay.nanoseconds / 1_000
      plan.delayJitter = 0
      plan.flushJitter = 0
      plan.flushBase = 100
      plan.safetyDuration = 1_000_000_000
      plan.downMinimum = 60_000_000
      plan.downMaximum = 60_000_000
      // A crash tears whatever was not flushed, always in the same way.
      plan.crashWrites = 2
      plan.tornWrite = 1_000_000
      plan.tornGranularity = 8
    }
    simulation = PaxosSimulation.make(seed: 1, options)
  }

  /// Handles events until `goal` holds. A golden trace that never gets there is broken.
  mutating func advance(until goal: (Stage) -> Bool) {
    var events = 0
    while !goal(self) {
      precondition(simulation.advance(), "the run ended before the story did")
      events += 1
      precondition(events < 1_000_000, "the story does not end")
    }
  }

  /// A leader that everybody follows, and a few slots on everybody.
  mutating func settle() {
    advance { stage in
      stage.leader != nil && stage.followers == 2
        && stage.replicas.allSatisfy { stage.appliedUpTo($0) >= Slot(6) }
    }
  }

  /// The trace begins here.
  mutating func begin() { begun = simulation.world.trace.lines.count }
  /// And ends here.
  mutating func cut() { taken = Array(simulation.world.trace.lines[begun...]) }

  // MARK: Questions

  var replicas: [NodeIndex] { Array(simulation.world.nodes) }
  private func node(_ index: NodeIndex) -> PaxosNode { simulation.system.nodes[index.index] }

  var leader: NodeIndex? {
    replicas.first { node($0).isRunning && node($0).replica.role == .leader }
  }
  /// Replicas that follow the leader there is.
  var followers: Int {
    replicas.filter { index in
      node(index).isRunning && node(index).replica.role == .follower
        && node(index).replica.leader != nil
    }.count
  }
  /// n2 unless it leads.
  var follower: NodeIndex {
    precondition(leader != NodeIndex(2), "the stories are told of n2 as a follower")
    return NodeIndex(2)
  }
  var applied: Slot { replicas.map { appliedUpTo($0) }.max()! }
  func appliedUpTo(_ index: NodeIndex) -> Slot { node(index).replica.window.appliedUpTo }
  func highest(_ index: NodeIndex) -> Slot { node(index).replica.window.highestUsed }
  func isIdle(_ index: NodeIndex) -> Bool { node(index).flushes.isEmpty }
  func isInstalling(_ index: NodeIndex) -> Bool { node(index).replica.activity == .installing }
  func truncatedEverywhereElse(_ index: NodeIndex) -> Slot {
    replicas.filter { $0 != index }.map { node($0).replica.window.truncatedUpTo }.min()!
  }

  // MARK: Disturbances

  mutating func cutLinks(from sender: NodeIndex, to receivers: [NodeIndex]) -> UInt32 {
    var cuts = LinkCuts(endpoints: simulation.world.endpointCount)
    for receiver in receivers { cuts.cut(from: sender, to: receiver) }
    return simulation.cutLinks(cuts)
  }

  mutating func isolate(_ victim: NodeIndex) -> UInt32 {
    var cuts = LinkCuts(endpoints: simulation.world.endpointCount)
    cuts.cut(
      between: [victim], and: simulation.world.endpoints.subtracting(NodeSet([victim])))
    return simulation.cutLinks(cuts)
  }
}

extension Slot {
  fileprivate static func + (slot: Slot, count: UInt64) -> Slot { Slot(slot.rawValue + count) }
}
