import Testing

@testable import Protocol

@Suite struct RoomPolicyTests {
  private static let short = JournalRoom(isShort: true, takesVotes: true, takesPromises: true)
  private static let shorter = JournalRoom(isShort: true, takesVotes: false, takesPromises: true)
  private static let least = JournalRoom(isShort: true, takesVotes: false, takesPromises: false)

  /// A replica of three: `peers` has a letter for each peer: `r` has room, `s` is short, `-` and `x` the same, not reached.
  private static func view(
    _ journal: JournalRoom = .plenty, leads: Bool = false, peers: String = "rr", slots: Int = 0,
    bytes: Int = 0, applied: UInt64 = 0
  ) -> RoomView {
    RoomView(
      journal: journal,
      log: RoomView.Log(slots: slots, slotsMax: 64, bytes: bytes, bytesMax: 1_000),
      appliedUpTo: Slot(applied), leads: leads,
      quorum: (peers.count + 1) / 2 + 1,
      peers: peers.enumerated().map { i, letter in
        RoomView.Peer(
          id: ReplicaID(UInt32(i) + 2), isReached: letter == "r" || letter == "s",
          isShort: letter == "s" || letter == "x")
      })
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var journal: JournalRoom
    var leads: Bool
    var peers: String
    var isRefusing: Bool
    var mayLead: Bool

    init(_ journal: JournalRoom, _ leads: Bool, _ peers: String, refuses: Bool, mayLead: Bool) {
      (self.journal, self.leads, self.peers) = (journal, leads, peers)
      (isRefusing, self.mayLead) = (refuses, mayLead)
    }

    var testDescription: String {
      "\(leads ? "leader" : "follower") \(journal.isShort) \(journal.takesVotes), peers \(peers)"
    }
  }

  @Test(arguments: [
    // With room itself: it refuses only while it knows of short ones and of too few with room.
    Case(.plenty, true, "rr", refuses: false, mayLead: true),
    Case(.plenty, true, "rs", refuses: false, mayLead: true),
    Case(.plenty, true, "ss", refuses: true, mayLead: true),
    Case(.plenty, true, "-s", refuses: true, mayLead: true),
    Case(.plenty, true, "-x", refuses: true, mayLead: true),
    Case(.plenty, true, "--", refuses: false, mayLead: true),
    Case(.plenty, true, "rrss", refuses: false, mayLead: true),
    Case(.plenty, true, "rsss", refuses: true, mayLead: true),
    // Without: a quorum that has some should go on without it. A leader hands over before it steps back.
    Case(short, false, "rr", refuses: true, mayLead: false),
    Case(short, true, "rr", refuses: true, mayLead: true),
    Case(shorter, true, "rr", refuses: true, mayLead: false),
    // Too few have room: somebody must lead, for reads, as long as it can vote for what it finds.
    Case(short, false, "rs", refuses: true, mayLead: true),
    Case(short, false, "r-", refuses: true, mayLead: true),
    Case(short, true, "ss", refuses: true, mayLead: true),
    Case(shorter, false, "ss", refuses: true, mayLead: false),
    Case(least, true, "ss", refuses: true, mayLead: false),
  ])
  func whoRefusesAndWhoMayLead(_ c: Case) {
    var policy = RoomPolicy()
    let judgement = policy.judge(
      Self.view(c.journal, leads: c.leads, peers: c.peers), now: at(0))
    #expect(policy.isShort == c.journal.isShort)
    #expect(judgement.isChanged == c.journal.isShort)
    #expect(policy.isRefusing == c.isRefusing && policy.mayLead == c.mayLead)
    #expect(judgement.permission == (c.mayLead ? nil : false))
  }

  @Test func peersAndTheReplicaAreToldOfChangesOnly() {
    var policy = RoomPolicy()
    func judge(_ journal: JournalRoom) -> RoomPolicy.Judgement {
      policy.judge(Self.view(journal), now: at(0))
    }
    let judgements = [.plenty, Self.short, Self.short, .plenty, .plenty].map(judge)
    let (nothing, changes) = (RoomPolicy.Judgement(), [false, true].map { Optional($0) })
    #expect(
      judgements == [
        nothing, RoomPolicy.Judgement(isChanged: true, permission: changes[0]), nothing,
        RoomPolicy.Judgement(isChanged: true, permission: changes[1]), nothing,
      ])
  }

  /// Between two judgements the journal speaks for itself.
  @Test func commandsAreRefusedAsSoonAsTheJournalIsShort() {
    let policy = RoomPolicy()
    #expect(!policy.isRefusing && !policy.refusesCommands(.plenty))
    #expect(policy.refusesCommands(Self.short))
  }

  @Test(arguments: [
    (0, 0, false), (47, 499, false), (48, 0, true), (0, 500, true),
  ])
  func aLogThatWaitsForASnapshotIsLikeAFullDisk(_ slots: Int, _ bytes: Int, _ isFull: Bool) {
    var policy = RoomPolicy()
    let view = Self.view(slots: slots, bytes: bytes)
    // It does not wait for one that could be taken.
    let before = policy.judge(view, now: at(0)).isChanged
    policy.snapshotUntaken(free: 0, now: at(0))
    let after = policy.judge(view, now: at(0)).isChanged
    #expect(!before && after == isFull)
    #expect(policy.isShort == isFull && policy.isRefusing == isFull)
    policy.snapshotSucceeded()
    _ = policy.judge(view, now: at(0))
    #expect(!policy.isShort)
  }

  /// What waits in its queue has no place in the log, so it would wait for ever to hand over.
  @Test(arguments: ["rr", "rs"], [0, 48])
  func aLeaderWhoseLogIsFullStepsBackWhereOthersHaveRoom(_ peers: String, _ slots: Int) {
    var policy = RoomPolicy()
    policy.snapshotUntaken(free: 0, now: at(0))
    let view = Self.view(leads: true, peers: peers, slots: slots)
    let permission = policy.judge(view, now: at(0)).permission
    #expect(permission == (peers == "rr" && slots == 48 ? false : nil))
  }

  @Test func aLeaderWithoutRoomAsksOnePeerAfterTheOtherThatHasSome() {
    var policy = RoomPolicy()
    func asked(_ peers: String, leads: Bool = true) -> UInt32? {
      policy.nextLeader(Self.view(Self.short, leads: leads, peers: peers))?.rawValue
    }
    let early = asked("rrrr")
    #expect(early == nil, "it has room as far as it knows")
    _ = policy.judge(Self.view(Self.short, leads: true, peers: "rrrr"), now: at(0))
    let (following, turns) = (asked("rrrr", leads: false), (0..<5).map { _ in asked("rrrr") })
    #expect(following == nil && turns == [3, 4, 5, 2, 3])
    // Of seven it needs four: the short, and those that are not reached, are not asked.
    let some = (0..<4).map { _ in asked("sr-rrr") }
    #expect(Set(some) == [3, 5, 6, 7])
    let none = ["srsrss", "sxr-", "----"].map { asked($0) }
    #expect(none == [nil, nil, nil])
  }

  @Test(arguments: [
    (JournalRoom.plenty, true, true, true), (short, true, true, true),
    (shorter, false, false, true), (least, false, false, false),
  ])
  func votesArePutAsideBeforePromises(
    _ journal: JournalRoom, _ accepts: Bool, _ learns: Bool, _ prepares: Bool
  ) {
    func hasRoom(_ message: Message) -> Bool { RoomPolicy.hasRoom(for: message, journal) }
    let learn = Learn(slot: Slot(1), value: value(1), chosenUpTo: .zero)
    #expect(hasRoom(.accept(accept(1, ballot(1), value(1)))) == accepts)
    #expect(hasRoom(.learn(learn)) == learns)
    #expect(hasRoom(.prepare(Prepare(ballot: ballot(1), firstSlot: Slot(1)))) == prepares)
    #expect(hasRoom(.heartbeat(Heartbeat(ballot: ballot(1), round: 1, chosenUpTo: .zero))))
    #expect(hasRoom(.preVote(PreVote(ballot: ballot(1), chosenUpTo: .zero))))
    let policy = RoomPolicy()
    let fetch = Message.fetch(Fetch(firstSlot: Slot(1), limit: 1))
    #expect(policy.hasRoomForAnswer(to: fetch, journal) == learns)
  }

  @Test func aPeersSnapshotIsNotAskedForUntilItIsTime() {
    var policy = RoomPolicy(interval: .milliseconds(100))
    let fetch = Message.snapshotFetch(SnapshotFetch(snapshot: .none, offset: 0))
    func isAskedFor() -> Bool { policy.hasRoomForAnswer(to: fetch, .plenty) }
    #expect(isAskedFor())
    policy.snapshotUnstored(Slot(5), free: 0, now: at(0))
    #expect(!isAskedFor() && policy.isConcerned(lacksSegments: false))
    let early = policy.takeSnapshotRetry(free: 0, now: at(99))
    #expect(!early && !isAskedFor())
    // The replica asks by itself; there is no own one to be taken.
    let later = policy.takeSnapshotRetry(free: 0, now: at(100))
    #expect(!later && isAskedFor() && !policy.isConcerned(lacksSegments: false))
  }

  /// It would be elected and could settle nothing, as long as it has no space for what its peers have truncated.
  @Test(arguments: ["rr", "rs", "ss"], [false, true])
  func whoCannotKeepWhatOthersKnowDoesNotLead(_ peers: String, _ leads: Bool) {
    var policy = RoomPolicy()
    policy.snapshotUnstored(Slot(5), free: 0, now: at(0))
    let told = ([4, 4, 5] as [UInt64]).map { applied in
      policy.judge(Self.view(leads: leads, peers: peers, applied: applied), now: at(0)).permission
    }
    #expect(told == [false, nil, true])
    #expect(!policy.isShort)
  }

  @Test func theWaitForASnapshotDoublesUntilOneIsWritten() {
    var policy = RoomPolicy(interval: .milliseconds(100), snapshotWaitMax: .milliseconds(350))
    var now: UInt64 = 0
    for wait: UInt64 in [100, 200, 350, 350] {
      policy.snapshotUntaken(free: 0, now: at(now))
      let early = policy.takeSnapshotRetry(free: 0, now: at(now + wait - 1))
      let later = policy.takeSnapshotRetry(free: 0, now: at(now + wait))
      // Once: it is under way.
      let again = policy.takeSnapshotRetry(free: .max, now: at(now + wait * 10))
      #expect([early, later, again] == [false, true, false] && policy.isSnapshotUntaken)
      now += wait
    }
    policy.snapshotSucceeded()
    let needless = policy.takeSnapshotRetry(free: .max, now: .never)
    #expect(!policy.isSnapshotUntaken && !needless)
    policy.snapshotUntaken(free: 0, now: at(now))
    let first = policy.takeSnapshotRetry(free: 0, now: at(now + 100))
    #expect(first)
  }

  @Test func withMoreSpaceASnapshotIsTriedAtOnce() {
    var policy = RoomPolicy()
    policy.snapshotUntaken(free: 5 << 20, now: at(0))
    let same = policy.takeSnapshotRetry(free: 6 << 20, now: at(1))
    let more = policy.takeSnapshotRetry(free: (6 << 20) + 1, now: at(1))
    #expect(!same && more)
  }

  /// What failed is tried again once an interval, and at once when something changed.
  @Test func whatFailedIsTriedAgain() {
    var policy = RoomPolicy(interval: .milliseconds(100))
    #expect(!policy.isConcerned(lacksSegments: false) && policy.isConcerned(lacksSegments: true))
    let before = [1_000, 1_099].map { policy.takeTry(now: at($0)) }
    _ = policy.judge(Self.view(Self.short), now: at(1_050))
    #expect(policy.isConcerned(lacksSegments: false))
    let after = [1_050, 1_149, 1_150].map { policy.takeTry(now: at($0)) }
    #expect(before == [true, false] && after == [true, false, true])
  }
}
