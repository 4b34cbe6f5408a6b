// The whole state of a replica, for the checkpoint at the beginning of a recording. What counts contracts is left out: it
// changes nothing that a replica does.

extension Replica {
  /// Visits everything that a step can change. Every stored property is visited here, or made by `init`, or is
  /// `contracts`; the test `everyStoredPropertyIsInTheCheckpoint` finds one that is not.
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.role(&role)
    try activity.codeState(&coder)
    try window.codeState(&coder)
    try acceptor.codeState(&coder)
    try proposer.codeState(&coder, logSlots: options.logSlots)
    try coder.check(leads == (proposer.phase == .proposing))
    try coder.check((role == .candidate) == (proposer.phase == .preparing))
    try election.codeState(&coder)
    try coder.snapshot(&snapshot)
    try screened.codeState(&coder)
    try coder.word(&journalPosition)
    try coder.word(&persistedUpTo)
    try coder.check(persistedUpTo <= journalPosition)
    try learner.codeState(&coder)
    try batcher.codeState(&coder)
    try rounds.codeState(&coder)
    try leaseGuard.codeState(&coder)
    try reads.codeState(&coder)
    try catchUp.codeState(&coder)
    try replies.codeState(&coder)
    try deadlines.codeState(&coder)
    try digests.codeState(&coder)
    try random.codeState(&coder)
    try coder.word(&lastNow)
    try coder.word(&bytesSinceSnapshot)
    try coder.word(&snapshotBeingTaken)
    try coder.word(&recordedChosenUpTo)
    try coder.word(&journalWaitsSince)
    try coder.optional(&transferTarget, ReplicaID(0)) { coder, id throws(DecodeError) in
      try coder.replica(&id)
    }
    try coder.bool(&isTransferSent)
    try coder.bool(&isLeaseReleased)
    try coder.ballot(&releasedLease)
    try coder.bool(&isPumping)
    let none = Suspicion(voters: configuration.quorum.voters, own: ownIndex)
    try coder.optional(&suspicion, none) { coder, suspicion throws(DecodeError) in
      try suspicion.codeState(&coder)
    }
  }

  /// Appends the state to bytes. The same state always gives the same bytes.
  func appendState(to bytes: inout [UInt8]) {
    var copy = self
    var writer = StateWriter(appendingTo: bytes)
    bytes = []
    do {
      try copy.codeState(&writer)
    } catch {
      preconditionFailure("writing a state refuses nothing: \(error)")
    }
    bytes = writer.finish()
  }

  /// A replica in the state that `appendState` wrote.
  /// - Parameter configuration: and `options`: those of the replica that was written.
  init(
    state reader: inout ByteReader, id: ReplicaID, configuration: Configuration,
    options: ReplicaOptions
  ) throws(RecordingInvalid) {
    do throws(Invalid) {
      try self.init(id: id, configuration: configuration, options: options, seed: 0)
    } catch {
      throw .replica(error)
    }
    do throws(DecodeError) {
      var state = StateReader(reader)
      try codeState(&state)
      reader = state.reader
    } catch {
      throw .checkpoint(error)
    }
  }
}

extension Replica.Activity {
  fileprivate mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    var tag = rawValue
    try coder.count(&tag)
    let activity = Self(rawValue: tag)
    try coder.check(activity != nil)
    self = activity ?? self
  }
}

// MARK: - What a replica is made with

extension Configuration {
  func appendState(to coder: inout some StateCoder) throws(DecodeError) {
    var (epoch, firstSlot, lastSlot, voters) = (epoch, firstSlot, lastSlot, voters)
    try coder.word(&epoch)
    try coder.word(&firstSlot)
    try coder.word(&lastSlot)
    try coder.list(&voters, Member(id: ReplicaID(0))) { coder, member throws(DecodeError) in
      try member.codeState(&coder)
    }
  }

  /// The configuration that `appendState` wrote.
  init(state coder: inout StateReader) throws(RecordingInvalid) {
    var (epoch, firstSlot, lastSlot) = (Epoch(0), Slot.zero, Slot.zero)
    var voters: [Member] = []
    do throws(DecodeError) {
      try coder.word(&epoch)
      try coder.word(&firstSlot)
      try coder.word(&lastSlot)
      try coder.list(&voters, Member(id: ReplicaID(0))) { coder, member throws(DecodeError) in
        try member.codeState(&coder)
      }
    } catch {
      throw .checkpoint(error)
    }
    do throws(Invalid) {
      try self.init(epoch: epoch, firstSlot: firstSlot, lastSlot: lastSlot, voters: voters)
    } catch {
      throw .configuration(error)
    }
  }
}

extension Member {
  fileprivate mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.replica(&id)
    try coder.word(&incarnation.rawValue)
    var rank = UInt32(priorityRank)
    try coder.word(&rank)
    try coder.check(rank <= UInt8.max)
    priorityRank = UInt8(truncatingIfNeeded: rank)
  }
}

extension ReplicaOptions {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.count(&windowSlots)
    try coder.count(&logSlots)
    try coder.word(&batchCommandsMax)
    try coder.word(&batchBytesMax)
    try coder.span(&batchDelay)
    try coder.count(&queuedBatchesMax)
    try coder.span(&electionTimeout)
    try coder.span(&electionJitter)
    try coder.span(&priorityDelay)
    try coder.span(&heartbeatInterval)
    try coder.span(&journalStallMax)
    try coder.span(&retransmitInterval)
    try coder.span(&catchUpDelay)
    try coder.span(&catchUpRetry)
    try coder.word(&catchUpSlots)
    try coder.count(&snapshotInterval)
    try coder.word(&snapshotBytes)
    try coder.count(&snapshotTailSlots)
    try coder.word(&snapshotChunkBytes)
    try coder.count(&digestPeriod)
    try coder.count(&readsMax)
    try coder.span(&localReadTimeout)
    let none = LeaseOptions(duration: .zero, driftBoundPPM: 0)
    try coder.optional(&lease, none) { coder, lease throws(DecodeError) in
      try coder.span(&lease.duration)
      try coder.word(&lease.driftBoundPPM)
    }
  }
}
