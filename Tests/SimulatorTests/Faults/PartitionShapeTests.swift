import Simulator
import Testing

@Suite struct PartitionShapeTests {
  private func cuts(
    _ shape: PartitionShape, _ n: Int, cut: Int = 1, outward: Bool = true
  ) -> LinkCuts {
    LinkCuts.of(
      shape, order: (0..<n).map { NodeIndex($0) }, cut: cut, outward: outward, endpoints: n + 1)
  }

  /// How many others a process still hears from and reaches.
  private func degree(_ cuts: LinkCuts, _ node: Int, _ n: Int) -> Int {
    (0..<n).filter {
      $0 != node && !cuts.isCut(from: NodeIndex(node), to: NodeIndex($0))
        && !cuts.isCut(from: NodeIndex($0), to: NodeIndex(node))
    }.count
  }

  @Test(arguments: PartitionShape.allCases, Array(2...9))
  func eachShapeIsWhatItsNameSays(_ shape: PartitionShape, _ n: Int) {
    for size in 1..<n {
      for outward in [true, false] {
        let cuts = cuts(shape, n, cut: size, outward: outward)
        let degrees = (0..<n).map { degree(cuts, $0, n) }
        switch shape {
        case .isolated:
          #expect(degrees == [0] + Array(repeating: n - 2, count: n - 1))
        case .split:
          #expect(
            degrees
              == (0..<n).map { $0 < size ? size - 1 : n - size - 1 })
        case .oneWay:
          for other in 1...size {
            #expect(cuts.isCut(from: NodeIndex(0), to: NodeIndex(other)) == outward)
            #expect(cuts.isCut(from: NodeIndex(other), to: NodeIndex(0)) == !outward)
          }
          #expect(degrees[0] == n - 1 - size)
        case .ring:
          #expect(degrees.allSatisfy { $0 == min(2, n - 1) })
        case .bridge:
          #expect(degrees == [n - 1] + Array(repeating: 1, count: n - 1))
        case .chained:
          #expect(degrees == (0..<n).map { $0 == 0 || $0 == n - 1 ? 1 : 2 })
        }
        // Nobody is ever cut from itself, nor from an endpoint outside the order.
        for a in 0..<n {
          #expect(!cuts.isCut(from: NodeIndex(a), to: NodeIndex(a)))
          #expect(!cuts.isCut(from: NodeIndex(a), to: NodeIndex(n)))
        }
      }
    }
  }

  @Test func healingAmongSomeLeavesTheRestBroken() {
    var split = cuts(.split, 5, cut: 2)
    split.heal(among: [NodeIndex(1), NodeIndex(2), NodeIndex(3)])
    #expect(!split.isCut(from: NodeIndex(1), to: NodeIndex(2)))
    #expect(!split.isCut(from: NodeIndex(3), to: NodeIndex(1)))
    #expect(split.isCut(from: NodeIndex(0), to: NodeIndex(2)))
    #expect(split.isCut(from: NodeIndex(4), to: NodeIndex(1)))
  }

  @Test func nodeSetsIterateInOrder() {
    let set: NodeSet = [NodeIndex(5), NodeIndex(0), NodeIndex(63)]
    #expect(set.map { $0.index } == [0, 5, 63])
    #expect(set.element(at: 1) == NodeIndex(5) && set.count == 3)
    #expect(NodeSet(first: 64).count == 64 && NodeSet(first: 3).description == "{0,1,2}")
    #expect(set.subtracting([NodeIndex(5)]).intersection(set).contains(NodeIndex(63)))
    var copy = set
    copy.remove(NodeIndex(0))
    #expect(copy.union([NodeIndex(1)]).map { $0.index } == [1, 5, 63])
  }
}
