/// What became of one command when its slot was applied. The same on every replica.
public enum CommandOutcome: Hashable, Sendable {
  /// The state machine performed it, now or, for a retry, in `slot` before; the reply is the one it gave then.
  case applied(slot: Slot)
  /// Performed before, and its reply is not kept: the client acknowledged it, has more outstanding than allowed, or the
  /// reply is longer than the session table keeps.
  case forgotten
  /// A registration: the session it created.
  case registered(SessionID)
  /// Not performed: commands of its session before it are missing. `expected` is the next one that can apply.
  case outOfOrder(expected: SequenceNumber)
  /// Not performed: the session was evicted, or never was. Whether it was performed before, nobody knows any more.
  case expired
}

/// The answer to one command of an applied slot.
public struct CommandReply: Hashable, Sendable {
  /// Whom to answer. A registration is (nonce, 0).
  public var request: RequestID
  public var outcome: CommandOutcome
  /// Where the reply's bytes lie in the `ReplyBuffer`.
  public var bytes: Range<Int>

  @inlinable public init(request: RequestID, outcome: CommandOutcome, bytes: Range<Int>) {
    self.request = request
    self.outcome = outcome
    self.bytes = bytes
  }
}

/// The answers to the commands of one slot, in their order. Owned by the caller and reused: the steady state allocates
/// nothing.
public struct ReplyBuffer: Sendable {
  public internal(set) var replies: [CommandReply] = []
  @usableFromInline var writer = ReplyWriter()

  public init() {}

  /// The bytes all `CommandReply.bytes` point into.
  @inlinable public var bytes: [UInt8] { writer.bytes }

  public mutating func removeAll() {
    replies.removeAll(keepingCapacity: true)
    writer.removeAll()
  }
}
