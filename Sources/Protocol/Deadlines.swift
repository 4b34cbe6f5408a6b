/// What a replica waits for, one deadline each.
public enum DeadlineKind: Int, CaseIterable, Sendable {
  /// Followers: stand. Candidates: try again.
  case election
  /// Leaders: next heartbeat and check-quorum. Candidates: repeat the question.
  case heartbeat
  case retransmit
  case batch
  case catchUp
  case localRead
  case transfer
  /// Suspects: ask those again that have not answered.
  case inquiry
  /// An own digest that is not in the log: report it again.
  case digest
}

/// All deadlines of a replica behind one timer of its host.
///
/// Most deadlines move later before they come, so moving one later says nothing to the host: the timer fires early, finds
/// nothing due and is set again. That keeps timers off the path of every message.
public struct Deadlines: Equatable, Sendable {
  private var times = [Instant](repeating: .never, count: DeadlineKind.allCases.count)
  /// What the host was last asked for.
  private var armed = Instant.never
  /// The earliest deadline set since `arm` last looked at all of them; none of the others lies before `armed`.
  private var earliestNew = Instant.never

  public init() {}

  public subscript(kind: DeadlineKind) -> Instant {
    get { times[kind.rawValue] }
    set {
      times[kind.rawValue] = newValue
      earliestNew = min(earliestNew, newValue)
    }
  }

  public mutating func clear(_ kind: DeadlineKind) { self[kind] = .never }

  /// Takes the deadline if it is due: true once.
  public mutating func takeDue(_ kind: DeadlineKind, now: Instant) -> Bool {
    guard self[kind] <= now else { return false }
    self[kind] = .never
    return true
  }

  /// The host's timer has fired.
  public mutating func fired() {
    armed = .never
    earliestNew = .zero
  }

  /// What to ask of the host now, if anything: the earliest deadline when it lies before what was asked last.
  public mutating func arm() -> Instant? {
    guard earliestNew < armed else { return nil }
    earliestNew = .never
    var earliest = Instant.never
    for i in times.indices { earliest = min(earliest, times[i]) }
    guard earliest < armed else { return nil }
    armed = earliest
    return earliest
  }
}

extension Deadlines {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.each(&times) { coder, time throws(DecodeError) in
      try coder.word(&time, from: .never)
    }
    try coder.word(&armed, from: .never)
    try coder.word(&earliestNew, from: .never)
  }
}
