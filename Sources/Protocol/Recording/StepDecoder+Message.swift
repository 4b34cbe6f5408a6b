// Messages, and the fields that messages share with events and effects.
extension StepDecoder {
  mutating func message(_ reader: inout ByteReader) throws(DecodeError) -> Message {
    let at = reader.offset
    let first = try reader.u8()
    guard let tag = MessageCodec.Tag(rawValue: first & StepTag.messageMask) else {
      throw DecodeError(.unknownTag, at: at)
    }
    switch tag {
    case .accept, .report:
      break
    case .learn:
      try refuse(StepTag.sameBallot, in: first, at: at)
    case .accepted, .heartbeat, .heartbeatReply, .prepare, .promise, .rejected, .preVote,
      .preVoteReply, .standForElection, .standing:
      try refuse(StepTag.formMask, in: first, at: at)
    case .fetch, .snapshotOffer, .snapshotFetch, .snapshotChunk, .inquiry, .stateDigest:
      try refuse(StepTag.formMask | StepTag.sameBallot, in: first, at: at)
    }
    return try fields(tag, first, &reader)
  }

  private mutating func fields(
    _ tag: MessageCodec.Tag, _ first: UInt8, _ reader: inout ByteReader
  ) throws(DecodeError) -> Message {
    switch tag {
    case .accept:
      let ballot = try ballot(first, &reader)
      let slot = try slot(&reader)
      let chosen = try chosen(&reader)
      let value = try value(first, slot, &reader)
      return .accept(Accept(ballot: ballot, slot: slot, value: value, chosenUpTo: chosen))
    case .accepted:
      let ballot = try ballot(first, &reader)
      let firstSlot = try slot(&reader)
      return .accepted(
        Accepted(ballot: ballot, firstSlot: firstSlot, lastSlot: try slot(&reader)))
    case .heartbeat:
      let ballot = try ballot(first, &reader)
      let round = try round(&reader)
      return .heartbeat(
        Heartbeat(ballot: ballot, round: round, chosenUpTo: try chosen(&reader)))
    case .heartbeatReply:
      let ballot = try ballot(first, &reader)
      let round = try round(&reader)
      return .heartbeatReply(
        HeartbeatReply(ballot: ballot, round: round, chosenUpTo: try chosen(&reader)))
    case .prepare:
      let ballot = try ballot(first, &reader)
      let firstSlot = try slot(&reader)
      return .prepare(
        Prepare(ballot: ballot, firstSlot: firstSlot, releasedLease: try other(&reader)))
    case .promise:
      let ballot = try ballot(first, &reader)
      let firstSlot = try slot(&reader)
      let chosen = try chosen(&reader)
      let truncated = try applied(&reader)
      return .promise(
        Promise(
          ballot: ballot, firstSlot: firstSlot, chosenUpTo: chosen, truncatedUpTo: truncated,
          lastSlot: try slot(&reader)))
    case .report:
      let ballot = try ballot(first, &reader)
      let slot = try slot(&reader)
      let voted = try other(&reader)
      let isChosen = try reader.bool()
      let value = try value(first, slot, &reader)
      return .report(
        Report(ballot: ballot, slot: slot, votedBallot: voted, value: value, isChosen: isChosen))
    case .rejected:
      let ballot = try ballot(first, &reader)
      return .rejected(Rejected(ballot: ballot, promised: try other(&reader)))
    case .preVote:
      let ballot = try ballot(first, &reader)
      return .preVote(PreVote(ballot: ballot, chosenUpTo: try chosen(&reader)))
    case .preVoteReply:
      let ballot = try ballot(first, &reader)
      let isGranted = try reader.bool()
      let promised = try other(&reader)
      return .preVoteReply(
        PreVoteReply(
          ballot: ballot, isGranted: isGranted, promised: promised,
          chosenUpTo: try chosen(&reader)))
    case .standForElection:
      return .standForElection(StandForElection(ballot: try ballot(first, &reader)))
    case .fetch:
      let firstSlot = try slot(&reader)
      return .fetch(Fetch(firstSlot: firstSlot, limit: try reader.packed32()))
    case .learn:
      let slot = try slot(&reader)
      let chosen = try chosen(&reader)
      let value = try value(first, slot, &reader)
      return .learn(Learn(slot: slot, value: value, chosenUpTo: chosen))
    case .snapshotOffer: return .snapshotOffer(SnapshotOffer(snapshot: try snapshot(&reader)))
    case .snapshotFetch:
      let info = try snapshot(&reader)
      return .snapshotFetch(SnapshotFetch(snapshot: info, offset: try reader.packed()))
    case .snapshotChunk: return .snapshotChunk(try chunk(&reader))
    case .inquiry: return .inquiry(Inquiry(nonce: try reader.u64()))
    case .standing:
      let promised = try ballot(first, &reader)
      let isSound = try reader.bool()
      let leading = try other(&reader)
      let nonce = try reader.u64()
      return .standing(
        Standing(
          nonce: nonce, isSound: isSound, promised: promised, leading: leading,
          lastSlot: try slot(&reader)))
    case .stateDigest:
      let slot = try slot(&reader)
      return .stateDigest(StateDigest(slot: slot, digest: try reader.u64()))
    }
  }

  mutating func chunk(_ reader: inout ByteReader) throws(DecodeError) -> SnapshotChunk {
    let info = try snapshot(&reader)
    let offset = try reader.packed()
    let position = try reader.packed()
    let bytes = BytesRef(position: position, length: try reader.packed32())
    return SnapshotChunk(snapshot: info, offset: offset, bytes: bytes)
  }

  // MARK: Fields

  mutating func ballot(
    _ first: UInt8, _ reader: inout ByteReader
  ) throws(DecodeError) -> Ballot {
    if first & StepTag.sameBallot == 0 {
      let round = try reader.packed(from: context.ballot.round)
      context.ballot = Ballot(round: round, proposer: ReplicaID(try reader.packed32()))
    }
    return context.ballot
  }

  private mutating func other(_ reader: inout ByteReader) throws(DecodeError) -> Ballot {
    let at = reader.offset
    switch StepTag.OtherBallot(rawValue: try reader.u8()) {
    case .zero: return .zero
    case .own: return context.ballot
    case .last: return context.otherBallot
    case .follows:
      let round = try reader.packed(from: context.ballot.round)
      context.otherBallot = Ballot(round: round, proposer: ReplicaID(try reader.packed32()))
      return context.otherBallot
    case nil: throw DecodeError(.unknownTag, at: at)
    }
  }

  mutating func slot(_ reader: inout ByteReader) throws(DecodeError) -> Slot {
    context.slot = try reader.packed(from: context.slot)
    return Slot(context.slot)
  }

  mutating func chosen(_ reader: inout ByteReader) throws(DecodeError) -> Slot {
    context.chosenUpTo = try reader.packed(from: context.chosenUpTo)
    return Slot(context.chosenUpTo)
  }

  mutating func applied(_ reader: inout ByteReader) throws(DecodeError) -> Slot {
    context.appliedUpTo = try reader.packed(from: context.appliedUpTo)
    return Slot(context.appliedUpTo)
  }

  private mutating func round(_ reader: inout ByteReader) throws(DecodeError) -> UInt64 {
    context.round = try reader.packed(from: context.round)
    return context.round
  }

  mutating func value(
    _ first: UInt8, _ slot: Slot, _ reader: inout ByteReader
  ) throws(DecodeError) -> Value {
    let at = reader.offset
    switch StepContext.ValueForm(rawValue: first & StepTag.formMask) {
    case .noop: return .noop
    case .known:
      guard let value = context.value(of: slot) else { throw DecodeError(.contradiction, at: at) }
      return value
    case .full:
      let position = try reader.packed(from: context.valueEnd)
      let length = try reader.packed32()
      let count = try reader.packed32()
      let value = Value(
        bytes: BytesRef(position: position, length: length), count: count,
        digest: try reader.u64())
      context.remember(value, in: slot)
      return value
    case nil: throw DecodeError(.unknownTag, at: at)
    }
  }

  mutating func request(_ reader: inout ByteReader) throws(DecodeError) -> RequestID {
    let session = try reader.packed(from: context.request.session.rawValue)
    let sequence = try reader.packed(from: context.request.sequence.rawValue)
    context.request = RequestID(
      session: SessionID(session), sequence: SequenceNumber(sequence))
    return context.request
  }

  mutating func snapshot(_ reader: inout ByteReader) throws(DecodeError) -> SnapshotInfo {
    if try reader.bool() { return context.snapshot }
    let slot = try reader.packed(from: context.snapshot.slot.rawValue)
    let length = try reader.packed()
    context.snapshot = SnapshotInfo(
      slot: Slot(slot), length: length, digest: try reader.u64())
    return context.snapshot
  }
}
