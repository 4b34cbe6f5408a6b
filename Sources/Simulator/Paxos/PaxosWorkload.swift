internal import Protocol

/// What the clients of a run do, and the history of it.
struct PaxosWorkload: Sendable {
  /// External tokens below are operations to issue, by number; this one is the operator's.
  static let operatorToken: UInt64 = 1 << 40
  static let keys = 8

  enum Kind: Sendable {
    case command(RegisterMachine.Request)
    case read(key: Int, ReadMode)
  }

  enum State: Sendable {
    case planned
    case called
    /// Came back with what was seen: the value before a command, or the value read.
    case returned(RegisterMachine.Answer)
    /// Certainly not performed.
    case refused
    /// Performed or not, nobody will say.
    case unknown
  }

  /// One operation of a client, from its plan to its end.
  struct Operation: Sendable {
    var client: Int
    var kind: Kind
    /// How long its user waits for the result; nil: for ever.
    var patience: TimeSpan?
    var state = State.planned
    /// Places in the history: the order in which calls and returns happened.
    var call = 0
    var end = 0
    /// What had returned when it was called (`LinearizabilityChecker.returnedUpTo`).
    var floor: UInt64 = 0
    /// What its client had seen when it was called.
    var seen = Slot.zero
  }

  struct Client: Sendable {
    var session: ClientSession
    var effects = ClientEffects()
    /// Operations of this client that were not planned yet.
    var remaining = 0

    /// One event into the session; its effects replace those of the event before.
    mutating func step(_ event: ClientEvent, bytes: RawSpan = RawSpan(), now: Instant) {
      effects.removeAll()
      session.step(event, bytes: bytes, now: now, into: &effects)
    }

    /// The state machine's answer in these bytes of the effects.
    func answer(_ range: Range<Int>) -> RegisterMachine.Answer? {
      let bytes = effects.bytes
      return RegisterMachine.Answer(bytes.span.bytes.extracting(range))
    }
  }

  var clients: [Client]
  var operations: [Operation] = []
  /// Operations that have ended.
  var ended = 0
  /// Numbers calls and returns.
  var clock = 0
  /// How many there will be, those planned later included.
  var total: Int
  let options: PaxosWorkloadOptions
  var isOperatorActive = true
  var segmentLength: Int { options.segmentLength }

  var isFinished: Bool { ended == total }

  init(options: PaxosWorkloadOptions, replicas: Int, seed: UInt64) {
    self.options = options
    total = options.operations
    var seeds = SeededRandom(seed: seed)
    let ids = (1...UInt32(replicas)).map { ReplicaID($0) }
    clients = (0..<options.clients).map { _ in
      Client(
        session: ClientSession(
          options: ClientOptions(
            replicas: ids, windowMax: options.window, queueMax: 64, readsMax: 8,
            retryMin: options.retry, retryMax: options.retry * 8,
            backoffMin: .milliseconds(5), backoffMax: .milliseconds(200)),
          seed: seeds.next()))
    }
  }

  /// A healed core has to finish what was begun and some more, not everything that would have been: with slow disks and a
  /// window of one slot that can take longer than any bound.
  mutating func dropSurplus() {
    guard options.mayDropSurplus else { return }
    for c in clients.indices {
      let kept = min(clients[c].remaining, Self.plannedWhenHealed)
      total -= clients[c].remaining - kept
      clients[c].remaining = kept
    }
  }
  private static let plannedWhenHealed = 50

  // MARK: Second opinion

  /// The general search is asked in one run out of eight, where the history is short enough for it.
  func shouldSearch(seed: UInt64) -> Bool { seed % 8 == 0 && total <= 400 }

  /// What the search checker finds wrong with the history of commands and linearizable reads.
  func search() -> String? {
    var history = History<RegisterMapModel.Input, RegisterOutcome>()
    var calls: [(position: Int, operation: Int)] = []
    for (i, operation) in operations.enumerated() where operation.call > 0 {
      calls.append((operation.call, i))
      if case .returned = operation.state { calls.append((operation.end, i)) }
    }
    calls.sort { $0.position < $1.position }
    var ids = [Int](repeating: -1, count: operations.count)
    for (position, i) in calls {
      let operation = operations[i]
      if case .refused = operation.state { continue }
      if position == operation.call {
        guard let input = input(of: operation.kind) else { continue }
        ids[i] = history.invoke(process: operation.client, input, at: position)
      } else if ids[i] >= 0, case .returned(let answer) = operation.state {
        history.complete(ids[i], outcome(of: operation.kind, answer), at: position)
      }
    }
    let model = RegisterMapModel(initial: 0)
    switch LinearizabilitySearch(model, budget: 300_000).check(history) {
    case .linearizable, .undecided: return nil
    case .notLinearizable(let witness):
      return "the search finds no order for the history of register \(witness.key)"
    }
  }

  private func input(of kind: Kind) -> RegisterMapModel.Input? {
    switch kind {
    case .read(_, .local): return nil
    case .read(let key, _): return .init(key: UInt64(key), .read)
    case .command(let request):
      let argument = Int64(bitPattern: request.argument)
      let operation: RegisterOperation =
        switch request.operation {
        case .get: .read
        case .put: .write(argument)
        case .compareAndSet:
          .compareAndSet(expected: Int64(bitPattern: request.expected), new: argument)
        case .fetchAndAdd: .fetchAdd(argument)
        }
      return .init(key: UInt64(request.key), operation)
    }
  }

  private func outcome(of kind: Kind, _ answer: RegisterMachine.Answer) -> RegisterOutcome {
    let value = Int64(bitPattern: answer.value)
    guard case .command(let request) = kind else { return .value(value) }
    switch request.operation {
    case .get, .fetchAndAdd: return .value(value)
    case .put: return .done
    case .compareAndSet:
      return answer.status == .written ? .swapped(true) : .conflict(found: value)
    }
  }
}
