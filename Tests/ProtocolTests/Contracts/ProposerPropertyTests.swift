import Testing

@testable import Protocol

@Suite struct ProposerPropertyTests {
  /// What one acceptor knows of the slots, as a proposer's peer would report it.
  private struct Peer {
    var votes: [UInt64: (Ballot, Value, chosen: Bool)] = [:]
    var chosen = 0 as UInt64
    var truncated = 0 as UInt64
    var last: UInt64 { max(chosen, votes.keys.max() ?? 0) }
  }

  /// Peers after a few ballots that kept the rules: each slot's later values follow from what was chosen before.
  private static func peers(
    _ count: Int, _ random: inout SeededRandom
  ) -> ([Peer], chosen: [UInt64: Value]) {
    var peers = [Peer](repeating: Peer(), count: count)
    var chosen: [UInt64: Value] = [:]
    let size = Quorum(voters: count).size
    for slot in 1...8 as ClosedRange<UInt64> {
      for round in 1...3 as ClosedRange<UInt64> {
        let b = ballot(round, 2)
        // Phase 1 of this round: any quorum; the highest vote among it binds.
        let quorum = shuffled(count, &random).prefix(size)
        let bound = quorum.compactMap { peers[$0].votes[slot] }.max { $0.0 < $1.0 }
        let v = bound?.1 ?? (random.next(below: 4) == 0 ? .noop : value(slot * 100 + round))
        let voters = shuffled(count, &random).prefix(Int(random.next(below: UInt64(count + 1))))
        // Whoever promised this round votes for nothing below it any more; rounds come one after the other here.
        for i in voters { peers[i].votes[slot] = (b, v, false) }
        if voters.count >= size { chosen[slot] = v }
      }
      for i in peers.indices where chosen[slot] != nil && random.next(below: 3) == 0 {
        peers[i].votes[slot] = (.zero, chosen[slot]!, true)
      }
    }
    for i in peers.indices {
      while peers[i].votes[peers[i].chosen + 1]?.chosen == true { peers[i].chosen += 1 }
      if random.next(below: 3) == 0 { peers[i].truncated = random.next(below: peers[i].chosen + 1) }
      for n in 0...peers[i].truncated { peers[i].votes[n] = nil }
    }
    return (peers, chosen)
  }

  private static func shuffled(_ count: Int, _ random: inout SeededRandom) -> [Int] {
    var all = Array(0..<count)
    for i in stride(from: count - 1, to: 0, by: -1) {
      all.swapAt(i, Int(random.next(below: UInt64(i + 1))))
    }
    return all
  }

  /// Random reports in random order, some lost and sent again: what was chosen is what is recovered.
  @Test(arguments: 0..<100 as Range<UInt64>) func process1bRecoversWhatWasChosen(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    for _ in 0..<30 {
      let count = 1 + Int(random.next(below: 5))
      let (peers, chosen) = Self.peers(count, &random)
      let ours = ballot(9, 1)
      var proposer = Proposer(quorum: Quorum(voters: count), windowSlots: 8)
      var slots = SlotWindow(capacity: 16, truncatedUpTo: .zero)
      proposer.prepare(ours, window: slots, &contracts)
      var messages: [(Int, Report?)] = []
      for (i, peer) in peers.enumerated() {
        messages.append((i, nil))
        for slot in (peer.truncated + 1)..<(max(peer.last, peer.truncated) + 1) {
          let vote = peer.votes[slot] ?? (.zero, .noop, false)
          messages.append(
            (
              i,
              Report(
                ballot: ours, slot: Slot(slot), votedBallot: vote.0, value: vote.1,
                isChosen: vote.2)
            ))
        }
      }
      var result = Phase1.Result.incomplete
      var isLossy = true
      while result != .quorum {
        for i in Self.shuffled(messages.count, &random) where result != .quorum {
          if isLossy && random.next(below: 3) == 0 { continue }
          let (voter, report) = messages[i]
          if let report {
            result = proposer.process1b(report, from: voter, &contracts)
          } else {
            let promise = Promise(
              ballot: ours, firstSlot: Slot(1), chosenUpTo: Slot(peers[voter].chosen),
              truncatedUpTo: Slot(peers[voter].truncated), lastSlot: Slot(peers[voter].last))
            result = proposer.process1b(promise, from: voter, &contracts)
          }
        }
        isLossy = false
      }
      proposer.lead(window: slots, &contracts)
      let recovered = proposer.phase1!
      for (slot, value) in chosen where Slot(slot) > proposer.mustLearnUpTo {
        #expect(Slot(slot) <= proposer.recoveredUpTo)
        #expect(recovered.recovered(Slot(slot)).value.isSame(as: value), "slot \(slot)")
      }
      for slot in 1...8 as ClosedRange<UInt64> {
        // The naive rule over the counted voters; what others reported besides can only be higher.
        let voted =
          peers.indices.filter { recovered.promised.contains($0) }
          .compactMap { peers[$0].votes[slot] }.filter { !$0.chosen }.map(\.0).max() ?? .zero
        let found = recovered.recovered(Slot(slot))
        #expect(found.isChosen || found.votedBallot >= voted)
      }
      // Phase 2 over it: what phase 1 brought up first, each slot once, up to the window.
      guard proposer.mustLearnUpTo == .zero else { continue }
      var proposed: [UInt64: Value] = [:]
      while true {
        let next = proposer.next(window: slots, &contracts)
        if case .learn(let slot, let v) = next {
          slots.learn(slot, value: v, position: .zero)
          if slots.advanceChosen() {
            while slots.appliedUpTo < slots.chosenUpTo { slots.advanceApplied() }
          }
          continue
        }
        guard case .propose(let slot, let v) = next else { break }
        #expect(proposed[slot.rawValue] == nil)
        proposed[slot.rawValue] = v
        let accept = proposer.propose(v, now: at(0), window: slots, &contracts)
        slots.vote(slot, ballot: ours, value: accept.value, position: .zero)
      }
      for (slot, v) in proposed where chosen[slot] != nil { #expect(chosen[slot]!.isSame(as: v)) }
    }
    expectKept(contracts, handlers: ["process1b", "lead"])
  }

  /// Random votes, repeated and in ranges, against a set of voters a slot.
  @Test(arguments: 0..<100 as Range<UInt64>) func process2bAgreesWithCounting(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    for _ in 0..<10 {
      let count = 1 + Int(random.next(below: 5))
      let quorum = Quorum(voters: count)
      var slots = SlotWindow(capacity: 32, truncatedUpTo: .zero)
      var proposer = Proposer(quorum: quorum, windowSlots: 5)
      proposer.prepare(ballot(9), window: slots, &contracts)
      let promise = Promise(
        ballot: ballot(9), firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
        lastSlot: .zero)
      for voter in 0..<quorum.size { _ = proposer.process1b(promise, from: voter, &contracts) }
      proposer.lead(window: slots, &contracts)
      var votes: [UInt64: Set<Int>] = [:]
      var chosen: Set<UInt64> = []
      for n in 0..<120 as Range<UInt64> {
        if case .free(let slot) = proposer.next(window: slots, &contracts),
          slot <= slots.lastSlot, random.next(below: 3) == 0
        {
          _ = proposer.propose(value(n + 1), now: at(0), window: slots, &contracts)
          slots.vote(slot, ballot: ballot(9), value: value(n + 1), position: .zero)
          continue
        }
        let end = proposer.nextSlot.rawValue
        guard end > 1 else { continue }
        let first = 1 + random.next(below: end - 1)
        let last = first + random.next(below: end - first)
        let voter = Int(random.next(below: UInt64(count)))
        let news = (first...last).filter { slot in
          guard Slot(slot) > slots.chosenUpTo else { return false }
          votes[slot, default: []].insert(voter)
          return votes[slot]!.count >= quorum.size && chosen.insert(slot).inserted
        }
        let isNews = proposer.process2b(
          Accepted(ballot: ballot(9), firstSlot: Slot(first), lastSlot: Slot(last)), from: voter,
          window: &slots, &contracts)
        #expect(isNews == !news.isEmpty)
        _ = slots.advanceChosen()
        while slots.appliedUpTo < slots.chosenUpTo { slots.advanceApplied() }
        for slot in 1..<end { #expect(slots.isChosen(Slot(slot)) == chosen.contains(slot)) }
        #expect(proposer.slotsInFlight(slots) <= 5)
      }
    }
    expectKept(contracts, handlers: ["process2b", "propose"])
  }
}
