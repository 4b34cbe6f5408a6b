public import NIOCore
public import Protocol

/// Runs a pool of `ClientSession`s over one connection to each replica, on one event loop and with a callback: the layer
/// under `Client` for those who count nanoseconds.
///
/// Everything happens on the event loop: make it there, call it there, and be called there. There is no lock, no task,
/// and, apart from the bytes of requests that wait, nothing is allocated for a command. What is submitted in one turn of
/// the loop leaves in one frame to each replica, with one write.
///
/// Commands that share a session apply in the order they were submitted; the pool has `configuration.sessions` of them,
/// and commands of different sessions are not ordered. Wait for an outcome before submitting what must come after it, or
/// use a single session.
///
/// Must be closed: until then its connections keep it alive.
public final class ClientDriver {
  /// Told once for every tag, on the event loop and never from inside `submit`: how it ended, and the reply, which is
  /// valid until the function returns. It may submit again.
  public typealias Completion = (_ tag: UInt64, ClientOutcome, _ reply: RawSpan) -> Void

  /// Something that happened while effects were performed, for the end of the turn.
  enum Notice {
    case lost(ReplicaID)
    /// No frame can hold the request; as if the replica had said so.
    case refused(session: Int, from: ReplicaID, answer: [UInt8])
  }

  /// What is known of a session from outside.
  struct Place {
    /// When to wake it.
    var wake = Instant.never
    /// How many commands it has that are not reported yet.
    var commands = 0
    /// What it is answered under.
    var name: SessionID?
  }

  public let configuration: ClientConfiguration
  public let eventLoop: any EventLoop
  let completed: Completion
  // Behind pointers, here and in connections, what is changed by calls in place for every command: a class's property
  // would be checked for overlapping access at run time, a quarter of the driver's time when it was measured. No change
  // of theirs calls a completion, so none can overlap.
  let sessions: UnsafeMutableBufferPointer<ClientSession>
  let places: UnsafeMutableBufferPointer<Place>
  /// Reused by every step. Those of a submission are apart, because completions may submit.
  let answers: UnsafeMutablePointer<ClientEffects>
  private let submissions: UnsafeMutablePointer<ClientEffects>
  var directory: SessionDirectory
  var connections: [ReplicaConnection] = []
  private var random: SeededRandom

  /// The session that had room last, and the one that answered last.
  private var cursor = 0
  private var readCursor = 0
  var lastAnswered = 0
  /// The highest slot any session has seen the effect of: local reads are never older.
  var lastSeenSlot = Slot.zero

  /// Ended inside `submit`, reported at the end of the turn.
  var ended: [(tag: UInt64, outcome: ClientOutcome)] = []
  var notices: [Notice] = []
  var isInTurn = false
  var isEndScheduled = false
  var timer: Scheduled<Void>?
  var timerAt = Instant.never
  /// Never later than the earliest wake.
  var due = Instant.never

  var turnTime: Instant
  private(set) var hasClosed = false
  var counters = ClientCounters()

  /// Set in the tags of reads, to tell them from commands.
  static let readFlag: UInt64 = 1 << 63

  /// On `eventLoop`; connects when the first request is submitted.
  public init(
    on eventLoop: any EventLoop, configuration: ClientConfiguration,
    completed: @escaping Completion
  ) {
    eventLoop.preconditionInEventLoop()
    configuration.validate()
    self.configuration = configuration
    self.eventLoop = eventLoop
    self.completed = completed
    turnTime = ClientClock.now()
    var system = SystemRandomNumberGenerator()
    random = SeededRandom(seed: configuration.seed ?? system.next())
    let count = configuration.sessions
    sessions = .allocate(capacity: count)
    places = .allocate(capacity: count)
    places.initialize(repeating: Place())
    answers = .allocate(capacity: 1)
    answers.initialize(to: ClientEffects())
    submissions = .allocate(capacity: 1)
    submissions.initialize(to: ClientEffects())
    directory = SessionDirectory(capacity: 2 * count)
    for i in 0..<count {
      let session = ClientSession(options: configuration.options, seed: random.next())
      directory.insert(session.reader.rawValue, i)
      sessions.initializeElement(at: i, to: session)
    }
    connections = configuration.replicas.map { ReplicaConnection($0, of: self) }
  }

  deinit {
    sessions.deinitialize().deallocate()
    places.deinitialize().deallocate()
    answers.deinitialize(count: 1).deallocate()
    submissions.deinitialize(count: 1).deallocate()
  }

  /// The time of this turn of the driver; between two turns, the clock's.
  public var now: Instant { isInTurn ? turnTime : ClientClock.now() }

  public var isClosed: Bool { hasClosed }

  /// What was counted so far.
  public var statistics: ClientCounters {
    var counters = counters
    for session in sessions {
      counters.resends &+= session.resends
      counters.malformedMessages &+= session.malformedMessages
    }
    return counters
  }

  func jittered(_ span: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: span.nanoseconds - random.next(below: span.nanoseconds / 2 + 1))
  }
}

// Submitting.
extension ClientDriver {
  /// Has a command performed. The tag, below 2^63, comes back with the outcome; the bytes are copied.
  public func submit(_ command: RawSpan, tag: UInt64, deadline: Instant) {
    precondition(tag < Self.readFlag, "a tag is below 2^63")
    beginTurn()
    counters.commandsSubmitted &+= 1
    guard !hasClosed else { return ended.append((tag, .unavailable)) }
    let session = sessionWithRoom()
    places[session].commands += 1
    step(session, .commandSubmitted(tag: tag, deadline: deadline), command)
  }

  /// Asks a question. The tag, below 2^63, comes back with the outcome; the bytes are copied. A local read sees
  /// everything this client has seen the effect of.
  public func submitRead(_ query: RawSpan, _ mode: ReadMode, tag: UInt64, deadline: Instant) {
    precondition(tag < Self.readFlag, "a tag is below 2^63")
    beginTurn()
    counters.readsSubmitted &+= 1
    guard !hasClosed else { return ended.append((tag, .unavailable)) }
    var mode = mode
    if case .local(let atLeast) = mode { mode = .local(atLeast: max(atLeast, lastSeenSlot)) }
    let tag = tag | Self.readFlag
    // A session whose places are all taken says so at once: ask the next one.
    for _ in sessions.indices {
      readCursor = readCursor + 1 < sessions.count ? readCursor + 1 : 0
      let isRefused = step(
        readCursor, .readSubmitted(tag: tag, mode, deadline: deadline), query, keepsRefusal: false)
      if !isRefused { return }
    }
    ended.append((tag & ~Self.readFlag, .overloaded))
  }

  /// The session that answered last, if its window has room, else the next one that has; when none has, the next one in
  /// turn, whose queue takes the command or refuses it.
  private func sessionWithRoom() -> Int {
    let windowMax = configuration.options.windowMax
    for _ in 0..<sessions.count {
      if places[cursor].commands < windowMax { return cursor }
      cursor = cursor + 1 < sessions.count ? cursor + 1 : 0
    }
    cursor = cursor + 1 < sessions.count ? cursor + 1 : 0
    return cursor
  }

  /// A command of this session ended: the next one goes there.
  @inline(__always)
  func hasRoom(_ session: Int) {
    places[session].commands -= 1
    cursor = session
  }

  /// True when the request was refused at once as overloaded and the refusal was not kept.
  @discardableResult
  private func step(
    _ session: Int, _ event: ClientEvent, _ bytes: RawSpan, keepsRefusal: Bool = true
  ) -> Bool {
    let before = Self.makeRoom(in: &submissions.pointee)
    sessions[session].step(event, bytes: bytes, now: turnTime, into: &submissions.pointee)
    performSendings(of: session, submissions.pointee, from: before)
    var isRefused = false
    for i in before..<submissions.pointee.effects.count {
      guard case .complete(let tag, let result) = submissions.pointee.effects[i] else { continue }
      if result == .overloaded, !keepsRefusal {
        isRefused = true
        continue
      }
      // Nothing that a submission brings about at once has a reply.
      var reply = 0..<0
      if tag & Self.readFlag == 0 { hasRoom(session) }
      ended.append((tag & ~Self.readFlag, ClientOutcome(result, reply: &reply)))
    }
    return isRefused
  }

  /// Ends everything: what was sent as `unknownOutcome`, the rest as `unavailable`; then the connections.
  public func close() {
    eventLoop.preconditionInEventLoop()
    guard !hasClosed else { return }
    beginTurn()
    hasClosed = true
    var effects = ClientEffects()
    for i in sessions.indices {
      // At the end of time every deadline has passed. What would be sent again then is not.
      sessions[i].step(.deadlineReached, now: .never, into: &effects)
      complete(effects, from: 0, of: i)
      effects.removeAll()
    }
    for connection in connections { connection.shut() }
    connections.removeAll()
    timer?.cancel()
    timer = nil
    timerAt = .never
    due = .never
    endTurn()
  }
}
