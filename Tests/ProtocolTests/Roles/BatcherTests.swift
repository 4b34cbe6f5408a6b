import Testing

@testable import Protocol

@Suite struct BatcherTests {
  var contracts = ContractRecorder()

  func batcher(commands: UInt32 = 3, bytes: UInt32 = 128, queued: Int = 2) -> Batcher {
    var options = ReplicaOptions()
    options.batchCommandsMax = commands
    options.batchBytesMax = bytes
    options.queuedBatchesMax = queued
    return Batcher(options)
  }

  @Test mutating func contiguousCommandsGrowOneBatch() throws {
    var b = batcher()
    #expect(b.add(command(1, at: 0), now: at(5), &contracts) == .added)
    #expect(b.add(command(2, at: 32), now: at(6), &contracts) == .added)
    #expect(b.hasOpen && !b.hasClosed && b.commands == 2 && b.openSince == at(5))
    #expect(b.next(closeOpen: false) == nil)
    let closed = b.next(closeOpen: true)
    let next = try #require(closed)
    #expect(next.bytes == BytesRef(position: 0, length: 64) && next.count == 2)
    let digest = Value.digest(Value.digest(0, adding: 1, length: 32), adding: 2, length: 32)
    #expect(next.digest == digest)
    #expect(b.isEmpty && b.next(closeOpen: true) == nil)
    #expect(contracts.count(of: .batchGrew) == 1)
  }

  @Test mutating func aFullCountLeavesWithoutWaiting() {
    var b = batcher()
    for n in 0..<3 as Range<UInt64> { _ = b.add(command(n, at: n * 32), now: at(0), &contracts) }
    #expect(b.next(closeOpen: false)?.count == 3)
    for n in 3..<7 as Range<UInt64> { _ = b.add(command(n, at: n * 32), now: at(1), &contracts) }
    #expect(b.hasClosed && b.next(closeOpen: false)?.count == 3)
    #expect(b.next(closeOpen: false) == nil && b.commands == 1)
  }

  @Test mutating func bytesEndABatchToo() {
    var b = batcher(commands: 99, bytes: 64)
    _ = b.add(command(1, at: 0, length: 40), now: at(0), &contracts)
    _ = b.add(command(2, at: 40, length: 24), now: at(0), &contracts)
    #expect(!b.hasClosed, "64 bytes fit exactly")
    _ = b.add(command(3, at: 64, length: 1), now: at(9), &contracts)
    #expect(b.hasClosed && b.openSince == at(9))
    #expect(b.next(closeOpen: true)?.bytes.length == 64)
    #expect(b.next(closeOpen: true)?.bytes == BytesRef(position: 64, length: 1))
  }

  @Test mutating func commandsThatAreNotNeighboursBeginANewBatch() {
    var b = batcher()
    _ = b.add(command(1, at: 0), now: at(0), &contracts)
    _ = b.add(command(2, at: 64), now: at(0), &contracts)
    #expect(b.next(closeOpen: true)?.count == 1)
    #expect(b.next(closeOpen: true)?.bytes.position == 64)
  }

  @Test mutating func aFullQueueRefusesAndKeepsWhatItHas() {
    var b = batcher(queued: 2)
    for n in 0..<3 as Range<UInt64> {
      #expect(b.add(command(n), now: at(0), &contracts) == .added)
    }
    #expect(b.add(command(9), now: at(0), &contracts) == .overloaded)
    #expect(contracts.count(of: .overloaded) == 1)
    #expect(
      b.add(command(3, at: 2 * 64 + 32), now: at(0), &contracts) == .added, "joins the open one")
    #expect(b.commands == 4)
    _ = b.next(closeOpen: false)
    #expect(b.add(command(9), now: at(0), &contracts) == .added)
  }

  @Test(arguments: [(127, true), (128, true), (129, false), (.max, false)] as [(UInt32, Bool)])
  mutating func aCommandMustFitIntoABatch(_ length: UInt32, _ fits: Bool) {
    var b = batcher()
    let result = b.add(command(1, length: length), now: at(0), &contracts)
    #expect(result == (fits ? .added : .tooLarge))
    #expect(b.isEmpty == !fits)
  }

  @Test mutating func forgetsEverythingAtOnce() {
    var b = batcher()
    for n in 0..<3 as Range<UInt64> { _ = b.add(command(n), now: at(0), &contracts) }
    b.removeAll()
    #expect(b.isEmpty && b.commands == 0 && b.next(closeOpen: true) == nil)
  }

  @Test func theDigestTellsOrderLengthAndContent() {
    func digest(_ parts: [(UInt32, UInt32)]) -> UInt64 {
      parts.reduce(0) { Value.digest($0, adding: $1.0, length: $1.1) }
    }
    let all = [
      digest([]), digest([(1, 8)]), digest([(2, 8)]), digest([(1, 9)]), digest([(1, 8), (2, 8)]),
      digest([(2, 8), (1, 8)]), digest([(0, 0)]),
    ]
    #expect(Set(all).count == all.count)
    #expect(all.dropFirst().allSatisfy { $0 != 0 })
  }
}
