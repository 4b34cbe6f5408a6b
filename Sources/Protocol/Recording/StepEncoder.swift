/// Writes steps: an event with its time, and the effects it had. docs/flight-recorder.md, "Steps"; `StepDecoder` is the
/// mirror image. Allocates nothing as long as the array it appends to has room.
struct StepEncoder {
  /// The recorded replica, to which messages are addressed unless they went astray, and its epoch.
  let own: ReplicaID
  let epoch: Epoch
  var context = StepContext()

  /// No event, and no effect, is longer.
  static let eventBytesMax = 144
  static let effectBytesMax = 112
  /// Room is made for so many effects at a time.
  private static let effectsAtATime = 16

  init(own: ReplicaID, epoch: Epoch) {
    self.own = own
    self.epoch = epoch
  }

  mutating func encode(
    _ event: Event, now: Instant, _ effects: borrowing EffectBuffer, into bytes: inout [UInt8]
  ) {
    let count = effects.count
    let first = min(count, Self.effectsAtATime)
    let room = Self.eventBytesMax &+ first &* Self.effectBytesMax
    bytes.appendPacked(upTo: room) { out in
      out.expect(Self.eventBytesMax)
      put(event, now: now.rawValue, effects: count, &out)
      for i in 0..<first {
        out.expect(Self.effectBytesMax)
        put(effects[i], &out)
      }
    }
    var next = first
    while next < count {
      let end = min(count, next + Self.effectsAtATime)
      bytes.appendPacked(upTo: (end - next) * Self.effectBytesMax) { out in
        for i in next..<end {
          out.expect(Self.effectBytesMax)
          put(effects[i], &out)
        }
      }
      next = end
    }
  }

  // MARK: Events

  @inline(__always)
  private mutating func begin(
    _ tag: StepTag.Event, _ now: UInt64, _ effects: Int, _ out: inout PackedWriter
  ) {
    let hasTime = now != context.now
    let many = effects >= StepTag.Head.effectsMany
    out.put(
      byte: tag.rawValue | (hasTime ? StepTag.Head.hasTime : 0)
        | UInt8(truncatingIfNeeded: many ? StepTag.Head.effectsMany : effects)
        &<< StepTag.Head.effectsShift)
    if hasTime {
      out.put(now, from: context.now)
      context.now = now
    }
    if many { out.put(UInt64(effects &- StepTag.Head.effectsMany)) }
  }

  private mutating func put(
    _ event: Event, now: UInt64, effects: Int, _ out: inout PackedWriter
  ) {
    switch event {
    case .commandReceived(let command):
      begin(.commandReceived, now, effects, &out)
      put(command, &out)
    case .messageReceived(let envelope):
      begin(.messageReceived, now, effects, &out)
      let isUsual = envelope.to == own && envelope.epoch == epoch
      out.put(UInt64(envelope.from.rawValue) &<< 1 | (isUsual ? 0 : 1))
      if !isUsual {
        out.put(UInt64(envelope.to.rawValue))
        out.put(envelope.epoch.rawValue)
      }
      put(envelope.message, &out)
    case .persisted(let position):
      begin(.persisted, now, effects, &out)
      out.put(position.rawValue, from: context.persistedUpTo)
      context.persistedUpTo = position.rawValue
    case .deadlineReached:
      begin(.deadlineReached, now, effects, &out)
    case .readReceived(let id, let mode):
      begin(.readReceived, now, effects, &out)
      put(id, &out)
      switch mode {
      case .quorum: out.put(byte: StepTag.ReadMode.quorum.rawValue)
      case .lease: out.put(byte: StepTag.ReadMode.lease.rawValue)
      case .local(let slot):
        out.put(byte: StepTag.ReadMode.local.rawValue)
        out.put(slot.rawValue, from: context.appliedUpTo)
      }
    case .started:
      begin(.started, now, effects, &out)
    case .snapshotTaken(let info):
      begin(.snapshotTaken, now, effects, &out)
      put(info, &out)
    case .snapshotStored(let info, let isValid):
      begin(.snapshotStored, now, effects, &out)
      put(info, &out)
      out.put(byte: isValid ? 1 : 0)
    case .transferRequested(let target):
      begin(.transferRequested, now, effects, &out)
      out.put(UInt64(target.rawValue))
    case .leadershipPermitted(let isPermitted):
      begin(.leadershipPermitted, now, effects, &out)
      out.put(byte: isPermitted ? 1 : 0)
    case .snapshotRequested:
      begin(.snapshotRequested, now, effects, &out)
    case .digestsChanged(let standing):
      begin(.digestsChanged, now, effects, &out)
      out.put(standing.slot.rawValue, from: context.appliedUpTo)
      out.put(raw: standing.digest)
      out.put(standing.reportedUpTo.rawValue, from: context.appliedUpTo)
      out.put(standing.vouchedUpTo.rawValue, from: context.appliedUpTo)
    case .reportEntered(let command):
      begin(.reportEntered, now, effects, &out)
      put(command, &out)
    }
  }

  @inline(__always)
  private mutating func put(_ command: CommandRef, _ out: inout PackedWriter) {
    let (position, length) = (command.bytes.position, command.bytes.length)
    let (session, sequence) = (command.session.rawValue, command.sequence.rawValue)
    let last = context.request
    let same =
      (position == context.commandEnd ? StepTag.Command.samePosition : 0)
      | (length == context.commandLength ? StepTag.Command.sameLength : 0)
      | (session == last.session.rawValue ? StepTag.Command.sameSession : 0)
      | (sequence == last.sequence.rawValue &+ 1 ? StepTag.Command.nextSequence : 0)
    out.put(byte: same)
    if same & StepTag.Command.samePosition == 0 { out.put(position, from: context.commandEnd) }
    if same & StepTag.Command.sameLength == 0 { out.put(UInt64(length)) }
    if same & StepTag.Command.sameSession == 0 { out.put(session, from: last.session.rawValue) }
    if same & StepTag.Command.nextSequence == 0 { out.put(sequence, from: last.sequence.rawValue) }
    out.put(raw: command.checksum)
    context.commandEnd = command.bytes.end
    context.commandLength = length
    context.request = RequestID(session: command.session, sequence: command.sequence)
  }

  // MARK: Effects

  private mutating func put(_ effect: Effect, _ out: inout PackedWriter) {
    switch effect {
    case .persist(let record):
      put(record, &out)
    case .send(let to, let message):
      out.put(byte: StepTag.Effect.send.rawValue)
      out.put(UInt64(to.rawValue))
      put(message, &out)
    case .broadcast(let message):
      out.put(byte: StepTag.Effect.broadcast.rawValue)
      put(message, &out)
    case .apply(let slot, let value):
      let form = context.form(of: value, in: slot)
      out.put(byte: StepTag.Effect.apply.rawValue | form.rawValue)
      putApplied(slot, &out)
      put(value, form, slot, &out)
    case .serveRead(let id, let slot):
      out.put(byte: StepTag.Effect.serveRead.rawValue)
      put(id, &out)
      putApplied(slot, &out)
    case .reject(let id, let rejection):
      out.put(byte: StepTag.Effect.reject.rawValue)
      put(id, &out)
      put(rejection, &out)
    case .setDeadline(let deadline):
      out.put(byte: StepTag.Effect.setDeadline.rawValue)
      out.put(deadline.rawValue, from: context.now)
    case .takeSnapshot(let slot):
      out.put(byte: StepTag.Effect.takeSnapshot.rawValue)
      putApplied(slot, &out)
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      out.put(byte: StepTag.Effect.sendSnapshotChunk.rawValue)
      out.put(UInt64(to.rawValue))
      put(info, &out)
      out.put(offset)
      out.put(UInt64(lengthMax))
    case .storeSnapshotChunk(let chunk, let isLast):
      out.put(byte: StepTag.Effect.storeSnapshotChunk.rawValue)
      put(chunk, &out)
      out.put(byte: isLast ? 1 : 0)
    case .restoreSnapshot(let info):
      out.put(byte: StepTag.Effect.restoreSnapshot.rawValue)
      put(info, &out)
    case .truncate(let slot):
      out.put(byte: StepTag.Effect.truncate.rawValue)
      putApplied(slot, &out)
    case .roleChanged(let role, let ballot, let leader):
      let same = sameBallot(ballot)
      out.put(byte: StepTag.Effect.roleChanged.rawValue | same)
      put(ballot, same, &out)
      // The role, and whether a leader follows.
      out.put(byte: role.tag &<< 1 | (leader == nil ? 0 : 1))
      if let leader { out.put(UInt64(leader.rawValue)) }
    case .enterReport(let report):
      out.put(byte: StepTag.Effect.enterReport.rawValue)
      out.put(UInt64(report.replica.rawValue))
      out.put(report.epoch.rawValue)
      out.put(UInt64(report.voters))
      out.put(report.slot.rawValue, from: context.appliedUpTo)
      out.put(raw: report.digest)
    }
  }

  private mutating func put(_ record: JournalRecord, _ out: inout PackedWriter) {
    if record.epoch != epoch {
      out.put(byte: StepTag.Effect.epoch.rawValue)
      out.put(record.epoch.rawValue)
    }
    switch record.fact {
    case .accepted(let slot, let ballot, let value):
      let (same, form) = (sameBallot(ballot), context.form(of: value, in: slot))
      out.put(byte: StepTag.Effect.persistAccepted.rawValue | same | form.rawValue)
      put(ballot, same, &out)
      put(slot, &out)
      put(value, form, slot, &out)
    case .learned(let slot, let value):
      let form = context.form(of: value, in: slot)
      out.put(byte: StepTag.Effect.persistLearned.rawValue | form.rawValue)
      put(slot, &out)
      put(value, form, slot, &out)
    case .promised(let ballot):
      let same = sameBallot(ballot)
      out.put(byte: StepTag.Effect.persistPromised.rawValue | same)
      put(ballot, same, &out)
    case .cured(let ballot, let slot):
      let same = sameBallot(ballot)
      out.put(byte: StepTag.Effect.persistCured.rawValue | same)
      put(ballot, same, &out)
      put(slot, &out)
    case .chosenUpTo(let slot):
      out.put(byte: StepTag.Effect.persistChosenUpTo.rawValue)
      putChosen(slot, &out)
    case .snapshot(let info):
      out.put(byte: StepTag.Effect.persistSnapshot.rawValue)
      put(info, &out)
    }
  }

  private mutating func put(_ rejection: Rejection, _ out: inout PackedWriter) {
    func tag(_ tag: StepTag.Rejection) { out.put(byte: tag.rawValue) }
    switch rejection {
    case .notLeader(nil): tag(.notLeaderUnknown)
    case .notLeader(.some(let leader)):
      tag(.notLeader)
      out.put(UInt64(leader.rawValue))
    case .overloaded: tag(.overloaded)
    case .transferring(let target):
      tag(.transferring)
      out.put(UInt64(target.rawValue))
    case .tooLarge(let limit):
      tag(.tooLarge)
      out.put(UInt64(limit))
    case .notApplied(let slot):
      tag(.notApplied)
      putApplied(slot, &out)
    case .leasesDisabled: tag(.leasesDisabled)
    case .noRoom: tag(.noRoom)
    }
  }
}
