import Glibc
import Histogram

/// Keeps so many operations outstanding on every connection, checks that replies come in order, and measures.
final class LoadClient {
  struct Result {
    /// Answered while it was measured.
    var operations: UInt64 = 0
    /// Answered from the first to the last.
    var operationsInAll: UInt64 = 0
    var nanoseconds: UInt64 = 0
    /// From the turn of the loop that sent an operation to the one that read its reply, in nanoseconds.
    var latency = Histogram<UInt64>(
      highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    /// From the first operation to the last reply.
    var used = ProcessorTime()
  }

  private enum Phase { case warmUp, measuring, ending }

  private struct Connection {
    let operations: Outbox
    var next: UInt64 = 0
    var answered: UInt64 = 0
    /// How many operations had been applied before the latest that was answered.
    var appliedBefore: UInt64?
    /// When operations were sent: all below `end` that are in no earlier entry.
    var departures: [(end: UInt64, time: UInt64)] = []
    var firstDeparture = 0
    /// The beginning of a reply whose end has not arrived is kept at the front.
    let replies: UnsafeMutableRawPointer
    var partialLength = 0
  }

  private let settings: Settings
  private let poller: Poller
  private var connections: [Connection]
  private var result = Result()
  private var phase = Phase.warmUp
  private var nextPhase: UInt64 = 0
  private var measuredSince: UInt64 = 0

  init(_ settings: Settings, descriptors: [Int32]) throws(BareLoopError) {
    self.settings = settings
    poller = try Poller()
    connections = descriptors.map {
      Connection(
        operations: Outbox($0, items: settings.outstanding, itemLength: settings.payload),
        replies: .allocate(byteCount: settings.outstanding * Reply.length, alignment: 64))
    }
    for (token, descriptor) in descriptors.enumerated() {
      try poller.add(descriptor, token: token)
    }
  }

  deinit { for connection in connections { connection.replies.deallocate() } }

  /// Returns when everything that was sent is answered.
  func run(warmUp: Double, seconds: Double) throws(BareLoopError) -> Result {
    let usage = ProcessorTime.now()
    let start = Clock.now()
    nextPhase = start + UInt64(warmUp * 1e9)
    for place in connections.indices { try fill(place, start) }
    var unanswered = true
    while phase != .ending || unanswered {
      let count = try poller.wait()
      let now = Clock.now()
      if phase != .ending, now >= nextPhase { changePhase(now, seconds) }
      for i in 0..<count {
        let event = poller[i]
        if event.isReadable { try takeReplies(event.token, now) }
        if phase != .ending { try fill(event.token, now) }
        if event.isWritable {
          try connections[event.token].operations.flush(poller, token: event.token)
        }
      }
      unanswered = connections.contains { $0.answered < $0.next }
    }
    result.used = ProcessorTime.now() - usage
    return result
  }

  private func changePhase(_ now: UInt64, _ seconds: Double) {
    if phase == .warmUp {
      phase = .measuring
      measuredSince = now
      nextPhase = now + UInt64(seconds * 1e9)
    } else {
      phase = .ending
      result.nanoseconds = now - measuredSince
    }
  }

  private func fill(_ place: Int, _ now: UInt64) throws(BareLoopError) {
    var next = connections[place].next
    let end = connections[place].answered + UInt64(settings.outstanding)
    guard next < end else { return }
    let operations = connections[place].operations
    while next < end {
      operations.append(next, UInt64(place))
      next += 1
    }
    connections[place].next = end
    connections[place].departures.append((end, now))
    if !operations.isBlocked { try operations.flush(poller, token: place) }
  }

  private func takeReplies(_ place: Int, _ now: UInt64) throws(BareLoopError) {
    let (replies, old) = (connections[place].replies, connections[place].partialLength)
    guard
      let count = try receive(
        connections[place].operations.descriptor, replies + old,
        settings.outstanding * Reply.length - old)
    else { return }
    guard count > 0 else { throw BareLoopError("the leader is gone") }
    let whole = (old + count) / Reply.length
    var answered = connections[place].answered
    var appliedBefore = connections[place].appliedBefore
    for i in 0..<whole {
      let number = replies.load(fromByteOffset: i * Reply.length, as: UInt64.self)
      let applied = replies.load(fromByteOffset: i * Reply.length + 8, as: UInt64.self)
      guard number == answered, appliedBefore.map({ applied > $0 }) ?? true else {
        throw BareLoopError("connection \(place): the reply to \(answered) is not the next one")
      }
      appliedBefore = applied
      answered += 1
    }
    let rest = old + count - whole * Reply.length
    replies.copyMemory(from: replies + whole * Reply.length, byteCount: rest)
    connections[place].partialLength = rest
    connections[place].appliedBefore = appliedBefore
    record(place, upTo: answered, now)
  }

  private func record(_ place: Int, upTo answered: UInt64, _ now: UInt64) {
    result.operationsInAll += answered - connections[place].answered
    while connections[place].answered < answered {
      let departure = connections[place].departures[connections[place].firstDeparture]
      let upTo = min(answered, departure.end)
      if phase == .measuring, departure.time >= measuredSince {
        let count = upTo - connections[place].answered
        result.operations += count
        result.latency.record(now - departure.time, count: count)
      }
      connections[place].answered = upTo
      if upTo == departure.end { connections[place].firstDeparture += 1 }
    }
    if connections[place].firstDeparture == connections[place].departures.count {
      connections[place].departures.removeAll(keepingCapacity: true)
      connections[place].firstDeparture = 0
    } else if connections[place].firstDeparture > 1024 {
      connections[place].departures.removeFirst(connections[place].firstDeparture)
      connections[place].firstDeparture = 0
    }
  }
}
