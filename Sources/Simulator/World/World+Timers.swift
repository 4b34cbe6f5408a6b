public import Protocol

/// One timer of one endpoint, by the tenant's token.
struct TimerEntry: Sendable {
  var token: UInt64
  var deadline: Instant
  /// When its pending event comes, in simulated time; `.max` when none is pending.
  var queuedAt: UInt64
  /// The generation of that event; an event of another one is stale.
  var generation: UInt32
}

extension World {
  /// Arms the timer `token` of `node` for the local time `deadline`, replacing its former deadline;
  /// `.never` cancels.
  ///
  /// A timer that is put off again and again keeps its one pending event: when that comes too early
  /// it is moved, so re-arming a heartbeat at every message does not fill the queue.
  public mutating func setTimer(_ node: NodeIndex, at deadline: Instant, token: UInt64) {
    let n = node.index
    var place = timers[n].count
    for i in timers[n].indices where timers[n][i].token == token {
      place = i
      break
    }
    if place == timers[n].count {
      if deadline == .never { return }
      timers[n].append(
        TimerEntry(token: token, deadline: deadline, queuedAt: .max, generation: 0))
    }
    timers[n][place].deadline = deadline
    queueTimer(n, place)
  }

  public mutating func cancelTimer(_ node: NodeIndex, token: UInt64) {
    setTimer(node, at: .never, token: token)
  }

  /// Makes sure that an event comes no later than the timer is due.
  mutating func queueTimer(_ n: Int, _ place: Int) {
    let entry = timers[n][place]
    // A deadline that already passed is due now; the event still comes after the current one.
    guard entry.deadline != .never,
      let time = clocks[n].simulatedTime(of: entry.deadline, notBefore: now),
      time < entry.queuedAt
    else { return }
    timerGeneration &+= 1
    timers[n][place].generation = timerGeneration
    timers[n][place].queuedAt = time
    queue.push(
      Event(.timer, node: NodeIndex(n), word: entry.token, generation: timerGeneration), at: time)
  }

  /// Whether the timer of this event is due now; puts it back when it was put off, forgets it when
  /// it was cancelled.
  mutating func timerIsDue(_ event: Event) -> Bool {
    let n = event.node.index
    for place in timers[n].indices where timers[n][place].generation == event.generation {
      guard timers[n][place].token == event.word else { continue }
      timers[n][place].queuedAt = .max
      let deadline = timers[n][place].deadline
      if deadline == .never {
        forgetTimer(n, place)
        return false
      }
      if clocks[n].reading(at: now) < deadline {
        queueTimer(n, place)
        return false
      }
      forgetTimer(n, place)
      return true
    }
    return false
  }

  private mutating func forgetTimer(_ n: Int, _ place: Int) {
    let last = timers[n].count - 1
    if place != last { timers[n].swapAt(place, last) }
    timers[n].removeLast()
  }

  /// After a clock changed: some timers may be due earlier than their pending events.
  mutating func requeueTimers(of node: NodeIndex) {
    for place in timers[node.index].indices { queueTimer(node.index, place) }
  }
}
