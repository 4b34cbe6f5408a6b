import Testing

@testable import Protocol

/// Properties of the smaller roles, each against a naive model.
@Suite struct RolePropertyTests {
  @Test(arguments: 0..<100 as Range<UInt64>) func learnerAgreesWithTheModel(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    for _ in 0..<10 {
      var learner = Learner()
      var slots = SlotWindow(capacity: 16, truncatedUpTo: .zero)
      var votes: [UInt64: Ballot] = [:]
      var chosen: Set<UInt64> = []
      var (leader, watermark) = (Ballot.zero, 0 as UInt64)
      var promised = Ballot.zero
      for _ in 0..<60 {
        let b = ballot(1 + random.next(below: 3))
        let n = 1 + random.next(below: 16)
        let before = slots.chosenUpTo
        let advanced: Bool
        if random.next(below: 2) == 0 {
          guard b >= promised, !chosen.contains(n), votes[n] != b else { continue }
          promised = b
          votes[n] = b
          slots.vote(Slot(n), ballot: b, value: value(n), position: .zero)
          if b == leader && n <= watermark { chosen.insert(n) }
          advanced = learner.voted(Slot(n), at: b, window: &slots, &contracts)
        } else {
          if b > leader {
            (leader, watermark) = (b, n)
          } else if b == leader {
            watermark = max(watermark, n)
          }
          for (slot, voted) in votes where b == leader && voted == b && slot <= watermark {
            chosen.insert(slot)
          }
          advanced = learner.observe(Slot(n), at: b, window: &slots, &contracts)
        }
        #expect(advanced == (slots.chosenUpTo > before))
        for slot in 1...16 as ClosedRange<UInt64> {
          #expect(slots[Slot(slot)].isChosen == chosen.contains(slot), "slot \(slot)")
        }
      }
    }
    expectKept(contracts, handlers: ["learner"])
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func batcherAgreesWithTheModel(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    var options = ReplicaOptions()
    options.batchCommandsMax = 1 + UInt32(random.next(below: 5))
    options.batchBytesMax = 64 + UInt32(random.next(below: 200))
    options.queuedBatchesMax = 1 + Int(random.next(below: 4))
    var batcher = Batcher(options)
    // Every accepted command with its length, in order; the values that leave must be exactly these, in groups.
    var waiting: [CommandRef] = []
    var end = 0 as UInt64
    for n in 1...400 as ClosedRange<UInt64> {
      if random.next(below: 3) != 0 {
        if random.next(below: 5) == 0 { end += 8 }
        let length = UInt32(8 + random.next(below: 90))
        let command = command(n, at: end, length: length)
        switch batcher.add(command, now: at(n), &contracts) {
        case .added:
          waiting.append(command)
          end = command.bytes.end
        case .overloaded: #expect(batcher.hasClosed && batcher.hasOpen)
        case .tooLarge: #expect(length > options.batchBytesMax)
        }
      } else if let next = batcher.next(closeOpen: random.next(below: 2) == 0) {
        let group = Array(waiting.prefix(Int(next.count)))
        waiting.removeFirst(Int(next.count))
        #expect(next.bytes.position == group.first?.bytes.position)
        #expect(next.bytes.end == group.last?.bytes.end)
        #expect(
          next.count <= options.batchCommandsMax && next.bytes.length <= options.batchBytesMax)
        let digest = group.reduce(0) {
          Value.digest($0, adding: $1.checksum, length: $1.bytes.length)
        }
        #expect(next.digest == digest)
      }
      #expect(batcher.commands == waiting.count && batcher.isEmpty == waiting.isEmpty)
    }
    expectKept(contracts, handlers: ["batcher"])
  }

  @Test func roundsAndPreVotesKeepTheirContracts() {
    var random = SeededRandom(seed: 31)
    var contracts = ContractRecorder()
    for _ in 0..<300 {
      let count = 1 + Int(random.next(below: 6))
      let quorum = Quorum(voters: count)
      var rounds = HeartbeatRounds(quorum: quorum, own: 0)
      rounds.begin(now: at(0))
      var election = Election(
        own: Member(id: ReplicaID(1)), quorum: quorum, promised: .zero, ReplicaOptions())
      let b = election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot
      var granted: Set<Int> = [0]
      for n in 1...30 as ClosedRange<UInt64> {
        let voter = Int(random.next(below: UInt64(count)))
        if random.next(below: 3) == 0 { _ = rounds.open(now: at(n)) }
        let reply = HeartbeatReply(
          ballot: b, round: random.next(below: rounds.lastSent + 1), chosenUpTo: .zero)
        _ = rounds.process(reply, from: voter, now: at(n), &contracts)
        let isGranted = random.next(below: 2) == 0
        if isGranted { granted.insert(voter) }
        let isReached = election.process(
          PreVoteReply(ballot: b, isGranted: isGranted, promised: .zero, chosenUpTo: .zero),
          from: voter, &contracts)
        #expect(isReached == (isGranted && granted.count >= quorum.size))
      }
    }
    expectKept(
      contracts, handlers: ["rounds", "preVote"], except: [.preVotePostLeaderRefuses])
  }

  /// Two leaders in turn, three followers, clocks within the bound: while a leader believes in its lease, a quorum
  /// promises nobody else.
  @Test(arguments: 0..<60 as Range<UInt64>) func leasesHoldUnderDrift(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    let drift = [0, 1_000, 100_000][Int(seed % 3)] as UInt64
    let options = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: drift)
    /// A clock that runs at 1 ± drift, from an origin of its own.
    struct Clock {
      var ppm: UInt64
      var origin: UInt64
      func reading(_ trueTime: UInt64) -> Instant {
        Instant(nanoseconds: origin + trueTime / 1_000_000 * ppm)
      }
    }
    for _ in 0..<40 {
      var clocks = (0..<3).map { _ in
        Clock(
          ppm: 1_000_000 - drift + random.next(below: 2 * drift + 1),
          origin: random.next(below: 1 << 40))
      }
      clocks[0].ppm = 1_000_000 - drift
      var guards = (0..<2).map { _ in LeaseGuard(options) }
      let sent = 1_000_000_000 + random.next(below: 1_000_000_000) / 1_000_000 * 1_000_000
      let heard = (0..<2).map { _ in sent + random.next(below: 300) * 1_000_000 }
      for i in 0..<2 {
        guards[i].renew(ballot(5, 1), now: clocks[i + 1].reading(heard[i]), &contracts)
      }
      let leaseEnd = clocks[0].reading(sent) + options.leaderDuration
      for _ in 0..<40 {
        let t = max(heard[0], heard[1]) + random.next(below: 600) * 1_000_000
        guard clocks[0].reading(t) < leaseEnd else { continue }
        for i in 0..<2 {
          #expect(
            guards[i].forbids(
              ballot(6, 2), releasedLease: .zero, now: clocks[i + 1].reading(t)))
        }
      }
    }
    expectKept(contracts, handlers: ["lease"])
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func readsAgreeWithTheModel(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    var options = ReplicaOptions()
    options.readsMax = 1 + Int(random.next(below: 8))
    var queue = ReadQueue(options)
    var model: [(id: RequestID, index: UInt64, round: UInt64)] = []
    var (index, round, confirmed, applied) = (0 as UInt64, 1 as UInt64, 0 as UInt64, 0 as UInt64)
    for n in 1...300 as ClosedRange<UInt64> {
      switch random.next(below: 4) {
      case 0:
        index += random.next(below: 2)
        round += random.next(below: 2)
        #expect(queue.isFull == (model.count >= options.readsMax))
        guard !queue.isFull else { continue }
        queue.add(request(n), index: Slot(index), round: round, &contracts)
        model.append((request(n), index, round))
      case 1: confirmed = min(round, confirmed + random.next(below: 3))
      case 2: applied = min(index, applied + random.next(below: 3))
      default:
        let expected = model.first.flatMap {
          $0.round <= confirmed && $0.index <= applied ? $0.id : nil
        }
        if expected != nil { model.removeFirst() }
        let served = queue.nextServable(
          confirmed: confirmed, appliedUpTo: Slot(applied), &contracts)
        #expect(served == expected)
      }
    }
    expectKept(contracts, handlers: ["reads"])
  }

  @Test(arguments: 0..<100 as Range<UInt64>) func catchUpKeepsItsContracts(_ seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var contracts = ContractRecorder()
    var options = ReplicaOptions()
    options.catchUpSlots = 1 + UInt32(random.next(below: 20))
    var catchUp = CatchUp(voters: 3, own: 0, options)
    let snapshots = (1...3).map {
      SnapshotInfo(slot: Slot(UInt64(40 + $0)), length: 300, digest: UInt64($0))
    }
    var stored: [SnapshotInfo: UInt64] = [:]
    for _ in 0..<300 {
      let chosen = random.next(below: 16)
      let voter = 1 + Int(random.next(below: 2))
      switch random.next(below: 6) {
      case 0: catchUp.heard(Slot(random.next(below: 60)), from: voter)
      case 1:
        let slots = window(capacity: 16, chosen: chosen)
        if let (asked, fetch) = catchUp.ask(window: slots, &contracts) {
          #expect(asked != 0 && fetch.firstSlot == slots.chosenUpTo.next && fetch.limit > 0)
          #expect(fetch.limit <= options.catchUpSlots)
          #expect(slots.contains(fetch.firstSlot + Int(fetch.limit - 1)))
        }
      case 2:
        let offer = SnapshotOffer(snapshot: snapshots[Int(random.next(below: 3))])
        let before = catchUp.transfer?.snapshot
        if let fetch = catchUp.process(offer, from: voter, chosenUpTo: Slot(chosen), &contracts) {
          if before != fetch.snapshot { stored[fetch.snapshot] = 0 }
          #expect(fetch.offset == stored[fetch.snapshot])
        }
      case 3: _ = catchUp.transferStalled()
      case 4 where catchUp.transfer?.isComplete == true:
        catchUp.endTransfer(isRefused: random.next(below: 2) == 0)
      default:
        let info = snapshots[Int(random.next(below: 3))]
        let offset =
          random.next(below: 2) == 0 ? catchUp.transfer?.offset ?? 0 : random.next(below: 300)
        let chunk = SnapshotChunk(
          snapshot: info, offset: offset,
          bytes: BytesRef(position: 0, length: UInt32(random.next(below: 120))))
        if catchUp.process(chunk, &contracts) {
          #expect(offset == stored[info])
          stored[info]! += UInt64(chunk.bytes.length)
          #expect(catchUp.transfer?.isComplete == (stored[info] == info.length))
        }
      }
    }
    expectKept(contracts, handlers: ["fetch", "transfer"])
  }
}
