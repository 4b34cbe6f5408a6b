import Testing

@testable import Protocol

@Suite struct DeferredRepliesTests {
  typealias Reply = DeferredReplies.Reply

  func accepted(_ b: Ballot, _ first: UInt64, _ last: UInt64? = nil) -> Reply {
    .accepted(b, first: Slot(first), last: Slot(last ?? first))
  }

  func drain(_ replies: inout DeferredReplies, _ p: UInt64) -> [Reply] {
    var all: [Reply] = []
    while let reply = replies.next(durableUpTo: position(p)) { all.append(reply) }
    return all
  }

  @Test func nothingLeavesBeforeItsRecord() {
    var replies = DeferredReplies()
    replies.wait(for: position(2), .promise(ballot(1), firstSlot: Slot(1)))
    replies.wait(for: position(3), accepted(ballot(1), 1))
    #expect(replies.next(durableUpTo: position(1)) == nil && replies.count == 2)
    #expect(
      !replies.hasReply(durableUpTo: position(1)) && replies.hasReply(durableUpTo: position(2)))
    #expect(drain(&replies, 2) == [.promise(ballot(1), firstSlot: Slot(1))])
    #expect(drain(&replies, 2).isEmpty)
    #expect(drain(&replies, 9) == [accepted(ballot(1), 1)])
    #expect(replies.isEmpty)
  }

  @Test func consecutiveVotesOfOneBallotLeaveAsOne() {
    var replies = DeferredReplies()
    for n in 1...5 as ClosedRange<UInt64> { replies.wait(for: position(n), accepted(ballot(1), n)) }
    #expect(drain(&replies, 3) == [accepted(ballot(1), 1, 3)])
    #expect(drain(&replies, 5) == [accepted(ballot(1), 4, 5)])
  }

  @Test func aGapAnotherBallotOrAPromiseEndsARun() {
    var replies = DeferredReplies()
    replies.wait(for: position(1), accepted(ballot(1), 1))
    replies.wait(for: position(2), accepted(ballot(1), 3))
    replies.wait(for: position(3), accepted(ballot(2), 4))
    replies.wait(for: position(4), .promise(ballot(3), firstSlot: Slot(1)))
    replies.wait(for: position(4), accepted(ballot(2), 5))
    replies.wait(for: position(5), accepted(ballot(2), 5))
    #expect(
      drain(&replies, 5) == [
        accepted(ballot(1), 1), accepted(ballot(1), 3), accepted(ballot(2), 4),
        .promise(ballot(3), firstSlot: Slot(1)), accepted(ballot(2), 5), accepted(ballot(2), 5),
      ])
  }

  @Test func knowsWhetherAPromiseWaits() {
    var replies = DeferredReplies()
    replies.wait(for: position(1), accepted(ballot(4), 1))
    #expect(!replies.hasPromise(ballot(4)))
    replies.wait(for: position(1), .promise(ballot(4), firstSlot: Slot(2)))
    #expect(replies.hasPromise(ballot(4)) && !replies.hasPromise(ballot(4, 2)))
  }

  /// Random runs: what leaves, taken apart again, is what went in and is durable, in its order, and merged to the full.
  @Test func mergingLosesAndInventsNothing() {
    var random = SeededRandom(seed: 3)
    for _ in 0..<500 {
      var replies = DeferredReplies()
      var waiting: [(UInt64, Ballot, UInt64)] = []
      var (p, slot) = (0 as UInt64, 1 as UInt64)
      for _ in 0..<random.next(below: 30) {
        p += random.next(below: 2)
        slot = random.next(below: 4) == 0 ? 1 + random.next(below: 9) : slot + 1
        let b = ballot(1 + random.next(below: 2))
        waiting.append((p, b, slot))
        replies.wait(for: position(p), accepted(b, slot))
      }
      let durable = random.next(below: p + 2)
      let out = drain(&replies, durable)
      var single: [(Ballot, UInt64)] = []
      for case .accepted(let b, let first, let last) in out {
        for n in first.rawValue...last.rawValue { single.append((b, n)) }
      }
      let expected: [(UInt64, Ballot, UInt64)] = waiting.filter { $0.0 <= durable }
      #expect(single.map(\.0) == expected.map(\.1))
      #expect(single.map(\.1) == expected.map(\.2))
      for (a, b) in zip(out, out.dropFirst()) {
        if case .accepted(let x, _, let last) = a, case .accepted(x, last.next, _) = b {
          Issue.record("\(a) and \(b) should have left as one")
        }
      }
      #expect(replies.count == waiting.count - expected.count)
    }
  }
}
