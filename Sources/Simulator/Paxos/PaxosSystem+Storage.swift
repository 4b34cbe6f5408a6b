internal import Protocol

// The simulated host's disk: journal segments, snapshot files, recovery.
extension PaxosSystem {
  func identity(of node: NodeIndex) -> JournalIdentity {
    JournalIdentity(
      cluster: PaxosNames.cluster, ring: RingID(0), replica: PaxosNames.replica(node),
      incarnation: Incarnation(1))
  }

  // MARK: Journal

  mutating func persist(
    _ record: JournalRecord, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    if !nodes[n].writer!.hasRoom(for: record) {
      guard writeStaged(node, &world) else { return }
      beginSegment(node, &world)
    }
    if case .snapshot(let info) = record.fact {
      // The snapshot is durable: the ones before it are not needed any more.
      nodes[n].snapshot = info
      removeSnapshots(below: info.slot, node, &world)
    }
    let bytes = arena.bytes
    nodes[n].stage(record, bytes.span.bytes.extracting(arena.range(record.payload)))
  }

  /// Hands what is staged to the disk, or makes it durable in memory. False when the process dies on the way, and does nothing
  /// more.
  mutating func writeStaged(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Bool {
    let n = node.index
    guard !nodes[n].staged.isEmpty else { return true }
    if world.hasMemory(node) { return commitStaged(node, &world) }
    world.append(node, file: nodes[n].segmentFile, nodes[n].staged)
    nodes[n].staged.removeAll(keepingCapacity: true)
    return true
  }

  /// The end of a turn: one write and one flush for everything the turn, and those since the last flush, have written. False as
  /// for `writeStaged`.
  @discardableResult
  mutating func flushJournal(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Bool {
    let n = node.index
    guard !nodes[n].staged.isEmpty, !nodes[n].isJournalFlushing else { return true }
    nodes[n].stagePadding()
    guard writeStaged(node, &world) else { return false }
    let flush = nodes[n].writer!.flush()
    nodes[n].journalFlushIssued = world.localTime(node)
    let work = PaxosNode.DiskWork.journal(flush, stamp: nodes[n].stamp)
    if world.hasMemory(node) {
      nodes[n].flushes.append((world.announce(node), work))
      // No flush of the journal takes the names of other files along.
      world.writeBack(node)
    } else {
      nodes[n].flushes.append((world.flush(node), work))
      checkCrashImage(node, nil, &world)
    }
    return true
  }

  mutating func diskCompleted(
    _ node: NodeIndex, _ ticket: UInt64, _ world: inout World<PaxosMessage>
  ) -> Int {
    let n = node.index
    effects.removeAll()
    guard let place = nodes[n].flushes.firstIndex(where: { $0.ticket == ticket }) else { return 0 }
    switch nodes[n].flushes.remove(at: place).work {
    case .journal(let flush, let stamp):
      nodes[n].proved(stamp)
      let position = nodes[n].writer!.flushed(flush)
      let count = Int(position.rawValue - nodes[n].durablePosition)
      for record in nodes[n].undurable.prefix(count) { becameDurable(record, node, &world) }
      nodes[n].undurable.removeFirst(count)
      nodes[n].durablePosition = position.rawValue
      guard nodes[n].isRunning else {
        nodes[n].isRunning = true
        watchDigests(node, &world)
        return step(node, .started, &world)
      }
      return step(node, .persisted(upTo: position), &world)
    case .snapshotTaken(let info):
      snapshotWritten(node)
      return step(node, .snapshotTaken(info), &world)
    case .snapshotStored(let info, let isValid):
      return step(node, .snapshotStored(info, isValid: isValid), &world)
    case .snapshotRewritten(let info):
      return snapshotRewritten(info, node)
    case .segmentRetired(let name):
      nodes[n].memory.retired.append(name)
      return 1
    case .segmentVoided(let name):
      nodes[n].memory.blank.append(name)
      return 0
    case .quarantine:
      world.quit(node)
      return 0
    }
  }

  private mutating func becameDurable(
    _ record: JournalRecord, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    world.check("suspicion", checkers.durability.durable(node, record.fact), [node])
    if case .snapshot(let info) = record.fact { nodes[node.index].durableSnapshot = info.slot }
    guard case .accepted(let slot, let ballot, let value) = record.fact else { return }
    world.check("agreement", checkers.agreement.voted(node, slot, ballot, value), [node])
  }

  // MARK: Recovery

  /// Reads snapshot and journal back; nil when the run has to end.
  mutating func recover(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> DurableState? {
    recoverSnapshot(node, &world)
    removeRetired(node, &world)
    do throws(JournalDamage) {
      return try recoverJournal(node, &world)
    } catch {
      guard world.damaged.contains(node), error.mayComeOfDamage else {
        let names = world.disk(node).names
        world.check(
          "recovery.journal", "\(node) cannot read its journal: \(error); files \(names)", [node])
        return nil
      }
      world.note("refused its journal: \(error); the operator begins it anew", node)
    }
    nodes[node.index].crash()
    replaceDisk(node, &world)
    return try? recoverJournal(node, &world)
  }

  private mutating func recoverJournal(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) throws(JournalDamage) -> DurableState {
    let n = node.index
    // After a crash of the simulated machine everything readable is durable; a host that only lost its process would
    // have to flush what it reads here.
    var segments: [(number: UInt64, bytes: [UInt8])] = []
    for name in world.disk(node).names {
      guard let number = PaxosFiles.number(name, prefix: "journal-") else { continue }
      for range in world.unreadable(node, file: name) {
        world.note("\(name): cannot read bytes \(range)", node)
      }
      segments.append((number, world.read(node, file: name) ?? []))
    }
    segments.sort { $0.number < $1.number }
    var arena = arena
    self.arena = ByteArena()
    defer { self.arena = arena }
    let recovered = try JournalRecovery.recover(
      segments, identity: identity(of: node), snapshot: nodes[n].snapshot
    ) { location in
      guard let segment = segments.first(where: { $0.number == location.segment }) else {
        return nil
      }
      let range = Int(location.offset)..<Int(location.offset) + Int(location.length)
      return arena.append(segment.bytes[range]).position
    }
    let fit = segmentFit(node, world)
    nodes[n].writer = JournalWriter(
      identity: identity(of: node), after: recovered, segmentLengthMax: fit.lengthMax,
      blockLength: fit.blockLength)
    checkRecovered(recovered, node, &world)
    return recovered.durable
  }

  private mutating func checkRecovered(
    _ recovered: RecoveredJournal, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let state = recovered.durable
    if world.scarred.contains(node) {
      world.note(
        "recovered promise \(state.promised), chosen up to \(state.chosenUpTo), snapshot"
          + " \(state.snapshot.slot), \(state.entries.count) slots above", node)
    }
    for damage in recovered.damages {
      world.note("damaged: \(damage)", node)
      guard !world.scarred.contains(node) else { continue }
      return world.check(
        "recovery.journal", "\(node) found damage where there is none: \(damage)", [node])
    }
    guard world.damaged.contains(node) else {
      let durable = nodes[node.index].durableEnd
      if recovered.end.mark < durable {
        // Its peers would say that the disk was set back.
        world.check(
          "recovery.journal", "\(node) finds its log ended before \(durable), which was durable",
          [node])
      }
      if let doubt = state.doubt {
        world.check("suspicion", "\(node) is a suspect of sound disk: \(doubt)", [node])
      }
      world.check("durability", checkers.durability.recovered(node, state), [node])
      return checkVotes(state.entries, node, &world)
    }
    if let doubt = state.doubt { world.note("suspect: \(doubt)", node) }
    world.check("suspicion", checkers.durability.recoveredDamaged(node, state), [node])
    guard state.doubt != nil else { return checkVotes(state.entries, node, &world) }
    checkers.agreement.lost(node)
  }

  /// Votes that reached the disk without anybody being told count from now on.
  private mutating func checkVotes(
    _ entries: [DurableState.Entry], _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    for entry in entries where entry.ballot > .zero {
      world.check(
        "agreement", checkers.agreement.voted(node, entry.slot, entry.ballot, entry.value), [node])
    }
  }

  // MARK: Damage

  public func vouched(
    _ node: NodeIndex, _ world: borrowing World<PaxosMessage>
  ) -> [VouchedFile] {
    nodes[node.index].vouched.files(world.disk(node))
  }

  /// An empty disk with the journal of a replica that may have promised and voted for anything.
  public mutating func replaceDisk(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    var writer = JournalWriter(identity: identity(of: node), after: .wiped)
    var bytes: [UInt8] = []
    let number = writer.beginSegment(under: configuration.span, into: &bytes)
    world.replaceDisk(node, file: PaxosFiles.journal(number), bytes)
    nodes[node.index].diskReplaced()
  }

  public func isSound(_ node: NodeIndex) -> Bool {
    nodes[node.index].isRunning && !nodes[node.index].replica.isSuspect
      && !checkers.divergence.isTainted(node)
  }

  private mutating func recoverSnapshot(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    var best: (info: SnapshotInfo, bytes: [UInt8])?
    for name in world.disk(node).names {
      guard let slot = PaxosFiles.number(name, prefix: "snapshot-") else { continue }
      guard let file = world.read(node, file: name),
        let found = PaxosFiles.unframe(file, slot: Slot(slot))
      else {
        world.delete(node, file: name)
        continue
      }
      if found.0.slot > (best?.info.slot ?? .zero) { best = (found.0, found.1) }
    }
    guard let best else { return }
    install(best.info, best.bytes, node, &world)
  }

  // MARK: Snapshots

  mutating func takeSnapshot(
    _ slot: Slot, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    precondition(nodes[n].application.appliedUpTo == slot, "the snapshot is of another slot")
    var bytes: [UInt8] = []
    var source = nodes[n].application.snapshot()
    while source.chunk(limit: 1 << 16, into: &bytes) {}
    let info = SnapshotInfo(
      slot: slot, length: UInt64(bytes.count), digest: UInt64(CRC32C.checksum(bytes)))
    let (name, file) = (PaxosFiles.snapshot(slot), SnapshotFileHead.file(info, bytes))
    guard reserveSnapshot(name, bytes: file.count, node, &world) else {
      return snapshotUntaken(node, &world)
    }
    world.write(node, file: name, at: 0, file)
    nodes[n].flushes.append((world.flush(node), .snapshotTaken(info)))
  }

  mutating func sendChunk(
    _ info: SnapshotInfo, _ offset: UInt64, _ lengthMax: UInt32, _ node: NodeIndex,
    _ to: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard let file = world.read(node, file: PaxosFiles.snapshot(info.slot)) else { return }
    let head = SnapshotFileHead(info)
    let start = head.length + Int(offset)
    let end = min(file.count, head.tableOffset, start + Int(lengthMax))
    let bytes = arena.append(file[start..<end])
    send(
      .snapshotChunk(SnapshotChunk(snapshot: info, offset: offset, bytes: bytes)), from: node,
      to: to, &world)
  }

  mutating func store(
    _ chunk: SnapshotChunk, isLast: Bool, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    guard keepsIncoming(chunk, node, &world) else { return }
    if chunk.offset == 0 { nodes[n].incoming.removeAll(keepingCapacity: true) }
    precondition(nodes[n].incoming.count == Int(chunk.offset), "a chunk out of order")
    nodes[n].incoming.append(contentsOf: arena.bytes[arena.range(chunk.bytes)])
    guard isLast else { return }
    let info = chunk.snapshot
    let isValid = UInt64(CRC32C.checksum(nodes[n].incoming)) == info.digest
    if isValid {
      let name = PaxosFiles.snapshot(info.slot)
      let file = SnapshotFileHead.file(info, nodes[n].incoming)
      guard reserveSnapshot(name, bytes: file.count, node, &world) else {
        return snapshotUnstored(info, node, &world)
      }
      world.write(node, file: name, at: 0, file)
    }
    nodes[n].flushes.append((world.flush(node), .snapshotStored(info, isValid: isValid)))
  }

  mutating func restore(
    _ info: SnapshotInfo, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let bytes = nodes[node.index].incoming
    install(info, bytes, node, &world)
    nodes[node.index].incoming = []
  }

  /// Replaces the application by a snapshot's and removes older snapshot files.
  private mutating func install(
    _ info: SnapshotInfo, _ bytes: [UInt8], _ node: NodeIndex,
    _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    do throws(SnapshotInvalid) {
      var restorer = nodes[n].application.restorer()
      try restorer.take(bytes.span.bytes)
      // The restored one begins to count anew.
      tally.add(nodes[n].application.contracts)
      nodes[n].application = try restorer.finish()
    } catch {
      return world.check(
        "recovery.snapshot", "\(node) cannot restore snapshot \(info.slot): \(error)", [node])
    }
    nodes[n].snapshot = info
    nodes[n].durableSnapshot = info.slot
    checkRestored(node, &world)
    checkDigest(info.slot, node, &world)
    if nodes[n].isRunning { watchDigests(node, &world) }
    removeSnapshots(below: info.slot, node, &world)
  }

  mutating func removeSnapshots(
    below slot: Slot, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    for name in world.disk(node).names {
      if let number = PaxosFiles.number(name, prefix: "snapshot-"), number < slot.rawValue {
        world.delete(node, file: name)
      }
    }
  }
}

extension JournalDamage {
  /// Recovery may refuse a damaged journal for this: a sector in the place of another one may hold a header of another
  /// segment, or records that are whole and do not follow. Whatever else it refuses says that the journal was written wrongly.
  fileprivate var mayComeOfDamage: Bool {
    switch what {
    case .segmentMissing, .header, .misplaced, .outOfChain, .unreadable: true
    case .endLost, .record, .value, .foreign, .unknownEpoch, .configurationOutOfOrder,
      .unsupportedVersion, .slotsMissing, .snapshotMissing, .notCured:
      false
    }
  }
}
