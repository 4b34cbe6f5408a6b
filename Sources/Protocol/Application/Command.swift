/// A client's command as it lies in a batch: the decoded header, and where its payload is.
///
/// Encoded, little endian: payload length u32, kind u8, three zero bytes, session u64, sequence u64, acknowledgedUpTo
/// u64, payload, zeroes up to a multiple of 8. So headers in an aligned batch are aligned, every command has exactly one
/// encoding, and a batch needs no directory: commands lie back to back.
public struct Command: Hashable, Sendable {
  public enum Kind: UInt8, Hashable, Sendable {
    /// Creates a session. `session` is a nonce the client drew at random, the sequence is 0, there is no payload.
    case registration = 1
    /// For the state machine.
    case operation = 2
    /// What a replica says of its own state: see `DigestReport`. No client may send one.
    case digestReport = 3
  }

  public var kind: Kind
  public var session: SessionID
  public var sequence: SequenceNumber
  /// The client has every reply up to this sequence: they need not be kept.
  public var acknowledgedUpTo: SequenceNumber
  /// Where the payload lies in the bytes the command was decoded from.
  public var payload: Range<Int>
  /// Where the next command begins.
  public var end: Int

  public static let headerLength = 32
  /// How many commands one value may hold: the session a registration creates is named by its index.
  public static let batchMax = 1 << 16

  /// The identity by which the client knows the answer.
  @inlinable public var request: RequestID { RequestID(session: session, sequence: sequence) }

  /// How many bytes a command with a payload of this many bytes has.
  @inlinable public static func encodedLength(payload: Int) -> Int {
    headerLength + (payload + 7) & ~7
  }
}

/// Why bytes are not a command, a batch, or the value they are said to be.
public enum CommandInvalid: Error, Hashable, Sendable {
  /// The header or the payload goes on behind the end.
  case truncated(at: Int)
  /// An unknown kind, a reserved or padding byte that is not zero, or fields that contradict the kind.
  case field(at: Int)
  /// More commands than a value can hold.
  case tooMany
  /// Bytes behind the command.
  case trailing(at: Int)
  /// Not the count or the digest the value claims.
  case mismatch
}

extension Command {
  /// Appends an encoded operation.
  public static func encode(
    session: SessionID, sequence: SequenceNumber, acknowledgedUpTo: SequenceNumber,
    payload: RawSpan, into bytes: inout [UInt8]
  ) {
    precondition(sequence.rawValue > acknowledgedUpTo.rawValue, "sequence is acknowledged already")
    encodeHeader(
      payload.byteCount, .operation, session.rawValue, sequence.rawValue,
      acknowledgedUpTo.rawValue, into: &bytes)
    payload.withUnsafeBytes { bytes.append(contentsOf: $0) }
    bytes.putZeroes(-payload.byteCount & 7)
  }

  /// Appends an encoded registration.
  public static func encodeRegistration(nonce: UInt64, into bytes: inout [UInt8]) {
    encodeHeader(0, .registration, nonce, 0, 0, into: &bytes)
  }

  static func encodeHeader(
    _ length: Int, _ kind: Kind, _ session: UInt64, _ sequence: UInt64, _ acknowledged: UInt64,
    into bytes: inout [UInt8]
  ) {
    bytes.extend(by: headerLength) { bytes in
      bytes.put(UInt32(length))
      bytes.put(UInt32(kind.rawValue))
      bytes.put(session)
      bytes.put(sequence)
      bytes.put(acknowledged)
    }
  }

  /// Decodes the command that begins at `offset`. Total: any bytes give a command or an error.
  public init(at offset: Int, of bytes: RawSpan) throws(CommandInvalid) {
    guard offset >= 0, bytes.byteCount - offset >= Self.headerLength else {
      throw .truncated(at: offset)
    }
    let first = Self.word(bytes, offset)
    let session = Self.word(bytes, offset + 8)
    let sequence = Self.word(bytes, offset + 16)
    let acknowledged = Self.word(bytes, offset + 24)
    let length = Int(UInt32(truncatingIfNeeded: first))
    let begin = offset + Self.headerLength
    guard bytes.byteCount - begin >= (length + 7) & ~7 else { throw .truncated(at: offset) }
    guard first >> 40 == 0, let kind = Kind(rawValue: UInt8(truncatingIfNeeded: first >> 32)) else {
      throw .field(at: offset)
    }
    switch kind {
    case .registration:
      guard sequence == 0, acknowledged == 0, length == 0 else { throw .field(at: offset) }
    case .operation:
      guard sequence > acknowledged else { throw .field(at: offset) }
    case .digestReport:
      guard sequence > 0, length == DigestReport.payloadLength else { throw .field(at: offset) }
    }
    let end = begin + (length + 7) & ~7
    if length & 7 != 0 {
      // The last word holds the payload's end in its low bytes and the padding above.
      guard Self.word(bytes, end - 8) >> UInt64((length & 7) * 8) == 0 else {
        throw .field(at: offset)
      }
    }
    self.kind = kind
    self.session = SessionID(session)
    self.sequence = SequenceNumber(sequence)
    self.acknowledgedUpTo = SequenceNumber(acknowledged)
    self.payload = begin..<begin + length
    self.end = end
  }

  @inline(__always)
  private static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

/// Walks the commands of a batch. Total: garbage ends the walk with an error, never with a trap.
public struct BatchIterator: Sendable {
  /// Where the next command begins.
  public private(set) var offset = 0
  /// How many commands were returned.
  public private(set) var count = 0

  public init() {}

  /// The next command of `batch`, nil at its end.
  public mutating func next(in batch: RawSpan) throws(CommandInvalid) -> Command? {
    guard offset < batch.byteCount else { return nil }
    guard count < Command.batchMax else { throw .tooMany }
    let command = try Command(at: offset, of: batch)
    offset = command.end
    count += 1
    return command
  }
}

extension CommandRef {
  /// The handle on a command that was received into `[position, position + bytes.byteCount)` of the log buffer; the
  /// screen through which a client's bytes must go before a replica takes them.
  public init(verifying bytes: RawSpan, position: UInt64) throws(CommandInvalid) {
    let command = try Command(at: 0, of: bytes)
    guard command.end == bytes.byteCount else { throw .trailing(at: command.end) }
    // A client that speaks for replicas could convict a sound one.
    guard command.kind != .digestReport else { throw .field(at: 0) }
    self.init(
      session: command.session, sequence: command.sequence,
      bytes: BytesRef(position: position, length: UInt32(bytes.byteCount)),
      checksum: CRC32C.checksum(bytes))
  }
}

extension Value {
  /// Checks that `batch` is exactly the content this value names: every command well formed, their count, their digest.
  ///
  /// The way to tell a value's bytes from damaged ones after a transfer or a recovery.
  public func verify(_ batch: RawSpan) throws(CommandInvalid) {
    let content = try Value(of: batch, position: bytes.position)
    guard content.isSame(as: self) else { throw .mismatch }
  }

  /// The value whose content is `batch`, which lies at `position` of the log buffer.
  public init(of batch: RawSpan, position: UInt64) throws(CommandInvalid) {
    guard batch.byteCount <= UInt32.max else { throw .tooMany }
    var iterator = BatchIterator()
    var digest: UInt64 = 0
    var begin = 0
    while let command = try iterator.next(in: batch) {
      let encoded = batch.extracting(begin..<command.end)
      digest = Value.digest(
        digest, adding: CRC32C.checksum(encoded), length: UInt32(command.end - begin))
      begin = command.end
    }
    self.init(
      bytes: BytesRef(position: position, length: UInt32(batch.byteCount)),
      count: UInt32(iterator.count), digest: digest)
  }
}
