internal import Protocol

/// Commands of one session are performed once each and in order, whatever clients repeat and leaders propose again.
struct ExactlyOnceChecker: Sendable {
  private struct Session: Sendable {
    var id: SessionID
    var last: SequenceNumber
    /// The slot of the last performance, and the first command that was performed in it.
    var slot: Slot
    var first: SequenceNumber
  }

  private var sessions: [Session] = []
  private var checkedUpTo = Slot.zero

  /// The answers of the first replica that applied `slot`.
  mutating func applied(_ slot: Slot, _ replies: [CommandReply]) -> String? {
    guard slot == checkedUpTo.next else { return nil }
    checkedUpTo = slot
    for reply in replies {
      // An answer from an earlier slot is a repeated reply; only this slot's own are performances.
      guard case .applied(slot) = reply.outcome else { continue }
      let (id, sequence) = (reply.request.session, reply.request.sequence)
      guard let i = sessions.lastIndex(where: { $0.id == id }) else {
        if sequence != SequenceNumber(1) {
          return "session \(id.rawValue) began with command \(sequence.rawValue)"
        }
        sessions.append(Session(id: id, last: sequence, slot: slot, first: sequence))
        continue
      }
      // A command that is twice in one batch is answered twice with this slot; the second time is a repetition.
      let range = sessions[i].first...sessions[i].last
      if sessions[i].slot == slot && range.contains(sequence) { continue }
      if sequence <= sessions[i].last {
        return "command \(sequence.rawValue) of session \(id.rawValue) was performed again in slot"
          + " \(slot)"
      }
      if sequence.rawValue != sessions[i].last.rawValue + 1 {
        return "command \(sequence.rawValue) of session \(id.rawValue) was performed right after"
          + " \(sessions[i].last.rawValue)"
      }
      sessions[i].last = sequence
      if sessions[i].slot != slot {
        sessions[i].slot = slot
        sessions[i].first = sequence
      }
    }
    return nil
  }
}
