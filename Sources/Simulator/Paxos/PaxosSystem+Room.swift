internal import Protocol

// Full disks: the simulated host keeps spare segments and does what the real one's policy says (`RoomPolicy`). Only where the plan
// fills disks, so that no other run pays for it.
extension PaxosSystem {
  static let roomTimer: UInt64 = 3
  /// Timer of what the host has to say to its replica.
  static let roomToken: UInt64 = 4

  var fillsDisks: Bool { !rooms.isEmpty }
  private var reserve: JournalReserve {
    JournalReserve(replicaOptions, segmentBytes: workload.segmentLength)
  }

  // MARK: Looking

  private func armRoom(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    world.setTimer(node, at: world.localTime(node) + RoomState.interval, token: Self.roomTimer)
  }

  /// What is due now and then: looks at the disk and at what peers said of theirs, and tries again what failed.
  mutating func watchRoom(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    let n = node.index
    armRoom(node, &world)
    effects.removeAll()
    guard nodes[n].isRunning else { return 0 }
    let now = world.localTime(node)
    judgeRoom(node, now, &world)
    if rooms[n].policy.isConcerned(lacksSegments: rooms[n].hasShortage),
      rooms[n].policy.takeTry(now: now)
    {
      rooms[n].isTryDue = true
      if rooms[n].policy.isShort { rooms[n].due.append(.snapshotRequested) }
      if let next = rooms[n].policy.nextLeader(roomView(node, now)) {
        tally.handoversForRoom &+= 1
        rooms[n].due.append(.transferRequested(to: next))
      }
    }
    rooms[n].isTurn = true
    return rooms[n].due.isEmpty ? 1 : stepRoom(node, &world)
  }

  /// One of the things that wait for the replica.
  mutating func stepRoom(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    let n = node.index
    effects.removeAll()
    guard nodes[n].isRunning, !rooms[n].due.isEmpty else { return 0 }
    let event = rooms[n].due.removeFirst()
    if !rooms[n].due.isEmpty {
      world.setTimer(node, at: world.localTime(node), token: Self.roomToken)
    }
    return step(node, event, &world)
  }

  private mutating func judgeRoom(
    _ node: NodeIndex, _ now: Instant, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    let judgement = rooms[n].policy.judge(roomView(node, now), now: now)
    if judgement.isChanged {
      let isShort = rooms[n].policy.isShort
      if isShort { tally.shortagesOfRoom &+= 1 }
      world.note(isShort ? "short of room" : "room again", node)
    }
    if let permission = judgement.permission {
      rooms[n].due.append(.leadershipPermitted(permission && rooms[n].isPermitted))
    }
  }

  /// The operator allows or forbids a replica to lead.
  mutating func permitLeading(
    _ isPermitted: Bool, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard fillsDisks else { return inject(.leadershipPermitted(isPermitted), node, &world) }
    rooms[node.index].isPermitted = isPermitted
    let mayLead = rooms[node.index].policy.mayLead
    inject(.leadershipPermitted(isPermitted && mayLead), node, &world)
  }

  private func roomView(_ node: NodeIndex, _ now: Instant) -> RoomView {
    let n = node.index
    let window = nodes[n].replica.window
    return RoomView(
      journal: journalRoom(node),
      log: RoomView.Log(
        slots: window.highestUsed - window.truncatedUpTo, slotsMax: replicaOptions.logSlots,
        bytes: 0, bytesMax: .max),
      appliedUpTo: window.appliedUpTo, leads: nodes[n].replica.leads,
      quorum: configuration.quorum.size,
      peers: rooms[n].peers.indices.filter { $0 != n }.map {
        let peer = rooms[n].peers[$0]
        return RoomView.Peer(
          id: PaxosNames.replica(NodeIndex($0)),
          isReached: peer.heardAt.map { now - $0 <= RoomState.silenceMax } ?? false,
          isShort: peer.isShort)
      })
  }

  private func journalRoom(_ node: NodeIndex) -> JournalRoom {
    guard rooms[node.index].hasShortage else { return .plenty }
    return reserve.room(bytesLeft: bytesLeft(node), hasShortage: true)
  }

  private func bytesLeft(_ node: NodeIndex) -> Int {
    JournalReserve.bytesLeft(
      segmentBytes: workload.segmentLength,
      offset: Int(nodes[node.index].writer!.end.mark.offset),
      spares: rooms[node.index].spares.count)
  }

  /// Whether a damaged segment may be left although it is not full.
  func mayLeaveSegment(_ node: NodeIndex) -> Bool {
    !fillsDisks
      || reserve.mayLeaveSegment(
        bytesLeft: bytesLeft(node), spares: rooms[node.index].spares.count,
        hasShortage: rooms[node.index].hasShortage)
  }

  // MARK: Requests and messages
  // What is asked at every step is mutating: a call then copies nothing.

  /// Whether this replica's host refuses commands.
  mutating func refusesForRoom(_ node: NodeIndex) -> Bool {
    fillsDisks && nodes[node.index].replica.leads
      && rooms[node.index].policy.refusesCommands(journalRoom(node))
  }

  /// Whether what follows from a message can be written.
  mutating func hasRoom(for message: Protocol.Message, _ node: NodeIndex) -> Bool {
    !fillsDisks || RoomPolicy.hasRoom(for: message, journalRoom(node))
  }

  /// Whether an answer to a message could be kept.
  mutating func hasRoomForAnswer(to message: Protocol.Message, _ node: NodeIndex) -> Bool {
    !fillsDisks || rooms[node.index].policy.hasRoomForAnswer(to: message, journalRoom(node))
  }

  /// A peer's host says how its disk is.
  mutating func noticed(
    _ notice: HostNotice, from peer: NodeIndex, _ node: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) -> Int {
    let n = node.index
    effects.removeAll()
    guard fillsDisks, nodes[n].isRunning else { return 0 }
    let now = world.localTime(node)
    rooms[n].peers[peer.index].heardAt = now
    guard rooms[n].peers[peer.index].isShort != notice.isShortOfRoom else { return 0 }
    rooms[n].peers[peer.index].isShort = notice.isShortOfRoom
    judgeRoom(node, now, &world)
    return stepRoom(node, &world)
  }

  // MARK: The end of a turn

  mutating func isRoomTurn(_ node: NodeIndex) -> Bool { fillsDisks && rooms[node.index].isTurn }

  /// Does with files what the turn has asked for, and tells peers' hosts how the disk is: again and again, since no connection
  /// vouches for what was sent.
  mutating func endRoomTurn(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard fillsDisks else { return }
    if rooms[n].isTurn {
      rooms[n].isTurn = false
      if rooms[n].isTryDue {
        rooms[n].isTryDue = false
        makeSpares(node, &world)
        retrySnapshot(node, &world)
      }
      let notice = HostNotice(isShortOfRoom: rooms[n].policy.isShort)
      for peer in 0..<nodes.count where peer != n {
        world.send(node, NodeIndex(peer), .notice(notice), bytes: 64)
      }
    }
    if !rooms[n].hasShortage { makeSpares(node, &world) }
  }

  // MARK: Segments

  /// A process begins: whether it has a segment to write to. One that has none ends, and is started again and again.
  mutating func openReserve(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Bool {
    let n = node.index
    guard fillsDisks else { return true }
    let wasWaiting = rooms[n].isWaitingForSpace
    armRoom(node, &world)
    rooms[n] = RoomState(nodes: nodes.count)
    for name in world.disk(node).names where name.hasPrefix(PaxosFiles.spare) {
      if world.size(node, file: name) == 0 {
        rooms[n].spares.append(name)
      } else {
        // It was to become a segment, and has lost only its name.
        world.delete(node, file: name)
      }
    }
    makeSpares(node, &world)
    guard rooms[n].spares.isEmpty else { return true }
    if !wasWaiting { tally.startsWithoutRoom &+= 1 }
    world.note("does not start: no room for a segment", node)
    rooms[n].isWaitingForSpace = true
    world.schedule(after: RoomState.interval, token: Self.startToken + UInt64(n))
    return false
  }

  mutating func crashRoom(_ node: NodeIndex) {
    if fillsDisks { rooms[node.index] = RoomState(nodes: nodes.count) }
  }

  /// External tokens from here on start processes that have ended for want of space, by node.
  static let startToken = PaxosWorkload.operatorToken + 1

  /// Somebody starts the process again, as long as it has not crashed meanwhile.
  mutating func startAgain(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    guard rooms[node.index].isWaitingForSpace else { return }
    guard world.isUp(node) else {
      return world.schedule(
        after: RoomState.interval, token: Self.startToken + UInt64(node.index))
    }
    nodes[node.index].crash()
    _ = start(node, &world)
  }

  /// Makes what is missing, if there is space.
  private mutating func makeSpares(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    let wanted = reserve.sparesWanted(segmentBytes: workload.segmentLength)
    while rooms[n].spares.count < wanted {
      var number = rooms[n].spares.count
      while rooms[n].spares.contains("\(PaxosFiles.spare)\(number)") { number -= 1 }
      let name = "\(PaxosFiles.spare)\(number)"
      guard world.reserve(node, file: name, bytes: workload.segmentLength) else {
        rooms[n].hasShortage = true
        return
      }
      rooms[n].spares.append(name)
    }
    rooms[n].hasShortage = false
  }

  /// Begins a segment: in a spare file where disks get full, or where memory has one.
  mutating func beginSegment(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    let name = PaxosFiles.journal(nodes[n].writer!.nextSegment)
    if fillsDisks { takeSpare(as: name, node, &world) }
    if let blank = nodes[n].memory.begin() { world.rename(node, file: blank, to: name) }
    nodes[n].beginSegment(under: configuration.span)
  }

  private mutating func takeSpare(
    as name: String, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    // The last one is for a restart.
    if nodes[n].isRunning, rooms[n].spares.count < 2,
      world.freeSpace(node) < workload.segmentLength
    {
      world.check(
        "durability.reserve",
        "\(node) needs a segment that its full disk has no room for: what is to be written was let through",
        [node])
    }
    if let spare = rooms[n].spares.popLast() {
      world.rename(node, file: spare, to: name)
    } else {
      _ = world.reserve(node, file: name, bytes: workload.segmentLength)
    }
  }

  /// Segments that are not needed any more become spares.
  mutating func retire(
    _ segments: Range<UInt64>, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    for number in segments where !recycle(number, node, &world) {
      world.delete(node, file: PaxosFiles.journal(number))
    }
    if fillsDisks, !segments.isEmpty { makeSpares(node, &world) }
  }

  // MARK: Snapshots

  /// Takes the space of a snapshot that will be so long; without it the snapshot is given up, and nothing is left of it.
  mutating func reserveSnapshot(
    _ name: String, bytes: Int, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> Bool { !fillsDisks || world.reserve(node, file: name, bytes: bytes) }

  /// The replica is not told: to it the snapshot takes long.
  mutating func snapshotUntaken(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let (free, now) = (UInt64(world.freeSpace(node)), world.localTime(node))
    tally.snapshotsWithoutRoom &+= 1
    rooms[node.index].policy.snapshotUntaken(free: free, now: now)
  }

  mutating func snapshotUnstored(
    _ info: SnapshotInfo, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let (n, now) = (node.index, world.localTime(node))
    let free = UInt64(world.freeSpace(node))
    tally.snapshotsWithoutRoom &+= 1
    rooms[n].policy.snapshotUnstored(info.slot, free: free, now: now)
    rooms[n].isIncomingRefused = true
    rooms[n].due.append(.snapshotStored(info, isValid: false))
    world.setTimer(node, at: now, token: Self.roomToken)
  }

  /// Whether chunks of the snapshot that is coming are kept; asked for each of them.
  mutating func keepsIncoming(
    _ chunk: SnapshotChunk, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> Bool {
    let n = node.index
    guard fillsDisks else { return true }
    if chunk.offset == 0 {
      rooms[n].isIncomingRefused = false
      if world.freeSpace(node) < Int(chunk.snapshot.length) {
        snapshotUnstored(chunk.snapshot, node, &world)
      }
    }
    return !rooms[n].isIncomingRefused
  }

  /// One was written.
  mutating func snapshotWritten(_ node: NodeIndex) {
    guard fillsDisks, rooms[node.index].policy.isSnapshotUntaken else { return }
    rooms[node.index].policy.snapshotSucceeded()
  }

  private mutating func retrySnapshot(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let (n, now) = (node.index, world.localTime(node))
    let free = UInt64(world.freeSpace(node))
    guard rooms[n].policy.takeSnapshotRetry(free: free, now: now) else { return }
    let applied = nodes[n].replica.window.appliedUpTo
    if applied > nodes[n].snapshot.slot {
      // A later one than was asked for: to the replica it took long.
      takeSnapshot(applied, node, &world)
    } else {
      // A peer's was installed meanwhile.
      rooms[n].policy.snapshotSucceeded()
      rooms[n].due.append(.snapshotTaken(nodes[n].snapshot))
      world.setTimer(node, at: now, token: Self.roomToken)
    }
  }

  // MARK: The end of a run

  /// Space has come back to the whole core: whether everybody has noticed.
  func isRoomy(_ core: NodeSet) -> Bool {
    !fillsDisks
      || !core.contains {
        $0.index < nodes.count
          && (rooms[$0.index].hasShortage || !rooms[$0.index].policy.mayLead
            || rooms[$0.index].policy.isConcerned(lacksSegments: false))
      }
  }
}
