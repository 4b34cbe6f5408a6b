import Testing

@testable import Protocol

/// Input that breaks a precondition, or a state broken behind the replica's back, and the contract that must notice.
struct Violation: Sendable, CustomTestStringConvertible {
  var contract: Contract
  /// Must leave exactly this contract as the first violation.
  var provoke: @Sendable (inout ContractRecorder) -> Void
  var testDescription: String { String(contract.id) }

  init(_ contract: Contract, _ provoke: @escaping @Sendable (inout ContractRecorder) -> Void) {
    self.contract = contract
    self.provoke = provoke
  }

  static let all = acceptor + phase1 + phase2 + rest + replica + invariants

  // MARK: Roles

  static let acceptor: [Violation] = [
    .init(.process1aPreBallotIsProposed) { c in
      var acceptor = Acceptor(promised: .zero)
      _ = acceptor.process1a(Prepare(ballot: .zero, firstSlot: Slot(1)), at: .zero, &c)
    },
    .init(.process1aPreFirstSlotIsASlot) { c in
      var acceptor = Acceptor(promised: .zero)
      _ = acceptor.process1a(Prepare(ballot: ballot(1), firstSlot: .zero), at: .zero, &c)
    },
    .init(.process2aPreBallotIsProposed) { c in vote(accept(1, .zero, value(1)), &c) },
    .init(.process2aPreSlotIsASlot) { c in vote(accept(0, ballot(1), value(1)), &c) },
    .init(.process2aPreNoopIsEmpty) { c in
      vote(accept(1, ballot(1), Value(bytes: .empty, count: 0, digest: 5)), &c)
    },
    .init(.process2aPostNoConflict) { c in
      vote(accept(1, ballot(1), value(1)), then: accept(1, ballot(1), value(2)), &c)
    },
  ]

  private static func vote(
    _ first: Accept, then second: Accept? = nil, _ c: inout ContractRecorder
  ) {
    var acceptor = Acceptor(promised: .zero)
    var slots = window()
    _ = acceptor.process2a(first, at: position(1), window: &slots, &c)
    if let second { _ = acceptor.process2a(second, at: position(2), window: &slots, &c) }
  }

  private static func report(
    _ slot: UInt64, _ voted: Ballot, _ v: Value, chosen: Bool = false, at b: Ballot = ballot(9)
  ) -> Report {
    Report(ballot: b, slot: Slot(slot), votedBallot: voted, value: v, isChosen: chosen)
  }

  private static func promise(_ b: Ballot, first: UInt64 = 1) -> Promise {
    Promise(
      ballot: b, firstSlot: Slot(first), chosenUpTo: .zero, truncatedUpTo: .zero, lastSlot: .zero)
  }

  private static func empty() -> Phase1 {
    Phase1(ballot: ballot(9), firstSlot: Slot(1), quorum: Quorum(voters: 3), capacity: 8)
  }

  static let phase1: [Violation] = [
    .init(.preparePreBallotIsNew) { c in
      var proposer = Proposer(quorum: Quorum(voters: 3), windowSlots: 4)
      proposer.prepare(ballot(9), window: window(), &c)
      proposer.prepare(ballot(9), window: window(), &c)
    },
    .init(.process1bPreBallotIsOurs) { c in
      var p = empty()
      _ = p.process1b(promise(ballot(8)), from: 0, &c)
    },
    .init(.process1bPreVoterIsAMember) { c in
      var p = empty()
      _ = p.process1b(promise(ballot(9), first: 2), from: 3, &c)
    },
    .init(.process1bPreReportedVoteIsOlder) { c in
      var p = empty()
      _ = p.process1b(report(1, ballot(9), value(1)), from: 0, &c)
    },
    .init(.process1bPostChosenReportsAgree) { c in
      var p = empty()
      _ = p.process1b(report(1, .zero, value(1), chosen: true), from: 0, &c)
      _ = p.process1b(report(1, .zero, value(2), chosen: true), from: 1, &c)
    },
    .init(.process1bPostOneValuePerBallot) { c in
      var p = empty()
      _ = p.process1b(report(1, ballot(3), value(1)), from: 0, &c)
      _ = p.process1b(report(1, ballot(3), value(2)), from: 1, &c)
    },
    .init(.leadPreQuorumPromised) { c in
      var proposer = Proposer(quorum: Quorum(voters: 3), windowSlots: 4)
      proposer.prepare(ballot(9), window: window(), &c)
      proposer.lead(window: window(), &c)
    },
  ]

  /// A proposer alone in its configuration that leads, with `reports` from itself.
  private static func leading(_ reports: [Report] = [], truncated: UInt64 = 0) -> Proposer {
    var c = ContractRecorder()
    var proposer = Proposer(quorum: Quorum(voters: 1), windowSlots: 2)
    proposer.prepare(ballot(9), window: window(), &c)
    for report in reports { _ = proposer.process1b(report, from: 0, &c) }
    _ = proposer.process1b(
      Promise(
        ballot: ballot(9), firstSlot: Slot(1), chosenUpTo: Slot(truncated),
        truncatedUpTo: Slot(truncated), lastSlot: Slot(max(truncated, UInt64(reports.count)))),
      from: 0, &c)
    proposer.lead(window: window(), &c)
    return proposer
  }

  private static func accepted(_ b: Ballot, _ first: UInt64, _ last: UInt64) -> Accepted {
    Accepted(ballot: b, firstSlot: Slot(first), lastSlot: Slot(last))
  }

  static let phase2: [Violation] = [
    .init(.proposePreLeads) { c in
      var proposer = Proposer(quorum: Quorum(voters: 1), windowSlots: 2)
      _ = proposer.propose(value(1), now: at(0), window: window(), &c)
    },
    .init(.proposePreNotChosen) { c in
      var proposer = leading()
      var slots = window()
      slots.learn(Slot(1), value: value(1), position: .zero)
      _ = proposer.propose(value(1), now: at(0), window: slots, &c)
    },
    .init(.proposePreWithinWindow) { c in
      var proposer = leading()
      for n in 1...3 as ClosedRange<UInt64> {
        _ = proposer.propose(value(n), now: at(0), window: window(), &c)
      }
    },
    .init(.proposePreLearnedTruncated) { c in
      var proposer = leading(truncated: 3)
      var slots = window()
      slots.jump(to: Slot(2))
      while proposer.nextSlot <= Slot(2) {
        var quiet = ContractRecorder()
        _ = proposer.propose(value(1), now: at(0), window: window(), &quiet)
      }
      _ = proposer.propose(value(3), now: at(0), window: slots, &c)
    },
    .init(.proposePreRecoveredValueIsKept) { c in
      var proposer = leading([report(1, ballot(3), value(1))])
      _ = proposer.propose(value(2), now: at(0), window: window(), &c)
    },
    .init(.process2bPreBallotIsOurs) { c in
      var (proposer, slots) = (leading(), window())
      _ = proposer.process2b(accepted(ballot(8), 1, 1), from: 0, window: &slots, &c)
    },
    .init(.process2bPreVoterIsAMember) { c in
      var (proposer, slots) = (leading(), window())
      proposer.stepDown()
      _ = proposer.process2b(accepted(ballot(9), 1, 1), from: 1, window: &slots, &c)
    },
    .init(.process2bPreWasProposed) { c in
      var (proposer, slots) = (leading(), window())
      _ = proposer.process2b(accepted(ballot(9), 1, 1), from: 0, window: &slots, &c)
    },
    .init(.process2bPostChosenIsOurVote) { c in
      var (proposer, slots) = (leading(), window())
      _ = proposer.propose(value(1), now: at(0), window: slots, &c)
      slots.vote(Slot(1), ballot: ballot(9), value: value(2), position: .zero)
      _ = proposer.process2b(accepted(ballot(9), 1, 1), from: 0, window: &slots, &c)
    },
  ]

  static let rest: [Violation] = [
    .init(.applyPreNotDiverged) { c in
      var app = DigestTests.application(period: 1, own: 3)
      let reports = [1, 2].map { DigestTests.bytes(DigestTests.report($0, 1, 5)) }
      for batch in [[], Array(reports.joined()), []] {
        var replies = ReplyBuffer()
        try! app.apply(app.appliedUpTo.next, batch.span.bytes, into: &replies)
      }
      c = app.contracts
    },
    .init(.preVotePreGrantedAboveTheirPromise) { c in
      var election = ElectionTests.election()
      let b = election.beginPreVote(ownIndex: 0, chosenUpTo: .zero).ballot
      _ = election.process(
        PreVoteReply(ballot: b, isGranted: true, promised: b, chosenUpTo: .zero), from: 1, &c)
    },
    .init(.roundsPreRoundWasSent) { c in
      var rounds = HeartbeatRounds(quorum: Quorum(voters: 3), own: 0)
      _ = rounds.process(
        HeartbeatReply(ballot: ballot(1), round: 1, chosenUpTo: .zero), from: 1, now: at(0), &c)
    },
    .init(.readsPreInOrder) { c in
      var reads = ReadQueue(ReplicaOptions())
      reads.add(request(1), index: Slot(2), round: 2, &c)
      reads.add(request(2), index: Slot(1), round: 2, &c)
    },
    .init(.readsPostBounded) { c in
      var options = ReplicaOptions()
      options.readsMax = 1
      var reads = ReadQueue(options)
      for n in 1...2 as ClosedRange<UInt64> { reads.add(request(n), index: .zero, round: 1, &c) }
    },
  ]

  // MARK: The replica

  /// A started replica of three that leads, so that only what a test breaks is broken.
  static func leader() -> Replica { Cluster(3, options: Cluster.options(lease: lease)).elect(1)[1] }
  static func follower() -> Replica { Cluster(3)[2] }
  static func suspect(_ replica: Replica) -> Replica {
    var replica = replica
    replica.suspicion = Suspicion(voters: 3, own: 0)
    return replica
  }
  static let lease = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 100)

  /// Runs an event through a replica and takes its contracts.
  private static func step(_ replica: Replica, _ event: Event, _ c: inout ContractRecorder) {
    var (replica, effects) = (replica, EffectBuffer())
    replica.step(event, now: replica.lastNow, into: &effects)
    c = replica.contracts
  }

  static let replica: [Violation] = [
    .init(.releasePreWasPromised) { c in
      var (replica, effects) = (follower(), EffectBuffer())
      replica.release(
        .promise(ballot(99, 3), firstSlot: Slot(1)), now: replica.lastNow, &effects)
      c = replica.contracts
    },
    .init(.learnPostChosenValuesAgree) { c in
      var (replica, effects) = (follower(), EffectBuffer())
      replica.learn(Slot(1), value(1), now: replica.lastNow, &effects)
      replica.learn(Slot(1), value(2), now: replica.lastNow, &effects)
      c = replica.contracts
    },
    .init(.leaseReadPreSettled) { c in
      var replica = leader()
      // A leader that was called full before it had settled what phase 1 brought up.
      var (proposer, quiet) = (
        Proposer(quorum: Quorum(voters: 1), windowSlots: 4), ContractRecorder()
      )
      proposer.prepare(ballot(9), window: replica.window, &quiet)
      _ = proposer.process1b(report(1, ballot(2), value(1)), from: 0, &quiet)
      _ = proposer.process1b(
        Promise(
          ballot: ballot(9), firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
          lastSlot: Slot(1)), from: 0, &quiet)
      proposer.lead(window: replica.window, &quiet)
      replica.proposer = proposer
      step(replica, .readReceived(request(1), .lease), &c)
    },
    .init(.snapshotTakenPreWasApplied) { c in
      step(follower(), .snapshotTaken(SnapshotInfo(slot: Slot(3), length: 1, digest: 1)), &c)
    },
    .init(.persistedPreWasHandedOut) { c in
      step(follower(), .persisted(upTo: position(99)), &c)
    },
    .init(.votePreIsSound) { c in step(suspect(leader()), .commandReceived(command(1)), &c) },
    .init(.promisePreIsSound) { c in
      var replica = suspect(follower())
      replica.acceptor = Acceptor(promised: ballot(1))
      replica.journalPosition = position(9)
      replica.replies.wait(for: position(9), .promise(ballot(1), firstSlot: Slot(1)))
      step(replica, .persisted(upTo: position(9)), &c)
    },
    .init(.persistedPreNeverRegresses) { c in step(leader(), .persisted(upTo: .zero), &c) },
  ]

  /// Changes a state, and asks the invariants; `before` is what the step is to have begun from.
  private static func check(
    _ replica: Replica, before: Replica? = nil, _ c: inout ContractRecorder,
    _ change: (inout Replica) -> Void
  ) {
    #if CONTRACTS
      var replica = replica
      change(&replica)
      replica.checkInvariants(since: StepWitness(before ?? replica))
      c = replica.contracts
    #endif
  }

  /// A follower whose window holds these watermarks, covered by a snapshot.
  private static func holding(chosen: UInt64, truncated: UInt64 = 0) -> Replica {
    var replica = follower()
    replica.window = window(chosen: chosen, truncated: truncated)
    replica.snapshot = SnapshotInfo(slot: Slot(truncated), length: 1, digest: 1)
    return replica
  }

  static let invariants: [Violation] = [
    .init(.replicaInvPromiseNeverRegresses) { c in
      var before = follower()
      before.acceptor = Acceptor(promised: ballot(9))
      check(follower(), before: before, &c) { _ in }
    },
    .init(.replicaInvChosenNeverRegresses) { c in
      check(holding(chosen: 3), before: holding(chosen: 4), &c) { _ in }
    },
    .init(.replicaInvAppliedNeverRegresses) { c in
      // The former had applied 3, the latter knows them but has not.
      var slots = SlotWindow(capacity: 16, truncatedUpTo: .zero)
      for n in 1...3 as ClosedRange<UInt64> {
        slots.learn(Slot(n), value: value(n), position: .zero)
      }
      _ = slots.advanceChosen()
      check(follower(), before: holding(chosen: 3), &c) { $0.window = slots }
    },
    .init(.replicaInvTruncationNeverRegresses) { c in
      check(holding(chosen: 5), before: holding(chosen: 5, truncated: 2), &c) { _ in }
    },
    .init(.replicaInvChosenIsApplied) { c in
      check(follower(), &c) {
        $0.window.learn(Slot(1), value: value(1), position: .zero)
        _ = $0.window.advanceChosen()
      }
    },
    .init(.replicaInvSnapshotCoversTruncation) { c in
      check(holding(chosen: 5, truncated: 2), &c) { $0.snapshot = .none }
    },
    .init(.replicaInvLeaderKeepsItsPromise) { c in
      check(leader(), &c) { $0.acceptor = Acceptor(promised: ballot(99, 2)) }
    },
    .init(.replicaInvPhaseMatchesRole) { c in check(follower(), &c) { $0.role = .candidate } },
    .init(.replicaInvBallotIsOwn) { c in
      check(follower(), &c) {
        var quiet = ContractRecorder()
        $0.proposer.prepare(ballot(9, 3), window: $0.window, &quiet)
        $0.role = .candidate
      }
    },
    .init(.replicaInvSettledLeader) { c in
      check(leader(), &c) { replica in
        var quiet = ContractRecorder()
        var proposer = Proposer(quorum: Quorum(voters: 1), windowSlots: 4)
        proposer.prepare(ballot(9), window: replica.window, &quiet)
        _ = proposer.process1b(report(1, ballot(2), value(1)), from: 0, &quiet)
        _ = proposer.process1b(
          Promise(
            ballot: ballot(9), firstSlot: Slot(1), chosenUpTo: .zero, truncatedUpTo: .zero,
            lastSlot: Slot(1)), from: 0, &quiet)
        proposer.lead(window: replica.window, &quiet)
        replica.proposer = proposer
        replica.acceptor = Acceptor(promised: ballot(9))
      }
    },
    .init(.replicaInvInFlightBounded) { c in
      check(leader(), &c) { replica in
        var quiet = ContractRecorder()
        for n in 1...9 as ClosedRange<UInt64> {
          _ = replica.proposer.propose(value(n), now: at(0), window: replica.window, &quiet)
        }
      }
    },
    .init(.replicaInvRepliesWaitForJournal) { c in
      check(follower(), &c) {
        $0.replies.wait(for: .zero, .promise(ballot(1), firstSlot: Slot(1)))
      }
    },
    .init(.replicaInvSuspectHasNoVoice) { c in
      check(leader(), &c) { $0.suspicion = Suspicion(voters: 3, own: 0) }
    },
    .init(.replicaInvDurableWasHandedOut) { c in
      check(follower(), &c) { $0.persistedUpTo = position(99) }
    },
  ]
}

@Suite struct ContractViolationTests {
  @Test(arguments: Violation.all) func isRecorded(_ violation: Violation) {
    var contracts = ContractRecorder()
    #expect(contracts.evaluations(of: violation.contract) == 0)
    violation.provoke(&contracts)
    #expect(contracts.violation == violation.contract)
    #expect(contracts.evaluations(of: violation.contract) > 0)
  }

  @Test func eachIsProvokedOnce() {
    #expect(Set(Violation.all.map(\.contract)).count == Violation.all.count)
  }

  /// Preconditions are what bad input breaks: every one of the roles' is provoked, or cannot be by a caller that gets past
  /// the type system and the screen; those are named here.
  @Test func everyPreconditionIsProvoked() {
    let provoked = Set(Violation.all.map(\.contract))
    let unreachable: Set<Contract> = [
      // Read from the watermark that the window itself keeps.
      .applyPreIsChosen,
      // The slot is computed from the snapshot that was just recorded.
      .truncatePreSnapshotCovers,
      // Looked at right before.
      .reportDigestPreIsUnreported, .enterReportPreLeads,
      // Pure arithmetic over validated options.
      .leaseReadPreShorterThanVow,
      // Private to the session table and the client, which have their own property tests.
      .admitPreUsesAdvance, .clientPreSendsOnlyUnanswered, .clientPreProbesWithTheOldest,
    ]
    for contract in Contract.allCases where contract.parts[1] == "pre" {
      #expect(provoked.contains(contract) != unreachable.contains(contract), "\(contract.id)")
    }
  }
}
