import Testing

@testable import Protocol

/// A few replicas on one thread, for tests that decide themselves what is delivered, what becomes durable, and when.
///
/// Messages queue until `deliver` or `settle`; whether one gets through is for `links` to say. Records are durable at
/// once on replicas that are in `durableAtOnce`, else when `persist` says so. The clock moves only by `advance`. After
/// every step the harness checks what must hold whatever a test does: no contract is violated, every slot is applied in
/// order and with one value everywhere, no Promise or Accepted leaves before its record is durable, and no linearizable
/// read misses what was applied anywhere before it came.
final class Cluster {
  /// One replica and the devices of its host.
  struct Node {
    var replica: Replica
    /// Handed to the journal in this life, not yet durable.
    var pending: [JournalRecord] = []
    var durable = DurableState.empty
    var durableVotes: Set<Vote> = []
    var isRunning = true
    /// Slots applied in this life's application state, as the digest of each slot's value.
    var state: [UInt64] = []
    var timer = Instant.never
    var effects: [Effect] = []
    /// Chunks stored of the running transfer.
    var stored = 0 as UInt64
    /// What its application keeps of digests, and what the replica was told of them.
    var table = DigestTable()
    var watch = DigestWatch(period: 0, own: ReplicaID(0))
    var told = DigestStanding.none
  }

  struct Vote: Hashable {
    var slot: Slot
    var ballot: Ballot
  }

  struct Served: Equatable {
    var by: UInt32
    var id: RequestID
    var appliedUpTo: Slot
  }

  struct Refused: Equatable {
    var by: UInt32
    var id: RequestID
    var reason: Rejection
  }

  private(set) var nodes: [UInt32: Node] = [:]
  let ids: [UInt32]
  let configuration: Configuration
  var options: ReplicaOptions
  var now = at(1_000)
  var network: [Envelope] = []
  /// Whether a message gets through; asked when it is delivered.
  var links: (Envelope) -> Bool = { _ in true }
  /// Replicas whose records are durable as soon as they are handed to the journal.
  var durableAtOnce: Set<UInt32>
  /// Whether a host answers `takeSnapshot` at once, and finds a transferred snapshot intact.
  var snapshotsAtOnce = true
  var snapshotsAreIntact = true
  var badSnapshots: Set<SnapshotInfo> = []
  var served: [Served] = []
  var refused: [Refused] = []
  /// Every message sent, delivered or not.
  var sent: [Envelope] = []

  /// The chosen value of each slot, by who applied it first.
  private(set) var log: [Slot: Value] = [:]
  private(set) var appliedAnywhere = Slot.zero
  private var readFloor: [RequestID: Slot] = [:]
  private var snapshots: [SnapshotInfo: [UInt64]] = [:]
  private var tables: [SnapshotInfo: DigestTable] = [:]
  /// Reports in the log buffer, by where they lie.
  private(set) var reports: [(position: UInt64, report: DigestReport)] = []
  private var nextCommand = 0 as UInt64
  private var seed = 100 as UInt64
  /// Sees every step of a replica, and the replica before it and after it.
  var observe: ((_ before: Replica, Event, EffectBuffer, _ after: Replica) -> Void)?
  /// What the effects being performed led to; they come first.
  private var followUps: [Event] = []

  init(
    _ count: UInt32, options: ReplicaOptions = Cluster.options(),
    members: [Member]? = nil
  ) {
    ids = Array(1...count)
    configuration = try! Configuration(
      voters: members ?? ids.map { Member(id: ReplicaID($0)) })
    self.options = options
    durableAtOnce = Set(ids)
    for id in ids { nodes[id] = Node(replica: make(id, .empty)) }
    for id in ids { beginDigests(id, nil) }
    for id in ids { step(id, .started) }
  }

  /// Small bounds, so that tests reach them.
  static func options(lease: LeaseOptions? = nil) -> ReplicaOptions {
    var options = ReplicaOptions()
    options.windowSlots = 8
    options.logSlots = 64
    options.snapshotInterval = 32
    options.snapshotTailSlots = 4
    options.catchUpSlots = 8
    options.lease = lease
    return options
  }

  private func make(_ id: UInt32, _ durable: DurableState) -> Replica {
    seed += 1
    return try! Replica(
      id: ReplicaID(id), configuration: configuration, options: options, durable: durable,
      seed: seed)
  }

  subscript(id: UInt32) -> Replica { nodes[id]!.replica }
  func state(_ id: UInt32) -> [UInt64] { nodes[id]!.state }
  /// What the last step of a replica asked for.
  func effects(_ id: UInt32) -> [Effect] { nodes[id]!.effects }
  func durable(_ id: UInt32) -> DurableState { nodes[id]!.durable }
  func pending(_ id: UInt32) -> [JournalRecord] { nodes[id]!.pending }

  /// Changes a replica behind its back, for tests of broken states.
  func alter(_ id: UInt32, _ change: (inout Replica) -> Void) { change(&nodes[id]!.replica) }

  // MARK: What happens

  func step(_ id: UInt32, _ event: Event) {
    guard nodes[id]!.isRunning else { return }
    var buffer = EffectBuffer()
    let before = observe == nil ? nil : nodes[id]!.replica
    nodes[id]!.replica.step(event, now: now, into: &buffer)
    if let before { observe?(before, event, buffer, nodes[id]!.replica) }
    let effects = (0..<buffer.count).map { buffer[$0] }
    nodes[id]!.effects = effects
    if let violation = nodes[id]!.replica.contracts.violation {
      Issue.record("replica \(id) violated \(violation.id) on \(event)")
    }
    for effect in effects { perform(effect, of: id) }
    let standing = nodes[id]!.watch.standing(nodes[id]!.table)
    if standing != nodes[id]!.told {
      nodes[id]!.told = standing
      followUps.append(.digestsChanged(standing))
    }
    while !followUps.isEmpty { step(id, followUps.removeFirst()) }
    if durableAtOnce.contains(id) && !nodes[id]!.pending.isEmpty { persist(id) }
  }

  /// Makes the next `count` records durable, all by default, and says so.
  func persist(_ id: UInt32, _ count: Int = .max) {
    let n = min(count, nodes[id]!.pending.count)
    for record in nodes[id]!.pending.prefix(n) {
      nodes[id]!.durable.apply(record)
      if case .accepted(let slot, let ballot, _) = record.fact {
        nodes[id]!.durableVotes.insert(Vote(slot: slot, ballot: ballot))
      }
    }
    nodes[id]!.pending.removeFirst(n)
    let position = self[id].journalPosition.rawValue - UInt64(nodes[id]!.pending.count)
    step(id, .persisted(upTo: JournalPosition(position)))
  }

  /// Loses everything that is not durable, and starts again from the rest.
  func restart(_ id: UInt32) {
    crash(id)
    nodes[id]!.isRunning = true
    nodes[id]!.replica = make(id, nodes[id]!.durable)
    nodes[id]!.state = snapshots[nodes[id]!.durable.snapshot] ?? []
    beginDigests(id, nodes[id]!.durable.snapshot)
    step(id, .started)
  }

  /// Crashes, and starts again from this instead of what is durable: what a damaged journal left of it.
  func restart(_ id: UInt32, from durable: DurableState) {
    crash(id)
    nodes[id]!.durable = durable
    restart(id)
  }

  func crash(_ id: UInt32) {
    nodes[id]!.isRunning = false
    nodes[id]!.pending = []
    nodes[id]!.timer = .never
    nodes[id]!.stored = 0
  }

  /// Delivers every queued message that fits and gets through; those it causes stay queued. The others are lost.
  func deliver(where fits: (Envelope) -> Bool = { _ in true }) {
    let batch = network
    network = []
    for envelope in batch {
      guard fits(envelope) else {
        network.append(envelope)
        continue
      }
      if links(envelope) { step(envelope.to.rawValue, .messageReceived(envelope)) }
    }
  }

  /// Delivers until nothing is on its way any more.
  func settle() {
    var rounds = 0
    while !network.isEmpty {
      deliver()
      rounds += 1
      guard rounds < 2_000 else {
        Issue.record("messages never come to an end")
        return
      }
    }
  }

  /// Lets time pass, firing timers in order and delivering everything in between.
  func run(_ milliseconds: UInt64) {
    let end = now + .milliseconds(milliseconds)
    var fired = 0
    settle()
    while let next = nodes.values.filter(\.isRunning).map(\.timer).min(), next <= end {
      now = max(now, next)
      for id in ids where nodes[id]!.isRunning && nodes[id]!.timer <= now { fire(id) }
      settle()
      fired += 1
      guard fired < 20_000 else {
        Issue.record("timers flood")
        return
      }
    }
    now = end
  }

  /// Fires one replica's timer now.
  func fire(_ id: UInt32) {
    nodes[id]!.timer = .never
    step(id, .deadlineReached)
  }

  /// Lets time pass for the clock only, and fires nothing.
  func advance(_ milliseconds: UInt64) { now = now + .milliseconds(milliseconds) }

  func send(from: UInt32, to: UInt32, _ message: Message, epoch: Epoch = Epoch(1)) {
    step(
      to,
      .messageReceived(
        Envelope(from: ReplicaID(from), to: ReplicaID(to), epoch: epoch, message: message)))
  }

  // MARK: Clients

  /// Sends a command to a replica; commands lie back to back. Returns its identity.
  @discardableResult func command(_ id: UInt32, length: UInt32 = 32) -> RequestID {
    nextCommand += 1
    let ref = makeCommand(nextCommand, length)
    step(id, .commandReceived(ref))
    return RequestID(session: ref.session, sequence: ref.sequence)
  }

  private func makeCommand(_ n: UInt64, _ length: UInt32) -> CommandRef {
    CommandRef(
      session: SessionID(1), sequence: SequenceNumber(n),
      bytes: BytesRef(position: n * 32, length: length), checksum: UInt32(n))
  }

  @discardableResult func read(_ id: UInt32, _ mode: ReadMode) -> RequestID {
    nextCommand += 1
    let request = RequestID(session: SessionID(2), sequence: SequenceNumber(nextCommand))
    if case .local = mode {} else { readFloor[request] = appliedAnywhere }
    step(id, .readReceived(request, mode))
    return request
  }

  func isServed(_ id: RequestID) -> Bool { served.contains { $0.id == id } }
  func refusal(_ id: RequestID) -> Rejection? { refused.last { $0.id == id }?.reason }

  // MARK: Short cuts

  /// The replica that leads fully, if there is exactly one.
  var leader: UInt32? {
    let all = ids.filter { nodes[$0]!.isRunning && self[$0].role == .leader }
    return all.count == 1 ? all[0] : nil
  }

  /// Has a replica stand now, whatever its deadline is.
  func stand(_ id: UInt32) {
    let deadline = self[id].deadlines[.election]
    if deadline != .never { now = max(now, deadline) }
    fire(id)
  }

  /// A replica that was stood and settled as the leader.
  @discardableResult func elect(_ id: UInt32) -> Cluster {
    stand(id)
    settle()
    #expect(self[id].role == .leader, "replica \(id) was to lead")
    return self
  }

  /// Messages between the two groups do not get through.
  func partition(_ left: Set<UInt32>, _ right: Set<UInt32>) {
    let before = links
    links = { envelope in
      let (from, to) = (envelope.from.rawValue, envelope.to.rawValue)
      let isCut =
        left.contains(from) && right.contains(to) || right.contains(from) && left.contains(to)
      return !isCut && before(envelope)
    }
  }

  func heal() { links = { _ in true } }
}

// MARK: - Effects

extension Cluster {
  private func perform(_ effect: Effect, of id: UInt32) {
    switch effect {
    case .persist(let record):
      nodes[id]!.pending.append(record)
    case .send(let to, let message):
      transmit(id, to, message)
    case .broadcast(let message):
      for other in ids where other != id { transmit(id, ReplicaID(other), message) }
    case .apply(let slot, let value):
      apply(slot, value, on: id)
    case .serveRead(let request, let appliedUpTo):
      #expect(appliedUpTo.rawValue == UInt64(nodes[id]!.state.count))
      if let floor = readFloor[request] {
        #expect(appliedUpTo >= floor, "read \(request) of replica \(id) is stale")
      }
      served.append(Served(by: id, id: request, appliedUpTo: appliedUpTo))
    case .reject(let request, let reason):
      refused.append(Refused(by: id, id: request, reason: reason))
    case .setDeadline(let deadline):
      nodes[id]!.timer = deadline
    case .takeSnapshot(let slot):
      #expect(slot.rawValue == UInt64(nodes[id]!.state.count))
      let info = snapshot(of: id)
      if snapshotsAtOnce { followUps.append(.snapshotTaken(info)) }
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      let length = min(UInt64(lengthMax), info.length - offset)
      transmit(
        id, to,
        .snapshotChunk(
          SnapshotChunk(
            snapshot: info, offset: offset,
            bytes: BytesRef(position: offset, length: UInt32(length)))))
    case .storeSnapshotChunk(let chunk, let isLast):
      if chunk.offset == 0 { nodes[id]!.stored = 0 }
      #expect(nodes[id]!.stored == chunk.offset, "chunks are stored without a gap")
      nodes[id]!.stored += UInt64(chunk.bytes.length)
      #expect(isLast == (nodes[id]!.stored == chunk.snapshot.length))
      if isLast {
        let isIntact = snapshotsAreIntact && !badSnapshots.contains(chunk.snapshot)
        followUps.append(.snapshotStored(chunk.snapshot, isValid: isIntact))
      }
    case .restoreSnapshot(let info):
      #expect(info.slot.rawValue > UInt64(nodes[id]!.state.count))
      nodes[id]!.state = snapshots[info]!
      beginDigests(id, info)
    case .truncate(let slot):
      #expect(slot.rawValue <= UInt64(nodes[id]!.state.count))
    case .roleChanged:
      break
    case .enterReport(let report):
      nextCommand += 1
      let position = nextCommand * 32
      var bytes: [UInt8] = []
      report.encode(into: &bytes)
      nextCommand += 1
      reports.append((position, report))
      followUps.append(
        .reportEntered(report.reference(to: bytes.span.bytes, position: position)))
    }
  }

  private func beginDigests(_ id: UInt32, _ info: SnapshotInfo?) {
    nodes[id]!.watch = DigestWatch(period: UInt64(options.digestPeriod), own: ReplicaID(id))
    nodes[id]!.table = info.flatMap { tables[$0] } ?? DigestTable()
    nodes[id]!.told = .none
  }

  private func applyDigests(_ slot: Slot, _ value: Value, on id: UInt32) {
    guard options.digestPeriod > 0 else { return }
    var recorder = ContractRecorder()
    let range = value.bytes.position..<value.bytes.end
    for (position, report) in reports where range.contains(position) {
      let outcome = nodes[id]!.table.take(report, in: slot, &recorder)
      nodes[id]!.watch.saw(outcome, of: report, &recorder)
    }
    #expect(recorder.violation == nil && nodes[id]!.watch.divergence == nil)
    guard nodes[id]!.watch.isDue(slot) else { return }
    nodes[id]!.watch.took(nodes[id]!.state.reduce(7) { ($0 ^ $1) &* 0x9E37_79B9 }, at: slot)
  }

  /// A snapshot of a replica's state as it is now.
  func snapshot(of id: UInt32) -> SnapshotInfo {
    let state = nodes[id]!.state
    let info = SnapshotInfo(
      slot: Slot(UInt64(state.count)), length: 1_000,
      digest: state.reduce(7) { ($0 ^ $1) &* 0x9E37_79B9_7F4A_7C15 })
    snapshots[info] = state
    tables[info] = nodes[id]!.table
    return info
  }

  /// A snapshot of the first `count` slots of a replica's state.
  func prefix(of id: UInt32, _ count: Int) -> SnapshotInfo {
    let info = SnapshotInfo(slot: Slot(UInt64(count)), length: 1_000, digest: UInt64(count))
    snapshots[info] = Array(nodes[id]!.state.prefix(count))
    return info
  }

  private func apply(_ slot: Slot, _ value: Value, on id: UInt32) {
    #expect(slot.rawValue == UInt64(nodes[id]!.state.count) + 1, "replica \(id) applies in order")
    nodes[id]!.state.append(value.digest)
    appliedAnywhere = max(appliedAnywhere, slot)
    if let chosen = log[slot] {
      #expect(chosen.isSame(as: value), "slot \(slot) was chosen with two values")
    }
    log[slot] = value
    applyDigests(slot, value, on: id)
  }

  private func transmit(_ from: UInt32, _ to: ReplicaID, _ message: Message) {
    let node = nodes[from]!
    switch message {
    case .promise(let m):
      #expect(node.durable.promised >= m.ballot, "\(m) left before its record was durable")
    case .accepted(let m):
      for n in m.firstSlot.rawValue...m.lastSlot.rawValue {
        #expect(
          node.durableVotes.contains(Vote(slot: Slot(n), ballot: m.ballot)),
          "the vote in slot \(n) left before its record was durable")
      }
    case .prepare(let m):
      #expect(node.durable.promised >= m.ballot, "\(m) left before its own promise was durable")
    default: break
    }
    let envelope = Envelope(
      from: ReplicaID(from), to: to, epoch: configuration.epoch, message: message)
    sent.append(envelope)
    network.append(envelope)
  }
}
