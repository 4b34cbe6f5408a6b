import Testing

@testable import Protocol

@Suite struct ReadQueueTests {
  var contracts = ContractRecorder()

  func queue(max: Int = 4) -> ReadQueue {
    var options = ReplicaOptions()
    options.readsMax = max
    return ReadQueue(options)
  }

  @Test mutating func aReadWaitsForItsRoundAndItsSlot() {
    var q = queue()
    q.add(request(1), index: Slot(5), round: 2, &contracts)
    #expect(q.nextServable(confirmed: 1, appliedUpTo: Slot(9), &contracts) == nil)
    #expect(q.nextServable(confirmed: 9, appliedUpTo: Slot(4), &contracts) == nil)
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(5), &contracts) == request(1))
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(5), &contracts) == nil)
  }

  @Test mutating func readsAreServedInTheirOrder() {
    var q = queue()
    q.add(request(1), index: Slot(5), round: 1, &contracts)
    q.add(request(2), index: Slot(5), round: 2, &contracts)
    q.add(request(3), index: Slot(6), round: 2, &contracts)
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(5), &contracts) == request(1))
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(5), &contracts) == request(2))
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(5), &contracts) == nil)
    #expect(q.nextServable(confirmed: 2, appliedUpTo: Slot(6), &contracts) == request(3))
    #expect(contracts.violation == nil)
  }

  @Test mutating func knowsWhetherARoundMustBeSent() {
    var q = queue()
    #expect(!q.needsRound(after: 0))
    q.add(request(1), index: .zero, round: 3, &contracts)
    #expect(q.needsRound(after: 2) && !q.needsRound(after: 3))
  }

  @Test mutating func bothKindsShareTheLimit() {
    var q = queue(max: 3)
    q.add(request(1), index: .zero, round: 1, &contracts)
    q.addLocal(request(2), index: Slot(1), deadline: at(5))
    #expect(!q.isFull)
    q.addLocal(request(3), index: Slot(1), deadline: at(5))
    #expect(q.isFull)
    #expect(q.nextAbandoned() == request(1))
    #expect(!q.isFull && q.nextAbandoned() == nil && q.hasLocalReads)
  }

  @Test mutating func localReadsAreServedByTheirSlotAndExpireByTheirDeadline() {
    var q = queue()
    #expect(q.localDeadline == .never)
    q.addLocal(request(1), index: Slot(9), deadline: at(30))
    q.addLocal(request(2), index: Slot(3), deadline: at(20))
    q.addLocal(request(3), index: Slot(9), deadline: at(10))
    #expect(q.localDeadline == at(10))
    #expect(q.nextExpired(now: at(9)) == nil)
    #expect(q.nextLocalServable(appliedUpTo: Slot(3)) == request(2))
    #expect(q.nextLocalServable(appliedUpTo: Slot(3)) == nil)
    #expect(q.nextExpired(now: at(10)) == request(3))
    #expect(q.localDeadline == at(30) && q.nextExpired(now: at(29)) == nil)
    #expect(q.nextLocalServable(appliedUpTo: Slot(10)) == request(1))
    #expect(q.localDeadline == .never && !q.hasLocalReads)
    #expect(q.nextExpired(now: .never) == nil)
  }
}
