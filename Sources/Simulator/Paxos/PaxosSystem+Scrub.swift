internal import Protocol

/// What a simulated host knows of its files at rest.
struct ScrubState: Sendable {
  /// Segments that were found damaged, lowest number first.
  var segments: [UInt64] = []
  /// The snapshot whose file was found damaged.
  var snapshot: Slot?
  /// Where its replacement is: written and on its way to the disk, durable, or about to have the name.
  var rewriting = Rewriting.idle

  enum Rewriting: Sendable { case idle, written, durable, named }

  /// A segment as the last pass found it. Nothing that is still the same is read again: that would be most of what a run does.
  struct Seen: Sendable {
    var number: UInt64
    var version: UInt64
    var header: SegmentHeader?
    /// Nothing is damaged up to there, in bytes.
    var soundUpTo: Int?
  }
  var seen: [Seen] = []

  var isClean: Bool { segments.isEmpty && snapshot == nil }
}

// Scrubbing: the simulated host reads what it has on its medium now and then, by the code that recovery reads it with, and
// repairs what is damaged from memory, as the real one does (`ReplicaHost+Scrub`). Only where the plan damages at rest, so that no
// other run pays for it.
extension PaxosSystem {
  static let scrubTimer: UInt64 = 2
  private static let scrubPeriod = TimeSpan.milliseconds(200)
  private static let replacement = "snapshot-new"

  func armScrub(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    guard world.plan.atRestInterval > 0 else { return }
    world.setTimer(node, at: world.localTime(node) + Self.scrubPeriod, token: Self.scrubTimer)
  }

  /// Reads everything at rest. What is damaged is replaced at the end of the turn, or by the snapshot that is asked for here.
  mutating func scrub(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Int {
    armScrub(node, &world)
    effects.removeAll()
    guard nodes[node.index].isRunning, !nodes[node.index].replica.isSuspect else { return 0 }
    let damages = damagedSegments(node, &world)
    for damage in damages {
      world.note("damaged at rest: \(damage)", node)
      guard !world.scarred.contains(node) else { continue }
      world.check(
        "recovery.journal", "\(node) found damage at rest where there is none: \(damage)", [node])
      return 0
    }
    let snapshot = damagedSnapshot(node, world)
    if let snapshot {
      world.note("damaged at rest: snapshot \(snapshot)", node)
      if !world.scarred.contains(node) {
        world.check("recovery.snapshot", "\(node) found a sound snapshot damaged", [node])
        return 0
      }
    }
    nodes[node.index].scrub.segments = damages.map { $0.segment }
    nodes[node.index].scrub.snapshot = snapshot
    if nodes[node.index].scrub.isClean {
      // A crash brings back what was removed and not flushed, damaged as it was.
      if !world.disk(node).hasUnflushed { world.foundSound(node) }
      return 0
    }
    return step(node, .snapshotRequested, &world)
  }

  // MARK: Reading

  private mutating func damagedSegments(
    _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> [JournalDamage] {
    let durable = nodes[node.index].writer!.durable
    let before = nodes[node.index].scrub.seen
    var next = 0
    var files: [SimulatedDisk.MediumFile] = []
    var seen: [ScrubState.Seen] = []
    for segment in nodes[node.index].writer!.segments where segment.number <= durable.segment {
      let name = PaxosFiles.journal(segment.number)
      guard let file = world.readMedium(node, file: name) else { continue }
      files.append(file)
      while next < before.count, before[next].number < segment.number { next += 1 }
      if next < before.count, before[next].number == segment.number,
        before[next].version == file.version
      {
        seen.append(before[next])
        continue
      }
      // A header in another segment's file says nothing.
      let header = file.bytes.withUnsafeBytes { try? SegmentHeader.read($0) }
      seen.append(
        ScrubState.Seen(
          number: segment.number, version: file.version,
          header: header?.number == segment.number ? header : nil))
    }
    let ends = SegmentEnds(seen.compactMap { $0.header })
    var damages: [JournalDamage] = []
    for i in seen.indices {
      let isWritten = seen[i].number == durable.segment
      switch isWritten ? .at(Int(durable.offset)) : ends[seen[i].number] {
      case .at(let end):
        guard seen[i].soundUpTo != end else { continue }
        guard end <= files[i].bytes.count else {
          // Cut while the process was down. What is left of it may rot as well.
          damages.append(
            JournalDamage(
              segment: seen[i].number, offset: files[i].bytes.count,
              what: .record(.truncated)))
          continue
        }
        let found = self.damages(in: files[i], seen[i].number, upTo: end, node)
        if found.isEmpty { seen[i].soundUpTo = end }
        damages += found
      case .void: continue
      case .lost:
        damages.append(JournalDamage(segment: seen[i].number, offset: 0, what: .endLost))
      }
    }
    nodes[node.index].scrub.seen = seen
    return damages
  }

  private func damages(
    in file: SimulatedDisk.MediumFile, _ number: UInt64, upTo end: Int, _ node: NodeIndex
  ) -> [JournalDamage] {
    let unreadable = file.unreadable.filter { $0.lowerBound < end }.map {
      UnreadableBytes($0.lowerBound..<min($0.upperBound, end), why: "the sector is bad")
    }
    return file.bytes.withUnsafeBytes {
      JournalRecovery.damages(
        in: JournalSegment(
          number: number, bytes: UnsafeRawBufferPointer(rebasing: $0[..<end]),
          unreadable: unreadable), upTo: end, identity: identity(of: node))
    }
  }

  /// The newest snapshot that is known to be durable, if its file does not hold it.
  private func damagedSnapshot(
    _ node: NodeIndex, _ world: borrowing World<PaxosMessage>
  ) -> Slot? {
    let info = nodes[node.index].snapshot
    guard info != .none, nodes[node.index].durableSnapshot == info.slot else { return nil }
    let file = world.readMedium(node, file: PaxosFiles.snapshot(info.slot))?.bytes ?? []
    return PaxosFiles.unframe(file, slot: info.slot)?.0 == info ? nil : info.slot
  }

  // MARK: Repair

  /// Something is to be replaced that a turn's end can replace.
  mutating func needsRepair(_ node: NodeIndex) -> Bool { !nodes[node.index].scrub.isClean }

  /// The end of a turn: a segment all of whose slots a sound snapshot covers is not needed; a snapshot is written anew where
  /// nothing was applied since. False when the process dies on the way.
  mutating func repairFiles(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Bool {
    repairSnapshot(node, &world)
    let n = node.index
    guard let last = nodes[n].scrub.segments.last, nodes[n].scrub.snapshot == nil else {
      return true
    }
    if last == nodes[n].writer!.segments.last?.number, mayLeaveSegment(node) {
      guard writeStaged(node, &world) else { return false }
      beginSegment(node, &world)
    }
    let highest = nodes[n].writer!.segments.lazy.filter { $0.number <= last }.map { $0.highestSlot }
      .max()
    guard let highest, highest <= nodes[n].durableSnapshot else { return true }
    // Not only what the replica truncates: what it keeps for peers it keeps in memory.
    let dropped = nodes[n].writer!.drop(upTo: highest)
    retire(dropped, node, &world)
    // Nobody waits for it.
    _ = world.flush(node)
    let kept = nodes[n].writer!.segments.first?.number ?? 0
    let before = nodes[n].scrub.segments.count
    nodes[n].scrub.segments.removeAll { $0 < kept }
    tally.filesRepaired &+= UInt64(before - nodes[n].scrub.segments.count)
    return true
  }

  private mutating func repairSnapshot(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    guard let slot = nodes[n].scrub.snapshot else { return }
    let info = nodes[n].snapshot
    guard info.slot == slot else { return snapshotRepaired(node) }
    switch nodes[n].scrub.rewriting {
    case .idle:
      guard nodes[n].application.appliedUpTo == slot else { return }
      var bytes: [UInt8] = []
      var source = nodes[n].application.snapshot()
      while source.chunk(limit: 1 << 16, into: &bytes) {}
      guard UInt64(CRC32C.checksum(bytes)) == info.digest, UInt64(bytes.count) == info.length else {
        // A diverged state takes nothing's place; that it has diverged is found in its own way.
        guard !checkers.divergence.tainted.contains(node) else { return }
        return world.check(
          "recovery.snapshot", "\(node) has another state than its snapshot of slot \(slot)", [node]
        )
      }
      world.delete(node, file: Self.replacement)
      let file = SnapshotFileHead.file(info, bytes)
      guard reserveSnapshot(Self.replacement, bytes: file.count, node, &world) else { return }
      world.write(node, file: Self.replacement, at: 0, file)
      nodes[n].scrub.rewriting = .written
      nodes[n].flushes.append((world.flush(node), .snapshotRewritten(info)))
    case .durable:
      world.rename(node, file: Self.replacement, to: PaxosFiles.snapshot(slot))
      nodes[n].scrub.rewriting = .named
      nodes[n].flushes.append((world.flush(node), .snapshotRewritten(info)))
    case .written, .named: break
    }
  }

  /// A flush for a snapshot that is written anew is complete: goes on with it at the end of this turn.
  mutating func snapshotRewritten(_ info: SnapshotInfo, _ node: NodeIndex) -> Int {
    let n = node.index
    guard nodes[n].scrub.snapshot == info.slot, nodes[n].snapshot == info else { return 0 }
    switch nodes[n].scrub.rewriting {
    case .written: nodes[n].scrub.rewriting = .durable
    case .named: snapshotRepaired(node)
    case .idle, .durable: break
    }
    return 1
  }

  private mutating func snapshotRepaired(_ node: NodeIndex) {
    nodes[node.index].scrub.snapshot = nil
    nodes[node.index].scrub.rewriting = .idle
    tally.filesRepaired &+= 1
  }
}
