import Protocol
import Testing

/// The rules of sessions written down once more, as plainly as possible: no rings, no indices, no list.
private struct SessionModel {
  struct Session {
    var id: UInt64
    var nonce: UInt64
    var last: UInt64 = 0
    var forgottenUpTo: UInt64 = 0
    var lastUse: UInt64
    /// By sequence; nil where the reply was too long to keep.
    var replies: [UInt64: (slot: Slot, bytes: [UInt8]?)] = [:]
  }

  let limits: SessionTable.Limits
  var sessions: [Session] = []
  var applied: [LogMachine.Applied] = []

  mutating func register(_ nonce: UInt64, _ stamp: UInt64) -> Answer {
    if let i = sessions.firstIndex(where: { $0.nonce == nonce }) {
      if sessions[i].last > 0 { return Answer(outcome: .expired, reply: []) }
      sessions[i].lastUse = stamp
      return Answer(outcome: .registered(SessionID(sessions[i].id)), reply: [])
    }
    if sessions.count == limits.sessionsMax {
      sessions.remove(
        at: sessions.indices.min { sessions[$0].lastUse < sessions[$1].lastUse }!)
    }
    sessions.append(Session(id: stamp, nonce: nonce, lastUse: stamp))
    return Answer(outcome: .registered(SessionID(stamp)), reply: [])
  }

  mutating func operate(
    _ session: UInt64, _ sequence: UInt64, _ acknowledged: UInt64, _ payload: [UInt8],
    _ slot: Slot, _ stamp: UInt64
  ) -> Answer {
    guard let i = sessions.firstIndex(where: { $0.id == session }) else {
      return Answer(outcome: .expired, reply: [])
    }
    sessions[i].lastUse = stamp
    let next = sessions[i].last + 1
    if sequence > next {
      return Answer(outcome: .outOfOrder(expected: SequenceNumber(next)), reply: [])
    }
    sessions[i].forgottenUpTo = max(sessions[i].forgottenUpTo, acknowledged)
    if sequence == next {
      applied.append(LogMachine.Applied(slot: slot, payload: payload))
      let reply = logReply(UInt64(applied.count), payload)
      let isKept = reply.count <= limits.replyLengthMax
      sessions[i].replies[sequence] = (slot, isKept ? reply : nil)
      sessions[i].last = sequence
      let outstanding = UInt64(limits.outstandingMax)
      if sequence > outstanding {
        sessions[i].forgottenUpTo = max(sessions[i].forgottenUpTo, sequence - outstanding)
      }
      return Answer(outcome: .applied(slot: slot), reply: reply)
    }
    guard sequence > sessions[i].forgottenUpTo, let kept = sessions[i].replies[sequence],
      let bytes = kept.bytes
    else { return Answer(outcome: .forgotten, reply: []) }
    return Answer(outcome: .applied(slot: kept.slot), reply: bytes)
  }
}

@Suite struct SessionTablePropertyTests {
  /// Random streams of commands, with duplicates, gaps, dead and unborn sessions, over many small tables: outcome, reply and
  /// machine agree with the model after every batch; at random moments the application is replaced by a restored one.
  @Test(arguments: 1...150)
  func agreesWithTheModel(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let limits = SessionTable.Limits(
      sessionsMax: 1 + Int(random.next(below: 5)), outstandingMax: 1 + Int(random.next(below: 4)),
      replyLengthMax: 10 + Int(random.next(below: 4)))
    var app = Application(machine: LogMachine(), limits: limits)
    var twin = Application(machine: LogMachine(), limits: limits)
    var model = SessionModel(limits: limits)
    var known: [UInt64] = [1 << 16]
    for _ in 0..<300 {
      let slot = app.appliedUpTo.next
      var batch: [[UInt8]] = []
      var expected: [Answer] = []
      for index in 0..<Int(random.next(below: 5)) {
        let stamp = slot.rawValue << 16 | UInt64(index)
        if random.next(below: 12) == 0 {
          let nonce = random.next(below: 8)
          batch.append(registration(nonce))
          expected.append(model.register(nonce, stamp))
          if case .registered(let id) = expected.last!.outcome { known.append(id.rawValue) }
        } else {
          let recent = known.suffix(8)
          let session = recent[recent.startIndex + Int(random.next(below: UInt64(recent.count)))]
          let last = model.sessions.first { $0.id == session }?.last ?? 3
          // Mostly the next one, else up to three back or two ahead.
          let sequence =
            random.next(below: 3) > 0
            ? last + 1 : max(1, last + 3 - min(last + 2, random.next(below: 6)))
          let acknowledged = random.next(below: 3) == 0 ? random.next(below: sequence) : 0
          let payload = [UInt8](repeating: UInt8(index), count: Int(random.next(below: 6)))
          batch.append(operation(SessionID(session), sequence, acknowledged: acknowledged, payload))
          expected.append(
            model.operate(session, sequence, acknowledged, payload, slot, stamp))
        }
      }
      #expect(try app.applyNext(batch) == expected)
      _ = try twin.applyNext(batch)
      try #require(app.machine.applied == model.applied)
      try #require(app.digest == twin.digest)
      #expect(app.sessions.count == model.sessions.count)
      for session in model.sessions {
        #expect(app.sessions.lastApplied(of: SessionID(session.id))?.rawValue == session.last)
      }
      if random.next(below: 40) == 0 {
        let bytes = app.snapshotBytes(chunk: 1 + Int(random.next(below: 100)))
        #expect(bytes == twin.snapshotBytes())
        app = try app.restored(from: bytes, chunk: 1 + Int(random.next(below: 100)))
        try #require(app.digest == twin.digest)
      }
    }
  }
}
