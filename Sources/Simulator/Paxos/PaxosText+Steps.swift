public import Protocol

// Messages, effects and events.
extension PaxosText {
  /// The word for a kind of message, with which scenarios select messages too: `accept`, `pre-vote-reply`, …
  public static func kind(of message: Message) -> String {
    switch message {
    case .prepare: "prepare"
    case .promise: "promise"
    case .report: "report"
    case .accept: "accept"
    case .accepted: "accepted"
    case .rejected: "rejected"
    case .heartbeat: "heartbeat"
    case .heartbeatReply: "heartbeat-reply"
    case .preVote: "pre-vote"
    case .preVoteReply: "pre-vote-reply"
    case .standForElection: "stand-for-election"
    case .fetch: "fetch"
    case .learn: "learn"
    case .snapshotOffer: "snapshot-offer"
    case .snapshotFetch: "snapshot-fetch"
    case .snapshotChunk: "snapshot-chunk"
    case .inquiry: "inquiry"
    case .standing: "standing"
    case .stateDigest: "state-digest"
    }
  }

  /// Every word that `kind(of:)` can answer.
  public static let kinds = [
    "prepare", "promise", "report", "accept", "accepted", "rejected", "heartbeat",
    "heartbeat-reply", "pre-vote", "pre-vote-reply", "stand-for-election", "fetch", "learn",
    "snapshot-offer", "snapshot-fetch", "snapshot-chunk", "inquiry", "standing",
    "state-digest",
  ]

  /// One line, beginning with the kind.
  public func describe(_ message: Message) -> String {
    "\(Self.kind(of: message)) \(content(message))"
  }

  private func content(_ message: Message) -> String {
    switch message {
    case .prepare(let m):
      "\(m.ballot) from slot \(m.firstSlot)"
        + (m.releasedLease == .zero ? "" : " lease of \(m.releasedLease) released")
    case .promise(let m):
      "\(m.ballot) from slot \(m.firstSlot), last \(m.lastSlot) chosen \(m.chosenUpTo)"
        + (m.truncatedUpTo == .zero ? "" : " truncated \(m.truncatedUpTo)")
    case .report(let m): "\(m.ballot) slot \(m.slot) \(outcome(m))"
    case .accept(let m):
      "\(m.ballot) slot \(m.slot) \(describe(m.value)) chosen \(m.chosenUpTo)"
    case .accepted(let m): "\(m.ballot) \(slots(m.firstSlot, m.lastSlot))"
    case .rejected(let m): "\(m.ballot) promised \(m.promised)"
    case .heartbeat(let m): "\(m.ballot) round \(m.round) chosen \(m.chosenUpTo)"
    case .heartbeatReply(let m): "\(m.ballot) round \(m.round) chosen \(m.chosenUpTo)"
    case .preVote(let m): "\(m.ballot) chosen \(m.chosenUpTo)"
    case .preVoteReply(let m):
      "\(m.ballot) \(m.isGranted ? "granted" : "refused") promised \(m.promised)"
        + " chosen \(m.chosenUpTo)"
    case .standForElection(let m): "after \(m.ballot)"
    case .fetch(let m): "\(slots(m.firstSlot, (m.firstSlot + Int(m.limit)).previous))"
    case .learn(let m): "slot \(m.slot) \(describe(m.value)) chosen \(m.chosenUpTo)"
    case .snapshotOffer(let m): describe(m.snapshot)
    case .snapshotFetch(let m): "slot \(m.snapshot.slot) offset \(m.offset)"
    case .snapshotChunk(let m):
      "slot \(m.snapshot.slot) offset \(m.offset) length \(m.bytes.length)"
    case .inquiry: ""
    case .standing(let m):
      m.isSound
        ? "promised \(m.promised) leads \(m.leading) last \(m.lastSlot)" : "suspect as well"
    case .stateDigest(let m): "slot \(m.slot) \(hexadecimal(m.digest))"
    }
  }

  private func outcome(_ report: Report) -> String {
    let vote =
      report.votedBallot == .zero
      ? "" : "voted \(report.votedBallot) \(describe(report.value))"
    if !report.isChosen { return vote.isEmpty ? "no vote" : vote }
    return vote.isEmpty ? "chosen \(describe(report.value))" : "chosen, \(vote)"
  }

  /// One line. `-> r2 MESSAGE` is a send, `-> all MESSAGE` a broadcast, everything else begins with what to do.
  public func describe(_ effect: Effect) -> String {
    switch effect {
    case .persist(let record): "persist \(describe(record))"
    case .send(let to, let message): "-> \(to) \(describe(message))"
    case .broadcast(let message): "-> all \(describe(message))"
    case .apply(let slot, let value): "apply slot \(slot) \(describe(value))"
    case .serveRead(let id, let applied): "serve \(describe(id)) at slot \(applied)"
    case .reject(let id, let rejection): "reject \(describe(id)): \(describe(rejection))"
    case .setDeadline(let time): "wake at \(describe(time))"
    case .takeSnapshot(let slot): "take snapshot of slot \(slot)"
    case .sendSnapshotChunk(let to, let info, let offset, let lengthMax):
      "-> \(to) snapshot-chunk slot \(info.slot) offset \(offset) at most \(lengthMax)"
    case .storeSnapshotChunk(let chunk, let isLast):
      "store \(describe(.snapshotChunk(chunk)))\(isLast ? ", the last" : "")"
    case .restoreSnapshot(let info): "restore snapshot \(describe(info))"
    case .truncate(let slot): "truncate up to \(slot)"
    case .roleChanged(let role, let ballot, let leader):
      "becomes \(describe(role)) at \(ballot)"
        + (leader.map { ", leader \($0)" } ?? ", no leader")
    case .enterReport(let report):
      "enter report of \(report.replica) slot \(report.slot) \(hexadecimal(report.digest))"
    }
  }

  /// One line, what happened to the replica.
  public func describe(_ event: Protocol.Event) -> String {
    switch event {
    case .started: "started"
    case .messageReceived(let envelope):
      "received \(envelope.from) -> \(envelope.to) \(describe(envelope.message))"
    case .persisted(let position): "persisted up to \(position.rawValue)"
    case .deadlineReached: "deadline reached"
    case .commandReceived(let command):
      "command \(describe(RequestID(session: command.session, sequence: command.sequence)))"
        + " \(describe(single(command)))"
    case .readReceived(let id, let mode): "read \(describe(id)) \(describe(mode))"
    case .snapshotTaken(let info): "snapshot taken \(describe(info))"
    case .snapshotStored(let info, let isValid):
      "snapshot stored \(describe(info))\(isValid ? "" : ", damaged")"
    case .transferRequested(let target): "transfer requested to \(target)"
    case .snapshotRequested: "snapshot requested"
    case .leadershipPermitted(let isPermitted):
      isPermitted ? "leadership permitted" : "leadership forbidden"
    case .digestsChanged(let standing):
      "digests changed: slot \(standing.slot) \(hexadecimal(standing.digest)), reported"
        + " \(standing.reportedUpTo), vouched \(standing.vouchedUpTo)"
    case .reportEntered(let command): "report entered \(describe(single(command)))"
    }
  }

  /// The value that holds just this command.
  private func single(_ command: CommandRef) -> Value {
    Value(
      bytes: command.bytes, count: 1,
      digest: Value.digest(0, adding: command.checksum, length: command.bytes.length))
  }
}
