/// What an application implements to be replicated: a deterministic fold over commands, and its state as chunks.
///
/// Every replica applies the same commands in the same order, so `apply` may depend on nothing but the machine's state,
/// the command and the slot: no clock, no randomness, no iteration order that differs between processes. A machine must
/// be total: it answers a command it does not understand, it does not trap on it, because every replica would.
///
/// A machine is a value: copying it freezes its state. Snapshots are read from such a copy while the original goes on,
/// and a restore fills a copy that replaces the original only when it is whole.
public protocol StateMachine {
  /// Performs one command; whatever is appended to `reply` goes to the client, and is kept to answer its retries.
  mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter)

  /// Answers a question without changing anything.
  func query(_ query: RawSpan, reply: inout ReplyWriter)

  /// Appends the piece of the state that begins at `cursor`, at most `limit` bytes, and returns where the next piece
  /// begins; nil when this one was the last.
  ///
  /// The first cursor is 0, the others are what this function returned; they mean nothing to anybody else. `limit` is the
  /// same on every replica, and equal states must give equal pieces. A piece may be empty only if it is the last.
  func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64?

  /// Forgets all state; the pieces of a snapshot follow.
  mutating func beginRestore()

  /// Takes the next piece, exactly as `snapshotChunk` appended it. The bytes come from elsewhere: check everything.
  mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid)

  /// The last piece was taken: checks that the state is whole.
  mutating func finishRestore() throws(SnapshotInvalid)

  /// A digest of the state that differs, with high probability, when the state differs; asked for after every slot by
  /// checkers, so it should cost next to nothing (fold it along as commands apply).
  var digest: UInt64 { get }
}

/// Why bytes are not a snapshot that can be restored here.
public enum SnapshotInvalid: Error, Hashable, Sendable {
  /// Does not begin as a snapshot does, or is of a version that is not understood.
  case header
  /// Ended early, or goes on behind its end.
  case length
  /// A field holds what no snapshot can hold.
  case field
  /// Sessions, or their limits, that this replica's session table cannot hold.
  case sessions
  /// The checksum over everything does not match.
  case checksum
  /// The state machine refused its part; the code is the machine's own.
  case machine(UInt32)
}

/// Collects what the state machine answers to one command or query. Append only; earlier replies are out of reach.
public struct ReplyWriter: Sendable {
  @usableFromInline var bytes: [UInt8] = []
  /// Where the current reply begins.
  @usableFromInline var start = 0

  @inlinable init() {}

  /// How many bytes the current reply has.
  @inlinable public var count: Int { bytes.count &- start }

  @inlinable public mutating func append(_ byte: UInt8) { bytes.append(byte) }

  /// Appends eight bytes, little endian.
  @inlinable public mutating func append(_ word: UInt64) {
    withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
  }

  @inlinable public mutating func append(contentsOf span: RawSpan) {
    span.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  @inlinable public mutating func append(contentsOf other: some Sequence<UInt8>) {
    bytes.append(contentsOf: other)
  }

  /// Begins a reply behind the ones already there.
  @inlinable mutating func begin() { start = bytes.count }

  /// Takes the current reply back.
  @inlinable mutating func discard() { bytes.removeLast(bytes.count &- start) }

  @inlinable mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    start = 0
  }
}
