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
  private var window: [Pending]
  private var windowFirst = 0
  private var windowCount = 0
  private var base: UInt64 = 1
  /// A ring of the commands that wait.
  private var queue: [Pending]
  private var queueFirst = 0
  private var queueCount = 0

  /// Failures in a row: timeouts, rejections, lost connections. Drives the waiting times.
  private var failures = 0
  /// Redirections in a row, so that two replicas which take each other for the leader do not keep the client busy.
  private var redirections = 0
  /// When to take silence for a loss; `.never` when nothing is in flight.
  private var retryAt = Instant.never
  /// Nothing is sent before; `.never` when not waiting.
  private var blockedUntil = Instant.never
  /// No later than the earliest deadline of a request; brought up to date when it comes.
  var requestsDue = Instant.never
  /// The window's first sequence when it was last sent again because of a gap, and when.
  private var gapBase: UInt64 = 0
  private var gapAt = Instant.zero
  private var lastRejection: Rejection?
  private var payloadMax: Int
  private var deadlineSet = Instant.never
  var reads: [PendingRead]
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
    for read in reads where read.isActive { count += 1 }
    return count
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
        wait(now)
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
  private func windowIndex(_ i: Int) -> Int { (windowFirst &+ i) % options.windowMax }
  private func queueIndex(_ i: Int) -> Int { (queueFirst &+ i) % options.queueMax }

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
      while queueCount > 0, windowCount < options.windowMax {
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

  /// Sends everything that is not answered to the present target, in order.
  private mutating func sendAgain(_ now: Instant, _ effects: inout ClientEffects) {
    if state == .registering {
      let begin = effects.bytes.count
      ClientMessage.beginRequest(into: &effects.bytes)
      Command.encodeRegistration(nonce: nonce, into: &effects.bytes)
      effects.effects.append(.send(to: options.replicas[target], begin..<effects.bytes.count))
    }
    for i in 0..<windowCount where !window[windowIndex(i)].isResolved {
      resends &+= 1
      send(i, &effects)
    }
    retryAt = isInFlight ? now + jittered(retryTime) : .never
  }

  private mutating func send(_ i: Int, _ effects: inout ClientEffects) {
    guard case .open(let session) = state else { return }
    let begin = effects.bytes.count
    let (payload, isResolved) = (window[windowIndex(i)].payload, window[windowIndex(i)].isResolved)
    contracts.require(.clientPreSendsOnlyUnanswered, !isResolved)
    window[windowIndex(i)].wasSent = true
    ClientMessage.beginRequest(into: &effects.bytes)
    Command.encode(
      session: session, sequence: SequenceNumber(base &+ UInt64(i)),
      acknowledgedUpTo: SequenceNumber(base &- 1), payload: payload.span.bytes,
      into: &effects.bytes)
    effects.effects.append(.send(to: options.replicas[target], begin..<effects.bytes.count))
  }

  private mutating func rotate() {
    scan = next(after: scan, besides: target)
    target = scan
  }

  /// The next replica to ask when a hint, or the scan itself, has led to `target` in vain.
  func next(after scan: Int, besides target: Int) -> Int {
    let next = (scan &+ 1) % options.replicas.count
    return next == target ? (next &+ 1) % options.replicas.count : next
  }

  /// Sends nothing for a while, then everything again.
  private mutating func wait(_ now: Instant) {
    blockedUntil = now + backoff(failures)
    failures += 1
    retryAt = .never
  }

  private var retryTime: TimeSpan {
    min(options.retryMax, options.retryMin * (1 << UInt64(min(failures, 20))))
  }

  mutating func backoff(_ failures: Int) -> TimeSpan {
    jittered(min(options.backoffMax, options.backoffMin * (1 << UInt64(min(failures, 20)))))
  }

  /// Between half of `span` and all of it, so that clients that failed together do not come back together.
  mutating func jittered(_ span: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: span.nanoseconds - random.next(below: span.nanoseconds / 2 + 1))
  }
}

// Answers.
extension ClientSession {
  private mutating func receive(
    _ from: ReplicaID, _ bytes: RawSpan, _ now: Instant, _ effects: inout ClientEffects
  ) {
    guard let message = try? ClientMessage(bytes), case .response(let id, let response) = message
    else {
      malformedMessages &+= 1
      return
    }
    if id.session == readerID, id.sequence.rawValue & Self.readFlag != 0 {
      receiveRead(from, id, response, bytes, now, &effects)
      return
    }
    switch (state, response) {
    case (.registering, .command(let outcome, _)) where isRegistration(id):
      registered(outcome, now, &effects)
    case (.registering, .rejected(let rejection)) where isRegistration(id):
      rejected(rejection, from, id, now, &effects)
    case (.open(id.session), .command(let outcome, let reply)):
      answered(id.sequence.rawValue, outcome, reply, bytes, now, &effects)
    case (.open(id.session), .rejected(let rejection))
    where pendingIndex(id.sequence.rawValue) != nil:
      rejected(rejection, from, id, now, &effects)
    default:
      break  // Late: of an earlier session, of an earlier registration, or a duplicate.
    }
  }

  private func isRegistration(_ id: RequestID) -> Bool {
    id.session.rawValue == nonce && id.sequence.rawValue == 0
  }

  /// The place in the window of a command that is not answered yet.
  private func pendingIndex(_ sequence: UInt64) -> Int? {
    guard sequence >= base, sequence &- base < UInt64(windowCount) else { return nil }
    let i = windowIndex(Int(sequence &- base))
    return window[i].isResolved ? nil : i
  }

  private mutating func registered(
    _ outcome: CommandOutcome, _ now: Instant, _ effects: inout ClientEffects
  ) {
    switch outcome {
    case .registered(let session):
      state = .open(session)
      base = 1
      gapBase = 0
      progress(now)
      effects.effects.append(.sessionChanged(session))
    case .expired:
      // Somebody else has this nonce. Draw another.
      nonce = random.next()
      if blockedUntil == .never { sendAgain(now, &effects) }
    case .applied, .forgotten, .outOfOrder:
      break  // No answer to a registration.
    }
  }

  private mutating func answered(
    _ sequence: UInt64, _ outcome: CommandOutcome, _ reply: Range<Int>, _ message: RawSpan,
    _ now: Instant, _ effects: inout ClientEffects
  ) {
    switch outcome {
    case .applied(let slot):
      lastSeenSlot = max(lastSeenSlot, slot)
      guard let i = pendingIndex(sequence) else { return }
      if !window[i].isReported {
        let range = effects.keep(reply, of: message)
        report(i, .applied(slot: slot, reply: range), &effects)
      }
      resolve(i, now)
    case .forgotten:
      guard let i = pendingIndex(sequence) else { return }
      if !window[i].isReported { report(i, .appliedWithoutReply, &effects) }
      resolve(i, now)
    case .outOfOrder(let expected):
      // Commands behind a gap all say so: send again once for each gap, then leave it to the retry time.
      guard pendingIndex(sequence) != nil, pendingIndex(expected.rawValue) != nil,
        blockedUntil == .never, gapBase != base || now - gapAt >= options.retryMin
      else { return }
      gapBase = base
      gapAt = now
      sendAgain(now, &effects)
    case .expired:
      // Of a command that is answered already, this is the answer to a late copy, but no less true.
      abandonSession(&effects)
    case .registered:
      break  // No answer to an operation.
    }
  }

  /// Tells the user how a command in the window ended.
  private mutating func report(
    _ i: Int, _ result: ClientResult, _ effects: inout ClientEffects
  ) {
    let wasReported = window[i].isReported
    contracts.ensure(.clientPostOneResultPerRequest, !wasReported)
    window[i].isReported = true
    effects.effects.append(.complete(tag: window[i].tag, result))
  }

  private mutating func resolve(_ i: Int, _ now: Instant) {
    window[i].isResolved = true
    while windowCount > 0, window[windowFirst].isResolved {
      windowFirst = windowIndex(1)
      windowCount -= 1
      base &+= 1
    }
    progress(now)
  }

  /// The cluster answers: whatever is in flight has its full time again.
  private mutating func progress(_ now: Instant) {
    failures = 0
    redirections = 0
    lastRejection = nil
    if blockedUntil == .never { retryAt = windowCount > 0 ? now + jittered(retryTime) : .never }
  }

  /// A replica did not take a command or the registration.
  private mutating func rejected(
    _ rejection: Rejection, _ from: ReplicaID, _ id: RequestID, _ now: Instant,
    _ effects: inout ClientEffects
  ) {
    if case .tooLarge(let limit) = rejection, case .open = state {
      return tooLarge(limit, id.sequence.rawValue, &effects)
    }
    // A whole window is rejected one by one: the first one counts. And so is what came from a former target.
    guard from == options.replicas[target], blockedUntil == .never else { return }
    lastRejection = rejection
    switch rejection {
    case .notLeader(let leader?), .transferring(to: let leader):
      guard let index = options.replicas.firstIndex(of: leader), index != target else {
        rotate()
        return wait(now)
      }
      target = index
      redirections += 1
      if redirections > options.replicas.count {
        wait(now)
      } else {
        sendAgain(now, &effects)
      }
    case .notLeader(nil):
      rotate()
      wait(now)
    case .overloaded, .tooLarge, .notApplied, .leasesDisabled:
      wait(now)
    }
  }

  /// A command that no replica will ever take stands in the way of all behind it. Those can never apply, it itself neither;
  /// the ones before it are unknown. The session is given up, and longer commands are refused here from now on.
  private mutating func tooLarge(
    _ limit: UInt32, _ sequence: UInt64, _ effects: inout ClientEffects
  ) {
    payloadMax = min(payloadMax, max(0, Int(limit) - Command.headerLength) & ~7)
    guard let i = pendingIndex(sequence) else { return }
    if !window[i].isReported { report(i, .tooLarge(limit: limit), &effects) }
    abandonSession(&effects)
  }

  /// Gives the session up: nobody will answer what is in flight.
  private mutating func abandonSession(_ effects: inout ClientEffects) {
    for i in 0..<windowCount where !window[windowIndex(i)].isReported {
      report(windowIndex(i), .unknownOutcome(lastRejection), &effects)
    }
    windowCount = 0
    state = .none
    nonce = random.next()
    retryAt = .never
    effects.effects.append(.sessionChanged(nil))
  }

  /// Reports the requests whose time is over.
  private mutating func passDeadlines(_ now: Instant, _ effects: inout ClientEffects) {
    guard requestsDue <= now else { return }
    requestsDue = .never
    var waitedFor = 0
    for k in 0..<windowCount {
      let i = windowIndex(k)
      if window[i].isReported { continue }
      guard window[i].deadline <= now else {
        requestsDue = min(requestsDue, window[i].deadline)
        waitedFor += 1
        continue
      }
      report(i, .unknownOutcome(lastRejection), &effects)
    }
    for k in 0..<queueCount {
      let i = queueIndex(k)
      if queue[i].isReported { continue }
      guard queue[i].deadline <= now else {
        requestsDue = min(requestsDue, queue[i].deadline)
        continue
      }
      let wasSent = queue[i].wasSent
      contracts.ensure(.clientPostUnsentMeansUnperformed, !wasSent)
      queue[i].isReported = true
      let result: ClientResult = lastRejection == .overloaded ? .overloaded : .unavailable
      effects.effects.append(.complete(tag: queue[i].tag, result))
    }
    passReadDeadlines(now, &effects)
    if windowCount > 0, waitedFor == 0 { abandonSession(&effects) }
  }

  private mutating func updateDeadline(_ effects: inout ClientEffects) {
    var wake = min(retryAt, min(blockedUntil, requestsDue))
    for read in reads where read.isActive { wake = min(wake, read.retryAt) }
    guard wake != deadlineSet else { return }
    deadlineSet = wake
    effects.effects.append(.setDeadline(wake))
  }
}
