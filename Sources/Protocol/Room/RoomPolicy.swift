/// What a host knows at one moment of room on disks, its own and its peers'.
public struct RoomView: Hashable, Sendable {
  /// What this host has heard from a peer's.
  public struct Peer: Hashable, Sendable {
    public var id: ReplicaID
    /// Messages pass in both directions, as far as can be told.
    public var isReached: Bool
    /// It said that its disk has no room.
    public var isShort: Bool

    public init(id: ReplicaID, isReached: Bool, isShort: Bool) {
      self.id = id
      self.isReached = isReached
      self.isShort = isShort
    }

    public var isRoomy: Bool { isReached && !isShort }
  }

  /// What of the log waits for a snapshot.
  public struct Log: Hashable, Sendable {
    public var slots: Int
    public var slotsMax: Int
    public var bytes: Int
    public var bytesMax: Int

    public init(slots: Int, slotsMax: Int, bytes: Int, bytesMax: Int) {
      self.slots = slots
      self.slotsMax = slotsMax
      self.bytes = bytes
      self.bytesMax = bytesMax
    }

    /// Little of it is left.
    public var isFull: Bool { slots >= slotsMax / 4 * 3 || bytes >= bytesMax / 2 }
  }

  public var journal: JournalRoom
  public var log: Log
  public var appliedUpTo: Slot
  /// This replica leads.
  public var leads: Bool
  public var quorum: Int
  public var peers: [Peer]

  public init(
    journal: JournalRoom, log: Log, appliedUpTo: Slot, leads: Bool, quorum: Int, peers: [Peer]
  ) {
    self.journal = journal
    self.log = log
    self.appliedUpTo = appliedUpTo
    self.leads = leads
    self.quorum = quorum
    self.peers = peers
  }
}

/// What a host does about full disks.
///
/// What is written into a segment that exists cannot fail for want of space; making the next one and writing a snapshot can.
/// So segments are kept in reserve (`JournalReserve`), and when no more can be made the host refuses commands before the replica
/// hears of them: promises, heartbeats and reads go on out of the reserve. To the replica it looks like a network that loses
/// votes, and like a snapshot that takes long.
///
/// Pure: the host says what it sees (`RoomView`), what became of snapshots, and what time it is, and does what is answered.
public struct RoomPolicy: Hashable, Sendable {
  /// How often a full disk is tried again, and a peer asked to lead.
  public let interval: TimeSpan
  /// Between two tries to write a snapshot, when nothing changes, at most.
  public let snapshotWaitMax: TimeSpan

  /// The own disk has no room for more commands.
  public private(set) var isShort = false
  /// Commands are refused, on any disk's account.
  public private(set) var isRefusing = false
  /// What the replica was told last.
  public private(set) var mayLead = true
  /// The own snapshot was given up, and none was written since.
  public private(set) var isSnapshotUntaken = false
  /// A peer's was, and is not asked for again until it is time.
  public private(set) var isSnapshotUnstored = false

  /// The last peer's snapshot that was given up. Until this slot is applied the replica lacks what others have.
  private var missing = Slot.zero
  private var nextTry = Instant.zero
  private var snapshotRetryAt = Instant.zero
  /// How much was free then, in bytes: as soon as there is more it is tried at once.
  private var freeWhenGivenUp: UInt64 = 0
  /// Doubles as long as nothing changes.
  private var snapshotWait: TimeSpan
  /// Which peer is asked next to lead.
  private var handovers = 0

  /// Less than this is no change, in bytes.
  private static let freeMargin: UInt64 = 1 << 20

  public init(
    interval: TimeSpan = .seconds(1), snapshotWaitMax: TimeSpan = .seconds(30)
  ) {
    self.interval = interval
    self.snapshotWaitMax = snapshotWaitMax
    snapshotWait = interval
  }

  // MARK: Judging

  /// What follows from looking anew.
  public struct Judgement: Hashable, Sendable {
    /// `isShort` is another than before: peers' hosts are to be told.
    public var isChanged = false
    /// What the replica is to be told of leading, if anything.
    public var permission: Bool?
  }

  /// Decides anew whether commands are taken and whether this replica may lead.
  public mutating func judge(_ view: RoomView, now: Instant) -> Judgement {
    var judgement = Judgement()
    let isLogFull = isSnapshotUntaken && view.log.isFull
    let isShort = view.journal.isShort || isLogFull
    if isShort != self.isShort {
      self.isShort = isShort
      nextTry = now
      judgement.isChanged = true
    }
    let isQuorumRoomy = isQuorumRoomy(view)
    isRefusing = isShort || view.peers.contains { $0.isShort } && !isQuorumRoomy
    // Whoever has room should lead. Where nobody has, somebody must: reads need a leader. Who cannot even keep what others know
    // is none: it would be elected again and again, and settle nothing.
    let lacks = missing > view.appliedUpTo
    let mayLead = !lacks && (!isShort || !isQuorumRoomy && view.journal.takesVotes)
    guard mayLead != self.mayLead else { return judgement }
    // A leader hands over first, with what waits in its queue. One that cannot write even that steps back if nobody takes over.
    let isHandingOver = view.leads && view.journal.takesVotes && !isLogFull && !lacks
    guard mayLead || !isHandingOver else { return judgement }
    self.mayLead = mayLead
    judgement.permission = mayLead
    return judgement
  }

  /// Whether replicas that are reached and have room could decide without the others.
  private func isQuorumRoomy(_ view: RoomView) -> Bool {
    view.peers.count { $0.isRoomy } + (isShort ? 0 : 1) >= view.quorum
  }

  /// Whether a leader refuses a command. Asked for every command, so the journal is looked at as it is now.
  public func refusesCommands(_ journal: JournalRoom) -> Bool { isRefusing || journal.isShort }

  // MARK: Trying again

  /// Something is wrong on some disk.
  /// - Parameter lacksSegments: a segment could not be made.
  public func isConcerned(lacksSegments: Bool) -> Bool {
    isShort || lacksSegments || isSnapshotUntaken || isSnapshotUnstored || isRefusing
  }

  /// Whether it is time to try again what failed: to make segments, to take a snapshot, to hand over. True once.
  public mutating func takeTry(now: Instant) -> Bool {
    guard now >= nextTry else { return false }
    nextTry = now + interval
    return true
  }

  /// Whom a leader without room asks to lead: one peer after the other that has some.
  public mutating func nextLeader(_ view: RoomView) -> ReplicaID? {
    guard isShort, view.leads, isQuorumRoomy(view) else { return nil }
    let roomy = view.peers.filter { $0.isRoomy }
    guard !roomy.isEmpty else { return nil }
    handovers += 1
    return roomy[handovers % roomy.count].id
  }

  // MARK: Messages

  /// Whether what follows from a message can be written. One that is put aside is as good as lost.
  public static func hasRoom(for message: Message, _ journal: JournalRoom) -> Bool {
    switch message {
    case .accept, .learn: journal.takesVotes
    case .prepare: journal.takesPromises
    default: true
    }
  }

  /// Whether an answer to a message could be kept.
  public func hasRoomForAnswer(
    to message: Message, _ journal: @autoclosure () -> JournalRoom
  ) -> Bool {
    switch message {
    case .fetch: journal().takesVotes
    case .snapshotFetch: !isSnapshotUnstored
    default: true
    }
  }

  // MARK: Snapshots

  /// The own snapshot could not be written. `free` is what the disk has, in bytes.
  public mutating func snapshotUntaken(free: UInt64, now: Instant) {
    isSnapshotUntaken = true
    snapshotGivenUp(free: free, now: now)
  }

  /// A peer's could not be kept.
  public mutating func snapshotUnstored(_ slot: Slot, free: UInt64, now: Instant) {
    isSnapshotUnstored = true
    missing = max(missing, slot)
    snapshotGivenUp(free: free, now: now)
  }

  private mutating func snapshotGivenUp(free: UInt64, now: Instant) {
    freeWhenGivenUp = free
    snapshotRetryAt = now + snapshotWait
    snapshotWait = min(snapshotWait * 2, snapshotWaitMax)
  }

  /// One was written.
  public mutating func snapshotSucceeded() {
    isSnapshotUntaken = false
    snapshotWait = interval
  }

  /// Whether the own snapshot is to be taken again now; it counts as untaken until `snapshotSucceeded`. A peer's is asked for
  /// by the replica, from now on.
  public mutating func takeSnapshotRetry(
    free: @autoclosure () -> UInt64, now: Instant
  ) -> Bool {
    guard isSnapshotUntaken || isSnapshotUnstored else { return false }
    guard now >= snapshotRetryAt || free() > freeWhenGivenUp + Self.freeMargin else {
      return false
    }
    isSnapshotUnstored = false
    guard isSnapshotUntaken else { return false }
    // Answered, and then perhaps untaken again.
    snapshotRetryAt = .never
    freeWhenGivenUp = .max - Self.freeMargin
    return true
  }
}
