import Testing

@testable import Protocol

/// The acceptor of the textbook: a promise, and a dictionary of votes.
private struct AcceptorModel {
  var promised = Ballot.zero
  var votes: [UInt64: (ballot: Ballot, value: Value, chosen: Bool, position: JournalPosition)] = [:]
  var truncated = 0 as UInt64
  let capacity = 8 as UInt64

  mutating func prepare(_ b: Ballot) -> Acceptor.Process1aResult? {
    if b < promised { return .reject(promised: promised) }
    if b == promised { return nil }
    promised = b
    return .promise
  }

  mutating func accept(_ m: Accept, at position: JournalPosition) -> Acceptor.Process2aResult {
    let slot = m.slot.rawValue
    if m.ballot < promised { return .reject(promised: promised) }
    if slot <= truncated { return .truncated }
    if slot > truncated + capacity { return .beyondWindow }
    if let vote = votes[slot], vote.ballot == m.ballot { return .repeated(vote.position) }
    promised = m.ballot
    votes[slot] = (m.ballot, m.value, votes[slot]?.chosen ?? false, position)
    return .vote
  }
}

@Suite struct AcceptorPropertyTests {
  /// What proposers that keep the rules may send: one value a slot and ballot, and none against a chosen one.
  private struct Proposals {
    var byBallot: [Ballot: [UInt64: Value]] = [:]
    var chosen: [UInt64: Value] = [:]

    mutating func value(_ slot: UInt64, _ b: Ballot, _ random: inout SeededRandom) -> Value {
      if let value = byBallot[b]?[slot] { return value }
      let n = random.next(below: 6)
      let fresh =
        n == 0
        ? Value.noop
        : Protocol.Value(
          bytes: BytesRef(position: n, length: 8), count: 1, digest: n * 2 + 1)
      byBallot[b, default: [:]][slot] = chosen[slot] ?? fresh
      return byBallot[b]![slot]!
    }
  }

  @Test(arguments: 0..<200 as Range<UInt64>) func process1aAndProcess2aAgreeWithTheModel(
    _ seed: UInt64
  ) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    var model = AcceptorModel()
    var acceptor = Acceptor(promised: .zero)
    var slots = SlotWindow(capacity: 8, truncatedUpTo: .zero)
    var proposals = Proposals()
    for n in 1...150 as ClosedRange<UInt64> {
      let b = ballot(1 + random.next(below: 2 + n / 20), UInt32(1 + random.next(below: 3)))
      let slot = max(1, model.truncated + random.next(below: 11))
      switch random.next(below: 10) {
      case 0...2:
        let expected = model.prepare(b)
        let prepare = Prepare(ballot: b, firstSlot: Slot(slot))
        let result = acceptor.process1a(prepare, at: position(n), &contracts)
        if let expected {
          #expect(result == expected)
        } else {
          #expect(result == .repeated(acceptor.promisePosition))
        }
      case 3 where model.votes[slot] != nil && proposals.chosen[slot] == nil:
        // Some quorum elsewhere voted as this acceptor did; no later ballot may have proposed anything else.
        let vote = model.votes[slot]!
        let isLast = proposals.byBallot.allSatisfy { b, values in
          b <= vote.ballot || values[slot].map { $0.isSame(as: vote.value) } ?? true
        }
        guard isLast else { continue }
        proposals.chosen[slot] = vote.value
        model.votes[slot]!.chosen = true
        slots.markChosen(Slot(slot))
        _ = slots.advanceChosen()
        while slots.appliedUpTo < slots.chosenUpTo { slots.advanceApplied() }
      case 4 where slots.appliedUpTo > slots.truncatedUpTo && random.next(below: 3) == 0:
        slots.truncate(upTo: slots.truncatedUpTo.next)
        model.truncated += 1
        model.votes[model.truncated] = nil
      default:
        let accept = accept(slot, b, proposals.value(slot, b, &random))
        // A lower ballot that proposes late, after the choice, is sent but never voted for against it.
        if let chosen = proposals.chosen[slot], !chosen.isSame(as: accept.value),
          b >= model.promised
        {
          continue
        }
        let expected = model.accept(accept, at: position(n))
        let result = acceptor.process2a(accept, at: position(n), window: &slots, &contracts)
        #expect(result == expected, "\(accept)")
      }
      #expect(acceptor.promised == model.promised)
      for slot in model.truncated + 1...model.truncated + 8 {
        let (entry, vote) = (slots[Slot(slot)], model.votes[slot])
        #expect(entry.isUsed == (vote != nil) && entry.isChosen == (vote?.chosen ?? false))
        if let vote { #expect(entry.ballot == vote.ballot && entry.value.isSame(as: vote.value)) }
      }
      guard contracts.violation == nil else { break }
    }
    expectKept(contracts, handlers: ["process1a", "process2a"])
  }

  /// Two values at one ballot, over random states: always an error, never an overwrite, always recorded.
  @Test func aConflictIsNeverAnOverwrite() {
    var random = SeededRandom(seed: 77)
    for _ in 0..<2_000 {
      var contracts = ContractRecorder()
      let b = ballot(1 + random.next(below: 4))
      var acceptor = Acceptor(promised: random.next(below: 2) == 0 ? b : ballot(1))
      var slots = SlotWindow(capacity: 8, truncatedUpTo: .zero)
      let slot = 1 + random.next(below: 8)
      let first = acceptor.process2a(
        accept(slot, b, value(1)), at: position(1), window: &slots, &contracts)
      #expect(first == .vote && contracts.violation == nil)
      let before = slots
      let other = random.next(below: 3) == 0 ? Value.noop : value(2 + random.next(below: 9))
      let second = acceptor.process2a(
        accept(slot, b, other), at: position(2), window: &slots, &contracts)
      #expect(second == .conflict && slots == before)
      #expect(contracts.violation == .process2aPostNoConflict)
      #expect(contracts.evaluations(of: .process2aPostOtherValueIsAnError) == 2)
    }
  }
}
