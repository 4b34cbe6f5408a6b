internal import Protocol

/// Messages and effects as words of the trace digest: different ones give different words, with high probability.
///
/// Written out rather than hashed: the standard library's hashes differ from process to process. Positions in the log
/// buffer are left out: they are the host's business.
enum DigestWord {
  @inline(__always)
  private static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let z = (a ^ b) &* 0x9E37_79B9_7F4A_7C15
    return z ^ (z >> 29)
  }

  private static func of(_ b: Ballot) -> UInt64 { b.round << 16 ^ UInt64(b.proposer.rawValue) }
  private static func of(_ v: Value) -> UInt64 { v.digest ^ UInt64(v.count) }
  private static func of(_ s: SnapshotInfo) -> UInt64 { mix(s.slot.rawValue, s.digest ^ s.length) }
  private static func words(_ tag: UInt64, _ a: UInt64, _ b: UInt64 = 0, _ c: UInt64 = 0) -> UInt64
  {
    mix(mix(mix(tag, a), b), c)
  }

  static func of(_ message: Protocol.Message) -> UInt64 {
    switch message {
    case .prepare(let m): words(1, of(m.ballot), m.firstSlot.rawValue, of(m.releasedLease))
    case .promise(let m):
      words(
        2, of(m.ballot), m.lastSlot.rawValue, mix(m.chosenUpTo.rawValue, m.truncatedUpTo.rawValue))
    case .report(let m):
      words(
        3, of(m.ballot), mix(m.slot.rawValue, of(m.votedBallot)), of(m.value) ^ (m.isChosen ? 1 : 0)
      )
    case .accept(let m):
      words(4, of(m.ballot), mix(m.slot.rawValue, m.chosenUpTo.rawValue), of(m.value))
    case .accepted(let m): words(5, of(m.ballot), m.firstSlot.rawValue, m.lastSlot.rawValue)
    case .rejected(let m): words(6, of(m.ballot), of(m.promised))
    case .heartbeat(let m): words(7, of(m.ballot), m.round, m.chosenUpTo.rawValue)
    case .heartbeatReply(let m): words(8, of(m.ballot), m.round, m.chosenUpTo.rawValue)
    case .preVote(let m): words(9, of(m.ballot), m.chosenUpTo.rawValue)
    case .preVoteReply(let m):
      words(10, of(m.ballot), of(m.promised), m.chosenUpTo.rawValue << 1 | (m.isGranted ? 1 : 0))
    case .standForElection(let m): words(11, of(m.ballot))
    case .fetch(let m): words(12, m.firstSlot.rawValue, UInt64(m.limit))
    case .learn(let m): words(13, m.slot.rawValue, m.chosenUpTo.rawValue, of(m.value))
    case .snapshotOffer(let m): words(14, of(m.snapshot))
    case .snapshotFetch(let m): words(15, of(m.snapshot), m.offset)
    case .snapshotChunk(let m): words(16, of(m.snapshot), m.offset, UInt64(m.bytes.length))
    case .inquiry(let m): words(17, m.nonce)
    case .standing(let m):
      words(18, of(m.promised), of(m.leading), m.lastSlot.rawValue << 1 | (m.isSound ? 1 : 0))
    case .stateDigest(let m): words(19, m.slot.rawValue, m.digest)
    }
  }

  static func of(_ notice: HostNotice) -> UInt64 { words(20, notice.isShortOfRoom ? 1 : 0) }

  static func of(_ record: JournalRecord) -> UInt64 { mix(record.epoch.rawValue, of(record.fact)) }

  private static func of(_ fact: JournalFact) -> UInt64 {
    switch fact {
    case .promised(let ballot): words(1, of(ballot))
    case .accepted(let slot, let ballot, let value): words(2, slot.rawValue, of(ballot), of(value))
    case .learned(let slot, let value): words(3, slot.rawValue, of(value))
    case .chosenUpTo(let slot): words(4, slot.rawValue)
    case .snapshot(let info): words(5, of(info))
    case .cured(let ballot, let slot): words(6, of(ballot), slot.rawValue)
    }
  }

  static func of(_ effect: Effect) -> UInt64 {
    switch effect {
    case .persist(let record): words(21, of(record))
    case .send(let to, let message): words(22, UInt64(to.rawValue), of(message))
    case .broadcast(let message): words(23, of(message))
    case .apply(let slot, let value): words(24, slot.rawValue, of(value))
    case .serveRead(let id, let slot):
      words(25, id.session.rawValue, id.sequence.rawValue, slot.rawValue)
    case .reject(let id, let rejection):
      words(26, id.session.rawValue, id.sequence.rawValue, of(rejection))
    case .setDeadline(let deadline): words(27, deadline.rawValue)
    case .takeSnapshot(let slot): words(28, slot.rawValue)
    case .sendSnapshotChunk(let to, let info, let offset, _):
      words(29, UInt64(to.rawValue), of(info), offset)
    case .storeSnapshotChunk(let chunk, let isLast):
      words(30, of(chunk.snapshot), chunk.offset, isLast ? 1 : 0)
    case .restoreSnapshot(let info): words(31, of(info))
    case .truncate(let slot): words(32, slot.rawValue)
    case .roleChanged(let role, let ballot, let leader):
      words(33, of(role), of(ballot), UInt64(leader?.rawValue ?? 0))
    case .enterReport(let report):
      words(34, UInt64(report.replica.rawValue), report.slot.rawValue, report.digest)
    }
  }

  private static func of(_ role: Role) -> UInt64 {
    switch role {
    case .follower: 0
    case .preCandidate: 1
    case .candidate: 2
    case .recoveringLeader: 3
    case .leader: 4
    }
  }

  private static func of(_ rejection: Rejection) -> UInt64 {
    switch rejection {
    case .notLeader(let leader): words(1, UInt64(leader?.rawValue ?? 0))
    case .overloaded: words(2, 0)
    case .transferring(let to): words(3, UInt64(to.rawValue))
    case .tooLarge(let limit): words(4, UInt64(limit))
    case .notApplied(let slot): words(5, slot.rawValue)
    case .leasesDisabled: words(6, 0)
    case .noRoom: words(7, 0)
    }
  }
}
