public import Protocol

/// How a command or a read ended. Each gets exactly one of these.
public enum ClientOutcome: Hashable, Sendable {
  /// Performed, exactly once, in this slot; the reply comes with it.
  case applied(slot: Slot)
  /// Performed exactly once, but the replicas no longer have the reply.
  case appliedWithoutReply
  /// A read's answer, from the state after `slot`; the reply comes with it.
  case read(slot: Slot)
  /// Not performed and never will be: a queue here is full, or the cluster said so until the deadline.
  case overloaded
  /// Not performed and never will be: no replica could take it before the deadline, or the client was closed.
  case unavailable
  /// A command that was sent. It may have been performed, may be performed later, or never; at most once in any case.
  /// With it the last reason a replica gave for not taking it.
  case unknownOutcome(Rejection?)
  /// Not performed: longer than a command may be.
  case tooLarge(limit: UInt32)
  /// A lease read, but the cluster does not use leases.
  case leasesDisabled
  /// Not performed and never will be: the disks of the cluster are full.
  case noRoom

  @inline(__always)
  init(_ result: ClientResult, reply: inout Range<Int>) {
    switch result {
    case .applied(let slot, let range):
      reply = range
      self = .applied(slot: slot)
    case .read(let slot, let range):
      reply = range
      self = .read(slot: slot)
    case .appliedWithoutReply: self = .appliedWithoutReply
    case .overloaded: self = .overloaded
    case .unavailable: self = .unavailable
    case .unknownOutcome(let rejection): self = .unknownOutcome(rejection)
    case .tooLarge(let limit): self = .tooLarge(limit: limit)
    case .leasesDisabled: self = .leasesDisabled
    case .noRoom: self = .noRoom
    }
  }
}

/// What a client counted since it was made. Read it at any time; differences between two readings are rates.
public struct ClientCounters: Hashable, Sendable {
  public var commandsSubmitted: UInt64 = 0
  public var readsSubmitted: UInt64 = 0
  /// By outcome; together with `outstanding` they are what was submitted.
  public var applied: UInt64 = 0
  public var appliedWithoutReply: UInt64 = 0
  public var readsAnswered: UInt64 = 0
  public var overloaded: UInt64 = 0
  public var unavailable: UInt64 = 0
  public var unknownOutcomes: UInt64 = 0
  public var refused: UInt64 = 0

  public var connectionsMade: UInt64 = 0
  public var connectionsFailed: UInt64 = 0
  /// Of those made: ended, by either side.
  public var connectionsLost: UInt64 = 0
  /// Connections given up because of what was received: no frame, a wrong checksum, another cluster, another replica.
  public var protocolErrors: UInt64 = 0
  public var framesSent: UInt64 = 0
  public var framesReceived: UInt64 = 0
  public var bytesSent: UInt64 = 0
  public var bytesReceived: UInt64 = 0
  /// Answers nobody waits for any more.
  public var lateAnswers: UInt64 = 0
  /// Messages not sent because `sendBufferMax` was reached or the replica could not be reached; sent again later.
  public var messagesDropped: UInt64 = 0
  /// Sendings of a command beyond its first one.
  public var resends: UInt64 = 0
  /// Answers that could not be decoded.
  public var malformedMessages: UInt64 = 0

  public init() {}

  public var submitted: UInt64 { commandsSubmitted &+ readsSubmitted }
  public var completed: UInt64 {
    applied &+ appliedWithoutReply &+ readsAnswered &+ overloaded &+ unavailable
      &+ unknownOutcomes &+ refused
  }
  public var outstanding: UInt64 { submitted &- completed }

  @inline(__always)
  mutating func count(_ outcome: ClientOutcome) {
    switch outcome {
    case .applied: applied &+= 1
    case .appliedWithoutReply: appliedWithoutReply &+= 1
    case .read: readsAnswered &+= 1
    case .overloaded: overloaded &+= 1
    case .unavailable: unavailable &+= 1
    case .unknownOutcome: unknownOutcomes &+= 1
    case .tooLarge, .leasesDisabled, .noRoom: refused &+= 1
    }
  }
}
