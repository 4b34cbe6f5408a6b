/// Reads steps that `StepEncoder` wrote. Total: any bytes give a step or a `DecodeError`.
struct StepDecoder {
  let own: ReplicaID
  let epoch: Epoch
  var context = StepContext()

  init(own: ReplicaID, epoch: Epoch) {
    self.own = own
    self.epoch = epoch
  }

  /// The next step; its effects replace those in `effects`.
  mutating func decode(
    _ reader: inout ByteReader, into effects: inout EffectBuffer
  ) throws(DecodeError) -> (event: Event, now: Instant) {
    let at = reader.offset
    let head = try reader.u8()
    guard let tag = StepTag.Event(rawValue: head & StepTag.Head.eventMask) else {
      throw DecodeError(.unknownTag, at: at)
    }
    if head & StepTag.Head.hasTime != 0 { context.now = try reader.packed(from: context.now) }
    var count = UInt64(head &>> StepTag.Head.effectsShift)
    if count == StepTag.Head.effectsMany { count &+= try reader.packed() }
    let event = try event(tag, &reader)
    // Every effect has a byte at least, so an absurd number is found before anything is allocated for it.
    guard count <= UInt64(reader.remaining) else { throw DecodeError(.truncated, at: at) }
    effects.removeAll()
    for _ in 0..<Int(count) { effects.append(try effect(&reader)) }
    return (event, Instant(nanoseconds: context.now))
  }

  // MARK: Events

  private mutating func event(
    _ tag: StepTag.Event, _ reader: inout ByteReader
  ) throws(DecodeError) -> Event {
    switch tag {
    case .started: return .started
    case .messageReceived: return .messageReceived(try envelope(&reader))
    case .persisted:
      context.persistedUpTo = try reader.packed(from: context.persistedUpTo)
      return .persisted(upTo: JournalPosition(context.persistedUpTo))
    case .deadlineReached: return .deadlineReached
    case .commandReceived: return .commandReceived(try command(&reader))
    case .readReceived:
      let id = try request(&reader)
      return .readReceived(id, try readMode(&reader))
    case .snapshotTaken: return .snapshotTaken(try snapshot(&reader))
    case .snapshotStored:
      let info = try snapshot(&reader)
      return .snapshotStored(info, isValid: try reader.bool())
    case .transferRequested: return .transferRequested(to: ReplicaID(try reader.packed32()))
    case .leadershipPermitted: return .leadershipPermitted(try reader.bool())
    case .snapshotRequested: return .snapshotRequested
    case .digestsChanged:
      let slot = Slot(try reader.packed(from: context.appliedUpTo))
      let digest = try reader.u64()
      let reported = Slot(try reader.packed(from: context.appliedUpTo))
      return .digestsChanged(
        DigestStanding(
          slot: slot, digest: digest, reportedUpTo: reported,
          vouchedUpTo: Slot(try reader.packed(from: context.appliedUpTo))))
    case .reportEntered: return .reportEntered(try command(&reader))
    }
  }

  private mutating func envelope(_ reader: inout ByteReader) throws(DecodeError) -> Envelope {
    let at = reader.offset
    let word = try reader.packed()
    guard let from = UInt32(exactly: word >> 1) else { throw DecodeError(.length, at: at) }
    var (to, epoch) = (own, epoch)
    if word & 1 == 1 {
      to = ReplicaID(try reader.packed32())
      epoch = Epoch(try reader.packed())
    }
    let message = try message(&reader)
    return Envelope(from: ReplicaID(from), to: to, epoch: epoch, message: message)
  }

  private mutating func command(_ reader: inout ByteReader) throws(DecodeError) -> CommandRef {
    let at = reader.offset
    let same = try reader.u8()
    guard same & ~StepTag.Command.all == 0 else { throw DecodeError(.reservedNotZero, at: at) }
    var position = context.commandEnd
    var length = context.commandLength
    var session = context.request.session.rawValue
    var sequence = context.request.sequence.rawValue &+ 1
    if same & StepTag.Command.samePosition == 0 { position = try reader.packed(from: position) }
    if same & StepTag.Command.sameLength == 0 { length = try reader.packed32() }
    if same & StepTag.Command.sameSession == 0 { session = try reader.packed(from: session) }
    if same & StepTag.Command.nextSequence == 0 {
      sequence = try reader.packed(from: context.request.sequence.rawValue)
    }
    let command = CommandRef(
      session: SessionID(session), sequence: SequenceNumber(sequence),
      bytes: BytesRef(position: position, length: length), checksum: try reader.u32())
    context.commandEnd = command.bytes.end
    context.commandLength = length
    context.request = RequestID(session: command.session, sequence: command.sequence)
    return command
  }

  private func readMode(_ reader: inout ByteReader) throws(DecodeError) -> ReadMode {
    let at = reader.offset
    switch StepTag.ReadMode(rawValue: try reader.u8()) {
    case .quorum: return .quorum
    case .lease: return .lease
    case .local: return .local(atLeast: Slot(try reader.packed(from: context.appliedUpTo)))
    case nil: throw DecodeError(.unknownTag, at: at)
    }
  }

  // MARK: Effects

  private mutating func effect(_ reader: inout ByteReader) throws(DecodeError) -> Effect {
    try effect(&reader, epoch: epoch)
  }

  /// - Parameter epoch: of the record, if it is one.
  private mutating func effect(
    _ reader: inout ByteReader, epoch: Epoch
  ) throws(DecodeError) -> Effect {
    let at = reader.offset
    let first = try reader.u8()
    guard let tag = StepTag.Effect(rawValue: first & StepTag.Effect.mask) else {
      throw DecodeError(.unknownTag, at: at)
    }
    switch tag {
    case .persistPromised:
      try refuse(StepTag.formMask, in: first, at: at)
      return .persist(JournalRecord(.promised(try ballot(first, &reader)), epoch: epoch))
    case .persistCured:
      try refuse(StepTag.formMask, in: first, at: at)
      let ballot = try ballot(first, &reader)
      return .persist(JournalRecord(.cured(ballot, try slot(&reader)), epoch: epoch))
    case .persistAccepted:
      let ballot = try ballot(first, &reader)
      let slot = try slot(&reader)
      return .persist(
        JournalRecord(.accepted(slot, ballot, try value(first, slot, &reader)), epoch: epoch))
    case .persistLearned:
      try refuse(StepTag.sameBallot, in: first, at: at)
      let slot = try slot(&reader)
      return .persist(JournalRecord(.learned(slot, try value(first, slot, &reader)), epoch: epoch))
    case .apply:
      try refuse(StepTag.sameBallot, in: first, at: at)
      let slot = try applied(&reader)
      return .apply(slot, try value(first, slot, &reader))
    case .roleChanged:
      try refuse(StepTag.formMask, in: first, at: at)
      return try roleChanged(try ballot(first, &reader), &reader)
    case .persistChosenUpTo, .persistSnapshot, .send, .broadcast, .serveRead, .reject,
      .setDeadline, .takeSnapshot, .sendSnapshotChunk, .storeSnapshotChunk, .restoreSnapshot,
      .truncate, .enterReport:
      try refuse(~StepTag.Effect.mask, in: first, at: at)
      return try plainEffect(tag, &reader, at: at, epoch: epoch)
    case .epoch:
      try refuse(~StepTag.Effect.mask, in: first, at: at)
      let other = Epoch(try reader.packed())
      // Once, in front of a record, and only where it says something: every step has one encoding.
      guard epoch == self.epoch, other != epoch else { throw DecodeError(.contradiction, at: at) }
      let effect = try effect(&reader, epoch: other)
      guard case .persist = effect else { throw DecodeError(.contradiction, at: at) }
      return effect
    }
  }

  /// An effect whose first byte holds no flags.
  private mutating func plainEffect(
    _ tag: StepTag.Effect, _ reader: inout ByteReader, at: Int, epoch: Epoch
  ) throws(DecodeError) -> Effect {
    switch tag {
    case .persistChosenUpTo:
      return .persist(JournalRecord(.chosenUpTo(try chosen(&reader)), epoch: epoch))
    case .persistSnapshot:
      return .persist(JournalRecord(.snapshot(try snapshot(&reader)), epoch: epoch))
    case .send:
      let to = ReplicaID(try reader.packed32())
      return .send(to: to, try message(&reader))
    case .broadcast: return .broadcast(try message(&reader))
    case .serveRead:
      let id = try request(&reader)
      return .serveRead(id, appliedUpTo: try applied(&reader))
    case .reject:
      let id = try request(&reader)
      return .reject(id, try rejection(&reader))
    case .setDeadline:
      return .setDeadline(Instant(nanoseconds: try reader.packed(from: context.now)))
    case .takeSnapshot: return .takeSnapshot(try applied(&reader))
    case .sendSnapshotChunk:
      let to = ReplicaID(try reader.packed32())
      let info = try snapshot(&reader)
      let offset = try reader.packed()
      return .sendSnapshotChunk(
        to: to, info, offset: offset, lengthMax: try reader.packed32())
    case .storeSnapshotChunk:
      let chunk = try chunk(&reader)
      return .storeSnapshotChunk(chunk, isLast: try reader.bool())
    case .restoreSnapshot: return .restoreSnapshot(try snapshot(&reader))
    case .truncate: return .truncate(upTo: try applied(&reader))
    case .enterReport:
      let replica = ReplicaID(try reader.packed32())
      let epoch = Epoch(try reader.packed())
      let voters = try reader.packed32()
      let slot = Slot(try reader.packed(from: context.appliedUpTo))
      return .enterReport(
        DigestReport(
          replica: replica, epoch: epoch, voters: voters, slot: slot, digest: try reader.u64()))
    case .persistPromised, .persistAccepted, .persistLearned, .persistCured, .apply, .roleChanged,
      .epoch:
      throw DecodeError(.unknownTag, at: at)
    }
  }

  private func roleChanged(
    _ ballot: Ballot, _ reader: inout ByteReader
  ) throws(DecodeError) -> Effect {
    let at = reader.offset
    let byte = try reader.u8()
    guard let role = Role(tag: byte >> 1) else { throw DecodeError(.unknownTag, at: at) }
    let leader = byte & 1 == 1 ? ReplicaID(try reader.packed32()) : nil
    return .roleChanged(role, ballot, leader: leader)
  }

  private mutating func rejection(_ reader: inout ByteReader) throws(DecodeError) -> Rejection {
    let at = reader.offset
    switch StepTag.Rejection(rawValue: try reader.u8()) {
    case .notLeader: return .notLeader(leader: ReplicaID(try reader.packed32()))
    case .notLeaderUnknown: return .notLeader(leader: nil)
    case .overloaded: return .overloaded
    case .transferring: return .transferring(to: ReplicaID(try reader.packed32()))
    case .tooLarge: return .tooLarge(limit: try reader.packed32())
    case .notApplied: return .notApplied(appliedUpTo: try applied(&reader))
    case .leasesDisabled: return .leasesDisabled
    case .noRoom: return .noRoom
    case nil: throw DecodeError(.unknownTag, at: at)
    }
  }

  /// Flags that mean nothing here must not be set.
  func refuse(_ flags: UInt8, in byte: UInt8, at: Int) throws(DecodeError) {
    guard byte & flags == 0 else { throw DecodeError(.reservedNotZero, at: at) }
  }
}
