import Glibc
import Logging
import Protocol

/// What a host knows about room on disks, its own and its peers'.
struct RoomWatch {
  /// Why the last snapshot was given up, until one is written.
  var untaken: SnapshotSetback?
  /// The same for a peer's; its sender is not asked again before `snapshotRetryAt`.
  var unstored: SnapshotSetback?
  /// When a snapshot is tried again.
  var snapshotRetryAt = Instant.zero
  /// How much was free when it was given up, in bytes: as soon as there is more it is tried at once.
  var freeWhenGivenUp: UInt64 = 0
  /// Doubles as long as nothing changes.
  var snapshotWait = Self.interval

  /// The own disk has no room for more commands, and peers know.
  var isShort = false
  /// Commands are refused, on any disk's account.
  var isRefusing = false
  var mayLead = true
  var nextTry = Instant.zero
  var nextReport = Instant.zero
  /// Which peer is asked next to lead.
  var handovers = 0

  /// How often a full disk is tried again, and a peer asked to lead.
  static let interval = TimeSpan.seconds(1)
  static let snapshotWaitMax = TimeSpan.seconds(30)
  static let reportInterval = TimeSpan.seconds(60)
}

// Full disks. What is written into a segment that exists cannot fail for want of space; making the next one and writing a
// snapshot can. So segments are kept in reserve, and when no more can be made the host refuses commands before the replica
// hears of them: promises, heartbeats and reads go on out of the reserve. To the core it looks like a network that loses
// votes, and like a snapshot that takes long.
extension ReplicaHost {
  /// Looks at the disk and at what peers said of theirs; tries again what failed. Called now and then.
  func watchRoom() {
    judgeRoom()
    guard
      room.isShort || journal.shortage != nil || room.untaken != nil || room.unstored != nil
        || room.isRefusing
    else { return }
    if now >= room.nextTry {
      room.nextTry = now + RoomWatch.interval
      journal.replenish()
      retrySnapshot()
      // Takes the place of segments, which then can be used again.
      if room.isShort { step(.snapshotRequested) }
      handOverForRoom()
    }
    reportRoom()
  }

  /// Commands are to be refused. Asked for every command, so the journal is looked at as it is now.
  var refusesForRoom: Bool { (room.isRefusing || journal.isShortOfRoom) && replica.leads }

  /// Decides anew whether commands are taken and whether this replica may lead.
  func judgeRoom() {
    let isShort = journal.isShortOfRoom || isLogFullForSnapshot
    if isShort != room.isShort {
      room.isShort = isShort
      room.nextTry = now
      room.nextReport = now
      for link in links { notify(link) }
      if !isShort { logger.notice("room again", metadata: ["directory": "\(snapshots.directory)"]) }
    }
    room.isRefusing = isShort || links.contains { $0.isShortOfRoom } && !isQuorumRoomy
    // Whoever has room should lead. Where nobody has, somebody must: reads need a leader.
    let mayLead = !isShort || !isQuorumRoomy && journal.takesVotes
    guard mayLead != room.mayLead, mayLead || !replica.leads || !journal.takesVotes else { return }
    room.mayLead = mayLead
    step(.leadershipPermitted(mayLead))
  }

  /// Whether replicas that are reached and have room could decide without the others.
  private var isQuorumRoomy: Bool {
    var count = room.isShort ? 0 : 1
    for link in links where isRoomy(link) { count += 1 }
    return count >= membership.quorum.size
  }

  private func isRoomy(_ link: PeerLink) -> Bool {
    link.connection?.state == .open && !link.isShortOfRoom
  }

  /// Nothing of the log can be given back without a snapshot, and little of it is left.
  private var isLogFullForSnapshot: Bool {
    guard room.untaken != nil else { return false }
    let window = replica.window
    return window.highestUsed - window.truncatedUpTo >= configuration.options.logSlots / 4 * 3
      || log.count >= log.capacity / 2
  }

  /// A leader without room asks one peer after the other that has some.
  private func handOverForRoom() {
    guard room.isShort, replica.leads, isQuorumRoomy else { return }
    let roomy = links.filter(isRoomy)
    guard !roomy.isEmpty else { return }
    room.handovers += 1
    step(.transferRequested(to: roomy[room.handovers % roomy.count].id))
  }

  // MARK: Peers

  func noticed(_ notice: HostNotice, from link: PeerLink) {
    guard link.isShortOfRoom != notice.isShortOfRoom else { return }
    link.isShortOfRoom = notice.isShortOfRoom
    logger.info(
      notice.isShortOfRoom ? "peer has no room" : "peer has room again",
      metadata: ["peer": "\(link.id)"])
    judgeRoom()
  }

  /// Whether what follows from a message can be written. One that is put aside is as good as lost.
  func hasRoom(for message: Message) -> Bool {
    guard journal.isShortOfRoom else { return true }
    switch message {
    case .accept, .learn: return journal.takesVotes
    case .prepare: return journal.takesPromises
    default: return true
    }
  }

  /// Whether an answer to a message could be kept.
  func hasRoomForAnswer(to message: Message) -> Bool {
    switch message {
    case .fetch: journal.takesVotes
    case .snapshotFetch: room.unstored == nil
    default: true
    }
  }

  // MARK: Snapshots

  func snapshotUntaken(_ setback: SnapshotSetback) {
    room.untaken = setback
    scrub.isRewriting = false
    snapshotGivenUp(setback)
  }

  func snapshotUnstored(_ info: SnapshotInfo, _ setback: SnapshotSetback) {
    room.unstored = setback
    snapshotGivenUp(setback)
    step(.snapshotStored(info, isValid: false))
  }

  private func snapshotGivenUp(_ setback: SnapshotSetback) {
    refusals.note("snapshot given up, it is tried again: \(setback)", now: now, logger)
    if setback.shortage == nil { scrub.counters.misreads &+= 1 }
    room.freeWhenGivenUp = freeBytes
    room.snapshotRetryAt = now + room.snapshotWait
    room.snapshotWait = min(room.snapshotWait * 2, RoomWatch.snapshotWaitMax)
    judgeRoom()
  }

  func snapshotSucceeded() {
    room.untaken = nil
    room.snapshotWait = RoomWatch.interval
    judgeRoom()
  }

  private func retrySnapshot() {
    guard room.untaken != nil || room.unstored != nil else { return }
    guard now >= room.snapshotRetryAt || freeBytes > room.freeWhenGivenUp + (1 << 20) else {
      return
    }
    // A peer's is asked for by the replica.
    room.unstored = nil
    guard room.untaken != nil else { return }
    // Answered, and then perhaps untaken again.
    room.snapshotRetryAt = .never
    room.freeWhenGivenUp = .max - (1 << 20)
    if replica.window.appliedUpTo > snapshots.current.slot {
      // A later one than was asked for: to the replica it took long.
      snapshots.take(application.snapshot())
    } else {
      // A peer's was installed meanwhile.
      snapshotSucceeded()
      step(.snapshotTaken(snapshots.current))
    }
  }

  /// What is free where the data is.
  private var freeBytes: UInt64 {
    var status = statvfs()
    guard statvfs(snapshots.directory, &status) == 0 else { return 0 }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  // MARK: Saying so

  /// Why commands are refused or this replica stands aside, and what to do; nil when there is room.
  var noRoomReason: String? {
    let directory = snapshots.directory
    if room.isShort, let error = journal.shortage ?? room.untaken?.shortage {
      return "no room in \(directory): \(error); make room there, and it goes on by itself"
    }
    if room.isShort, let setback = room.untaken { return "\(setback)" }
    if let error = room.untaken?.shortage ?? room.unstored?.shortage {
      return "no room in \(directory) for a snapshot: \(error); make room there, it is tried again"
    }
    let full = links.filter { $0.isShortOfRoom }.map { "\($0.id)" }
    guard room.isRefusing, !full.isEmpty else { return nil }
    return "too few replicas have room; make some on \(full.joined(separator: ", "))"
  }

  private func reportRoom() {
    guard now >= room.nextReport, let reason = noRoomReason else { return }
    room.nextReport = now + RoomWatch.reportInterval
    logger.error(
      "no room", metadata: ["reason": "\(reason)", "journal bytes left": "\(journal.bytesLeft)"])
  }
}
