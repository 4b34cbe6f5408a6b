// What replicas answer, and what time alone decides.
extension ClientSession {
  mutating func receive(
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
      isProbing = false
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
      resolve(i, now, &effects)
    case .forgotten:
      guard let i = pendingIndex(sequence) else { return }
      if !window[i].isReported { report(i, .appliedWithoutReply, &effects) }
      resolve(i, now, &effects)
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

  private mutating func resolve(_ i: Int, _ now: Instant, _ effects: inout ClientEffects) {
    window[i].isResolved = true
    while windowCount > 0, window[windowFirst].isResolved {
      windowFirst = windowIndex(1)
      windowCount -= 1
      base &+= 1
    }
    progress(now)
    // An answer that comes while the client waits is to what was sent before, and says nothing of room.
    if isProbing, blockedUntil == .never {
      isProbing = false
      sendAgain(now, &effects)
    }
  }

  /// The cluster answers: whatever is in flight has its full time again.
  private mutating func progress(_ now: Instant) {
    failures = 0
    redirections = 0
    lastRejection = nil
    noRoomSince = .never
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
        return wait(now, atMost: options.searchMax)
      }
      target = index
      redirections += 1
      if redirections > options.replicas.count {
        wait(now, atMost: options.searchMax)
      } else {
        sendAgain(now, &effects)
      }
    case .notLeader(nil):
      rotate()
      wait(now, atMost: options.searchMax)
    case .overloaded:
      isProbing = true
      wait(now, atMost: options.backoffMax)
    case .noRoom:
      isProbing = true
      wait(now, atMost: options.roomPatience)
      noRoomSince = min(noRoomSince, now)
      if now - noRoomSince >= options.roomPatience { giveUpForRoom(&effects) }
    case .tooLarge, .notApplied, .leasesDisabled:
      wait(now, atMost: options.backoffMax)
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

  /// The disks are full and stay so: everybody is told now rather than at the deadline. What comes next is tried again, after
  /// the wait.
  private mutating func giveUpForRoom(_ effects: inout ClientEffects) {
    if windowCount > 0 { abandonSession(&effects) }
    if state == .registering { state = .none }
    for k in 0..<queueCount where !queue[queueIndex(k)].isReported {
      queue[queueIndex(k)].isReported = true
      effects.effects.append(.complete(tag: queue[queueIndex(k)].tag, .noRoom))
    }
  }

  /// How a request ends that was not performed, by the last reason for not taking it.
  static func resultOfUnsent(_ rejection: Rejection?) -> ClientResult {
    switch rejection {
    case .overloaded: .overloaded
    case .noRoom: .noRoom
    default: .unavailable
    }
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
    isProbing = false
    effects.effects.append(.sessionChanged(nil))
  }

  /// Reports the requests whose time is over.
  mutating func passDeadlines(_ now: Instant, _ effects: inout ClientEffects) {
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
      effects.effects.append(.complete(tag: queue[i].tag, Self.resultOfUnsent(lastRejection)))
    }
    passReadDeadlines(now, &effects)
    if windowCount > 0, waitedFor == 0 { abandonSession(&effects) }
  }

  mutating func updateDeadline(_ effects: inout ClientEffects) {
    var wake = min(retryAt, min(blockedUntil, requestsDue))
    if activeReads > 0 { wake = min(wake, nextReadRetry) }
    guard wake != deadlineSet else { return }
    deadlineSet = wake
    effects.effects.append(.setDeadline(wake))
  }
}
