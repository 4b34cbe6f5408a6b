/// The replicated application: a state machine, the sessions of its clients, and how far the log was applied.
///
/// `state after slot n = fold of the values 1...n`, on every replica; this is the fold. A value's bytes are given by the
/// host, which resolved them in its log buffer (and verified them when they came from outside).
public struct Application<Machine: StateMachine> {
  public internal(set) var machine: Machine
  public internal(set) var sessions: SessionTable
  /// What replicas have reported of their states.
  public internal(set) var digests = DigestTable()
  /// Everything up to here is part of the state.
  public internal(set) var appliedUpTo: Slot
  /// The own digests, and what became of comparing them. Not part of the state; `watch(_:)` begins it.
  public internal(set) var watch = DigestWatch(period: 0, own: ReplicaID(0))
  /// Not part of the state: whoever drives the application looks at it after each slot.
  public internal(set) var contracts = ContractRecorder()

  /// The machine in its initial state, with no sessions, before the first slot.
  public init(machine: Machine, limits: SessionTable.Limits = .init()) {
    self.machine = machine
    self.sessions = SessionTable(limits: limits)
    self.appliedUpTo = .zero
  }

  /// Compares this state with the other replicas' from here on. Begin it with the state, before anything is applied.
  public mutating func watch(_ watch: DigestWatch) {
    self.watch = watch
    takeDigestIfDue()
  }

  /// Why this state must not be used any more: nobody is answered from it, and nobody given a snapshot of it; nil for one
  /// that nothing speaks against. Whoever drives the application looks at it after each slot, before any answer leaves.
  public var divergence: Divergence? { watch.divergence }

  /// How far the own state is reported and agreed.
  public var digestStanding: DigestStanding { watch.standing(digests) }

  /// Applies the batch that was chosen for `slot`, empty for a no-op, and appends an answer for each command of a client.
  ///
  /// A batch that is not well formed is refused as a whole, before anything changed; the replica cannot go on then,
  /// because what was chosen was not what it reads. Slots must come one after the other, below 2^48.
  public mutating func apply(
    _ slot: Slot, _ batch: RawSpan, into replies: inout ReplyBuffer
  ) throws(CommandInvalid) {
    precondition(slot == appliedUpTo.next, "slots must be applied in order, each once")
    precondition(slot.rawValue < 1 << 48, "session names are made of 48-bit slots")
    let isDiverged = watch.divergence != nil
    contracts.require(.applyPreNotDiverged, !isDiverged)
    var check = BatchIterator()
    var asked = 0
    while let command = try check.next(in: batch) { asked += command.kind == .digestReport ? 0 : 1 }
    let (before, answered) = (appliedUpTo, replies.replies.count)
    var commands = BatchIterator()
    while let command = try commands.next(in: batch) {
      if command.kind == .digestReport {
        apply(DigestReport(command, in: batch), slot)
      } else {
        apply(command, slot, commands.count - 1, batch, into: &replies)
      }
    }
    appliedUpTo = slot
    takeDigestIfDue()
    let answers = replies.replies.count - answered
    contracts.ensure(.applyPostOneAnswerPerCommand, answers == asked)
    contracts.ensure(.applyPostAdvancesByOneSlot, slot == before.next)
  }

  /// Takes a replica's report into the table, nil for one that says nothing; nobody waits for an answer.
  private mutating func apply(_ report: DigestReport?, _ slot: Slot) {
    guard let report else { return }
    watch.saw(digests.take(report, in: slot, &contracts), of: report, &contracts)
  }

  private mutating func takeDigestIfDue() {
    if watch.isDue(appliedUpTo) { watch.took(digest, at: appliedUpTo) }
  }

  private mutating func apply(
    _ command: Command, _ slot: Slot, _ index: Int, _ batch: RawSpan,
    into replies: inout ReplyBuffer
  ) {
    replies.writer.begin()
    let outcome: CommandOutcome
    switch sessions.admit(command, slot: slot, index: index, &contracts) {
    case .answer(let answer):
      outcome = answer
    case .repeatReply(let first, let session):
      let kept = sessions.replies[session, command.sequence.rawValue]
      kept.bytes.withBytes { replies.writer.bytes.append(contentsOf: $0) }
      outcome = .applied(slot: first)
    case .apply(let session):
      machine.apply(batch.extracting(command.payload), slot: slot, reply: &replies.writer)
      let reply = replies.writer.bytes.span.bytes.extracting(replies.writer.start...)
      sessions.record(session: session, slot: slot, reply: reply, &contracts)
      outcome = .applied(slot: slot)
    }
    replies.replies.append(
      CommandReply(
        request: command.request, outcome: outcome,
        bytes: replies.writer.start..<replies.writer.bytes.count))
  }

  /// Answers a read from the state as it is now, after `appliedUpTo`; where the reply lies in `replies.bytes`.
  public func query(_ query: RawSpan, into replies: inout ReplyBuffer) -> Range<Int> {
    replies.writer.begin()
    machine.query(query, reply: &replies.writer)
    return replies.writer.start..<replies.writer.bytes.count
  }

  /// Covers the machine, the sessions, what was reported, and the slot: equal states have equal digests on every replica, and
  /// different ones different digests unless the machine's own says otherwise.
  public var digest: UInt64 {
    digests.mixed(
      into: SessionTable.mix(
        machine.digest, SessionTable.mix(sessions.digest, appliedUpTo.rawValue)))
  }

  /// The state as it is now as a stream of bytes. Independent of what is applied later: it holds a copy.
  public func snapshot() -> SnapshotSource<Machine> { SnapshotSource(self) }

  /// Takes a snapshot's bytes; install it when `finish` did not throw. Needs only what is fixed: the machine's kind and
  /// the limits, not the state.
  public func restorer() -> SnapshotRestorer<Machine> {
    SnapshotRestorer(machine: machine, limits: sessions.limits, watch: watch.begunAnew)
  }
}

extension Application {
  /// Changes the machine behind the log's back, for tests of what finds that.
  package mutating func corruptMachine(_ change: (inout Machine) -> Void) { change(&machine) }
}

extension Application: Sendable where Machine: Sendable {}
