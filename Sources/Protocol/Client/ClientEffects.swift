/// What a client is told, beside its options. Named in the past tense; the only way in is `ClientSession.step`.
public enum ClientEvent: Hashable, Sendable {
  /// The user wants a command performed; the step's bytes are its payload. The tag comes back with the result.
  case commandSubmitted(tag: UInt64, deadline: Instant)
  /// The user asks a question; the step's bytes are the query.
  case readSubmitted(tag: UInt64, ReadMode, deadline: Instant)
  /// The step's bytes are one encoded `ClientMessage`.
  case messageReceived(from: ReplicaID)
  /// Whatever was sent to this replica and not answered may be lost.
  case connectionLost(ReplicaID)
  /// The deadline asked for by `setDeadline` has come.
  case deadlineReached
}

/// How a request ended. Each gets exactly one of these.
public enum ClientResult: Hashable, Sendable {
  /// Performed, exactly once, in `slot`; where the reply lies in `ClientEffects.bytes`.
  case applied(slot: Slot, reply: Range<Int>)
  /// Performed exactly once, but the replicas no longer have the reply.
  case appliedWithoutReply
  /// A read's answer, from the state after `slot`.
  case read(slot: Slot, reply: Range<Int>)
  /// Not performed and never will be: the queue here is full, or the cluster said so until the deadline.
  case overloaded
  /// Not performed and never will be: no replica could take it before the deadline.
  case unavailable
  /// A command that was sent. It may have been performed, may be performed later, or never; at most once in any case.
  /// With it the last reason a replica gave for not taking it.
  case unknownOutcome(Rejection?)
  /// Not performed: longer than a command may be.
  case tooLarge(limit: UInt32)
  /// A lease read, but the cluster does not use leases.
  case leasesDisabled
  /// Not performed and never will be: the disks of the cluster are full, and stayed so for `ClientOptions.roomPatience`.
  case noRoom
}

/// What the client asks of its host. Performed in order; ranges point into `ClientEffects.bytes`.
public enum ClientEffect: Hashable, Sendable {
  /// Send this encoded `ClientMessage`.
  case send(to: ReplicaID, Range<Int>)
  case complete(tag: UInt64, ClientResult)
  /// Wake the client by `deadlineReached` at this time; replaces the deadline set before.
  case setDeadline(Instant)
  /// The session commands are sent in; nil when it was given up or evicted and another will be made.
  case sessionChanged(SessionID?)
}

/// The effects of one or several steps and their bytes. Owned by the caller and reused.
public struct ClientEffects: Sendable {
  public internal(set) var effects: [ClientEffect] = []
  public internal(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func removeAll() {
    effects.removeAll(keepingCapacity: true)
    bytes.removeAll(keepingCapacity: true)
  }

  /// Copies the reply of a response, and returns where it lies now.
  mutating func keep(_ reply: Range<Int>, of message: RawSpan) -> Range<Int> {
    let begin = bytes.count
    message.extracting(reply).withUnsafeBytes { bytes.append(contentsOf: $0) }
    return begin..<bytes.count
  }
}

/// How a client behaves. Times are nanoseconds of the caller's monotonic clock.
public struct ClientOptions: Hashable, Sendable {
  /// Whom to ask, tried in this order, from a random start.
  public var replicas: [ReplicaID]
  /// Commands sent and not answered. At most `SessionTable.Limits.outstandingMax` of the cluster, or replies get lost.
  public var windowMax: Int
  /// Commands that wait for a place in the window; more are refused as `overloaded`.
  public var queueMax: Int
  /// Reads at the same time; more are refused as `overloaded`.
  public var readsMax: Int
  /// Bytes of a command's payload; longer ones are refused as `tooLarge`.
  public var payloadMax: Int
  /// Without an answer for this long the next replica is asked; doubles with every failure in a row, up to `retryMax`.
  public var retryMin: TimeSpan
  public var retryMax: TimeSpan
  /// How long to wait after a rejection; doubles likewise.
  public var backoffMin: TimeSpan
  public var backoffMax: TimeSpan
  /// The longest wait before the next replica is asked, when the last one was not there or knew no leader. Nothing is
  /// wrong with a cluster that elects, so this bounds how long its new leader goes unnoticed.
  public var searchMax: TimeSpan
  /// How long commands are sent again to a cluster whose disks are full. Another leader or a snapshot may make room within
  /// moments; after that it takes an operator, and whoever waits is better told.
  public var roomPatience: TimeSpan

  public init(
    replicas: [ReplicaID], windowMax: Int = 16, queueMax: Int = 1024, readsMax: Int = 16,
    payloadMax: Int = 1 << 20, retryMin: TimeSpan = .milliseconds(200),
    retryMax: TimeSpan = .seconds(5), backoffMin: TimeSpan = .milliseconds(5),
    backoffMax: TimeSpan = .seconds(1), searchMax: TimeSpan? = nil,
    roomPatience: TimeSpan = .milliseconds(250)
  ) {
    precondition(!replicas.isEmpty, "a client needs a replica to talk to")
    precondition(windowMax > 0 && queueMax > 0 && readsMax > 0, "nothing could ever be sent")
    precondition(retryMin > .zero && backoffMin > .zero, "a retry must take time")
    self.replicas = replicas
    self.windowMax = windowMax
    self.queueMax = queueMax
    self.readsMax = readsMax
    self.payloadMax = payloadMax
    self.retryMin = retryMin
    self.retryMax = retryMax
    self.backoffMin = backoffMin
    self.backoffMax = backoffMax
    self.searchMax = searchMax ?? backoffMax
    self.roomPatience = roomPatience
  }
}
