// Messages, and the fields that messages share with events and effects.
extension StepEncoder {
  /// The tag with its flags, then the ballot unless it is the last one.
  @inline(__always)
  private mutating func begin(
    _ tag: MessageCodec.Tag, _ ballot: Ballot, form: StepContext.ValueForm = .noop,
    _ out: inout PackedWriter
  ) {
    let same = sameBallot(ballot)
    out.put(byte: tag.rawValue | same | form.rawValue)
    put(ballot, same, &out)
  }

  mutating func put(_ message: Message, _ out: inout PackedWriter) {
    switch message {
    case .accept(let m):
      let form = context.form(of: m.value, in: m.slot)
      begin(.accept, m.ballot, form: form, &out)
      put(m.slot, &out)
      putChosen(m.chosenUpTo, &out)
      put(m.value, form, m.slot, &out)
    case .accepted(let m):
      begin(.accepted, m.ballot, &out)
      put(m.firstSlot, &out)
      put(m.lastSlot, &out)
    case .heartbeat(let m):
      begin(.heartbeat, m.ballot, &out)
      putBeat(m.round, m.chosenUpTo, &out)
    case .heartbeatReply(let m):
      begin(.heartbeatReply, m.ballot, &out)
      putBeat(m.round, m.chosenUpTo, &out)
    case .prepare(let m):
      begin(.prepare, m.ballot, &out)
      put(m.firstSlot, &out)
      putOther(m.releasedLease, &out)
    case .promise(let m):
      begin(.promise, m.ballot, &out)
      put(m.firstSlot, &out)
      putChosen(m.chosenUpTo, &out)
      putApplied(m.truncatedUpTo, &out)
      put(m.lastSlot, &out)
    case .report(let m):
      let form = context.form(of: m.value, in: m.slot)
      begin(.report, m.ballot, form: form, &out)
      put(m.slot, &out)
      putOther(m.votedBallot, &out)
      out.put(byte: m.isChosen ? 1 : 0)
      put(m.value, form, m.slot, &out)
    case .rejected(let m):
      begin(.rejected, m.ballot, &out)
      putOther(m.promised, &out)
    case .preVote(let m):
      begin(.preVote, m.ballot, &out)
      putChosen(m.chosenUpTo, &out)
    case .preVoteReply(let m):
      begin(.preVoteReply, m.ballot, &out)
      out.put(byte: m.isGranted ? 1 : 0)
      putOther(m.promised, &out)
      putChosen(m.chosenUpTo, &out)
    case .standForElection(let m):
      begin(.standForElection, m.ballot, &out)
    case .fetch(let m):
      out.put(byte: MessageCodec.Tag.fetch.rawValue)
      put(m.firstSlot, &out)
      out.put(UInt64(m.limit))
    case .learn(let m):
      let form = context.form(of: m.value, in: m.slot)
      out.put(byte: MessageCodec.Tag.learn.rawValue | form.rawValue)
      put(m.slot, &out)
      putChosen(m.chosenUpTo, &out)
      put(m.value, form, m.slot, &out)
    case .snapshotOffer(let m):
      out.put(byte: MessageCodec.Tag.snapshotOffer.rawValue)
      put(m.snapshot, &out)
    case .snapshotFetch(let m):
      out.put(byte: MessageCodec.Tag.snapshotFetch.rawValue)
      put(m.snapshot, &out)
      out.put(m.offset)
    case .snapshotChunk(let m):
      out.put(byte: MessageCodec.Tag.snapshotChunk.rawValue)
      put(m, &out)
    case .inquiry(let m):
      out.put(byte: MessageCodec.Tag.inquiry.rawValue)
      out.put(raw: m.nonce)
    case .standing(let m):
      begin(.standing, m.promised, &out)
      out.put(byte: m.isSound ? 1 : 0)
      putOther(m.leading, &out)
      out.put(raw: m.nonce)
      put(m.lastSlot, &out)
    case .stateDigest(let m):
      out.put(byte: MessageCodec.Tag.stateDigest.rawValue)
      put(m.slot, &out)
      out.put(raw: m.digest)
    }
  }

  @inline(__always)
  private mutating func putBeat(_ round: UInt64, _ chosen: Slot, _ out: inout PackedWriter) {
    out.put(round, from: context.round)
    context.round = round
    putChosen(chosen, &out)
  }

  mutating func put(_ chunk: SnapshotChunk, _ out: inout PackedWriter) {
    put(chunk.snapshot, &out)
    out.put(chunk.offset)
    out.put(chunk.bytes.position)
    out.put(UInt64(chunk.bytes.length))
  }

  // MARK: Fields

  @inline(__always)
  func sameBallot(_ ballot: Ballot) -> UInt8 {
    ballot == context.ballot ? StepTag.sameBallot : 0
  }

  @inline(__always)
  mutating func put(_ ballot: Ballot, _ same: UInt8, _ out: inout PackedWriter) {
    if same != 0 { return }
    out.put(ballot.round, from: context.ballot.round)
    out.put(UInt64(ballot.proposer.rawValue))
    context.ballot = ballot
  }

  private mutating func putOther(_ ballot: Ballot, _ out: inout PackedWriter) {
    if ballot == .zero {
      out.put(byte: StepTag.OtherBallot.zero.rawValue)
    } else if ballot == context.ballot {
      out.put(byte: StepTag.OtherBallot.own.rawValue)
    } else if ballot == context.otherBallot {
      out.put(byte: StepTag.OtherBallot.last.rawValue)
    } else {
      out.put(byte: StepTag.OtherBallot.follows.rawValue)
      out.put(ballot.round, from: context.ballot.round)
      out.put(UInt64(ballot.proposer.rawValue))
      context.otherBallot = ballot
    }
  }

  @inline(__always)
  mutating func put(_ slot: Slot, _ out: inout PackedWriter) {
    out.put(slot.rawValue, from: context.slot)
    context.slot = slot.rawValue
  }

  @inline(__always)
  mutating func putChosen(_ slot: Slot, _ out: inout PackedWriter) {
    out.put(slot.rawValue, from: context.chosenUpTo)
    context.chosenUpTo = slot.rawValue
  }

  @inline(__always)
  mutating func putApplied(_ slot: Slot, _ out: inout PackedWriter) {
    out.put(slot.rawValue, from: context.appliedUpTo)
    context.appliedUpTo = slot.rawValue
  }

  @inline(__always)
  mutating func put(
    _ value: Value, _ form: StepContext.ValueForm, _ slot: Slot, _ out: inout PackedWriter
  ) {
    guard form == .full else { return }
    out.put(value.bytes.position, from: context.valueEnd)
    out.put(UInt64(value.bytes.length))
    out.put(UInt64(value.count))
    out.put(raw: value.digest)
    context.remember(value, in: slot)
  }

  mutating func put(_ id: RequestID, _ out: inout PackedWriter) {
    out.put(id.session.rawValue, from: context.request.session.rawValue)
    out.put(id.sequence.rawValue, from: context.request.sequence.rawValue)
    context.request = id
  }

  /// A snapshot is named again and again while it travels: one byte, then.
  mutating func put(_ info: SnapshotInfo, _ out: inout PackedWriter) {
    let isSame = info == context.snapshot
    out.put(byte: isSame ? 1 : 0)
    if isSame { return }
    out.put(info.slot.rawValue, from: context.snapshot.slot.rawValue)
    out.put(info.length)
    out.put(raw: info.digest)
    context.snapshot = info
  }
}
