// The vocabulary's own types as bytes, shared by messages and journal records: docs/wire-format.md, "Common fields".

extension ByteWriter {
  /// Twelve bytes; what follows fills the remaining four of two words.
  mutating func put(_ ballot: Ballot) {
    put(ballot.round)
    put(ballot.proposer.rawValue)
  }

  mutating func put(_ slot: Slot) { put(slot.rawValue) }

  mutating func put(_ info: SnapshotInfo) {
    put(info.slot)
    put(info.length)
    put(info.digest)
  }
}

extension ByteReader {
  mutating func ballot() throws(DecodeError) -> Ballot {
    let round = try u64()
    return Ballot(round: round, proposer: ReplicaID(try u32()))
  }

  mutating func slot() throws(DecodeError) -> Slot { Slot(try u64()) }

  mutating func snapshotInfo() throws(DecodeError) -> SnapshotInfo {
    let slot = try slot()
    let length = try u64()
    return SnapshotInfo(slot: slot, length: length, digest: try u64())
  }

  /// A boolean and three zero bytes.
  mutating func paddedBool() throws(DecodeError) -> Bool {
    let value = try bool()
    try zeroes(3)
    return value
  }
}

extension Value {
  /// Whether count, digest and length go together: the no-op has nothing of anything, a batch has a digest and at least
  /// one byte for each command. So every value has exactly one encoding.
  static func isConsistent(count: UInt32, digest: UInt64, length: UInt32) -> Bool {
    count == 0 ? digest == 0 && length == 0 : digest != 0 && length >= count
  }
}
