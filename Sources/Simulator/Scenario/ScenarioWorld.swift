internal import Protocol

/// One replica of a scenario with everything its host would keep: journal, snapshots, application, clock.
struct ScenarioNode {
  let id: ReplicaID
  /// nil while the replica is down.
  var replica: Replica?
  var now = Instant.zero
  /// What the replica asked to be woken at.
  var deadline = Instant.never
  /// How often it was started.
  var lives: UInt64 = 0

  /// Every record that is on disk or on its way there, of all lives.
  var records: [JournalRecord] = []
  /// How many of `records` survive a crash.
  var durable = 0
  /// How many records there were when this life began: positions count from there.
  var recordsBefore = 0
  /// `stabilize` and `advance` leave the journal alone.
  var isFlushHeld = false

  /// The application: what it has applied, and a digest over it.
  var applied = Slot.zero
  var state: UInt64 = 0
  /// The latest snapshot in the snapshot store: recovery begins from it.
  var snapshot = SnapshotInfo.none
  /// A snapshot that is being made.
  var snapshotBeingTaken: (slot: Slot, state: UInt64)?
  /// A transferred snapshot that is complete and not yet durable.
  var snapshotBeingStored: SnapshotInfo?
  /// The next transferred snapshot will not match its digest.
  var isTransferDamaged = false

  var digests = ScenarioDigests()
  /// It had a snapshot when it was found to have diverged.
  var isSnapshotGone = false

  var reportedViolation: Contract?

  var isFlushed: Bool { durable == records.count && snapshotBeingStored == nil }
}

/// The world of a scenario: replicas, the messages between them, and what was printed.
///
/// Nothing happens by itself. Time, delivery and flushes come from commands, so a scenario says everything about the order
/// of what happens.
struct ScenarioWorld {
  struct Flight {
    var from: Int
    var to: Int
    var message: Message
  }

  var nodes: [ScenarioNode] = []
  var configuration: Configuration?
  var options = ReplicaOptions()
  /// Sent and not yet delivered, in the order of sending.
  var flights: [Flight] = []
  /// Taken out of the network by `keep`, until `release`.
  var kept: [Flight] = []
  /// Messages between these are lost: `cut[from][to]`.
  var cut: [[Bool]] = []

  var text = PaxosText()
  /// Where the next command's bytes will lie: commands that follow one another directly can share a batch.
  var bufferEnd: UInt64 = 0
  var commands: [(name: String, command: CommandRef)] = []
  /// The last sequence number of each session, in the order the sessions appeared.
  var sequences: [(session: UInt64, last: UInt64)] = []
  /// What was applied first in each slot; every replica must apply the same.
  var chosen: [(slot: Slot, value: Value, by: Int)] = []

  /// The reads that came and the slot that the answer must cover at least.
  var reads: [(id: RequestID, bound: Slot)] = []

  /// Reports of digests by where they lie in the log buffer, and the tables of what was reported when snapshots were taken.
  var reports: [(position: UInt64, report: DigestReport)] = []
  var tables: [(slot: Slot, table: DigestTable)] = []

  var isQuiet = false
  /// Kinds of messages that are not printed.
  var hidden: [String] = []
  private var output: [String] = []

  // MARK: Output

  mutating func say(_ line: String) {
    if !isQuiet { output.append(line) }
  }

  /// Printed also while the rest is quiet.
  mutating func violation(_ line: String) { output.append("VIOLATION \(line)") }

  /// What was printed since the last time; `ok` when that is nothing.
  mutating func takeOutput() -> [String] {
    defer { output = [] }
    return output.isEmpty ? ["ok"] : output
  }

  func isHidden(_ message: Message) -> Bool { hidden.contains(PaxosText.kind(of: message)) }

  func name(_ node: Int) -> String { nodes[node].id.description }

  // MARK: Steps

  /// Whether the line about what happened is printed even if nothing came of it.
  enum Header { case always, ifEffects }

  /// One step of one replica, all its effects performed, and what happened printed.
  mutating func step(
    _ node: Int, _ event: Protocol.Event, header: String, _ printing: Header = .always
  ) {
    guard nodes[node].replica != nil else {
      say("\(header) (\(name(node)) is down)")
      return
    }
    var effects = EffectBuffer(capacity: 16)
    nodes[node].replica!.step(event, now: nodes[node].now, into: &effects)
    var lines: [String] = []
    for i in 0..<effects.count where nodes[node].replica != nil {
      perform(effects[i], of: node, &lines)
    }
    if printing == .always || !lines.isEmpty { say(header) }
    for line in lines { say("  \(line)") }
    reportContract(of: node)
    if let next = nextDigestEvent(node) {
      step(node, next, header: "\(name(node)) \(text.describe(next))")
    }
  }

  private mutating func reportContract(of node: Int) {
    guard let contract = nodes[node].replica?.contracts.violation,
      contract != nodes[node].reportedViolation
    else { return }
    nodes[node].reportedViolation = contract
    violation("\(name(node)) \(contract.id): \(contract.sentence)")
  }

  // MARK: Effects

  /// Performs one effect and adds its line, if it has one.
  private mutating func perform(_ effect: Effect, of node: Int, _ lines: inout [String]) {
    switch effect {
    case .setDeadline(let time):
      nodes[node].deadline = time
      return
    case .persist(let record):
      nodes[node].records.append(record)
    case .send(let to, let message):
      guard let target = nodes.firstIndex(where: { $0.id == to }) else { return }
      let isLost = send(message, from: node, to: target)
      if !isHidden(message) { lines.append(text.describe(effect) + (isLost ? " (lost)" : "")) }
      return
    case .broadcast(let message):
      var lost = ""
      for target in nodes.indices where target != node {
        if send(message, from: node, to: target) { lost += " \(name(target))" }
      }
      if !isHidden(message) {
        lines.append(text.describe(effect) + (lost.isEmpty ? "" : " (lost to\(lost))"))
      }
      return
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      guard let target = nodes.firstIndex(where: { $0.id == to }) else { return }
      let length = UInt32(min(UInt64(lengthMax), info.length - offset))
      let chunk = Message.snapshotChunk(
        SnapshotChunk(
          snapshot: info, offset: offset, bytes: BytesRef(position: 0, length: length)))
      let isLost = send(chunk, from: node, to: target)
      lines.append("-> \(to) \(text.describe(chunk))" + (isLost ? " (lost)" : ""))
      return
    case .storeSnapshotChunk(let chunk, let isLast):
      if isLast { nodes[node].snapshotBeingStored = chunk.snapshot }
    case .apply(let slot, let value):
      lines.append(text.describe(effect))
      apply(slot, value, at: node)
      if !applyDigests(slot, value, at: node) { quarantine(node, &lines) }
      return
    case .takeSnapshot(let slot):
      nodes[node].snapshotBeingTaken = (slot, nodes[node].state)
      tables.append((slot, nodes[node].digests.table))
    case .restoreSnapshot(let info):
      nodes[node].applied = info.slot
      nodes[node].state = info.digest
      beginDigests(node)
    case .enterReport(let report):
      enter(report, of: node)
    case .serveRead(let id, let applied):
      checkRead(id, at: applied, by: node)
    case .reject, .truncate, .roleChanged:
      break
    }
    lines.append(text.describe(effect))
  }

  /// Puts a message into the network; true when the link is cut and it is lost.
  private mutating func send(_ message: Message, from: Int, to: Int) -> Bool {
    if cut[from][to] { return true }
    flights.append(Flight(from: from, to: to, message: message))
    return false
  }

  /// The application: slots in order, and everywhere the same value.
  private mutating func apply(_ slot: Slot, _ value: Value, at node: Int) {
    if slot != nodes[node].applied.next {
      violation(
        "\(name(node)) scenario.applyInOrder: slot \(slot) applied after \(nodes[node].applied)")
    }
    nodes[node].applied = slot
    nodes[node].state = fold(nodes[node].state, value.digest)
    guard let first = chosen.first(where: { $0.slot == slot }) else {
      chosen.append((slot, value, node))
      return
    }
    if !first.value.isSame(as: value) {
      violation(
        "\(name(node)) scenario.agreement: slot \(slot) is \(text.describe(value)) here and"
          + " \(text.describe(first.value)) at \(name(first.by))")
    }
  }

  /// A read must see what it asked for: a local one its slot, any other everything that had been applied anywhere, and so
  /// may have been acknowledged, when the read came.
  private mutating func checkRead(_ id: RequestID, at applied: Slot, by node: Int) {
    guard let bound = reads.last(where: { $0.id == id })?.bound, applied < bound else { return }
    violation(
      "\(name(node)) scenario.freshRead: \(text.describe(id)) is served at slot \(applied),"
        + " but slot \(bound) was applied before it came")
  }

  private func fold(_ state: UInt64, _ word: UInt64) -> UInt64 {
    var z = state &+ 0x9E37_79B9_7F4A_7C15 ^ word
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    return z ^ (z >> 31)
  }
}
