/// What a gateway needs of the replicated store, on one event loop.
///
/// Called on that event loop and nowhere else. Every tag, below 2^62, is completed exactly once, on the event loop too, and never from
/// inside `submit` or `read`. Commands apply in the order they were submitted. A read that was submitted after a command
/// was answered sees that command; about one that was not answered yet nothing is said, and the gateway waits for it.
public protocol CommandSubmitting: AnyObject {
  /// Has a command, encoded by `CommandCoding`, performed. The bytes are valid during the call.
  func submit(_ command: RawSpan, tag: UInt64)

  /// Has a command that changes nothing answered without the log.
  func read(_ query: RawSpan, tag: UInt64)

  /// Nothing more will be submitted.
  func close()
}

/// Told for every tag how it ended. The reply, there only for `.answered`, is valid during the call.
public typealias SubmissionCompletion = (
  _ tag: UInt64, _ outcome: SubmissionOutcome, _ reply: RawSpan
) -> Void

/// How a command or a read ended. What is no answer becomes an error of its own kind, so that clients can tell them apart.
public enum SubmissionOutcome: Hashable, Sendable {
  /// Performed; the reply comes with it.
  case answered
  /// Performed, but the reply is not kept any more: `-NOREPLY`.
  case performedWithoutReply
  /// Not performed: too much is under way. `-OVERLOADED`; trying again later is safe.
  case overloaded
  /// Not performed: the disks of the cluster are full. `-NOROOM`; trying again is safe, once there is room.
  case noRoom
  /// Not performed: no replica took it in time. `-CLUSTERDOWN`; trying again is safe.
  case unavailable
  /// Sent, but never answered: performed at most once, now, later or never. `-UNKNOWNOUTCOME`; trying again may
  /// perform it a second time.
  case unknown
  /// Not performed: longer than a command may be.
  case tooLarge(limit: Int)

  /// The error a client gets, without its dash; nil for `.answered`.
  public var errorText: String? {
    switch self {
    case .answered: nil
    case .performedWithoutReply:
      "NOREPLY The command was performed, but its reply is not kept any more"
    case .overloaded:
      "OVERLOADED The cluster takes no more commands now; this one was not performed, try it again"
    case .noRoom:
      "NOROOM The disks of the cluster are full; the command was not performed"
    case .unavailable:
      "CLUSTERDOWN No replica could take the command in time; it was not performed"
    case .unknown:
      "UNKNOWNOUTCOME The command was sent but not answered; it may have been performed, once"
    case .tooLarge(let limit):
      "ERR The command is longer than the cluster's limit of \(limit) bytes"
    }
  }
}
