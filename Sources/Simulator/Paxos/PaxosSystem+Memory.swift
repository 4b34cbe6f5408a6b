internal import Protocol

/// What a simulated host knows of segments in persistent memory.
struct SegmentMemory: Sendable {
  /// Where the next group of the present one belongs, in bytes.
  var end = 0
  /// Files of segments that are not needed any more: those that have lost their names, and those that are void and may become
  /// segments again. Behind the header they hold what they held.
  var retired: [String] = []
  var blank: [String] = []

  static let blankMax = 2

  /// A segment begins; in one of these files, if there is one.
  mutating func begin() -> String? {
    end = 0
    return blank.popLast()
  }
}

// Journals in persistent memory: the simulated host stores what its turn has written, in the order of the real one (`GroupCommit`),
// and knows at once that it is durable. Snapshots are files there as anywhere.
extension PaxosSystem {
  /// Some records that become durable together, and where.
  struct Group {
    var file: String
    var offset: Int
    var bytes: [UInt8]
  }

  /// How segments are written: as the real host's, one in memory has room for what fills its last line, because a mapping does
  /// not grow.
  func segmentFit(
    _ node: NodeIndex, _ world: borrowing World<PaxosMessage>
  ) -> (lengthMax: Int, blockLength: Int) {
    guard world.hasMemory(node) else { return (workload.segmentLength, 512) }
    return (workload.segmentLength - 2 * GroupCommit.lineLength, GroupCommit.lineLength)
  }

  /// Makes durable what is staged, all of it or nothing. False when the process dies on the way.
  mutating func commitStaged(_ node: NodeIndex, _ world: inout World<PaxosMessage>) -> Bool {
    let n = node.index
    let group = Group(
      file: nodes[n].segmentFile, offset: nodes[n].memory.end, bytes: nodes[n].staged)
    nodes[n].staged.removeAll(keepingCapacity: true)
    let end = group.offset + group.bytes.count
    nodes[n].memory.end = end
    guard end <= workload.segmentLength else {
      world.check(
        "durability.mapping",
        "\(node) stores up to byte \(end) of a segment that has \(workload.segmentLength)", [node])
      return false
    }
    var commit = GroupCommit(length: group.bytes.count)
    while let step = commit.next() {
      switch step {
      case .store(let part): store(group, part, node, &world)
      case .publish: store(group, 0..<GroupCommit.wordLength, node, &world)
      case .fence:
        checkCrashImage(node, group, &world)
        guard world.fence(node) else { return false }
      }
    }
    tally.groupsStored &+= 1
    // Its first group may be answered by only when the segment cannot lose its name.
    return group.offset > 0 || world.flushNames(node)
  }

  // MARK: Segments again
  // A real host begins segments in the files of old ones, so that what lies behind the last record need not be zeroes. Here only
  // in memory, where a word that is not written back is all the more something else.

  /// A segment is not needed: keeps its file for later, under another name. False when it is to be deleted.
  mutating func recycle(
    _ number: UInt64, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) -> Bool {
    let n = node.index
    guard world.hasMemory(node), !fillsDisks, nodes[n].memory.blank.count < SegmentMemory.blankMax
    else { return false }
    let name = "\(PaxosFiles.spare)\(number)"
    world.rename(node, file: PaxosFiles.journal(number), to: name)
    nodes[n].flushes.append((world.flush(node), .segmentRetired(name)))
    return true
  }

  /// The end of a turn: their names are durable, so they may lose what makes them segments.
  mutating func voidRetired(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    let n = node.index
    for name in nodes[n].memory.retired {
      world.write(
        node, file: name, at: 0, [UInt8](repeating: 0, count: SegmentHeader.length))
      nodes[n].flushes.append((world.flush(node), .segmentVoided(name)))
    }
    nodes[n].memory.retired.removeAll()
  }

  /// A process begins: what an earlier one has put by may be anything.
  mutating func removeRetired(_ node: NodeIndex, _ world: inout World<PaxosMessage>) {
    guard world.hasMemory(node), !fillsDisks else { return }
    for name in world.disk(node).names where name.hasPrefix(PaxosFiles.spare) {
      world.delete(node, file: name)
    }
  }

  private func store(
    _ group: Group, _ part: Range<Int>, _ node: NodeIndex, _ world: inout World<PaxosMessage>
  ) {
    group.bytes.withUnsafeBytes {
      world.store(
        node, file: group.file, at: group.offset + part.lowerBound,
        UnsafeRawBufferPointer(rebasing: $0[part]))
    }
  }
}

extension PaxosSetup {
  /// A segment takes any record: in memory it cannot become longer for one.
  static func fitForMemory(
    _ replica: inout ReplicaOptions, _ workload: inout PaxosWorkloadOptions
  ) {
    replica.batchBytesMax = min(replica.batchBytesMax, 1_024)
    workload.segmentLength = max(workload.segmentLength, 2_048)
  }
}
