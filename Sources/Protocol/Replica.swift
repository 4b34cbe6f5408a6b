/// One replica of one ring: the roles of multi-Paxos composed into a single pure transition.
///
/// `step` is the only way in. It takes what happened and the time, changes this value, and appends what the host must do.
/// It reads no clock, draws from its own seeded generator only, and never touches a command's bytes. The host performs all
/// effects of a step, in order, before the next step.
///
/// Shape: etcd-io/raft's pure core with asynchronous storage, split by role as in IronRSL.
public struct Replica: Sendable {
  public let id: ReplicaID
  public let configuration: Configuration
  public let options: ReplicaOptions

  public internal(set) var role = Role.follower
  /// As of the last step. Stored, because asking a computed property of a value this large copies it.
  public internal(set) var activity = Activity.following
  public internal(set) var window: SlotWindow
  public internal(set) var acceptor: Acceptor
  public internal(set) var proposer: Proposer
  public internal(set) var election: Election
  public internal(set) var snapshot: SnapshotInfo
  public internal(set) var contracts = ContractRecorder()
  public internal(set) var screened = ScreenCounters()
  /// The position of the last record handed to the journal.
  public internal(set) var journalPosition = JournalPosition.zero
  /// Every record up to here is durable.
  public internal(set) var persistedUpTo = JournalPosition.zero

  /// What keeps this replica from voting; nil for a sound one.
  public internal(set) var suspicion: Suspicion? {
    didSet { isSuspect = suspicion != nil }
  }
  /// Whether there is a `suspicion`. Asked at every step, and comparing that with nil copies all of it.
  public private(set) var isSuspect = false

  let ownIndex: Int
  var learner = Learner()
  var batcher: Batcher
  var rounds: HeartbeatRounds
  var leaseGuard: LeaseGuard
  var reads: ReadQueue
  var catchUp: CatchUp
  var replies = DeferredReplies()
  var deadlines = Deadlines()
  var digests: DigestReporter
  var random: SeededRandom
  var lastNow = Instant.zero
  /// How many bytes of values were applied since the last snapshot was begun.
  var bytesSinceSnapshot: UInt64 = 0
  /// The slot of the snapshot that the host is making.
  var snapshotBeingTaken = Slot.zero
  /// The last slot that a `chosenUpTo` record was written for.
  var recordedChosenUpTo: Slot
  /// Since when the oldest record has been waiting for the journal, as far as can be told.
  var journalWaitsSince = Instant.zero
  /// Who is to lead next.
  var transferTarget: ReplicaID?
  /// The target has been asked to stand.
  var isTransferSent = false
  /// The lease of this ballot was given up for a transfer; it does not come back.
  var isLeaseReleased = false
  /// The ballot whose leader asked this replica to stand.
  var releasedLease = Ballot.zero
  /// The pipeline is being filled: what that leads to must not begin it again.
  var isPumping = false

  /// Why a replica cannot be made.
  public enum Invalid: Error, Equatable {
    case notAVoter(ReplicaID, epoch: Epoch)
    case options(ReplicaOptions.Invalid)
    /// The journal was written under a later configuration, or under another one of the same epoch.
    case configurationIsOver(ConfigurationSpan, recorded: ConfigurationSpan)
    /// The journal holds a slot that the window cannot: `logSlots` is smaller than in the life before.
    case logTooLarge(slot: Slot, lastSlot: Slot)
    /// Its journal is damaged, and there is nobody else who could know what was in it.
    case nobodyToLearnFrom(JournalDoubt)
  }

  /// A replica that goes on from what its journal and snapshot hold (`DurableState.empty` for a new one).
  ///
  /// The host has restored the application from `durable.snapshot` and then sends `.started`.
  /// - Parameter seed: of the generator behind the election jitter; different on each replica and in each life.
  public init(
    id: ReplicaID, configuration: Configuration, options: ReplicaOptions,
    durable: DurableState = .empty, seed: UInt64
  ) throws(Invalid) {
    guard let ownIndex = configuration.index(of: id) else {
      throw .notAVoter(id, epoch: configuration.epoch)
    }
    do { try options.validate() } catch { throw .options(error) }
    guard options.digestPeriod == 0 || options.digestPeriod >= 2 * configuration.voters.count else {
      throw .options(.init(digestPeriod: options.digestPeriod, voters: configuration.voters.count))
    }
    if let recorded = durable.configurations.last, !configuration.span.mayFollow(recorded) {
      throw .configurationIsOver(configuration.span, recorded: recorded)
    }
    self.id = id
    self.configuration = configuration
    self.options = options
    self.ownIndex = ownIndex
    let quorum = configuration.quorum

    var doubt = durable.doubt
    if let doubt, quorum.voters == 1 { throw .nobodyToLearnFrom(doubt) }
    window = SlotWindow(capacity: options.logSlots, truncatedUpTo: durable.snapshot.slot)
    for entry in durable.entries {
      guard window.contains(entry.slot) else {
        if doubt != nil {
          // Without its snapshot the log begins too early for what the journal still has: as if that were lost as well.
          doubt?.includeVotes(upTo: entry.slot)
          continue
        }
        throw .logTooLarge(slot: entry.slot, lastSlot: window.lastSlot)
      }
      if entry.isLearned && entry.ballot == .zero {
        window.learn(entry.slot, value: entry.value, position: .zero)
      } else {
        window.vote(entry.slot, ballot: entry.ballot, value: entry.value, position: .zero)
        if entry.isLearned || entry.slot <= durable.chosenUpTo { window.markChosen(entry.slot) }
      }
    }
    _ = window.advanceChosen()
    recordedChosenUpTo = window.chosenUpTo
    snapshot = durable.snapshot

    acceptor = Acceptor(promised: durable.promised)
    proposer = Proposer(quorum: quorum, windowSlots: options.windowSlots)
    election = Election(
      own: configuration.voters[ownIndex], quorum: quorum, promised: durable.promised, options)
    batcher = Batcher(options)
    rounds = HeartbeatRounds(quorum: quorum, own: ownIndex)
    leaseGuard = LeaseGuard(options.lease)
    reads = ReadQueue(options)
    digests = DigestReporter(voters: quorum.voters)
    catchUp = CatchUp(voters: quorum.voters, own: ownIndex, options)
    random = SeededRandom(seed: seed)
    suspicion = doubt.map { Suspicion($0, voters: quorum.voters, own: ownIndex) }
    isSuspect = doubt != nil
  }

  /// The leader this replica follows, itself when it leads.
  public var leader: ReplicaID? { leads ? id : election.leader }

  /// Whether phase 1 of the own ballot is complete.
  public var leads: Bool { role == .leader || role == .recoveringLeader }

  /// How many slots a voter is behind what is chosen here, as far as it has told; nil for who is no voter.
  public func lag(of voter: ReplicaID) -> UInt64? {
    guard let index = configuration.index(of: voter) else { return nil }
    let known = catchUp.peers[index]
    return known >= window.chosenUpTo ? 0 : UInt64(window.chosenUpTo - known)
  }

  /// The one transition: takes in what happened at `now`, appends what the host is to do.
  public mutating func step(_ event: Event, now: Instant, into effects: inout EffectBuffer) {
    // A clock that went backwards is read as standing still: no deadline is ever taken back.
    let now = max(now, lastNow)
    lastNow = now
    #if CONTRACTS
      let before = StepWitness(self)
    #endif

    switch event {
    case .messageReceived(let envelope):
      receive(envelope, now: now, &effects)
    case .persisted(let position):
      persisted(upTo: position, now: now, &effects)
    case .commandReceived(let command):
      receive(command, now: now, &effects)
    case .readReceived(let id, let mode):
      receive(id, mode, now: now, &effects)
    case .deadlineReached:
      deadlines.fired()
      deadlineReached(now: now, &effects)
    case .started:
      start(now: now, &effects)
    case .snapshotTaken(let info):
      snapshotTaken(info, now: now, &effects)
    case .snapshotStored(let info, let isValid):
      snapshotStored(info, isValid: isValid, now: now, &effects)
    case .transferRequested(let target):
      transferRequested(to: target, now: now, &effects)
    case .snapshotRequested:
      takeSnapshot(&effects)
    case .leadershipPermitted(let isPermitted):
      leadershipPermitted(isPermitted, now: now, &effects)
    case .digestsChanged(let standing):
      digestsChanged(standing, now: now, &effects)
    case .reportEntered(let command):
      reportEntered(command, now: now, &effects)
    }

    if isSuspect { continueCure(now: now, &effects) }
    updateActivity()
    if let deadline = deadlines.arm() { effects.append(.setDeadline(deadline)) }
    #if CONTRACTS
      checkInvariants(since: before)
    #endif
  }

  private mutating func start(now: Instant, _ effects: inout EffectBuffer) {
    leaseGuard.started(now: now)
    deadlines[.election] = election.deadline(now: now, &random)
    applyChosen(now: now, &effects)
    if isSuspect { inquire(now: now, &effects) }
  }

  /// Hands a fact to the journal, as of the present configuration, and returns its position.
  mutating func persist(
    _ fact: JournalFact, now: Instant, _ effects: inout EffectBuffer
  ) -> JournalPosition {
    if journalPosition == persistedUpTo { journalWaitsSince = now }
    journalPosition = JournalPosition(journalPosition.rawValue + 1)
    effects.append(.persist(JournalRecord(fact, epoch: configuration.epoch)))
    return journalPosition
  }

  /// The position that the next record will get.
  var nextPosition: JournalPosition { JournalPosition(journalPosition.rawValue + 1) }

  private mutating func persisted(
    upTo position: JournalPosition, now: Instant, _ effects: inout EffectBuffer
  ) {
    let (handedOut, before) = (journalPosition, persistedUpTo)
    contracts.require(.persistedPreWasHandedOut, position <= handedOut)
    contracts.require(.persistedPreNeverRegresses, position >= before)
    persistedUpTo = max(persistedUpTo, position)
    journalWaitsSince = now
    while let reply = replies.next(durableUpTo: persistedUpTo) {
      release(reply, now: now, &effects)
    }
    let isStuck = replies.hasReply(durableUpTo: persistedUpTo)
    contracts.ensure(.persistedPostNothingWaitsForWhatIsDurable, !isStuck)
  }

  func index(of member: ReplicaID) -> Int? { configuration.index(of: member) }
}

extension Replica {
  /// What a replica is busy with, for hosts' metrics and the simulator's tables.
  public enum Activity: Int, CaseIterable, Sendable {
    case following, electing, recovering, leading
    /// A follower that knows of chosen slots it does not have.
    case catchingUp
    /// A follower that receives a peer's snapshot.
    case installing
  }

  private mutating func updateActivity() {
    switch role {
    case .preCandidate, .candidate: activity = .electing
    case .recoveringLeader: activity = .recovering
    case .leader: activity = .leading
    case .follower:
      if catchUp.transfer != nil {
        activity = .installing
      } else {
        activity = catchUp.isBehind(window.chosenUpTo) ? .catchingUp : .following
      }
    }
  }

  /// Whether a lease read would be answered without a round at `now`.
  public func holdsLease(now: Instant) -> Bool { hasLease(now: now) }
}
