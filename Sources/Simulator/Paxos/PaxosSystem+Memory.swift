internal import Protocol

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
      file: nodes[n].segmentFile, offset: world.size(node, file: nodes[n].segmentFile) ?? 0,
      bytes: nodes[n].staged)
    nodes[n].staged.removeAll(keepingCapacity: true)
    let end = group.offset + group.bytes.count
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
