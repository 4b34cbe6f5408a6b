/// The named ways in which a network can come apart. The partial ones are those of Omni-Paxos
/// (EuroSys'23, §2).
public enum PartitionShape: UInt8, CaseIterable, Sendable {
  /// One process alone, the rest together.
  case isolated
  /// Two groups, nothing between them.
  case split
  /// One direction between one process and some others is gone; the other works.
  case oneWay
  /// Each process reaches its two neighbours only: everyone has a majority with three, no one sees
  /// all with more.
  case ring
  /// One process reaches all, the others reach only it: it is the only one with a quorum.
  case bridge
  /// A line: each process reaches the one before and the one after it.
  case chained

  var fault: FaultKind {
    switch self {
    case .isolated: .partitionIsolated
    case .split: .partitionSplit
    case .oneWay: .partitionOneWay
    case .ring: .partitionRing
    case .bridge: .partitionBridge
    case .chained: .partitionChained
    }
  }
}

/// Which links are cut: for each sender, the set of receivers that its packets do not reach.
public struct LinkCuts: Equatable, Sendable {
  public private(set) var unreachable: [NodeSet]

  public init(endpoints: Int) {
    unreachable = Array(repeating: NodeSet(), count: endpoints)
  }

  public func isCut(from: NodeIndex, to: NodeIndex) -> Bool {
    unreachable[from.index].contains(to)
  }

  /// Cuts one direction.
  public mutating func cut(from: NodeIndex, to: NodeIndex) {
    if from != to { unreachable[from.index].insert(to) }
  }

  /// Cuts both directions between every member of `a` and every member of `b`.
  public mutating func cut(between a: NodeSet, and b: NodeSet) {
    for x in a {
      for y in b {
        cut(from: x, to: y)
        cut(from: y, to: x)
      }
    }
  }

  /// Restores every link among `members`.
  public mutating func heal(among members: NodeSet) {
    for node in members {
      unreachable[node.index] = unreachable[node.index].subtracting(members)
    }
  }

  /// Restores every link from and to `node`.
  public mutating func heal(_ node: NodeIndex) {
    unreachable[node.index] = NodeSet()
    for index in unreachable.indices { unreachable[index].remove(node) }
  }

  /// Adds the cuts of `other`.
  public mutating func formUnion(_ other: LinkCuts) {
    for index in unreachable.indices {
      unreachable[index] = unreachable[index].union(other.unreachable[index])
    }
  }

  /// The cuts of `shape` over `order`, a permutation of the processes: the first is the odd one out
  /// where there is one. `cut` is how many of the order form the first group of a split, or are no
  /// longer reached in a one-way cut.
  public static func of(
    _ shape: PartitionShape, order: [NodeIndex], cut size: Int, outward: Bool, endpoints: Int
  ) -> LinkCuts {
    var cuts = LinkCuts(endpoints: endpoints)
    guard order.count > 1 else { return cuts }
    let size = max(1, min(size, order.count - 1))
    switch shape {
    case .isolated:
      cuts.cut(between: NodeSet(order.prefix(1)), and: NodeSet(order.dropFirst()))
    case .split:
      cuts.cut(between: NodeSet(order.prefix(size)), and: NodeSet(order.dropFirst(size)))
    case .oneWay:
      for other in order.dropFirst().prefix(size) {
        if outward {
          cuts.cut(from: order[0], to: other)
        } else {
          cuts.cut(from: other, to: order[0])
        }
      }
    case .ring, .chained:
      for i in order.indices {
        for j in order.indices where j > i {
          let closing = shape == .ring && i == 0 && j == order.count - 1
          if j - i > 1 && !closing {
            cuts.cut(from: order[i], to: order[j])
            cuts.cut(from: order[j], to: order[i])
          }
        }
      }
    case .bridge:
      for x in order.dropFirst() {
        for y in order.dropFirst() { cuts.cut(from: x, to: y) }
      }
    }
    return cuts
  }
}
