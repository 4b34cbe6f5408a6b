internal import Protocol

// The simulated host's disk: journal segments, snapshot files, recovery.
extension PaxosSystem {
  private func identity(of node: NodeIndex) -> JournalIdentity {
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
      writeStaged(node, &world)
      nodes[n].beginSegment(under: configuration.span)
    }
    if case .snapshot(let info) = record.fact {
      // The snapshot is durable: the ones before it are not needed any more.
      nodes[n].snapshot = info
      removeSnapshots(below: info.slot, node, &world)
    }
    let bytes = arena.bytes
    nodes[n].stage(record, bytes.span.bytes.extracting(arena.range(record.payload)))
  }

  private mutating func writeStaged(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard !nodes[n].staged.isEmpty else { return }
    world.append(node, file: nodes[n].segmentFile, nodes[n].staged)
    nodes[n].staged.removeAll(keepingCapacity: true)
  }

  /// The end of a turn: one write and one flush for everything the turn, and those since the last flush, have written.
  mutating func flushJournal(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard !nodes[n].staged.isEmpty, !nodes[n].isJournalFlushing else { return }
    nodes[n].stagePadding()
    writeStaged(node, &world)
    let flush = nodes[n].writer!.flush()
    nodes[n].journalFlushIssued = world.localTime(node)
    nodes[n].flushes.append((world.flush(node), .journal(flush)))
  }

  mutating func diskCompleted(
    _ node: NodeIndex, _ ticket: UInt64, _ world: inout World<PaxosMessage>
  ) -> Int {
    let n = node.index
    effects.removeAll()
    guard let place = nodes[n].flushes.firstIndex(where: { $0.ticket == ticket }) else { return 0 }
    switch nodes[n].flushes.remove(at: place).work {
    case .journal(let flush):
      let position = nodes[n].writer!.flushed(flush)
      let count = Int(position.rawValue - nodes[n].durablePosition)
      for record in nodes[n].undurable.prefix(count) { becameDurable(record, node, &world) }
      nodes[n].undurable.removeFirst(count)
      nodes[n].durablePosition = position.rawValue
      guard nodes[n].isRunning else {
        nodes[n].isRunning = true
        return step(node, .started, &world)
      }
      return step(node, .persisted(upTo: position), &world)
    case .snapshotTaken(let info):
      return step(node, .snapshotTaken(info), &world)
    case .snapshotStored(let info, let isValid):
      return step(node, .snapshotStored(info, isValid: isValid), &world)
    }
  }

  private mutating func becameDurable(
    _ record: JournalRecord, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    checkers.durability.durable(node, record.fact)
    guard case .accepted(let slot, let ballot, let value) = record.fact else { return }
    world.check("agreement", checkers.agreement.voted(node, slot, ballot, value), [node])
  }

  // MARK: Recovery

  /// Reads snapshot and journal back; nil when the run has to end.
  mutating func recover(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> DurableState? {
    let n = node.index
    recoverSnapshot(node, &world)
    // After a crash of the simulated machine everything readable is durable; a host that only lost its process would
    // have to flush what it reads here.
    var files: [(number: UInt64, name: String)] = []
    for name in world.disk(node).names {
      if let number = PaxosFiles.number(name, prefix: "journal-") { files.append((number, name)) }
    }
    files.sort { $0.number < $1.number }
    let segments = files.map {
      (number: $0.number, bytes: world.read(node, file: $0.name) ?? [])
    }
    do throws(JournalDamage) {
      let first = files.first?.number ?? 0
      var arena = arena
      self.arena = ByteArena()
      defer { self.arena = arena }
      let recovered = try JournalRecovery.recover(
        segments, identity: identity(of: node), snapshot: nodes[n].snapshot
      ) { location in
        let bytes = segments[Int(location.segment - first)].bytes
        let range = Int(location.offset)..<Int(location.offset) + Int(location.length)
        return arena.append(bytes[range]).position
      }
      nodes[n].writer = JournalWriter(
        identity: identity(of: node), after: recovered, segmentLengthMax: workload.segmentLength)
      checkRecovered(recovered.durable, node, &world)
      // No disk rots here.
      if let damage = recovered.damages.first {
        world.check("recovery.journal", "\(node) found its journal damaged: \(damage)", [node])
      }
      return recovered.durable
    } catch {
      let numbers = files.map { $0.number }
      world.check(
        "recovery.journal",
        "\(node) cannot read its journal: \(error); segments \(numbers)", [node])
      return nil
    }
  }

  private mutating func checkRecovered(
    _ state: DurableState, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    world.check("durability", checkers.durability.recovered(node, state), [node])
    // Votes that reached the disk without anybody being told count from now on.
    for entry in state.entries where entry.ballot > .zero {
      world.check(
        "agreement", checkers.agreement.voted(node, entry.slot, entry.ballot, entry.value), [node])
    }
  }

  private mutating func recoverSnapshot(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    var best: (info: SnapshotInfo, bytes: [UInt8])?
    for name in world.disk(node).names where PaxosFiles.number(name, prefix: "snapshot-") != nil {
      guard let file = world.read(node, file: name), let found = PaxosFiles.unframe(file)
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
    world.write(
      node, file: PaxosFiles.snapshot(slot), at: 0, PaxosFiles.frame(info, bytes))
    nodes[n].flushes.append((world.flush(node), .snapshotTaken(info)))
  }

  mutating func sendChunk(
    _ info: SnapshotInfo, _ offset: UInt64, _ lengthMax: UInt32, _ node: NodeIndex,
    _ to: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    guard let file = world.read(node, file: PaxosFiles.snapshot(info.slot)) else { return }
    let start = SnapshotFileHeader.length + Int(offset)
    let end = min(file.count, start + Int(lengthMax))
    let bytes = arena.append(file[start..<end])
    send(
      .snapshotChunk(SnapshotChunk(snapshot: info, offset: offset, bytes: bytes)), from: node,
      to: to, &world)
  }

  mutating func store(
    _ chunk: SnapshotChunk, isLast: Bool, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    if chunk.offset == 0 { nodes[n].incoming.removeAll(keepingCapacity: true) }
    precondition(nodes[n].incoming.count == Int(chunk.offset), "a chunk out of order")
    nodes[n].incoming.append(contentsOf: arena.bytes[arena.range(chunk.bytes)])
    guard isLast else { return }
    let info = chunk.snapshot
    let isValid = UInt64(CRC32C.checksum(nodes[n].incoming)) == info.digest
    if isValid {
      world.write(
        node, file: PaxosFiles.snapshot(info.slot), at: 0,
        PaxosFiles.frame(info, nodes[n].incoming))
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
    world.check(
      "digests", checkers.digests.reached(node, info.slot, nodes[n].application.digest), [node])
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
