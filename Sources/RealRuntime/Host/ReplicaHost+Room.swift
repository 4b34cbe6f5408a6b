import Glibc
import Logging
import Protocol

/// What a host knows about room on disks, and what it says of it.
struct RoomWatch {
  var policy = RoomPolicy()
  /// Why the last snapshot was given up, until one is written.
  var untaken: SnapshotSetback?
  /// The same for a peer's, until it may be asked for again.
  var unstored: SnapshotSetback?
  var nextReport = Instant.zero

  static let reportInterval = TimeSpan.seconds(60)
}

// Full disks: the host tells the policy what it sees, and does what that says (`RoomPolicy`).
extension ReplicaHost {
  /// Looks at the disk and at what peers said of theirs; tries again what failed. Called now and then.
  func watchRoom() {
    judgeRoom()
    guard room.policy.isConcerned(lacksSegments: journal.shortage != nil) else { return }
    if room.policy.takeTry(now: now) {
      journal.replenish()
      retrySnapshot()
      // Takes the place of segments, which then can be used again.
      if room.policy.isShort { step(.snapshotRequested) }
      if let next = room.policy.nextLeader(roomView) { step(.transferRequested(to: next)) }
    }
    reportRoom()
  }

  /// Commands are to be refused. Asked for every command.
  var refusesForRoom: Bool { replica.leads && room.policy.refusesCommands(journal.room) }

  /// Decides anew whether commands are taken and whether this replica may lead.
  func judgeRoom() {
    let judgement = room.policy.judge(roomView, now: now)
    if judgement.isChanged {
      room.nextReport = now
      for link in links { notify(link) }
      if !room.policy.isShort {
        logger.notice("room again", metadata: ["directory": "\(snapshots.directory)"])
      }
    }
    if let permission = judgement.permission { step(.leadershipPermitted(permission)) }
  }

  private var roomView: RoomView {
    let window = replica.window
    return RoomView(
      journal: journal.room,
      log: RoomView.Log(
        slots: window.highestUsed - window.truncatedUpTo,
        slotsMax: configuration.options.logSlots, bytes: log.count, bytesMax: log.capacity),
      appliedUpTo: window.appliedUpTo, leads: replica.leads, quorum: membership.quorum.size,
      peers: links.map {
        RoomView.Peer(
          id: $0.id, isReached: $0.connection?.state == .open, isShort: $0.isShortOfRoom)
      })
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
    !journal.isShortOfRoom || RoomPolicy.hasRoom(for: message, journal.room)
  }

  /// Whether an answer to a message could be kept.
  func hasRoomForAnswer(to message: Message) -> Bool {
    room.policy.hasRoomForAnswer(to: message, journal.room)
  }

  // MARK: Snapshots

  func snapshotUntaken(_ setback: SnapshotSetback) {
    room.untaken = setback
    room.policy.snapshotUntaken(free: freeBytes, now: now)
    scrub.isRewriting = false
    snapshotGivenUp(setback)
  }

  func snapshotUnstored(_ info: SnapshotInfo, _ setback: SnapshotSetback) {
    room.unstored = setback
    room.policy.snapshotUnstored(info.slot, free: freeBytes, now: now)
    snapshotGivenUp(setback)
    step(.snapshotStored(info, isValid: false))
  }

  private func snapshotGivenUp(_ setback: SnapshotSetback) {
    refusals.note("snapshot given up, it is tried again: \(setback)", now: now, logger)
    if setback.shortage == nil { scrub.counters.misreads &+= 1 }
    judgeRoom()
  }

  func snapshotSucceeded() {
    room.untaken = nil
    room.policy.snapshotSucceeded()
    judgeRoom()
  }

  private func retrySnapshot() {
    let isDue = room.policy.takeSnapshotRetry(free: freeBytes, now: now)
    if !room.policy.isSnapshotUnstored { room.unstored = nil }
    guard isDue else { return }
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
    if room.policy.isShort, let error = journal.shortage ?? room.untaken?.shortage {
      return "no room in \(directory): \(error); make room there, and it goes on by itself"
    }
    if room.policy.isShort, let setback = room.untaken { return "\(setback)" }
    if let error = room.untaken?.shortage ?? room.unstored?.shortage {
      return "no room in \(directory) for a snapshot: \(error); make room there, it is tried again"
    }
    let full = links.filter { $0.isShortOfRoom }.map { "\($0.id)" }
    guard room.policy.isRefusing, !full.isEmpty else { return nil }
    return "too few replicas have room; make some on \(full.joined(separator: ", "))"
  }

  private func reportRoom() {
    guard now >= room.nextReport, let reason = noRoomReason else { return }
    room.nextReport = now + RoomWatch.reportInterval
    logger.error(
      "no room", metadata: ["reason": "\(reason)", "journal bytes left": "\(journal.bytesLeft)"])
  }
}
