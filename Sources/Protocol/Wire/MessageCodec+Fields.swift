// The fields of each kind, encoder and decoder side by side in the order of docs/wire-format.md. A ballot takes 12 bytes
// and shares its second word with a 4-byte field or zeroes.

extension MessageCodec {
  static func encodeFields(_ message: Message, into out: inout ByteWriter) {
    switch message {
    case .prepare(let m):
      out.put(m.ballot)
      out.putZeroes(4)
      out.put(m.firstSlot)
      out.put(m.releasedLease)
      out.putZeroes(4)
    case .promise(let m):
      out.put(m.ballot)
      out.putZeroes(4)
      out.put(m.firstSlot)
      out.put(m.chosenUpTo)
      out.put(m.truncatedUpTo)
      out.put(m.lastSlot)
    case .report(let m):
      out.put(m.ballot)
      out.put(m.value.count)
      out.put(m.slot)
      out.put(m.votedBallot)
      out.put(m.isChosen)
      out.putZeroes(3)
      out.put(m.value.digest)
    case .accept(let m):
      out.put(m.ballot)
      out.put(m.value.count)
      out.put(m.slot)
      out.put(m.chosenUpTo)
      out.put(m.value.digest)
    case .accepted(let m):
      out.put(m.ballot)
      out.putZeroes(4)
      out.put(m.firstSlot)
      out.put(m.lastSlot)
    case .rejected(let m):
      out.put(m.ballot)
      out.putZeroes(4)
      out.put(m.promised)
      out.putZeroes(4)
    case .heartbeat(let m): putBeat(m.ballot, m.round, m.chosenUpTo, into: &out)
    case .heartbeatReply(let m): putBeat(m.ballot, m.round, m.chosenUpTo, into: &out)
    case .preVote(let m):
      out.put(m.ballot)
      out.putZeroes(4)
      out.put(m.chosenUpTo)
    case .preVoteReply(let m):
      out.put(m.ballot)
      out.put(m.isGranted)
      out.putZeroes(3)
      out.put(m.promised)
      out.putZeroes(4)
      out.put(m.chosenUpTo)
    case .standForElection(let m):
      out.put(m.ballot)
      out.putZeroes(4)
    case .fetch(let m):
      out.put(m.firstSlot)
      out.put(m.limit)
      out.putZeroes(4)
    case .learn(let m):
      out.put(m.slot)
      out.put(m.chosenUpTo)
      out.put(m.value.digest)
      out.put(m.value.count)
      out.putZeroes(4)
    case .snapshotOffer(let m): out.put(m.snapshot)
    case .snapshotFetch(let m):
      out.put(m.snapshot)
      out.put(m.offset)
    case .snapshotChunk(let m):
      out.put(m.snapshot)
      out.put(m.offset)
    case .inquiry(let m): out.put(m.nonce)
    case .standing(let m):
      out.put(m.promised)
      out.put(m.isSound)
      out.putZeroes(3)
      out.put(m.leading)
      out.putZeroes(4)
      out.put(m.nonce)
      out.put(m.lastSlot)
    case .stateDigest(let m):
      out.put(m.slot)
      out.put(m.digest)
    }
  }

  private static func putBeat(
    _ ballot: Ballot, _ round: UInt64, _ chosenUpTo: Slot, into out: inout ByteWriter
  ) {
    out.put(ballot)
    out.putZeroes(4)
    out.put(round)
    out.put(chosenUpTo)
  }

  static func decodeFields(
    _ tag: Tag, _ r: inout ByteReader, payload: BytesRef, _ length: UInt32
  ) throws(DecodeError) -> Message {
    switch tag {
    case .prepare:
      let ballot = try r.ballot()
      try r.zeroes(4)
      let firstSlot = try r.slot()
      let released = try r.ballot()
      try r.zeroes(4)
      return .prepare(Prepare(ballot: ballot, firstSlot: firstSlot, releasedLease: released))
    case .promise:
      let ballot = try r.ballot()
      try r.zeroes(4)
      let firstSlot = try r.slot()
      let chosenUpTo = try r.slot()
      let truncatedUpTo = try r.slot()
      return .promise(
        Promise(
          ballot: ballot, firstSlot: firstSlot, chosenUpTo: chosenUpTo,
          truncatedUpTo: truncatedUpTo, lastSlot: try r.slot()))
    case .report:
      let at = r.offset
      let ballot = try r.ballot()
      let count = try r.u32()
      let slot = try r.slot()
      let voted = try r.ballot()
      let isChosen = try r.paddedBool()
      let value = try value(count, try r.u64(), payload, length, at: at)
      return .report(
        Report(ballot: ballot, slot: slot, votedBallot: voted, value: value, isChosen: isChosen))
    case .accept:
      let at = r.offset
      let ballot = try r.ballot()
      let count = try r.u32()
      let slot = try r.slot()
      let chosenUpTo = try r.slot()
      let value = try value(count, try r.u64(), payload, length, at: at)
      return .accept(Accept(ballot: ballot, slot: slot, value: value, chosenUpTo: chosenUpTo))
    case .accepted:
      let ballot = try r.ballot()
      try r.zeroes(4)
      let firstSlot = try r.slot()
      return .accepted(Accepted(ballot: ballot, firstSlot: firstSlot, lastSlot: try r.slot()))
    case .rejected:
      let ballot = try r.ballot()
      try r.zeroes(4)
      let promised = try r.ballot()
      try r.zeroes(4)
      return .rejected(Rejected(ballot: ballot, promised: promised))
    case .heartbeat:
      let (ballot, round, chosenUpTo) = try beat(&r)
      return .heartbeat(Heartbeat(ballot: ballot, round: round, chosenUpTo: chosenUpTo))
    case .heartbeatReply:
      let (ballot, round, chosenUpTo) = try beat(&r)
      return .heartbeatReply(HeartbeatReply(ballot: ballot, round: round, chosenUpTo: chosenUpTo))
    case .preVote:
      let ballot = try r.ballot()
      try r.zeroes(4)
      return .preVote(PreVote(ballot: ballot, chosenUpTo: try r.slot()))
    case .preVoteReply:
      let ballot = try r.ballot()
      let isGranted = try r.paddedBool()
      let promised = try r.ballot()
      try r.zeroes(4)
      return .preVoteReply(
        PreVoteReply(
          ballot: ballot, isGranted: isGranted, promised: promised, chosenUpTo: try r.slot()))
    case .standForElection:
      let ballot = try r.ballot()
      try r.zeroes(4)
      return .standForElection(StandForElection(ballot: ballot))
    case .fetch:
      let firstSlot = try r.slot()
      let limit = try r.u32()
      try r.zeroes(4)
      return .fetch(Fetch(firstSlot: firstSlot, limit: limit))
    case .learn:
      let at = r.offset
      let slot = try r.slot()
      let chosenUpTo = try r.slot()
      let digest = try r.u64()
      let value = try value(try r.u32(), digest, payload, length, at: at)
      try r.zeroes(4)
      return .learn(Learn(slot: slot, value: value, chosenUpTo: chosenUpTo))
    case .snapshotOffer: return .snapshotOffer(SnapshotOffer(snapshot: try r.snapshotInfo()))
    case .snapshotFetch:
      let (snapshot, offset) = try chunkPlace(&r, length: 0)
      return .snapshotFetch(SnapshotFetch(snapshot: snapshot, offset: offset))
    case .snapshotChunk:
      let (snapshot, offset) = try chunkPlace(&r, length: length)
      return .snapshotChunk(SnapshotChunk(snapshot: snapshot, offset: offset, bytes: payload))
    case .inquiry: return .inquiry(Inquiry(nonce: try r.u64()))
    case .standing:
      let promised = try r.ballot()
      let isSound = try r.paddedBool()
      let leading = try r.ballot()
      try r.zeroes(4)
      let nonce = try r.u64()
      return .standing(
        Standing(
          nonce: nonce, isSound: isSound, promised: promised, leading: leading,
          lastSlot: try r.slot()))
    case .stateDigest:
      let slot = try r.slot()
      return .stateDigest(StateDigest(slot: slot, digest: try r.u64()))
    }
  }

  private static func beat(
    _ r: inout ByteReader
  ) throws(DecodeError) -> (Ballot, round: UInt64, chosenUpTo: Slot) {
    let ballot = try r.ballot()
    try r.zeroes(4)
    let round = try r.u64()
    return (ballot, round, try r.slot())
  }

  private static func value(
    _ count: UInt32, _ digest: UInt64, _ payload: BytesRef, _ length: UInt32, at: Int
  ) throws(DecodeError) -> Value {
    guard Value.isConsistent(count: count, digest: digest, length: length) else {
      throw DecodeError(.contradiction, at: at)
    }
    return Value(bytes: payload, count: count, digest: digest)
  }

  /// A place within a snapshot, with room for `length` bytes before its end.
  private static func chunkPlace(
    _ r: inout ByteReader, length: UInt32
  ) throws(DecodeError) -> (SnapshotInfo, offset: UInt64) {
    let at = r.offset
    let snapshot = try r.snapshotInfo()
    let offset = try r.u64()
    guard offset <= snapshot.length, UInt64(length) <= snapshot.length - offset else {
      throw DecodeError(.contradiction, at: at)
    }
    return (snapshot, offset)
  }
}
