/// A handle on bytes that lie in the host's log buffer. The core moves handles; the bytes stay put.
public struct BytesRef: Hashable, Sendable {
  /// Where the bytes begin in the host's buffer. Means nothing on another replica.
  public var position: UInt64
  /// How many bytes.
  public var length: UInt32

  @inlinable public init(position: UInt64, length: UInt32) {
    self.position = position
    self.length = length
  }

  public static let empty = BytesRef(position: 0, length: 0)
  @inlinable public var end: UInt64 { position &+ UInt64(length) }
}

/// One client command as it was received: where its encoded bytes lie, and the checksum the sender computed over them.
public struct CommandRef: Hashable, Sendable {
  public var session: SessionID
  public var sequence: SequenceNumber
  public var bytes: BytesRef
  /// CRC32C over the encoded command.
  public var checksum: UInt32

  @inlinable public init(
    session: SessionID, sequence: SequenceNumber, bytes: BytesRef, checksum: UInt32
  ) {
    self.session = session
    self.sequence = sequence
    self.bytes = bytes
    self.checksum = checksum
  }
}

/// What one slot decides: a batch of commands that lie back to back in the log buffer, or a no-op.
///
/// `digest` identifies the content wherever the bytes lie: a fold over the checksums of the commands in order, so that a
/// batch grows by a command without its bytes being read again. The no-op is the empty batch.
public struct Value: Hashable, Sendable {
  public var bytes: BytesRef
  /// How many commands.
  public var count: UInt32
  public var digest: UInt64

  @inlinable public init(bytes: BytesRef, count: UInt32, digest: UInt64) {
    self.bytes = bytes
    self.count = count
    self.digest = digest
  }

  public static let noop = Value(bytes: .empty, count: 0, digest: 0)
  @inlinable public var isNoop: Bool { count == 0 }

  /// A value without commands has no bytes and no digest.
  var isWellFormed: Bool { !isNoop || isSame(as: .noop) }

  /// Whether both are the same content, wherever their bytes lie.
  @inlinable public func isSame(as other: Value) -> Bool {
    digest == other.digest && bytes.length == other.bytes.length && count == other.count
  }

  /// The digest of a batch with digest `digest` after a command with checksum `checksum` and `length` bytes joined it.
  @inlinable public static func digest(
    _ digest: UInt64, adding checksum: UInt32, length: UInt32
  ) -> UInt64 {
    var z = digest ^ (UInt64(checksum) << 32 | UInt64(length))
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    // Never 0, which is the no-op's.
    return (z ^ (z >> 31)) | 1
  }
}
