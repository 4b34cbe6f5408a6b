import Protocol
import Testing

/// The order of a group's stores, against every state that a crash can leave.
@Suite struct GroupCommitTests {
  private static let word = GroupCommit.wordLength

  /// Memory of words: those that are durable, and those that are stored and may be.
  private struct Memory {
    var durable: [Bool]
    var stored: Set<Int> = []

    /// Which words are new, in every state that a crash here can leave.
    var images: [[Bool]] {
      let open = stored.filter { !durable[$0] }.sorted()
      return (0..<1 << open.count).map { subset in
        var image = durable
        for (i, word) in open.enumerated() where subset >> i & 1 == 1 { image[word] = true }
        return image
      }
    }

    mutating func perform(_ step: GroupCommit.Step) {
      switch step {
      case .store(let part):
        #expect(part.lowerBound % word == 0)
        stored.formUnion(part.lowerBound / word..<(part.upperBound + word - 1) / word)
      case .publish: stored.insert(0)
      case .fence:
        for word in stored { durable[word] = true }
      }
    }
  }

  /// No state shows the first word without all of the group, and the last fence leaves no other state than all of it.
  @Test(arguments: [16, 24, 64, 88, 100])
  func aCrashLeavesAllOfAGroupOrNothingInSight(_ length: Int) {
    let words = (length + Self.word - 1) / Self.word
    var memory = Memory(durable: Array(repeating: false, count: words))
    var commit = GroupCommit(length: length)
    var (fences, images) = (0, 0)
    while let step = commit.next() {
      if step == .fence { fences += 1 }
      memory.perform(step)
      for image in memory.images {
        images += 1
        #expect(!image[0] || !image.contains(false), "\(step)")
      }
    }
    #expect(fences == 2)
    #expect(images >= 1 << (words - 1))
    #expect(memory.images == [Array(repeating: true, count: words)])
    #expect(commit.next() == nil)
  }

  @Test func everyByteIsStoredOnce() {
    var commit = GroupCommit(length: 200)
    var steps: [GroupCommit.Step] = []
    while let step = commit.next() { steps.append(step) }
    #expect(steps == [.store(8..<200), .fence, .publish, .fence])
  }
}
