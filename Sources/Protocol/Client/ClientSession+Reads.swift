/// A read that was not answered yet.
struct PendingRead: Sendable {
  var isActive = false
  var tag: UInt64 = 0
  var number: UInt64 = 0
  var mode = ReadMode.quorum
  var deadline = Instant.never
  var query: [UInt8] = []
  /// The replica asked, by index.
  var target = 0
  /// As in the session: where the search stands, apart from hints.
  var scan = 0
  /// Whether the answer is waited for, rather than the time to ask again.
  var isSent = false
  var retryAt = Instant.never
  var failures = 0
  var redirections = 0
  var lastRejection: Rejection?
}

// Reads have no order and no session: each is asked, redirected and retried by itself, and an answer that comes twice is
// an answer. They are named (reader, flag | number), apart from every command.
extension ClientSession {
  /// Set in the sequence of every read.
  static let readFlag: UInt64 = 1 << 63

  mutating func submitRead(
    _ tag: UInt64, _ mode: ReadMode, _ deadline: Instant, _ query: RawSpan, _ now: Instant,
    _ effects: inout ClientEffects
  ) {
    guard let i = reads.firstIndex(where: { !$0.isActive }) else {
      effects.effects.append(.complete(tag: tag, .overloaded))
      return
    }
    readNumber &+= 1
    activeReads += 1
    reads[i].isActive = true
    reads[i].tag = tag
    reads[i].number = readNumber
    reads[i].mode = mode
    reads[i].deadline = deadline
    reads[i].query.removeAll(keepingCapacity: true)
    query.withUnsafeBytes { reads[i].query.append(contentsOf: $0) }
    reads[i].failures = 0
    reads[i].redirections = 0
    reads[i].lastRejection = nil
    // Local reads spread over the replicas, the others need the leader.
    if case .local = mode {
      reads[i].target = Int(random.next(below: UInt64(options.replicas.count)))
    } else {
      reads[i].target = target
    }
    reads[i].scan = reads[i].target
    requestsDue = min(requestsDue, deadline)
    sendRead(i, now, &effects)
  }

  private mutating func sendRead(_ i: Int, _ now: Instant, _ effects: inout ClientEffects) {
    let id = RequestID(
      session: readerID, sequence: SequenceNumber(Self.readFlag | reads[i].number))
    var mode = reads[i].mode
    if case .local(let atLeast) = mode { mode = .local(atLeast: max(atLeast, lastSeenSlot)) }
    let begin = effects.bytes.count
    let query = reads[i].query
    ClientMessage.encodeRead(id, mode, query: query.span.bytes, into: &effects.bytes)
    effects.effects.append(
      .send(to: options.replicas[reads[i].target], begin..<effects.bytes.count))
    reads[i].isSent = true
    let time = min(options.retryMax, options.retryMin * (1 << UInt64(min(reads[i].failures, 20))))
    reads[i].retryAt = now + jittered(time)
  }

  mutating func receiveRead(
    _ from: ReplicaID, _ id: RequestID, _ response: ClientResponse, _ message: RawSpan,
    _ now: Instant, _ effects: inout ClientEffects
  ) {
    let number = id.sequence.rawValue & ~Self.readFlag
    guard let i = reads.firstIndex(where: { $0.isActive && $0.number == number }) else { return }
    switch response {
    case .read(let slot, let reply):
      if case .local(let atLeast) = reads[i].mode, slot < max(atLeast, lastSeenSlot) {
        // Right when it was sent, but the client has seen more since: monotonic reads forbid to show it.
        return waitRead(i, now, moveOn: true)
      }
      lastSeenSlot = max(lastSeenSlot, slot)
      let range = effects.keep(reply, of: message)
      complete(i, .read(slot: slot, reply: range), &effects)
    case .rejected(let rejection):
      guard from == options.replicas[reads[i].target], reads[i].isSent else { return }
      reads[i].lastRejection = rejection
      readRejected(i, rejection, now, &effects)
    case .command:
      break  // No answer to a read.
    }
  }

  private mutating func readRejected(
    _ i: Int, _ rejection: Rejection, _ now: Instant, _ effects: inout ClientEffects
  ) {
    switch rejection {
    case .notLeader(let leader?), .transferring(to: let leader):
      guard let index = options.replicas.firstIndex(of: leader), index != reads[i].target,
        reads[i].redirections < options.replicas.count
      else { return waitRead(i, now, moveOn: true) }
      reads[i].redirections += 1
      reads[i].target = index
      sendRead(i, now, &effects)
    case .notLeader(nil), .notApplied:
      waitRead(i, now, moveOn: true)
    case .overloaded, .noRoom:
      waitRead(i, now, moveOn: false)
    case .tooLarge(let limit):
      complete(i, .tooLarge(limit: limit), &effects)
    case .leasesDisabled:
      complete(i, .leasesDisabled, &effects)
    }
  }

  /// Asks again after a while, the next replica if `moveOn`.
  private mutating func waitRead(_ i: Int, _ now: Instant, moveOn: Bool) {
    if moveOn { moveOnRead(i) }
    reads[i].isSent = false
    let longest = moveOn ? options.searchMax : options.backoffMax
    reads[i].retryAt = now + backoff(reads[i].failures, atMost: longest)
    reads[i].failures += 1
    reads[i].redirections = 0
  }

  private mutating func moveOnRead(_ i: Int) {
    reads[i].scan = next(after: reads[i].scan, besides: reads[i].target)
    reads[i].target = reads[i].scan
  }

  private mutating func complete(
    _ i: Int, _ result: ClientResult, _ effects: inout ClientEffects
  ) {
    reads[i].isActive = false
    activeReads -= 1
    reads[i].retryAt = .never
    effects.effects.append(.complete(tag: reads[i].tag, result))
  }

  var nextReadRetry: Instant {
    var next = Instant.never
    for i in reads.indices where reads[i].isActive { next = min(next, reads[i].retryAt) }
    return next
  }

  /// Sends again what was not answered in time, and what waited for its time.
  mutating func retryReads(_ now: Instant, _ effects: inout ClientEffects) {
    for i in reads.indices where reads[i].isActive && reads[i].retryAt <= now {
      if reads[i].isSent {
        reads[i].failures += 1
        moveOnRead(i)
      }
      sendRead(i, now, &effects)
    }
  }

  mutating func readConnectionLost(_ replica: ReplicaID, _ now: Instant) {
    for i in reads.indices
    where reads[i].isActive && reads[i].isSent && options.replicas[reads[i].target] == replica {
      waitRead(i, now, moveOn: true)
    }
  }

  mutating func passReadDeadlines(_ now: Instant, _ effects: inout ClientEffects) {
    for i in reads.indices where reads[i].isActive {
      guard reads[i].deadline <= now else {
        requestsDue = min(requestsDue, reads[i].deadline)
        continue
      }
      complete(i, Self.resultOfUnsent(reads[i].lastRejection), &effects)
    }
  }
}
