/// One replica's word on the state it has reached: a command that replicas put into the log, and clients never.
///
/// Encoded as a `Command` of the kind `digestReport`: the replica in the place of the session, the slot in that of the
/// sequence, the epoch in that of what is acknowledged; the payload is the digest and the number of voters, 8 bytes each.
/// What decides about a report is in the report, so that every replica folds it alike, whatever it was started with.
public struct DigestReport: Hashable, Sendable {
  public var replica: ReplicaID
  /// Of the configuration that the replica votes in.
  public var epoch: Epoch
  /// How many voters that configuration has.
  public var voters: UInt32
  /// The state after this slot.
  public var slot: Slot
  /// `Application.digest` at that slot.
  public var digest: UInt64

  static let payloadLength = 16
  /// How many bytes the encoded command has.
  public static let encodedLength = Command.encodedLength(payload: payloadLength)

  public init(replica: ReplicaID, epoch: Epoch, voters: UInt32, slot: Slot, digest: UInt64) {
    self.replica = replica
    self.epoch = epoch
    self.voters = voters
    self.slot = slot
    self.digest = digest
  }

  /// The report in a command; nil for a command of another kind.
  public init?(_ command: Command, in bytes: RawSpan) {
    guard command.kind == .digestReport, command.payload.count == Self.payloadLength,
      let replica = UInt32(exactly: command.session.rawValue)
    else { return nil }
    func word(_ offset: Int) -> UInt64 {
      UInt64(
        littleEndian: bytes.unsafeLoadUnaligned(
          fromByteOffset: command.payload.lowerBound + offset, as: UInt64.self))
    }
    guard let voters = UInt32(exactly: word(8)) else { return nil }
    self.init(
      replica: ReplicaID(replica), epoch: Epoch(command.acknowledgedUpTo.rawValue), voters: voters,
      slot: Slot(command.sequence.rawValue), digest: word(0))
  }

  /// Appends the encoded command.
  public func encode(into bytes: inout [UInt8]) {
    Command.encodeHeader(
      Self.payloadLength, .digestReport, UInt64(replica.rawValue), slot.rawValue, epoch.rawValue,
      into: &bytes)
    bytes.put(digest)
    bytes.put(UInt64(voters))
  }

  /// The handle on this report where its encoded bytes lie in the log buffer.
  public func reference(to bytes: RawSpan, position: UInt64) -> CommandRef {
    precondition(bytes.byteCount == Self.encodedLength, "the bytes are another command's")
    return CommandRef(
      session: SessionID(UInt64(replica.rawValue)), sequence: SequenceNumber(slot.rawValue),
      bytes: BytesRef(position: position, length: UInt32(bytes.byteCount)),
      checksum: CRC32C.checksum(bytes))
  }
}
