import DequeModule

/// What must not leave before a record is durable, in the order of the records it hangs on.
///
/// The only place from which a Promise or an Accepted can come: none can escape before its record (the fault behind
/// etcd #14370 and ZOOKEEPER-4646). Runs of votes for one leader leave as one Accepted.
public struct DeferredReplies: Equatable, Sendable {
  /// A reply that waits.
  public enum Reply: Equatable, Sendable {
    /// The promise of `ballot` to its proposer, which asked from `firstSlot` on.
    case promise(Ballot, firstSlot: Slot)
    /// Votes at `ballot` in `first...last`.
    case accepted(Ballot, first: Slot, last: Slot)
  }

  private struct Waiting: Equatable, Sendable {
    var position: JournalPosition
    var reply: Reply
  }

  private var waiting = Deque<Waiting>()

  public init() {}

  public var isEmpty: Bool { waiting.isEmpty }
  public var count: Int { waiting.count }

  /// Hangs a reply on the record at `position`, which is not below any position given before.
  public mutating func wait(for position: JournalPosition, _ reply: Reply) {
    precondition(waiting.last.map { $0.position <= position } ?? true, "records come in order")
    waiting.append(Waiting(position: position, reply: reply))
  }

  /// The next reply whose record is durable; runs of votes at one ballot in consecutive slots come as one.
  public mutating func next(durableUpTo position: JournalPosition) -> Reply? {
    guard let first = waiting.first, first.position <= position else { return nil }
    waiting.removeFirst()
    guard case .accepted(let ballot, let firstSlot, var lastSlot) = first.reply else {
      return first.reply
    }
    while let next = waiting.first, next.position <= position,
      case .accepted(ballot, lastSlot.next, let end) = next.reply
    {
      lastSlot = end
      waiting.removeFirst()
    }
    return .accepted(ballot, first: firstSlot, last: lastSlot)
  }

  /// Whether a reply could leave.
  public func hasReply(durableUpTo position: JournalPosition) -> Bool {
    waiting.first.map { $0.position <= position } ?? false
  }

  /// Whether a promise of this ballot is already waiting, so that a repeated Prepare need not wait twice.
  public func hasPromise(_ ballot: Ballot) -> Bool {
    waiting.contains { if case .promise(ballot, _) = $0.reply { true } else { false } }
  }
}

extension DeferredReplies {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    let none = Waiting(position: .zero, reply: .promise(.zero, firstSlot: .zero))
    var last = JournalPosition.zero
    try coder.list(&waiting, none) { coder, waiting throws(DecodeError) in
      try coder.word(&waiting.position, from: last)
      try coder.check(waiting.position >= last)
      last = waiting.position
      try waiting.reply.codeState(&coder)
    }
  }
}

extension DeferredReplies.Reply {
  fileprivate mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    var (isVote, ballot, first, last) = (false, Ballot.zero, Slot.zero, Slot.zero)
    switch self {
    case .promise(let promised, let firstSlot): (ballot, first) = (promised, firstSlot)
    case .accepted(let voted, let firstSlot, let lastSlot):
      (isVote, ballot, first, last) = (true, voted, firstSlot, lastSlot)
    }
    try coder.bool(&isVote)
    try coder.ballot(&ballot)
    try coder.word(&first)
    if isVote { try coder.word(&last, from: first) }
    self =
      isVote
      ? .accepted(ballot, first: first, last: last) : .promise(ballot, firstSlot: first)
  }
}
