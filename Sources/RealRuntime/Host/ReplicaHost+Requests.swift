import Logging
public import Protocol

/// What other threads ask of the loop, or tell it.
enum HostRequest: Sendable {
  case dialed(ReplicaID, Result<Int32, DialFailure>, isBridged: Bool)
  case bridged(Connection.Kind, TLSBridge.Bridged)
  case snapshot(SnapshotStore.Completion)
  case scrubbed(ScrubPass.Report)
  case chunkAtHand(SnapshotFetch, from: ReplicaID)
  case status(@Sendable (HostStatus?) -> Void)
  case trace(@Sendable ([TraceMark]?) -> Void)
  case transfer(to: ReplicaID?)
  case takeSnapshot
  case logLevel(Logger.Level)
  /// Nothing but a turn of the loop.
  case wake
  case stop
}

/// What a replica is doing, at one moment.
public struct HostStatus: Hashable, Sendable {
  public struct Peer: Hashable, Sendable {
    public var id: ReplicaID
    public var isConnected: Bool
    public var droppedMessages: UInt64
    public var unsentBytes: Int
    /// Nil while nothing was heard from it.
    public var silence: TimeSpan?
    /// How far it is behind what is chosen here; nil where this replica does not lead, and is not told.
    public var lagSlots: UInt64?
    /// It said that its disk has no room.
    public var isShortOfRoom: Bool
    /// Up to where its journal was durable when it last said so.
    public var durable: JournalMark
  }

  public var replica: ReplicaID
  public var role: Role
  public var ballot: Ballot
  public var leader: ReplicaID?
  public var chosenUpTo: Slot
  public var appliedUpTo: Slot
  public var truncatedUpTo: Slot
  public var snapshot: Slot
  public var digest: UInt64
  public var journalSegments: Int
  public var journalFlushes: UInt64
  /// Of persistent memory; 0 in files.
  public var journalFences: UInt64
  public var journalBytesWritten: UInt64
  /// Up to where it is durable.
  public var journalDurable: JournalMark
  /// What the journal can still write for certain.
  public var journalBytesLeft: Int
  /// Why commands are refused or this replica stands aside, and what to do; nil when every disk has room.
  public var noRoom: String?
  public var logBytes: Int
  public var connections: Int
  public var clientConnections: Int
  public var clientPort: UInt16
  public var peers: [Peer]
  public var sessions: Int
  /// Messages that the replica put aside, by reason.
  public var screened: [UInt64]
  public var counters: HostCounters
  /// Why it does not vote and what it waits for; nil for a sound replica.
  public var suspicion: String?
  /// What was looked at of the files at rest.
  public var scrub: ScrubCounters
  /// What of them is damaged, and what its repair waits for; nil when nothing is known to be.
  public var damage: String?
  /// Digests of the state that were compared with the other members'.
  public var digests = Digests()

  public struct Digests: Hashable, Sendable {
    /// The last slot whose agreed digest is the own one.
    public var vouchedUpTo = Slot.zero
    /// How many agreed digests were the own ones, and for how many slots no majority could agree.
    public var agreements: UInt64 = 0
    public var splits: UInt64 = 0
    /// How often in a row the states before this one had diverged.
    public var divergences = 0
  }
}

extension ReplicaHost {
  func takeMail() {
    for request in mailbox.take() where failure == nil {
      switch request {
      case .dialed(let id, let result, let isBridged): dialed(id, result, isBridged: isBridged)
      case .bridged(let kind, let connection): bridged(kind, connection)
      case .snapshot(.taken(let info)): snapshotTaken(info)
      case .snapshot(.stored(let info, let isValid)): step(.snapshotStored(info, isValid: isValid))
      case .snapshot(.untaken(let setback)): snapshotUntaken(setback)
      case .snapshot(.unstored(let info, let setback)): snapshotUnstored(info, setback)
      case .snapshot(.failed(let error)): fail(.snapshot(error))
      case .scrubbed(let report): scrubbed(report)
      case .chunkAtHand(let fetch, let peer): takeChunkAtHand(fetch, from: peer)
      case .status(let answer): answer(status)
      case .trace(let answer): answer(stageClock.tracer.remembered)
      case .transfer(let target): transfer(to: target)
      case .logLevel(let level): logger.logLevel = level
      case .takeSnapshot: step(.snapshotRequested)
      case .wake: break
      case .stop: beginStopping()
      }
    }
  }

  var status: HostStatus {
    HostStatus(
      replica: replica.id, role: replica.role, ballot: replica.acceptor.promised,
      leader: replica.leader, chosenUpTo: replica.window.chosenUpTo,
      appliedUpTo: replica.window.appliedUpTo, truncatedUpTo: replica.window.truncatedUpTo,
      snapshot: replica.snapshot.slot, digest: application.digest,
      journalSegments: journal.segmentCount, journalFlushes: journal.flushes,
      journalFences: journal.fences,
      journalBytesWritten: journal.bytesWritten, journalDurable: journal.durable,
      journalBytesLeft: journal.bytesLeft,
      noRoom: noRoomReason, logBytes: log.count,
      connections: connectionCount, clientConnections: clientCount,
      clientPort: clientPort,
      peers: links.filter { $0.id != replica.id }.map {
        HostStatus.Peer(
          id: $0.id, isConnected: $0.connection?.state == .open, droppedMessages: $0.dropped,
          unsentBytes: $0.connection?.unsentCount ?? 0,
          silence: $0.heardAt == .zero ? nil : now - $0.heardAt,
          lagSlots: replica.leads ? replica.lag(of: $0.id) : nil,
          isShortOfRoom: $0.isShortOfRoom, durable: $0.sighting.durable)
      },
      sessions: routes.count, screened: ScreenReason.allCases.map { replica.screened[$0] },
      counters: counters, suspicion: suspicion, scrub: scrub.counters, damage: damageAtRest,
      digests: .init(
        vouchedUpTo: application.digestWatch.vouchedUpTo,
        agreements: application.digestWatch.agreements, splits: application.digestWatch.splits,
        divergences: digests.divergences))
  }

  /// Hands leadership over, to whom is wanted or to any peer that is connected.
  private func transfer(to target: ReplicaID?) {
    let target = target ?? links.first { $0.connection?.state == .open }?.id
    if let target { step(.transferRequested(to: target)) }
  }

  // MARK: Stopping

  var isStopped: Bool {
    if case .flushing? = stopping { journal.isIdle } else { false }
  }

  private func beginStopping() {
    guard stopping == nil else { return }
    logger.info("stopping")
    for listener in listeners { poller.remove(listener.descriptor) }
    bridge?.stop()
    if replica.leads {
      transfer(to: nil)
      stopping = .handingOver(until: now + configuration.options.electionTimeout * 2)
    } else {
      stopping = .flushing
    }
  }

  /// The leader is another one, or nobody wants to: what is left is to make durable what was written.
  func continueStopping() {
    guard case .handingOver(let until)? = stopping, !replica.leads || now >= until else { return }
    stopping = .flushing
  }
}
