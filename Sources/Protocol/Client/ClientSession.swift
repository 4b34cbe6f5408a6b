/// The client's half of exactly-once: registers a session, finds the leader, keeps a window of commands in flight, and
/// sends every command again until it is answered, always under the same sequence number.
///
/// Pure, like a replica: events in, effects out, time as an input, one seeded generator. Commands of one session apply in
/// the order they were submitted. A command that was sent is never reported as "not performed", whatever replicas
/// answer: the network may hold another copy of it. So backpressure is typed for what was not sent yet, and what was sent
/// either gets its reply or ends as `unknownOutcome`.
///
/// When every command in the window has passed its deadline, or the session was evicted, the session is given up and a
/// new one registered: old commands may still apply, each at most once, and new ones do not wait for them.
public struct ClientSession: Sendable {
  /// A command in the window, or waiting for a place there.
  struct Pending: Sendable {
    var tag: UInt64 = 0
    var deadline = Instant.never
    var payload: [UInt8] = []
    /// It left at least once: from then on nobody can say that it was not performed.
    var wasSent = false
    /// The user was told the result.
    var isReported = false
    /// The cluster gave its answer; nothing is to be sent any more.
    var isResolved = false
  }

  enum State: Hashable, Sendable {
    /// No session, and none asked for.
    case none
    /// `nonce` was sent to be registered.
    case registering
    case open(SessionID)
  }

  public let options: ClientOptions
  var random: SeededRandom
  var state = State.none
  /// The registration that is under way, or the one that made the session.
  var nonce: UInt64
  /// Names this client in reads, which belong to no session.
  let readerID: SessionID
  /// The replica taken for the leader, by index.
  var target: Int
  /// Where the search for the leader stands, apart from the hints followed on the way: two replicas, one of them down,
  /// that point at each other must not keep the client from asking the others.
  private var scan: Int

  /// A ring of the commands that have sequence numbers: `base` is that of the first.
  var window: [Pending]
  var windowFirst = 0
  var windowCount = 0
  var base: UInt64 = 1
  /// A ring of the commands that wait.
  var queue: [Pending]
  var queueFirst = 0
  var queueCount = 0

  /// Failures in a row: timeouts, rejections, lost connections. Drives the waiting times.
  var failures = 0
  /// Redirections in a row, so that two replicas which take each other for the leader do not keep the client busy.
  var redirections = 0
  /// When to take silence for a loss; `.never` when nothing is in flight.
  var retryAt = Instant.never
  /// Nothing is sent before; `.never` when not waiting.
  var blockedUntil = Instant.never
  /// A replica had no room. Until a command is answered, only the oldest one is sent: of a whole window a leader with
  /// little room might refuse the first ones and take later ones, which cannot apply behind the gap.
  var isProbing = false
  /// No later than the earliest deadline of a request; brought up to date when it comes.
  var requestsDue = Instant.never
  /// The window's first sequence when it was last sent again because of a gap, and when.
  var gapBase: UInt64 = 0
  var gapAt = Instant.zero
  var lastRejection: Rejection?
  /// Since when the cluster has said nothing but that its disks are full; `.never` when they are not.
  var noRoomSince = Instant.never
  var payloadMax: Int
  var deadlineSet = Instant.never
  var reads: [PendingRead]
  var activeReads = 0
  var readNumber: UInt64 = 0

  /// The highest slot the client has seen the effect of; local reads are never older.
  public internal(set) var lastSeenSlot = Slot.zero
  /// Messages that could not be decoded; dropped.
  public internal(set) var malformedMessages: UInt64 = 0
  /// Sendings of a command beyond its first one.
  public private(set) var resends: UInt64 = 0
  /// Whoever drives the client looks at it after each step.
  public internal(set) var contracts = ContractRecorder()

  public init(options: ClientOptions, seed: UInt64) {
    self.options = options
    random = SeededRandom(seed: seed)
    nonce = random.next()
    readerID = SessionID(random.next())
    target = Int(random.next(below: UInt64(options.replicas.count)))
    scan = target
    window = Array(repeating: Pending(), count: options.windowMax)
    queue = Array(repeating: Pending(), count: options.queueMax)
    reads = Array(repeating: PendingRead(), count: options.readsMax)
    payloadMax = options.payloadMax
  }

  /// The session commands are sent in, if there is one.
  public var session: SessionID? {
    if case .open(let session) = state { session } else { nil }
  }

  /// Commands that were submitted and not reported yet, and reads.
  public var outstanding: Int {
    var count = 0
    for i in 0..<windowCount where !window[windowIndex(i)].isReported { count += 1 }
    for i in 0..<queueCount where !queue[queueIndex(i)].isReported { count += 1 }
    return count + activeReads
  }

  /// Performs one event; what is to be done about it is appended to `effects`. `bytes` is what the event says it is, empty
  /// for the others.
  public mutating func step(
    _ event: ClientEvent, bytes: RawSpan = RawSpan(), now: Instant,
    into effects: inout ClientEffects
  ) {
    let seenBefore = lastSeenSlot
    switch event {
    case .commandSubmitted(let tag, let deadline):
      submit(tag, deadline, bytes, &effects)
    case .readSubmitted(let tag, let mode, let deadline):
      submitRead(tag, mode, deadline, bytes, now, &effects)
    case .messageReceived(let from):
      receive(from, bytes, now, &effects)
    case .connectionLost(let replica):
      if replica == options.replicas[target], isInFlight, blockedUntil == .never {
        rotate()
        wait(now, atMost: options.searchMax)
      }
      readConnectionLost(replica, now)
    case .deadlineReached:
      passDeadlines(now, &effects)
      retryReads(now, &effects)
      while queueCount > 0, queue[queueFirst].isReported { popQueue() }
      if blockedUntil <= now {
        blockedUntil = .never
        sendAgain(now, &effects)
      } else if retryAt <= now {
        failures += 1
        rotate()
        // Nobody waits for the session any more: ask again, with the same nonce, when somebody does.
        if state == .registering, queueCount == 0 { state = .none }
        sendAgain(now, &effects)
      }
    }
    pump(now, &effects)
    updateDeadline(&effects)
    checkInvariants(seenBefore)
  }

  private mutating func checkInvariants(_ seenBefore: Slot) {
    let (count, most, seen) = (windowCount, options.windowMax, lastSeenSlot)
    contracts.ensure(.clientPostWindowBounded, count <= most)
    let isAnswered = count > 0 && window[windowFirst].isResolved
    contracts.ensure(.clientPostHeadIsUnresolved, !isAnswered)
    let hasSession = session != nil
    contracts.ensure(.clientPostNoSessionNoWindow, count == 0 || hasSession)
    contracts.ensure(.clientPostLastSeenNeverRegresses, seen >= seenBefore)
    let (retry, blocked) = (retryAt, blockedUntil)
    contracts.ensure(.clientPostBlockedSendsNothing, blocked == .never || retry == .never)
  }
}

// Submitting, sending.
extension ClientSession {
  // `i` is at most the ring's length: a comparison where the remainder would divide.
  func windowIndex(_ i: Int) -> Int {
    let place = windowFirst &+ i
    return place < window.count ? place : place &- window.count
  }
  func queueIndex(_ i: Int) -> Int {
    let place = queueFirst &+ i
    return place < queue.count ? place : place &- queue.count
  }

  private var isInFlight: Bool { windowCount > 0 || state == .registering }

  private mutating func submit(
    _ tag: UInt64, _ deadline: Instant, _ payload: RawSpan, _ effects: inout ClientEffects
  ) {
    guard payload.byteCount <= payloadMax else {
      effects.effects.append(.complete(tag: tag, .tooLarge(limit: UInt32(payloadMax))))
      return
    }
    guard queueCount < options.queueMax else {
      effects.effects.append(.complete(tag: tag, .overloaded))
      return
    }
    let i = queueIndex(queueCount)
    queueCount += 1
    queue[i].tag = tag
    queue[i].deadline = deadline
    queue[i].wasSent = false
    queue[i].isReported = false
    queue[i].isResolved = false
    queue[i].payload.removeAll(keepingCapacity: true)
    payload.withUnsafeBytes { queue[i].payload.append(contentsOf: $0) }
    requestsDue = min(requestsDue, deadline)
  }

  /// Moves what waits into the window and sends it, as far as allowed.
  private mutating func pump(_ now: Instant, _ effects: inout ClientEffects) {
    while queueCount > 0, queue[queueFirst].isReported { popQueue() }
    guard blockedUntil == .never, queueCount > 0 else { return }
    switch state {
    case .none:
      state = .registering
      sendAgain(now, &effects)
    case .registering:
      break
    case .open:
      let windowMax = isProbing ? 1 : options.windowMax
      while queueCount > 0, windowCount < windowMax {
        guard !queue[queueFirst].isReported else {
          popQueue()
          continue
        }
        // Swapped rather than copied: each ring keeps its buffers.
        let i = windowIndex(windowCount)
        swap(&window[i], &queue[queueFirst])
        popQueue()
        windowCount += 1
        send(windowCount - 1, &effects)
        if retryAt == .never { retryAt = now + jittered(retryTime) }
      }
    }
  }

  private mutating func popQueue() {
    queueFirst = queueIndex(1)
    queueCount -= 1
  }

  /// Sends everything that is not answered to the present target, in order; while probing, the first of it.
  mutating func sendAgain(_ now: Instant, _ effects: inout ClientEffects) {
    if state == .registering {
      let begin = effects.bytes.count
      ClientMessage.beginRequest(into: &effects.bytes)
      Command.encodeRegistration(nonce: nonce, into: &effects.bytes)
      effects.effects.append(.send(to: options.replicas[target], begin..<effects.bytes.count))
    }
    let isCutShort = isProbing && windowCount > 1
    if isCutShort { contracts.mark(.clientProbed) }
    for i in 0..<(isCutShort ? 1 : windowCount) where !window[windowIndex(i)].isResolved {
      resends &+= 1
      send(i, &effects)
    }
    retryAt = isInFlight ? now + jittered(retryTime) : .never
  }

  private mutating func send(_ i: Int, _ effects: inout ClientEffects) {
    guard case .open(let session) = state else { return }
    let begin = effects.bytes.count
    let place = windowIndex(i)
    let isResolved = window[place].isResolved
    contracts.require(.clientPreSendsOnlyUnanswered, !isResolved)
    let isAllowed = !isProbing || i == 0
    contracts.require(.clientPreProbesWithTheOldest, isAllowed)
    window[place].wasSent = true
    ClientMessage.beginRequest(into: &effects.bytes)
    window[place].payload.withUnsafeBytes { payload in
      Command.encode(
        session: session, sequence: SequenceNumber(base &+ UInt64(i)),
        acknowledgedUpTo: SequenceNumber(base &- 1), payload: payload.bytes, into: &effects.bytes)
    }
    effects.effects.append(.send(to: options.replicas[target], begin..<effects.bytes.count))
  }

  mutating func rotate() {
    scan = next(after: scan, besides: target)
    target = scan
  }

  /// The next replica to ask when a hint, or the scan itself, has led to `target` in vain.
  func next(after scan: Int, besides target: Int) -> Int {
    let next = (scan &+ 1) % options.replicas.count
    return next == target ? (next &+ 1) % options.replicas.count : next
  }

  /// Sends nothing for a while, then again what was sent before.
  mutating func wait(_ now: Instant, atMost longest: TimeSpan) {
    blockedUntil = now + backoff(failures, atMost: longest)
    failures += 1
    retryAt = .never
  }

  @inline(__always)  // called, it costs a copy of the whole client
  var retryTime: TimeSpan {
    min(options.retryMax, options.retryMin * (1 << UInt64(min(failures, 20))))
  }

  mutating func backoff(_ failures: Int, atMost longest: TimeSpan) -> TimeSpan {
    jittered(min(longest, options.backoffMin * (1 << UInt64(min(failures, 20)))))
  }

  /// Between half of `span` and all of it, so that clients that failed together do not come back together.
  @inline(__always)
  mutating func jittered(_ span: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: span.nanoseconds - random.next(below: span.nanoseconds / 2 + 1))
  }
}
