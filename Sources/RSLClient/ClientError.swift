public import Protocol

/// Why a command or a read has no reply.
public enum ClientError: Error, Hashable, Sendable {
  /// Not performed and never will be: a queue here is full, or the cluster said so until the deadline. Try again later.
  case overloaded
  /// Not performed and never will be: no replica could take it before the deadline.
  case unavailable
  /// A command that was sent. It may have been performed, may be performed later, or never; at most once in any case.
  /// With it the last reason a replica gave for not taking it.
  case unknownOutcome(Rejection?)
  /// Performed, exactly once, but the replicas no longer have the reply.
  case replyLost
  /// Not performed: longer than a command may be, in bytes. A read: the answer is longer than that and was not sent.
  case tooLarge(limit: UInt32)
  /// A lease read, but the cluster does not use leases.
  case leasesDisabled
  /// Not performed and never will be: the disks of the cluster are full. It goes on by itself when there is room again.
  case noRoom
  /// Cancelled before it was handed on: not performed and never will be. Later it is `unknownOutcome`.
  case cancelled
  /// The client is closed: not performed and never will be.
  case closed
}

extension ClientError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .overloaded: "overloaded: not performed, try again later"
    case .unavailable: "unavailable: no replica could take it before the deadline"
    case .unknownOutcome(nil): "unknown outcome: sent, and not answered before the deadline"
    case .unknownOutcome(let rejection?):
      "unknown outcome: sent, and not answered before the deadline; last refused as \(rejection)"
    case .replyLost: "performed, but the reply is not kept any more"
    case .tooLarge(let limit):
      "too large: a command, or the answer to a read, may have \(limit) bytes"
    case .leasesDisabled: "lease read, but the cluster does not use leases"
    case .noRoom:
      "no room: not performed, the disks of the cluster are full; it goes on when there is room again"
    case .cancelled: "cancelled before it was sent"
    case .closed: "the client is closed"
    }
  }
}

/// What the state machine answered.
public struct Reply: Hashable, Sendable {
  /// Where the command was performed; of a read, the last slot whose effects it shows.
  public var slot: Slot
  public var bytes: [UInt8]

  public init(slot: Slot, bytes: [UInt8]) {
    self.slot = slot
    self.bytes = bytes
  }
}
