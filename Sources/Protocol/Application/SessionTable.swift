/// Who the clients are, how far each has come, and the replies they may still ask for: what makes commands apply exactly
/// once (Ongaro's thesis §6.3).
///
/// A deterministic function of the log, hence part of the snapshot. Sessions are created by a command in the log and
/// named by the place of that command, so a session's name is never used again: a late duplicate of an evicted session
/// finds no session and does nothing, where a session that a client's first command silently creates would apply it once
/// more. When the table is full the session whose last use is the oldest in the log makes room.
public struct SessionTable: Sendable {
  /// How much is kept. Part of the replicated state's definition: the same on every replica.
  public struct Limits: Hashable, Sendable {
    /// How many sessions there are at most.
    public var sessionsMax: Int
    /// How many replies are kept of one session: the most commands a client may have outstanding.
    public var outstandingMax: Int
    /// A longer reply, in bytes, is answered once but not kept for retries.
    public var replyLengthMax: Int

    public init(sessionsMax: Int = 4096, outstandingMax: Int = 32, replyLengthMax: Int = 1024) {
      precondition((1...1 << 20).contains(sessionsMax), "sessionsMax must be 1...2^20")
      precondition((1...1 << 12).contains(outstandingMax), "outstandingMax must be 1...4096")
      precondition((0...1 << 20).contains(replyLengthMax), "replyLengthMax must be 0...2^20")
      self.sessionsMax = sessionsMax
      self.outstandingMax = outstandingMax
      self.replyLengthMax = replyLengthMax
    }
  }

  struct Session: Sendable {
    /// Slot of the registration << 16 | its index in the batch.
    var id: UInt64
    var nonce: UInt64
    /// The highest sequence that was applied.
    var last: UInt64 = 0
    /// Replies of `floor + 1 ... last` are kept, in the ring by sequence.
    var floor: UInt64 = 0
    /// Slot and index of the last command that named this session, as in `id`. No two sessions share one.
    var lastUse: UInt64
    /// Neighbours in the order of last use, -1 at the ends.
    var older: Int32 = -1
    var newer: Int32 = -1
    /// What this session adds to the table's digest, as of the last `settle`.
    var digest: UInt64 = 0
  }

  /// What to do with a command.
  @usableFromInline enum Admission {
    /// Give it to the state machine, then `record` the reply for this session.
    case apply(session: Int)
    case answer(CommandOutcome)
    /// Answer with the reply that this session has for the command.
    case repeatReply(slot: Slot, session: Int)
  }

  public let limits: Limits
  var sessions: [Session] = []
  var replies: ReplyTable
  private var byID = WordIndex()
  private var byNonce = WordIndex()
  /// Ends of the list in the order of last use.
  private(set) var oldest: Int32 = -1
  private(set) var newest: Int32 = -1
  /// How many sessions were evicted since this table was made; for metrics, not part of the state.
  public private(set) var evictions: UInt64 = 0
  /// The sum of what sessions and replies contribute to the digest, as of the last `settle` of each.
  private var settled: UInt64
  /// The session that was used last, whose fields have changed since: commands come in runs of one session. -1 for none.
  private var unsettled: Int32 = -1

  public init(limits: Limits) {
    self.limits = limits
    replies = ReplyTable(outstandingMax: limits.outstandingMax)
    settled = Self.mix(
      UInt64(limits.sessionsMax),
      Self.mix(UInt64(limits.outstandingMax), UInt64(limits.replyLengthMax)))
  }

  /// A digest of sessions and replies: the sum of what each contributes.
  public var digest: UInt64 {
    guard unsettled >= 0 else { return settled }
    let session = sessions[Int(unsettled)]
    return settled &- session.digest &+ Self.digest(of: session)
  }

  public var count: Int { sessions.count }

  public func contains(_ session: SessionID) -> Bool { byID[session.rawValue] != nil }

  /// The highest sequence of this session that was applied; nil when there is no such session.
  public func lastApplied(of session: SessionID) -> SequenceNumber? {
    byID[session.rawValue].map { SequenceNumber(sessions[$0].last) }
  }

  /// Decides about the command at `index` of the batch in `slot`, and notes what it tells about its session.
  @usableFromInline
  mutating func admit(
    _ command: Command, slot: Slot, index: Int, _ contracts: inout ContractRecorder
  ) -> Admission {
    let stamp = Self.stamp(slot, index)
    let latest = newest < 0 ? 0 : sessions[Int(newest)].lastUse
    contracts.require(.admitPreUsesAdvance, stamp > latest)
    if command.kind == .registration {
      return .answer(register(nonce: command.session.rawValue, stamp, &contracts))
    }
    guard let place = byID[command.session.rawValue] else { return .answer(.expired) }
    touch(place, stamp)
    return judge(command, place, slot, &contracts)
  }

  private mutating func judge(
    _ command: Command, _ place: Int, _ slot: Slot, _ contracts: inout ContractRecorder
  ) -> Admission {
    let sequence = command.sequence.rawValue
    let last = sessions[place].last
    guard sequence <= last &+ 1 else {
      return .answer(.outOfOrder(expected: SequenceNumber(last &+ 1)))
    }
    // Decoding made sure that acknowledgedUpTo < sequence, so nothing unapplied is forgotten.
    forget(place, upTo: command.acknowledgedUpTo.rawValue, &contracts)
    let now = sessions[place].last
    contracts.ensure(.admitPostMovesNoSession, now == last)
    guard sequence <= last else {
      contracts.ensure(.admitPostOnlyTheNextApplies, sequence == now &+ 1)
      return .apply(session: place)
    }
    guard sequence > sessions[place].floor else { return .answer(.forgotten) }
    let kept = replies[place, sequence]
    guard !kept.isDropped else { return .answer(.forgotten) }
    let first = kept.slot
    contracts.ensure(.admitPostDuplicateRepeatsItsSlot, first > 0 && first <= slot.rawValue)
    return .repeatReply(slot: Slot(first), session: place)
  }

  /// Notes that the session's next command was applied in `slot` with this reply.
  @usableFromInline
  mutating func record(
    session place: Int, slot: Slot, reply: RawSpan, _ contracts: inout ContractRecorder
  ) {
    let (old, id) = (sessions[place].last, sessions[place].id)
    let sequence = old &+ 1
    let ceiling = UInt64(limits.outstandingMax)
    if sequence > ceiling { forget(place, upTo: sequence &- ceiling, &contracts) }
    let lengthMax = limits.replyLengthMax
    let added = replies.withRing(session: place) { ring in
      let i = Int(sequence % ceiling)
      ring[i].keep(reply, of: slot, lengthMax: lengthMax)
      ring[i].digest = ring[i].contribution(session: id, sequence)
      return ring[i].digest
    }
    settled = settled &+ added
    sessions[place].last = sequence
    let (last, kept) = (sessions[place].last, sessions[place].last &- sessions[place].floor)
    contracts.ensure(.recordPostSequenceAdvancesByOne, last == old &+ 1)
    contracts.ensure(.recordPostRepliesBounded, kept <= ceiling)
  }

  private mutating func register(
    nonce: UInt64, _ stamp: UInt64, _ contracts: inout ContractRecorder
  ) -> CommandOutcome {
    if let place = byNonce[nonce] {
      // A retry of the registration. Once the session was used its client knows it, so this is either a duplicate that
      // nobody waits for, or another client with the same nonce, who must not be let in.
      guard sessions[place].last == 0 else { return .expired }
      touch(place, stamp)
      return .registered(SessionID(sessions[place].id))
    }
    let session = Session(id: stamp, nonce: nonce, lastUse: stamp)
    let place: Int
    if sessions.count < limits.sessionsMax {
      place = sessions.count
      sessions.append(session)
      replies.addSession()
    } else {
      place = evictOldest(&contracts)
      sessions[place] = session
    }
    linkNewest(place)
    change(place)
    let namesake = byID[stamp]
    contracts.ensure(.registerPostSessionIsNew, namesake == nil)
    let (count, most) = (sessions.count, limits.sessionsMax)
    contracts.ensure(.registerPostSessionsBounded, count <= most)
    byID.insert(stamp, place)
    byNonce.insert(nonce, place)
    return .registered(SessionID(stamp))
  }

  /// Removes the session whose last use is the oldest, and returns its place.
  private mutating func evictOldest(_ contracts: inout ContractRecorder) -> Int {
    let place = Int(oldest)
    forget(place, upTo: sessions[place].last, &contracts)
    let (use, next) = (sessions[place].lastUse, Int(sessions[place].newer))
    let nextUse = next < 0 ? UInt64.max : sessions[next].lastUse
    contracts.ensure(.registerPostEvictsTheOldestUse, use < nextUse)
    settled = settled &- sessions[place].digest
    if unsettled == Int32(place) { unsettled = -1 }
    unlink(place)
    byID.remove(sessions[place].id)
    byNonce.remove(sessions[place].nonce)
    evictions &+= 1
    return place
  }

  /// Drops the replies up to this sequence.
  private mutating func forget(
    _ place: Int, upTo sequence: UInt64, _ contracts: inout ContractRecorder
  ) {
    let (floor, last) = (sessions[place].floor, sessions[place].last)
    guard sequence > floor else { return }
    let end = min(sequence, last)
    let removed = replies.withRing(session: place) { ring in
      var (removed, i) = (UInt64(0), Int((floor &+ 1) % UInt64(ring.count)))
      for _ in floor..<max(floor, end) {
        removed = removed &+ ring[i].digest
        ring[i].bytes.removeAll()
        ring[i].digest = 0
        i &+= 1
        if i == ring.count { i = 0 }
      }
      return removed
    }
    settled = settled &- removed
    sessions[place].floor = max(floor, end)
    contracts.ensure(.forgetPostFloorNeverRegresses, end >= floor && end <= last)
  }

  /// This session's fields change: the digest of the one before, which changes no more for now, is brought up to date.
  @inline(__always)
  private mutating func change(_ place: Int) {
    guard unsettled != Int32(place) else { return }
    settle()
    unsettled = Int32(place)
  }

  private mutating func settle() {
    guard unsettled >= 0 else { return }
    let place = Int(unsettled)
    let new = Self.digest(of: sessions[place])
    settled = settled &- sessions[place].digest &+ new
    sessions[place].digest = new
    unsettled = -1
  }

  /// Makes this session the most recently used.
  private mutating func touch(_ place: Int, _ stamp: UInt64) {
    change(place)
    sessions[place].lastUse = stamp
    guard newest != Int32(place) else { return }
    unlink(place)
    linkNewest(place)
  }

  private mutating func unlink(_ place: Int) {
    let (older, newer) = (sessions[place].older, sessions[place].newer)
    if older >= 0 { sessions[Int(older)].newer = newer } else { oldest = newer }
    if newer >= 0 { sessions[Int(newer)].older = older } else { newest = older }
  }

  private mutating func linkNewest(_ place: Int) {
    sessions[place].older = newest
    sessions[place].newer = -1
    if newest >= 0 { sessions[Int(newest)].newer = Int32(place) } else { oldest = Int32(place) }
    newest = Int32(place)
  }

  /// Adds a session that comes out of a snapshot, the least recently used first. Its replies are in order from
  /// `floor + 1`. The caller has checked the fields by themselves; here is checked what needs the whole table.
  mutating func restore(
    _ session: Session, replies kept: [ReplyTable.Reply]
  ) throws(SnapshotInvalid) {
    guard sessions.count < limits.sessionsMax, byID[session.id] == nil,
      byNonce[session.nonce] == nil
    else { throw .sessions }
    if newest >= 0, sessions[Int(newest)].lastUse >= session.lastUse { throw .field }
    let place = sessions.count
    sessions.append(session)
    replies.addSession()
    linkNewest(place)
    byID.insert(session.id, place)
    byNonce.insert(session.nonce, place)
    change(place)
    var sequence = session.floor
    for var reply in kept {
      sequence &+= 1
      reply.digest = reply.contribution(session: session.id, sequence)
      settled = settled &+ reply.digest
      replies[place, sequence] = reply
    }
  }
}

extension SessionTable {
  /// The place of a command in the log as one word.
  static func stamp(_ slot: Slot, _ index: Int) -> UInt64 {
    slot.rawValue &<< 16 | UInt64(truncatingIfNeeded: index)
  }

  private static func digest(of session: Session) -> UInt64 {
    mix(
      session.id, mix(session.nonce, mix(session.last, mix(session.floor, session.lastUse))))
  }

  /// A well-mixed word of two, not symmetric.
  @inline(__always)
  static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    var z = a &* 0x9E37_79B9_7F4A_7C15 ^ (b << 23 | b >> 41)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9 &+ b
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
