import Protocol
import Testing

@Suite struct ClientSessionTests {
  static let session = ClientRig.session

  static func others(than leader: ReplicaID) -> [ReplicaID] {
    (1...3).map { ReplicaID($0) }.filter { $0 != leader }
  }

  static func next(after replica: ReplicaID) -> ReplicaID { ReplicaID(replica.rawValue % 3 + 1) }

  @Test func registersOnceThenSendsTheWindow() {
    var (rig, leader) = ClientRig.opened("a", "b", "c")
    #expect(
      rig.takeSendings() == [
        rig.operation(1, "a", to: leader), rig.operation(2, "b", to: leader),
        rig.operation(3, "c", to: leader),
      ])
    #expect(rig.client.session == Self.session)
  }

  @Test func nothingIsSentWithoutACommand() {
    var rig = ClientRig()
    rig.step(.deadlineReached)
    rig.pass(.seconds(60))
    #expect(rig.sendings.isEmpty && rig.deadline == .never)
  }

  @Test func registrationIsRetriedWithTheSameNonceElsewhere() {
    var rig = ClientRig()
    rig.submit("a")
    let first = rig.takeSendings()[0]
    rig.wake()
    let second = rig.takeSendings()[0]
    #expect(second.sent == first.sent)
    #expect(second.to == Self.next(after: first.to))
    // Both copies are registered; the second answer is old news.
    guard case .registration(let nonce) = first.sent else { return }
    rig.answer(from: first.to, SessionID(nonce), 0, .registered(Self.session))
    rig.answer(from: second.to, SessionID(nonce), 0, .registered(Self.session))
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: second.to)])
  }

  @Test func takenNonceIsReplaced() {
    var rig = ClientRig()
    rig.submit("a")
    let first = rig.takeSendings()[0]
    guard case .registration(let nonce) = first.sent else { return }
    rig.answer(from: first.to, SessionID(nonce), 0, .expired)
    guard case .registration(let other) = rig.takeSendings()[0].sent else {
      Issue.record("no second registration")
      return
    }
    #expect(other != nonce)
    // The old nonce's session belongs to somebody else.
    rig.answer(from: first.to, SessionID(nonce), 0, .registered(SessionID(1)))
    #expect(rig.client.session == nil)
  }

  @Test func windowLimitsAndAcknowledgementsFollowTheReplies() {
    var (rig, leader) = ClientRig.opened("a", "b", "c", windowMax: 2)
    #expect(rig.takeSendings().count == 2)
    // The second is answered first: reported at once, acknowledged only when the first is there too.
    rig.answer(from: leader, Self.session, 2, .applied(slot: Slot(9)), reply: "B")
    #expect(rig.takeSendings().isEmpty)
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(8)), reply: "A")
    #expect(rig.takeSendings() == [rig.operation(3, "c", acknowledged: 2, to: leader)])
    let results = rig.takeCompletions()
    #expect(results.map(\.tag) == [2, 1])
    #expect(results.map(\.reply) == ["B", "A"])
    #expect(rig.client.lastSeenSlot == Slot(9))
  }

  @Test func duplicateAnswersCompleteOnce() {
    var (rig, leader) = ClientRig.opened("a", "b")
    for _ in 0..<3 {
      rig.answer(from: leader, Self.session, 2, .applied(slot: Slot(9)), reply: "B")
      rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(8)), reply: "A")
      rig.answer(from: leader, Self.session, 1, .forgotten)
      rig.answer(from: leader, Self.session, 3, .applied(slot: Slot(8)))
    }
    #expect(rig.takeCompletions().count == 2)
    #expect(rig.client.outstanding == 0)
  }

  @Test func silenceTurnsToTheNextReplicaWithTheSameSequences() {
    var (rig, leader) = ClientRig.opened("a", "b")
    _ = rig.takeSendings()
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(8)))
    #expect(rig.deadline > rig.now + .milliseconds(49))
    #expect(rig.deadline <= rig.now + .milliseconds(100))
    rig.wake()
    #expect(
      rig.takeSendings()
        == [rig.operation(2, "b", acknowledged: 1, to: Self.next(after: leader))])
    #expect(rig.client.resends == 1)
  }

  @Test func retryTimesGrowToTheLimitAndProgressResetsThem() {
    var (rig, _) = ClientRig.opened("a", "b", within: .never - .zero)
    for failures in 0..<8 as Range<UInt64> {
      let start = rig.now
      let expected: UInt64 = min(100 << failures, 800)
      rig.wake()
      #expect(rig.now - start >= .milliseconds(expected / 2))
      #expect(rig.now - start <= .milliseconds(expected))
    }
    rig.answer(from: ReplicaID(1), Self.session, 1, .applied(slot: Slot(8)))
    #expect(rig.deadline - rig.now <= .milliseconds(100))
  }

  @Test func hintIsFollowedAtOnceAndOnlyOnceForAWindow() {
    var (rig, leader) = ClientRig.opened("a", "b")
    _ = rig.takeSendings()
    let other = Self.others(than: leader)[1]
    rig.reject(from: leader, Self.session, 1, .notLeader(leader: other))
    rig.reject(from: leader, Self.session, 2, .notLeader(leader: other))
    #expect(
      rig.takeSendings() == [rig.operation(1, "a", to: other), rig.operation(2, "b", to: other)])
  }

  @Test func registrationFollowsHintsToo() {
    var rig = ClientRig()
    rig.submit("a")
    let first = rig.takeSendings()[0]
    guard case .registration(let nonce) = first.sent else { return }
    let other = Self.others(than: first.to)[1]
    rig.reject(from: first.to, SessionID(nonce), 0, .transferring(to: other))
    #expect(rig.takeSendings() == [ClientRig.Sending(to: other, sent: first.sent)])
  }

  @Test(arguments: [.notLeader(leader: nil), .notLeader(leader: ReplicaID(77))] as [Rejection])
  func withoutAHintTheNextReplicaIsAskedAfterAWhile(rejection: Rejection) {
    var (rig, leader) = ClientRig.opened("a", "b")
    _ = rig.takeSendings()
    rig.reject(from: leader, Self.session, 1, rejection)
    rig.reject(from: leader, Self.session, 2, rejection)
    rig.submit("c")
    #expect(rig.takeSendings().isEmpty)
    #expect(rig.deadline > rig.now && rig.deadline <= rig.now + .milliseconds(10))
    rig.wake()
    let other = Self.next(after: leader)
    #expect(
      rig.takeSendings() == [
        rig.operation(1, "a", to: other), rig.operation(2, "b", to: other),
        rig.operation(3, "c", to: other),
      ])
  }

  @Test func replicasThatPointAtEachOtherDoNotKeepTheClientBusy() {
    var (rig, leader) = ClientRig.opened("a")
    var at = leader
    var sent = 0
    for _ in 0..<20 {
      let other = Self.others(than: at)[0]
      rig.reject(from: at, Self.session, 1, .notLeader(leader: other))
      sent += rig.takeSendings().count
      at = other
    }
    #expect(sent <= 5)
    #expect(rig.deadline <= rig.now + .milliseconds(80))
  }

  /// A replica that the leader does not reach goes on naming one that is gone (seed 6684 of a campaign).
  @Test(arguments: [false, true])
  func aHintToAReplicaThatIsGoneDoesNotHideTheOthers(isRead: Bool) {
    var (rig, stale) = ClientRig.opened("a", replicas: 5, within: .seconds(600))
    let gone = ReplicaID(stale.rawValue == 1 ? 5 : stale.rawValue - 1)
    if isRead { rig.read(.quorum, within: .seconds(600)) }
    var asked: [ReplicaID] = []
    for _ in 0..<60 {
      for sending in rig.takeSendings() {
        switch sending.sent {
        case .operation where !isRead:
          asked.append(sending.to)
          if sending.to == stale {
            rig.reject(from: stale, ClientRig.session, 1, .notLeader(leader: gone))
          }
        case .read(let id, _, _) where isRead:
          asked.append(sending.to)
          if sending.to == stale {
            rig.reject(from: stale, id.session, id.sequence.rawValue, .notLeader(leader: gone))
          }
        default: break
        }
      }
      rig.wake()
    }
    for replica in 1...5 { #expect(asked.contains(ReplicaID(UInt32(replica))), "\(asked)") }
  }

  @Test func overloadWaitsLongerAndLongerAtTheSameReplica() {
    var (rig, leader) = ClientRig.opened("a")
    _ = rig.takeSendings()
    for failures in 0..<6 as Range<UInt64> {
      let start = rig.now
      let expected: UInt64 = min(10 << failures, 80)
      rig.reject(from: leader, Self.session, 1, .overloaded)
      rig.wake()
      #expect(rig.now - start >= .milliseconds(expected / 2))
      #expect(rig.now - start <= .milliseconds(expected))
      #expect(rig.takeSendings() == [rig.operation(1, "a", to: leader)])
    }
  }

  @Test func rejectionByAFormerTargetIsIgnored() {
    var (rig, leader) = ClientRig.opened("a")
    rig.wake()
    _ = rig.takeSendings()
    let deadline = rig.deadline
    rig.reject(from: leader, Self.session, 1, .notLeader(leader: leader))
    #expect(rig.takeSendings().isEmpty && rig.deadline == deadline)
  }

  @Test func lostConnectionTurnsToTheNextReplicaSoon() {
    var (rig, leader) = ClientRig.opened("a")
    _ = rig.takeSendings()
    rig.step(.connectionLost(Self.next(after: leader)))
    #expect(rig.deadline > rig.now + .milliseconds(10))
    rig.step(.connectionLost(leader))
    #expect(rig.deadline <= rig.now + .milliseconds(10))
    rig.wake()
    #expect(rig.takeSendings() == [rig.operation(1, "a", to: Self.next(after: leader))])
  }

  @Test func gapIsSentAgainOnceHoweverManyNoticeIt() {
    var (rig, leader) = ClientRig.opened("a", "b", "c")
    _ = rig.takeSendings()
    let gap = CommandOutcome.outOfOrder(expected: SequenceNumber(1))
    rig.answer(from: leader, Self.session, 2, gap)
    rig.answer(from: leader, Self.session, 3, gap)
    #expect(
      rig.takeSendings() == [
        rig.operation(1, "a", to: leader), rig.operation(2, "b", to: leader),
        rig.operation(3, "c", to: leader),
      ])
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(5)))
    rig.answer(from: leader, Self.session, 3, .outOfOrder(expected: SequenceNumber(2)))
    #expect(
      rig.takeSendings() == [
        rig.operation(2, "b", acknowledged: 1, to: leader),
        rig.operation(3, "c", acknowledged: 1, to: leader),
      ])
  }

  @Test func staleGapIsIgnored() {
    var (rig, leader) = ClientRig.opened("a", "b")
    _ = rig.takeSendings()
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(5)))
    rig.answer(from: leader, Self.session, 2, .outOfOrder(expected: SequenceNumber(1)))
    #expect(rig.takeSendings().isEmpty)
  }

  @Test func forgottenReplyIsAppliedAllTheSame() {
    var (rig, leader) = ClientRig.opened("a")
    rig.answer(from: leader, Self.session, 1, .forgotten)
    #expect(rig.takeCompletions().map(\.result) == [.appliedWithoutReply])
  }

  @Test func expiredSessionEndsInUnknownOutcomesAndANewSession() {
    var (rig, leader) = ClientRig.opened("a", "b", "c", "d", "e", queueMax: 8)
    _ = rig.takeSendings()
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(5)))
    _ = rig.takeSendings()
    rig.answer(from: leader, Self.session, 2, .expired)
    rig.answer(from: leader, Self.session, 3, .expired)
    let results = rig.takeCompletions().map(\.result)
    #expect(results.count == 5)
    #expect(results.dropFirst().allSatisfy { $0 == .unknownOutcome(nil) })
    #expect(rig.takeSendings().isEmpty)

    rig.submit("f")
    guard case .registration(let nonce) = rig.takeSendings().last?.sent else {
      Issue.record("no new registration")
      return
    }
    rig.answer(from: leader, SessionID(nonce), 0, .registered(SessionID(99 << 16)))
    #expect(rig.takeSendings() == [rig.operation(1, "f", to: leader, session: SessionID(99 << 16))])
    // Answers to the old session's commands do not touch the new one's.
    rig.answer(from: leader, Self.session, 1, .expired)
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(8)))
    #expect(rig.takeCompletions().isEmpty)
  }

  @Test func waitingCommandsSurviveAnExpiredSession() {
    var (rig, leader) = ClientRig.opened("a", "b", windowMax: 1)
    _ = rig.takeSendings()
    rig.answer(from: leader, Self.session, 1, .expired)
    #expect(rig.takeCompletions().map(\.tag) == [1])
    guard case .registration(let nonce) = rig.takeSendings().first?.sent else {
      Issue.record("no new registration")
      return
    }
    rig.answer(from: leader, SessionID(nonce), 0, .registered(SessionID(99 << 16)))
    #expect(rig.takeSendings() == [rig.operation(1, "b", to: leader, session: SessionID(99 << 16))])
  }

  @Test func sentCommandPastItsDeadlineIsUnknownAndStillSent() {
    var (rig, leader) = ClientRig.opened("a", within: .milliseconds(300))
    rig.submit("b", within: .seconds(30))
    _ = rig.takeSendings()
    rig.reject(from: leader, Self.session, 1, .overloaded)
    rig.pass(.milliseconds(301))
    #expect(
      rig.takeCompletions().map(\.result) == [.unknownOutcome(.overloaded)])
    // The hole must be filled, or "b" never applies.
    rig.sendings = []
    rig.wake()
    #expect(rig.takeSendings().map(\.sent) == [rig.operation(1, "a", to: leader).sent])
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(5)))
    rig.answer(from: leader, Self.session, 2, .applied(slot: Slot(6)))
    #expect(rig.takeCompletions().map(\.tag) == [2])
    #expect(rig.client.outstanding == 0)
  }

  @Test func sessionIsGivenUpWhenNobodyWaitsForItsCommands() {
    var (rig, leader) = ClientRig.opened("a", "b", within: .milliseconds(300))
    rig.pass(.milliseconds(300))
    #expect(rig.takeCompletions().map(\.result) == [.unknownOutcome(nil), .unknownOutcome(nil)])
    #expect(rig.client.session == nil)
    rig.sendings = []
    rig.pass(.seconds(60))
    #expect(rig.takeSendings().isEmpty)
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(5)))
    #expect(rig.takeCompletions().isEmpty)
  }

  @Test func unsentCommandsPastTheirDeadlineAreUnavailable() {
    var rig = ClientRig()
    rig.submit("a", within: .milliseconds(500))
    rig.submit("b", within: .milliseconds(700))
    rig.pass(.milliseconds(600))
    #expect(rig.takeCompletions().map(\.result) == [.unavailable])
    rig.pass(.milliseconds(600))
    #expect(rig.takeCompletions().map(\.result) == [.unavailable])
    rig.pass(.seconds(5))
    rig.sendings = []
    rig.pass(.seconds(60))
    #expect(rig.takeSendings().isEmpty, "registers for nobody")
  }

  @Test func unsentCommandsOfAnOverloadedClusterAreOverloaded() {
    var (rig, leader) = ClientRig.opened("a", "b", windowMax: 1, within: .milliseconds(200))
    rig.reject(from: leader, Self.session, 1, .overloaded)
    rig.pass(.milliseconds(200))
    #expect(rig.takeCompletions().map(\.result) == [.unknownOutcome(.overloaded), .overloaded])
  }

  @Test func fullQueueIsOverloadedAtOnce() {
    var (rig, _) = ClientRig.opened("a", windowMax: 1, queueMax: 2)
    rig.submit("b")
    rig.submit("c")
    #expect(rig.takeCompletions().isEmpty)
    let tag = rig.submit("d")
    #expect(
      rig.takeCompletions() == [ClientRig.Completion(tag: tag, result: .overloaded, reply: "")])
  }

  @Test func tooLongCommandIsRefusedHere() {
    var (rig, leader) = ClientRig.opened("a")
    _ = rig.takeSendings()
    rig.submit(String(repeating: "x", count: 65))
    #expect(rig.takeCompletions().map(\.result) == [.tooLarge(limit: 64)])
    rig.submit(String(repeating: "x", count: 64))
    #expect(rig.takeSendings().count == 1)
    // The cluster's limit is lower: the command can never apply, so the session is stuck behind it.
    rig.reject(from: leader, Self.session, 2, .tooLarge(limit: 64))
    #expect(
      rig.takeCompletions().map(\.result) == [.tooLarge(limit: 64), .unknownOutcome(nil)])
    rig.submit(String(repeating: "x", count: 33))
    #expect(rig.takeCompletions().map(\.result) == [.tooLarge(limit: 32)])
  }

  @Test func malformedMessagesAreCountedAndDropped() {
    var (rig, leader) = ClientRig.opened("a")
    rig.step(.messageReceived(from: leader), [1, 2, 3])
    rig.step(.messageReceived(from: leader), [1, 0, 0, 0, 0, 0, 0, 0])
    #expect(rig.client.malformedMessages == 2)
    #expect(rig.takeCompletions().isEmpty)
  }

  // MARK: Reads

  static func readID(_ sending: ClientRig.Sending) -> RequestID {
    guard case .read(let id, _, _) = sending.sent else { fatalError("no read") }
    return id
  }

  @Test(arguments: [ReadMode.quorum, .lease, .local(atLeast: Slot(3))])
  func readIsAnswered(mode: ReadMode) {
    var rig = ClientRig()
    let tag = rig.read(mode)
    let sent = rig.takeSendings()
    #expect(sent.count == 1)
    let id = Self.readID(sent[0])
    #expect(sent[0].sent == .read(id, mode, query: "q"))
    rig.answerRead(from: sent[0].to, id, appliedUpTo: 12, reply: "yes")
    rig.answerRead(from: sent[0].to, id, appliedUpTo: 12, reply: "yes")
    let results = rig.takeCompletions()
    #expect(results.map(\.tag) == [tag] && results.map(\.reply) == ["yes"])
    #expect(rig.client.lastSeenSlot == Slot(12))
    #expect(rig.client.outstanding == 0)
  }

  @Test func localReadsNeverGoBack() {
    var (rig, leader) = ClientRig.opened("a")
    _ = rig.takeSendings()
    rig.read(.local(atLeast: Slot(3)))
    let first = rig.takeSendings()[0]
    rig.answer(from: leader, Self.session, 1, .applied(slot: Slot(20)))
    // Answered from before the command whose reply the client has seen meanwhile.
    rig.answerRead(from: first.to, Self.readID(first), appliedUpTo: 10)
    #expect(rig.takeCompletions().map(\.tag) == [1])
    rig.wake()
    let second = rig.takeSendings()[0]
    #expect(second.sent == .read(Self.readID(first), .local(atLeast: Slot(20)), query: "q"))
    #expect(second.to == Self.next(after: first.to))
    rig.answerRead(from: second.to, Self.readID(first), appliedUpTo: 20)
    #expect(rig.takeCompletions().count == 1)
  }

  @Test func readsFollowHintsWaitAndTurn() {
    var rig = ClientRig()
    rig.read(.quorum)
    let first = rig.takeSendings()[0]
    let id = Self.readID(first)
    let other = Self.others(than: first.to)[1]
    rig.reject(from: first.to, id.session, id.sequence.rawValue, .notLeader(leader: other))
    #expect(rig.takeSendings() == [ClientRig.Sending(to: other, sent: first.sent)])
    rig.reject(from: other, id.session, id.sequence.rawValue, .overloaded)
    #expect(rig.takeSendings().isEmpty)
    rig.wake()
    #expect(rig.takeSendings() == [ClientRig.Sending(to: other, sent: first.sent)])
    rig.reject(from: other, id.session, id.sequence.rawValue, .notLeader(leader: nil))
    rig.wake()
    #expect(
      rig.takeSendings() == [ClientRig.Sending(to: Self.next(after: other), sent: first.sent)])
    rig.wake()
    #expect(
      rig.takeSendings()
        == [ClientRig.Sending(to: Self.next(after: Self.next(after: other)), sent: first.sent)])
  }

  @Test(arguments: [(.notLeader(leader: nil), 20), (.overloaded, 80)] as [(Rejection, UInt64)])
  func anElectionIsAskedAboutMoreOftenThanAnOverload(rejection: Rejection, milliseconds: UInt64) {
    var rig = ClientRig(searchMax: .milliseconds(20))
    rig.read(.quorum)
    var last = TimeSpan.zero
    for _ in 0..<10 {
      guard let sent = rig.takeSendings().last else { return #expect(Bool(false), "nothing sent") }
      let id = Self.readID(sent)
      rig.reject(from: sent.to, id.session, id.sequence.rawValue, rejection)
      last = rig.deadline - rig.now
      rig.wake()
    }
    // All of the longest wait, or down to half of it.
    #expect(last <= .milliseconds(milliseconds) && last >= .milliseconds(milliseconds / 2))
  }

  @Test func replicaThatLagsIsPassedOver() {
    var rig = ClientRig()
    rig.read(.local(atLeast: Slot(9)))
    let first = rig.takeSendings()[0]
    let id = Self.readID(first)
    rig.reject(from: first.to, id.session, id.sequence.rawValue, .notApplied(appliedUpTo: Slot(8)))
    rig.wake()
    #expect(
      rig.takeSendings() == [ClientRig.Sending(to: Self.next(after: first.to), sent: first.sent)])
  }

  @Test func readsEndTyped() {
    var rig = ClientRig()
    rig.read(.lease)
    let first = rig.takeSendings()[0]
    let id = Self.readID(first)
    rig.reject(from: first.to, id.session, id.sequence.rawValue, .leasesDisabled)
    #expect(rig.takeCompletions().map(\.result) == [.leasesDisabled])
    rig.read(.quorum, within: .milliseconds(700))
    rig.read(.quorum, within: .milliseconds(900))
    rig.read(.quorum)
    #expect(rig.takeCompletions().map(\.result) == [.overloaded])
    rig.pass(.seconds(1))
    #expect(rig.takeCompletions().map(\.result) == [.unavailable, .unavailable])
    rig.sendings = []
    rig.pass(.seconds(60))
    #expect(rig.takeSendings().isEmpty)
  }

  @Test func sameSeedSameSteps() {
    func run(_ seed: UInt64) -> [ClientRig.Sending] {
      var rig = ClientRig(seed: seed)
      rig.submit("a", within: .seconds(100))
      rig.read(.local(atLeast: .zero), within: .seconds(100))
      rig.pass(.seconds(20))
      return rig.takeSendings()
    }
    #expect(run(4) == run(4))
    #expect(run(4) != run(5))
  }
}
