public import Logging
public import Protocol
import Synchronization

// What operators ask of a node.
extension ReplicaNode: AdminBackend {
  /// How long a command of an operator may take to show its effect.
  private static let patience = Duration.seconds(8)

  public func status() async throws(AdminRefusal) -> NodeStatus {
    guard let host = await status() as HostStatus? else { throw .unavailable("it has stopped") }
    return nodeStatus(host)
  }

  public func health() async -> NodeHealth {
    guard let host = await status() as HostStatus? else {
      return NodeHealth(isAlive: false, isReady: false, reason: "it has stopped")
    }
    if let suspicion = host.suspicion {
      return NodeHealth(isAlive: true, isReady: false, reason: "suspect: \(suspicion)")
    }
    guard host.leader != nil else {
      return NodeHealth(isAlive: true, isReady: false, reason: "no leader is known")
    }
    if let reason = host.noRoom {
      return NodeHealth(isAlive: true, isReady: false, reason: reason)
    }
    return NodeHealth(isAlive: true, isReady: true)
  }

  public func stages() async -> StageBoard.Reading {
    await stages.reading { [mailbox] in mailbox.post(.wake) }
  }

  public func trace() async throws(AdminRefusal) -> ReplicaTrace {
    guard configuration.traceRate > 0 else {
      throw .unavailable("nothing is traced; set tracing.sample-rate, 0.001 for instance")
    }
    let marks: [TraceMark]? = await withCheckedContinuation { continuation in
      let isTaken = mailbox.post(.trace { continuation.resume(returning: $0) })
      if !isTaken { continuation.resume(returning: nil) }
    }
    guard let marks else { throw .unavailable("it has stopped") }
    return ReplicaTrace(
      replica: configuration.replica.rawValue, clockOffset: MonotonicClock.offsetToRealTime,
      marks: marks)
  }

  public func moveLeader(to target: ReplicaID?) async throws(AdminRefusal) -> ReplicaID {
    guard let host = await status() as HostStatus? else { throw .unavailable("it has stopped") }
    guard host.role == .leader || host.role == .recoveringLeader else {
      throw .notLeader(leader: host.leader)
    }
    if let target {
      guard host.peers.contains(where: { $0.id == target }) else {
        throw .invalid("\(target) is not another member")
      }
    }
    let best = host.peers.first { $0.isConnected }?.id
    guard let chosen = target ?? best else { throw .unavailable("no peer is connected") }
    handOver(to: chosen)
    return chosen
  }

  public func takeSnapshot() async throws(AdminRefusal) -> Slot {
    guard let before = await status() as HostStatus? else { throw .unavailable("it has stopped") }
    guard before.appliedUpTo > before.snapshot else { return before.snapshot }
    mailbox.post(.takeSnapshot)
    let clock = ContinuousClock()
    let end = clock.now + Self.patience
    while clock.now < end {
      // The worker reports to the loop when the file is durable; nobody else is told.
      try? await Task.sleep(for: .milliseconds(5))
      guard let host = await status() as HostStatus? else { break }
      if host.snapshot >= before.appliedUpTo { return host.snapshot }
    }
    throw .unavailable("the snapshot is not durable yet; look at the status later")
  }

  public func setLogLevel(_ level: Logger.Level) async throws(AdminRefusal) {
    // Where the lines go, rather than a logger of one's own: a later SIGHUP sets it again.
    if let log { log.level = level } else { mailbox.post(.logLevel(level)) }
  }

  private func nodeStatus(_ host: HostStatus) -> NodeStatus {
    var status = NodeStatus()
    let digits = String(configuration.cluster.rawValue, radix: 16)
    status.cluster = String(repeating: "0", count: 16 - digits.count) + digits
    status.id = host.replica.rawValue
    status.uptimeSeconds = Double((MonotonicClock.now() - startedAt).nanoseconds) / 1e9
    status.role = "\(host.role)"
    status.suspicion = host.suspicion
    status.ballot = .init(round: host.ballot.round, proposer: host.ballot.proposer.rawValue)
    status.leader = host.leader?.rawValue
    status.chosenUpTo = host.chosenUpTo.rawValue
    status.appliedUpTo = host.appliedUpTo.rawValue
    status.truncatedUpTo = host.truncatedUpTo.rawValue
    status.snapshotSlot = host.snapshot.rawValue
    status.journal = .init(
      segments: host.journalSegments,
      bytes: UInt64(host.journalSegments) * UInt64(configuration.journal.segmentBytes),
      bytesWritten: host.journalBytesWritten, flushes: host.journalFlushes,
      fences: host.journalFences, bytesLeft: UInt64(host.journalBytesLeft))
    status.noRoom = host.noRoom
    status.scrub.bytesRead = host.scrub.bytesRead
    status.scrub.passes = host.scrub.passes
    status.scrub.damagesFound = host.scrub.damagesFound
    status.scrub.damagesRepaired = host.scrub.damagesRepaired
    status.scrub.misreads = host.scrub.misreads
    status.damage = host.damage
    status.digests.vouchedUpTo = host.digests.vouchedUpTo.rawValue
    status.digests.agreements = host.digests.agreements
    status.digests.splits = host.digests.splits
    status.digests.divergences = host.digests.divergences
    status.peers = host.peers.map { peer in
      let address = configuration.members.first { $0.id == peer.id }
      return .init(
        id: peer.id.rawValue, address: address.map { "\($0.host):\($0.peerPort)" } ?? "",
        isConnected: peer.isConnected, lagSlots: peer.lagSlots,
        unsentBytes: UInt64(peer.unsentBytes), isShortOfRoom: peer.isShortOfRoom)
    }
    status.sessions = host.sessions
    status.clientConnections = host.clientConnections
    let counters = host.counters
    status.rejections = [
      "notLeader": counters.rejectedNotLeader, "overloaded": counters.rejectedOverloaded,
      "noRoom": counters.rejectedNoRoom, "other": counters.rejectedOther,
      "logBufferFull": counters.logBufferFull,
    ]
    status.screened = Dictionary(
      uniqueKeysWithValues: zip(ScreenReason.allCases, host.screened).map { ("\($0)", $1) })
    status.refusedConnections = bridge?.refusals ?? [:]
    status.refusedConnections["byTheLoop"] = counters.connectionsRefused
    status.certificateExpiry = bridge?.certificateExpiry
    return status
  }
}
