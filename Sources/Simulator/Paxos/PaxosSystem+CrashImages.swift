internal import Protocol

// What a crash could leave at any moment, looked at without one: preconditions on writes (PoWER; LeBlanc et al., OSDI 2025),
// checked at run time. A write is right when every state that a crash within it can leave recovers to what was there before,
// or to that and a beginning of what is being written. And nothing may be known outside that one of those states denies.
//
// Here some flushes of every run are drawn, and of each one image: every 8-byte piece of what is not durable survives by
// itself. `CrashEnumerationTests` goes through all images of short lives instead.
extension PaxosSystem {
  /// Of the flushes of a journal: for how many one image is looked at, in a million.
  private static let perMillion: UInt64 = 5_000

  /// Everything that the turn wrote has been handed to the disk, and nothing of it is durable yet; or it is being stored in memory,
  /// as a group, and a fence comes next.
  mutating func checkCrashImage(
    _ node: NodeIndex, _ group: Group?, _ world: inout World<PaxosMessage>
  ) {
    let n = node.index
    guard nodes[n].isRunning, !world.scarred.contains(node), !world.damaged.contains(node),
      world.chance(.audit, perMillion: Self.perMillion)
    else { return }
    var image = world.disk(node)
    image.crash(seed: world.draw(.audit, below: .max))
    var base = world.disk(node)
    base.losePending()
    // Where a file is used again its old bytes may happen to begin as the group does.
    if let group, shows(group, image), !shows(group, base), !holds(group, image) {
      return world.check(
        "power.atomic",
        "\(node): a crash here could leave the head of a group without all of the group, and only a checksum tells: \(group.file),"
          + " bytes \(group.offset)..<\(group.offset + group.bytes.count)",
        [node])
    }
    let snapshot = newestSnapshot(image)
    do throws(JournalDamage) {
      let state = try recover(image, snapshot, node)
      var permitted = try recover(base, snapshot, node)
      var count = 0
      while state != permitted, count < nodes[n].undurable.count {
        permitted.apply(nodes[n].undurable[count].unplaced)
        count += 1
      }
      tally.crashImages &+= 1
      if state != permitted {
        return world.check(
          "power.recoverable",
          "\(node): a crash here could leave a journal that recovers to neither what was durable nor"
            + " that and the first of \(nodes[n].undurable.count) records: promised \(state.promised), chosen \(state.chosenUpTo), snapshot"
            + " \(state.snapshot.slot), entries \(state.entries.map { "\($0.slot)@\($0.ballot)" })",
          [node])
      }
      var durability = checkers.durability
      if let denied = durability.recovered(node, state) {
        world.check("power.externalized", "after a crash here, \(denied)", [node])
      }
    } catch {
      world.check(
        "power.recoverable",
        "\(node): a crash here could leave a journal that is refused: \(error)",
        [node])
    }
  }

  /// Whether a group's first word is on a disk.
  private func shows(_ group: Group, _ disk: SimulatedDisk) -> Bool {
    holds(group, upTo: GroupCommit.wordLength, disk)
  }

  /// Whether all of it is.
  private func holds(_ group: Group, _ disk: SimulatedDisk) -> Bool {
    holds(group, upTo: group.bytes.count, disk)
  }

  private func holds(_ group: Group, upTo count: Int, _ disk: SimulatedDisk) -> Bool {
    disk.withContents(of: group.file) { file in
      file.count >= group.offset + count
        && file[group.offset..<group.offset + count].elementsEqual(group.bytes[..<count])
    }
  }

  /// The newest snapshot on a disk that is whole.
  private func newestSnapshot(_ disk: SimulatedDisk) -> SnapshotInfo {
    var newest = SnapshotInfo.none
    for name in disk.names {
      guard let slot = PaxosFiles.number(name, prefix: "snapshot-"), slot > newest.slot.rawValue,
        let file = disk.contents(of: name), let found = PaxosFiles.unframe(file, slot: Slot(slot))
      else { continue }
      newest = found.0
    }
    return newest
  }

  /// What the journal on a disk adds up to; where its values lie is left out.
  private func recover(
    _ disk: SimulatedDisk, _ snapshot: SnapshotInfo, _ node: NodeIndex
  ) throws(JournalDamage) -> DurableState {
    var segments: [(number: UInt64, bytes: [UInt8])] = []
    for name in disk.names {
      guard let number = PaxosFiles.number(name, prefix: "journal-") else { continue }
      segments.append((number, disk.contents(of: name) ?? []))
    }
    segments.sort { $0.number < $1.number }
    let recovered = try JournalRecovery.recover(
      segments, identity: identity(of: node), snapshot: snapshot, place: { _ in 0 })
    if let damage = recovered.damages.first { throw damage }
    return recovered.durable
  }
}
