internal import NIOCore
internal import Protocol

// A turn of the loop: from the first thing that happens until everything it led to is written.
extension ClientDriver {
  /// Something is submitted or happens: the turn ends when the loop gets to it.
  func beginTurn() {
    eventLoop.assertInEventLoop()
    guard !isInTurn else { return }
    isInTurn = true
    turnTime = ClientClock.now()
    scheduleEnd()
  }

  private func scheduleEnd() {
    guard !isEndScheduled else { return }
    isEndScheduled = true
    eventLoop.assumeIsolated().execute {
      self.isEndScheduled = false
      self.endTurn()
    }
  }

  /// Bytes have come. `endTurn` follows when all were read; if the connection ends before that, `lost` sees to it.
  func beginReading() {
    isInTurn = true
    turnTime = ClientClock.now()
  }

  func endTurn() {
    guard isInTurn else { return }
    takeNotices()
    reportEnded()
    for connection in connections { connection.flush() }
    armTimer()
    isInTurn = false
    // What reports and writes led to is for another turn, so that a caller who submits again whatever is refused does
    // not keep the loop from its sockets.
    if !notices.isEmpty || !ended.isEmpty { beginTurn() }
  }

  /// A replica may have lost what it was sent.
  func lost(_ replica: ReplicaID) {
    guard !hasClosed else { return }
    // A whole window may have been dropped, message by message.
    let isNoted = notices.contains {
      if case .lost(replica) = $0 { true } else { false }
    }
    if !isNoted { notices.append(.lost(replica)) }
    beginTurn()
    // A turn that began with reading this replica's bytes would not end by itself.
    scheduleEnd()
  }

  private func takeNotices() {
    guard !notices.isEmpty else { return }
    var taken: [Notice] = []
    swap(&taken, &notices)
    guard !hasClosed else { return }
    for notice in taken {
      switch notice {
      case .lost(let replica):
        for i in sessions.indices { step(i, .connectionLost(replica), RawSpan()) }
      case .refused(let session, let replica, let answer):
        step(session, .messageReceived(from: replica), answer.span.bytes)
      }
    }
  }

  private func reportEnded() {
    guard !ended.isEmpty else { return }
    var taken: [(tag: UInt64, outcome: ClientOutcome)] = []
    swap(&taken, &ended)
    for (tag, outcome) in taken {
      counters.count(outcome)
      completed(tag, outcome, RawSpan())
    }
  }
}

// Sessions: stepped with effects that are then performed, sendings before completions, because a completion may submit
// and what it submits must not overtake.
extension ClientDriver {
  private func step(_ session: Int, _ event: ClientEvent, _ bytes: RawSpan) {
    let before = Self.makeRoom(in: &answers.pointee)
    sessions[session].step(event, bytes: bytes, now: turnTime, into: &answers.pointee)
    performSendings(of: session, answers.pointee, from: before)
    complete(answers.pointee, from: before, of: session)
  }

  /// Where the next step's effects begin. Those before are performed, and forgotten now and then: emptying an array costs
  /// more than most steps.
  @inline(__always)
  static func makeRoom(in effects: inout ClientEffects) -> Int {
    if effects.effects.count > 128 || effects.bytes.count > 64 << 10 { effects.removeAll() }
    return effects.effects.count
  }

  /// False when the frame is not what a replica sends, which ends its connection.
  func receive(
    _ header: FrameHeader, _ body: Range<Int>, _ bytes: RawSpan, from replica: ReplicaID
  ) -> Bool {
    var messages = ClientMessages(header, body: body)
    do throws(DecodeError) {
      while let range = try messages.next(in: bytes) {
        let message = bytes.extracting(range)
        guard let session = addressee(of: message) else {
          counters.lateAnswers &+= 1
          continue
        }
        let before = Self.makeRoom(in: &answers.pointee)
        sessions[session].step(
          .messageReceived(from: replica), bytes: message, now: turnTime, into: &answers.pointee)
        performSendings(of: session, answers.pointee, from: before)
        complete(answers.pointee, from: before, of: session)
        if hasClosed { return true }
      }
      return true
    } catch {
      return false
    }
  }

  /// Which session an answer is for: the name it is sent under, or, for the answer to a registration, the one that asked.
  private func addressee(of message: RawSpan) -> Int? {
    guard message.byteCount >= ClientMessage.responseHeaderLength else { return nil }
    let id = RequestID(
      session: SessionID(Self.word(message, at: 8)),
      sequence: SequenceNumber(Self.word(message, at: 16)))
    // Answers come in runs of one session.
    if places[lastAnswered].name == id.session { return lastAnswered }
    if let session = directory[id.session.rawValue] {
      lastAnswered = session
      return session
    }
    guard id.sequence.rawValue == 0 else { return nil }
    return sessions.firstIndex { $0.expects(id) }
  }

  @inline(__always)
  private static func word(_ bytes: RawSpan, at offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// Performs what a step asks for, beside completions.
  func performSendings(of session: Int, _ effects: borrowing ClientEffects, from first: Int) {
    assert(sessions[session].contracts.violation == nil, "a contract does not hold")
    for i in first..<effects.effects.count {
      switch effects.effects[i] {
      case .send(let replica, let range):
        send(effects.bytes.span.bytes.extracting(range), to: replica, from: session)
      case .setDeadline(let instant):
        places[session].wake = instant
        wakeBy(instant)
      case .sessionChanged(let name):
        if let old = places[session].name { directory.remove(old.rawValue) }
        places[session].name = name
        if let name { directory.insert(name.rawValue, session) }
      case .complete: break
      }
    }
  }

  /// Reports what a step completed.
  func complete(_ effects: borrowing ClientEffects, from first: Int, of session: Int) {
    for i in first..<effects.effects.count {
      guard case .complete(let tag, let result) = effects.effects[i] else { continue }
      var reply = 0..<0
      let outcome = ClientOutcome(result, reply: &reply)
      if tag & Self.readFlag == 0 { hasRoom(session) }
      counters.count(outcome)
      switch outcome {
      case .applied(let slot), .read(let slot): lastSeenSlot = max(lastSeenSlot, slot)
      default: break
      }
      completed(tag & ~Self.readFlag, outcome, effects.bytes.span.bytes.extracting(reply))
    }
  }

  private func send(_ message: RawSpan, to replica: ReplicaID, from session: Int) {
    guard let connection = connections.first(where: { $0.address.id == replica }) else { return }
    switch connection.send(message) {
    case .accepted: break
    case .dropped(let isUnreachable):
      counters.messagesDropped &+= 1
      if isUnreachable { lost(replica) }
    case .tooLong(let limit):
      guard let id = Self.request(of: message) else { return }
      var answer: [UInt8] = []
      let commandMax = UInt32(clamping: limit - ClientMessage.requestHeaderLength)
      ClientMessage.encodeRejection(id, .tooLarge(limit: commandMax), into: &answer)
      notices.append(.refused(session: session, from: replica, answer: answer))
      beginTurn()
    }
  }

  /// The name under which a request of ours is answered.
  private static func request(of message: RawSpan) -> RequestID? {
    switch try? ClientMessage(message) {
    case .request(let command):
      (try? Command(at: 0, of: message.extracting(command)))?.request
    case .read(let id, _, _): id
    case .response, nil: nil
    }
  }
}

// Time. One timer of the loop for all sessions and connections. It is only ever set earlier: in the steady state every
// answer puts off its session's retry, and a timer that finds nothing due is cheaper than one that is moved.
extension ClientDriver {
  @inline(__always)
  func wakeBy(_ instant: Instant) {
    if instant < due { due = instant }
  }

  func schedule(in span: TimeSpan, _ body: @escaping () -> Void) -> Scheduled<Void> {
    // An hour at most: waking without need does no harm, and no clock overflows.
    let nanoseconds = Int64(min(span.nanoseconds, 3_600_000_000_000))
    return eventLoop.assumeIsolated().scheduleTask(in: .nanoseconds(nanoseconds), body)
  }

  private func armTimer() {
    guard due < timerAt, !hasClosed else { return }
    timer?.cancel()
    timerAt = due
    timer = schedule(in: due - turnTime) { self.timerFired() }
  }

  private func timerFired() {
    timer = nil
    timerAt = .never
    guard !hasClosed else { return }
    beginTurn()
    turnTime = ClientClock.now()
    due = .never
    for i in sessions.indices {
      if places[i].wake <= turnTime { step(i, .deadlineReached, RawSpan()) }
      if hasClosed { return }
      wakeBy(places[i].wake)
    }
    for connection in connections {
      connection.checkSilence(turnTime)
      if connection.silentSince != .never {
        wakeBy(connection.silentSince + configuration.silenceMax)
      }
    }
  }
}
