import Protocol

/// Three replicas without a world: effects are carried out at once and in order, all journals are
/// instant, and every input of one of them is recorded.
struct Cluster {
  var replicas: [Replica] = []
  var recorded: [[Event]] = [[], [], []]
  var isRecording = false
  private var inbox: [(to: Int, event: Event)] = []
  private var effects = EffectBuffer()
  private var positions: [UInt64] = [0, 0, 0]
  private let configuration: Configuration
  private var now = Instant(nanoseconds: 1_000_000_000)
  private var sequence: UInt64 = 0

  init() {
    let members = (1...3).map { Member(id: ReplicaID(UInt32($0))) }
    guard let configuration = try? Configuration(voters: members) else {
      preconditionFailure("three voters are a configuration")
    }
    self.configuration = configuration
    for i in 0..<3 {
      guard
        let replica = try? Replica(
          id: members[i].id, configuration: configuration, options: ReplicaOptions(),
          seed: UInt64(i + 1))
      else { preconditionFailure("default options are valid") }
      replicas.append(replica)
      inbox.append((i, .started))
    }
    drain()
    while !replicas.contains(where: { $0.role == .leader }) {
      now = now + .milliseconds(100)
      for i in 0..<3 { inbox.append((i, .deadlineReached)) }
      drain()
    }
  }

  var leader: Int {
    replicas.firstIndex { $0.role == .leader } ?? 0
  }

  /// A group of commands that arrive together, and everything that follows from it.
  mutating func submit(_ commands: Int) {
    for _ in 0..<commands {
      sequence += 1
      let bytes = BytesRef(position: sequence * 64, length: 64)
      let command = CommandRef(
        session: SessionID(1), sequence: SequenceNumber(sequence), bytes: bytes,
        checksum: UInt32(truncatingIfNeeded: sequence))
      inbox.append((leader, .commandReceived(command)))
    }
    drain()
  }

  /// Time passes; heartbeats and the like.
  mutating func tick() {
    now = now + .milliseconds(100)
    inbox.append((leader, .deadlineReached))
    drain()
  }

  private mutating func drain() {
    var next = 0
    while next < inbox.count {
      let (to, event) = inbox[next]
      next += 1
      if isRecording { recorded[to].append(event) }
      effects.removeAll()
      replicas[to].step(event, now: now, into: &effects)
      let before = positions[to]
      for i in 0..<effects.count { perform(effects[i], of: to) }
      if positions[to] > before {
        inbox.append((to, .persisted(upTo: JournalPosition(positions[to]))))
      }
    }
    inbox.removeAll(keepingCapacity: true)
  }

  private mutating func perform(_ effect: Effect, of from: Int) {
    switch effect {
    case .persist: positions[from] += 1
    case .send(let to, let message): send(message, from, Int(to.rawValue) - 1)
    case .broadcast(let message): for to in 0..<3 where to != from { send(message, from, to) }
    case .takeSnapshot(let slot):
      inbox.append((from, .snapshotTaken(SnapshotInfo(slot: slot, length: 64, digest: 1))))
    case .apply, .serveRead, .reject, .setDeadline, .sendSnapshotChunk, .storeSnapshotChunk,
      .restoreSnapshot, .truncate, .roleChanged, .enterReport:
      break
    }
  }

  private mutating func send(_ message: Message, _ from: Int, _ to: Int) {
    let ids = configuration.voters
    let envelope = Envelope(
      from: ids[from].id, to: ids[to].id, epoch: configuration.epoch, message: message)
    inbox.append((to, .messageReceived(envelope)))
  }

  var time: Instant { now }
}

/// The pure step alone: a steady pipelined leader and its follower, inputs recorded beforehand and
/// replayed into copies of the replicas.
func measureStep() -> [Figure] {
  var cluster = Cluster()
  for _ in 0..<2_000 { cluster.submit(16) }
  let before = cluster.replicas
  let leader = cluster.leader
  let slots = before[leader].window.appliedUpTo
  cluster.isRecording = true
  let groups = 4_000
  for _ in 0..<groups { cluster.submit(16) }
  let commands = Double(groups * 16)
  let decided = Double(cluster.replicas[leader].window.appliedUpTo - slots)

  var figures: [Figure] = []
  for (name, n) in [("leader", leader), ("follower", (leader + 1) % 3)] {
    let events = cluster.recorded[n]
    var effects = EffectBuffer()
    var best = Double.infinity
    var allocated: UInt?
    for _ in 0..<7 {
      var replica = before[n]
      // The first events pay for the copy; they are not counted.
      let warm = events.count / 10
      replay(events[..<warm], into: &replica, at: cluster.time, &effects)
      let (count, start) = (allocations(), userSeconds())
      replay(events[warm...], into: &replica, at: cluster.time, &effects)
      best = min(best, userSeconds() - start)
      if let count, let now = allocations() { allocated = min(allocated ?? .max, now - count) }
      precondition(replica.contracts.violation == nil, "a contract is violated in the benchmark")
    }
    let steps = Double(events.count) * 0.9
    figures.append(Figure(.step, "\(name): step", best * 1e9 / steps, "ns"))
    figures.append(Figure(.step, "\(name): per command", best * 1e9 / (commands * 0.9), "ns"))
    if let allocated {
      figures.append(
        Figure(
          .step, "\(name): allocations per command", Double(allocated) / (commands * 0.9), ""))
    }
  }
  figures.append(Figure(.step, "commands per slot", commands / decided, ""))
  return figures
}

private func replay(
  _ events: ArraySlice<Event>, into replica: inout Replica, at now: Instant,
  _ effects: inout EffectBuffer
) {
  for event in events {
    effects.removeAll()
    replica.step(event, now: now, into: &effects)
  }
}
