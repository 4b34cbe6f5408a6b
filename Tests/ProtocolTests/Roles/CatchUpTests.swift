import Testing

@testable import Protocol

@Suite struct CatchUpTests {
  var contracts = ContractRecorder()

  func catchUp(voters: Int = 5, own: Int = 0, slots: UInt32 = 4) -> CatchUp {
    var options = ReplicaOptions()
    options.catchUpSlots = slots
    return CatchUp(voters: voters, own: own, options)
  }

  func info(_ slot: UInt64, length: UInt64 = 100) -> SnapshotInfo {
    SnapshotInfo(slot: Slot(slot), length: length, digest: slot)
  }

  func chunk(_ info: SnapshotInfo, _ offset: UInt64, _ length: UInt32) -> SnapshotChunk {
    SnapshotChunk(snapshot: info, offset: offset, bytes: BytesRef(position: 0, length: length))
  }

  // MARK: Slots

  @Test func knowsWhetherAnybodyIsAhead() {
    var c = catchUp(own: 1)
    #expect(!c.isBehind(.zero))
    c.heard(Slot(5), from: 1)
    #expect(!c.isBehind(.zero), "the own entry does not count")
    c.heard(Slot(5), from: 2)
    c.heard(Slot(3), from: 2)
    #expect(c.isBehind(Slot(4)) && !c.isBehind(Slot(5)))
  }

  @Test mutating func asksTheFurthestFirst() throws {
    var c = catchUp()
    #expect(c.ask(window: window(), &contracts) == nil)
    for (voter, slot) in [(1, 5), (2, 9), (3, 7)] { c.heard(Slot(UInt64(slot)), from: voter) }
    let (voter, fetch) = try #require(c.ask(window: window(chosen: 2), &contracts))
    #expect(voter == 2 && fetch == Fetch(firstSlot: Slot(3), limit: 4))
    #expect(c.asked?.voter == 2 && c.asked?.lastSlot == Slot(6))
  }

  @Test mutating func anOverdueAnswerIsAskedOfTheNextInTurn() throws {
    var c = catchUp()
    for (voter, slot) in [(1, 5), (2, 9), (4, 7)] { c.heard(Slot(UInt64(slot)), from: voter) }
    var asked: [Int] = []
    for _ in 0..<5 { asked.append(try #require(c.ask(window: window(), &contracts)).voter) }
    // Also 3, which has said nothing: followers do not tell each other how far they are.
    #expect(asked == [2, 3, 4, 1, 2])
    c.answered()
    #expect(try #require(c.ask(window: window(), &contracts)).voter == 2)
  }

  @Test mutating func theOnlyOneAheadIsAskedAgainAfterTheOthers() throws {
    var c = catchUp(voters: 3, own: 2)
    c.heard(Slot(5), from: 0)
    for voter in [0, 1, 0, 1] {
      #expect(try #require(c.ask(window: window(), &contracts)).voter == voter)
    }
  }

  @Test mutating func theOnlyPeerIsAskedAgain() throws {
    for own in 0...1 {
      var c = catchUp(voters: 2, own: own)
      c.heard(Slot(5), from: 1 - own)
      for _ in 0..<3 { #expect(try #require(c.ask(window: window(), &contracts)).voter == 1 - own) }
    }
  }

  @Test mutating func fetchesNoMoreThanTheWindowHolds() throws {
    var c = catchUp(slots: 64)
    c.heard(Slot(99), from: 1)
    let (_, fetch) = try #require(c.ask(window: window(capacity: 8, chosen: 5), &contracts))
    #expect(fetch == Fetch(firstSlot: Slot(6), limit: 3))
    #expect(c.ask(window: window(capacity: 8, chosen: 8), &contracts) == nil)
    #expect(contracts.violation == nil)
  }

  @Test mutating func anAnswerIsFullWhenEverythingAskedForOrKnownThereHasCome() {
    var c = catchUp()
    #expect(c.isAnswered(chosenUpTo: .zero))
    c.heard(Slot(9), from: 1)
    _ = c.ask(window: window(), &contracts)
    #expect(!c.isAnswered(chosenUpTo: Slot(3)) && c.isAnswered(chosenUpTo: Slot(4)))
    var d = catchUp()
    d.heard(Slot(2), from: 1)
    _ = d.ask(window: window(), &contracts)
    #expect(!d.isAnswered(chosenUpTo: Slot(1)) && d.isAnswered(chosenUpTo: Slot(2)))
  }

  // MARK: Snapshots

  @Test mutating func aSnapshotComesInChunks() {
    var c = catchUp()
    let fetch = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    #expect(fetch == SnapshotFetch(snapshot: info(8), offset: 0))
    #expect(c.process(chunk(info(8), 0, 60), &contracts))
    #expect(c.nextChunk == SnapshotFetch(snapshot: info(8), offset: 60))
    #expect(c.process(chunk(info(8), 60, 40), &contracts))
    #expect(c.transfer?.isComplete == true && c.nextChunk == nil)
    #expect(!c.process(chunk(info(8), 60, 40), &contracts), "nothing is awaited any more")
    c.endTransfer()
    #expect(c.transfer == nil && contracts.violation == nil)
  }

  @Test mutating func aChunkThatWasNotAskedForIsLeftOut() {
    var c = catchUp()
    #expect(!c.process(chunk(info(8), 0, 10), &contracts), "no transfer")
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    #expect(c.process(chunk(info(8), 0, 60), &contracts))
    for bad in [
      chunk(info(8), 0, 60), chunk(info(8), 61, 10), chunk(info(9), 60, 10), chunk(info(8), 60, 0),
      chunk(info(8), 60, 41),
    ] {
      #expect(!c.process(bad, &contracts), "\(bad)")
    }
    #expect(c.transfer?.offset == 60)
  }

  @Test mutating func anOfferOfWhatIsKnownIsNotTaken() {
    var c = catchUp()
    for slot in [3, 4] as [UInt64] {
      let offer = SnapshotOffer(snapshot: info(slot))
      #expect(c.process(offer, from: 2, chosenUpTo: Slot(4), &contracts) == nil)
    }
    #expect(c.transfer == nil)
  }

  @Test mutating func aTransferGoesOnFromAnotherPeerThatHasTheSameSnapshot() {
    var c = catchUp()
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    _ = c.process(chunk(info(8), 0, 60), &contracts)
    let fetch = c.process(SnapshotOffer(snapshot: info(8)), from: 3, chosenUpTo: .zero, &contracts)
    #expect(fetch == SnapshotFetch(snapshot: info(8), offset: 60))
    #expect(c.transfer?.source == 3 && contracts.count(of: .snapshotTransferResumed) == 1)
  }

  @Test mutating func aSourceThatMovedOnBeginsAnew() {
    var c = catchUp()
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    _ = c.process(chunk(info(8), 0, 60), &contracts)
    let fetch = c.process(SnapshotOffer(snapshot: info(12)), from: 2, chosenUpTo: .zero, &contracts)
    #expect(fetch == SnapshotFetch(snapshot: info(12), offset: 0))
    #expect(!c.process(chunk(info(8), 60, 40), &contracts))
  }

  @Test mutating func anotherPeersOtherSnapshotIsBegunOnlyWhenTheTransferStandsStill() {
    var c = catchUp()
    let other = SnapshotOffer(snapshot: info(12))
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    _ = c.process(chunk(info(8), 0, 60), &contracts)
    for n in 0..<4 {
      #expect(c.process(other, from: 3, chosenUpTo: .zero, &contracts) == nil)
      #expect(c.transferStalled() == (n > 0))
    }
    let fetch = c.process(other, from: 3, chosenUpTo: .zero, &contracts)
    #expect(fetch == SnapshotFetch(snapshot: info(12), offset: 0))
    _ = c.process(chunk(info(12), 0, 60), &contracts)
    let back = SnapshotOffer(snapshot: info(8))
    #expect(c.process(back, from: 2, chosenUpTo: .zero, &contracts) == nil, "a chunk ends a stall")
  }

  @Test mutating func afterARefusedTransferTheNextVoterIsAsked() throws {
    var c = catchUp()
    c.heard(Slot(20), from: 2)
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    c.endTransfer(isRefused: true)
    #expect(try #require(c.ask(window: window(), &contracts)).voter == 3)
  }

  @Test mutating func whileATransferStandsStillOthersAreAsked() throws {
    var c = catchUp()
    c.heard(Slot(20), from: 2)
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    for voter in [3, 4, 1, 2] {
      #expect(try #require(c.ask(window: window(), &contracts)).voter == voter)
    }
  }

  @Test mutating func aCompleteTransferIsNotReplacedWhileItIsVerified() {
    var c = catchUp()
    _ = c.process(SnapshotOffer(snapshot: info(8)), from: 2, chosenUpTo: .zero, &contracts)
    _ = c.process(chunk(info(8), 0, 100), &contracts)
    let offer = SnapshotOffer(snapshot: info(12))
    #expect(c.process(offer, from: 3, chosenUpTo: .zero, &contracts) == nil)
    #expect(c.transfer?.snapshot == info(8))
  }
}
