internal import Protocol

// Time, the journal, and running until nothing moves.
extension ScenarioWorld {
  /// More deadlines than this in one command, or messages in one `stabilize`, means that something never rests.
  private static let stepsMax = 10_000

  /// Lets time pass on the clocks of `members`, together; deadlines are reached in the order of their times.
  /// - Parameter settling: deliver and flush everything after each of them (`advance`); otherwise nothing (`tick`).
  mutating func pass(_ span: TimeSpan, at members: [Int], settling: Bool) {
    let start = members.map { nodes[$0].now }
    var steps = 0
    if settling { stabilize(members) }
    while true {
      var (next, elapsed) = (-1, TimeSpan.zero)
      for (i, member) in members.enumerated() where nodes[member].replica != nil {
        let deadline = nodes[member].deadline
        guard deadline <= start[i] + span, next < 0 || deadline - start[i] < elapsed else {
          continue
        }
        (next, elapsed) = (member, deadline - start[i])
      }
      guard next >= 0 else { break }
      steps += 1
      guard steps <= Self.stepsMax else {
        return violation("\(name(next)) scenario.rest: more than \(Self.stepsMax) deadlines")
      }
      for (i, member) in members.enumerated() {
        nodes[member].now = max(nodes[member].now, start[i] + elapsed)
      }
      reachDeadline(next)
      if settling { stabilize(members) }
    }
    for (i, member) in members.enumerated() { nodes[member].now = start[i] + span }
  }

  /// Moves one clock to the deadline its replica asked for.
  mutating func wake(_ node: Int) {
    guard nodes[node].replica != nil, nodes[node].deadline != .never else {
      return say("\(name(node)) waits for no deadline")
    }
    nodes[node].now = max(nodes[node].now, nodes[node].deadline)
    reachDeadline(node)
  }

  private mutating func reachDeadline(_ node: Int) {
    nodes[node].deadline = .never
    let time = text.describe(nodes[node].now)
    step(node, .deadlineReached, header: "\(name(node)) deadline reached at \(time)", .ifEffects)
  }

  /// Delivers every message among `members` and flushes their journals, again and again, until neither changes anything.
  mutating func stabilize(_ members: [Int]) {
    var steps = 0
    while true {
      let isMember = { (flight: Flight) in
        members.contains(flight.from) && members.contains(flight.to)
      }
      if let i = flights.firstIndex(where: isMember) {
        deliver(flights.remove(at: i))
      } else if let node = members.first(where: { canFlush($0) }) {
        for member in members where member >= node && canFlush(member) { flush(member) }
      } else {
        return
      }
      steps += 1
      guard steps <= Self.stepsMax else {
        return violation("scenario.rest: not quiet after \(Self.stepsMax) steps")
      }
    }
  }

  private func canFlush(_ node: Int) -> Bool {
    nodes[node].replica != nil && !nodes[node].isFlushHeld && !nodes[node].isFlushed
  }

  // MARK: Journal

  /// Makes records durable, all of them or the first `limit` that are not, then a transferred snapshot.
  mutating func flush(_ node: Int, limit: Int = .max) {
    guard nodes[node].replica != nil else { return say("\(name(node)) is down") }
    guard !nodes[node].isFlushed else { return say("\(name(node)) has nothing to flush") }
    let waiting = nodes[node].records.count - nodes[node].durable
    if waiting > 0 {
      nodes[node].durable += min(waiting, limit)
      let position = nodes[node].durable - nodes[node].recordsBefore
      step(
        node, .persisted(upTo: JournalPosition(UInt64(position))),
        header: "\(name(node)) persisted up to \(position)")
    }
    guard waiting <= limit, let info = nodes[node].snapshotBeingStored else { return }
    nodes[node].snapshotBeingStored = nil
    let isValid = !nodes[node].isTransferDamaged
    nodes[node].isTransferDamaged = false
    if isValid && info.slot > nodes[node].snapshot.slot { nodes[node].snapshot = info }
    let event = Protocol.Event.snapshotStored(info, isValid: isValid)
    step(node, event, header: "\(name(node)) \(text.describe(event))")
  }

  // MARK: Process

  /// Starts a replica from what its journal holds.
  mutating func start(_ node: Int, of configuration: Configuration) throws(Replica.Invalid) {
    var durable = DurableState(snapshot: nodes[node].snapshot)
    durable.begin(configuration.span)
    for record in nodes[node].records[..<nodes[node].durable] { durable.apply(record) }
    nodes[node].lives += 1
    nodes[node].recordsBefore = nodes[node].records.count
    nodes[node].applied = durable.snapshot.slot
    nodes[node].state = durable.snapshot.digest
    nodes[node].deadline = .never
    beginDigests(node)
    nodes[node].reportedViolation = nil
    nodes[node].replica = try Replica(
      id: nodes[node].id, configuration: configuration, options: options, durable: durable,
      seed: UInt64(node) << 32 | nodes[node].lives)
    step(node, .started, header: "\(name(node)) started")
  }

  /// Ends a replica's life.
  /// - Parameter surviving: how many of the records that were not acknowledged as durable are on disk all the same.
  mutating func crash(_ node: Int, surviving: Int, isQuiet: Bool = false) {
    let waiting = nodes[node].records.count - nodes[node].durable
    let lost = waiting - min(surviving, waiting)
    nodes[node].records.removeLast(lost)
    nodes[node].durable = nodes[node].records.count
    nodes[node].replica = nil
    nodes[node].deadline = .never
    nodes[node].snapshotBeingTaken = nil
    nodes[node].snapshotBeingStored = nil
    if isQuiet { return }
    say("\(name(node)) crashed, \(lost) of \(waiting) waiting records lost")
  }
}
