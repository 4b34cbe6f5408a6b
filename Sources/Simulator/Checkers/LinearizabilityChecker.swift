internal import Protocol

/// Linearizability in linear time: every answer carries the slot it comes from, so the order is known and only has to be
/// compared with real time and with a replay of the log (the idea openraft's tests use; a search needs neither).
///
/// The order of a command is its place in the log; a read served from the state after slot n lies behind all of slot n.
struct LinearizabilityChecker: Sendable {
  /// A place in the total order: the slot, and within it the commands before the reads.
  typealias Place = UInt64
  private static func command(_ slot: Slot) -> Place { slot.rawValue * 2 }
  private static func read(_ slot: Slot) -> Place { slot.rawValue * 2 + 1 }

  private struct Version: Sendable {
    var slot: Slot
    var value: UInt64
  }

  private struct Performed: Sendable {
    var request: RegisterMachine.Request
    var answer: RegisterMachine.Answer
  }

  /// The registers after every slot: per key the values it had, by slot.
  private var versions: [[Version]]
  /// The answers of a replay of the log, and where each slot's lie among them.
  private var answers: [Performed] = []
  private var places = SlotTable(empty: 0..<0)
  /// How far the log has been replayed.
  private(set) var replayedUpTo = Slot.zero
  /// The highest place of any operation that has returned.
  private(set) var returnedUpTo: Place = 0

  init(keys: Int) {
    versions = Array(repeating: [Version(slot: .zero, value: 0)], count: keys)
  }

  /// The next slot's commands that were performed: the log is replayed here, without the replicas' state machine.
  mutating func performed(
    _ slot: Slot, _ commands: [RegisterMachine.Request]
  ) {
    guard slot == replayedUpTo.next else { return }
    replayedUpTo = slot
    let first = answers.count
    for request in commands {
      let key = Int(request.key)
      let old = versions[key][versions[key].count - 1].value
      var status = RegisterMachine.Answer.Status.written
      var new = old
      switch request.operation {
      case .get: status = .read
      case .put: new = request.argument
      case .compareAndSet:
        if old == request.expected { new = request.argument } else { status = .notEqual }
      case .fetchAndAdd: new = old &+ request.argument
      }
      if new != old { versions[key].append(Version(slot: slot, value: new)) }
      answers.append(
        Performed(
          request: request, answer: RegisterMachine.Answer(value: old, status: status, slot: slot)))
    }
    if answers.count > first { places[slot] = first..<answers.count }
  }

  /// A command was answered; `floor` is `returnedUpTo` when it was called. Every request of a run is different.
  mutating func commandReturned(
    _ request: RegisterMachine.Request, slot: Slot, _ answer: RegisterMachine.Answer, floor: Place
  ) -> String? {
    let place = Self.command(slot)
    defer { returnedUpTo = max(returnedUpTo, place) }
    // Strictly behind: a slot's batch was closed before any of its commands could return.
    if place <= floor {
      return
        "a command was performed in slot \(slot), but when it was called an operation in that slot"
        + " or behind it had returned"
    }
    guard let performed = answers[places[slot]].first(where: { $0.request == request }) else {
      return "a command was acknowledged as performed in slot \(slot), where it is not"
    }
    return performed.answer == answer
      ? nil
      : "the command in slot \(slot) was answered \(answer), but a replay of the log gives"
        + " \(performed.answer)"
  }

  /// A linearizable read was answered from the state after `slot`.
  mutating func readReturned(
    key: Int, value: UInt64, slot: Slot, floor: Place
  ) -> String? {
    let place = Self.read(slot)
    defer { returnedUpTo = max(returnedUpTo, place) }
    if place < floor {
      return
        "a read was served from slot \(slot), but when it was called an operation behind it had"
        + " returned"
    }
    return localReadReturned(key: key, value: value, slot: slot)
  }

  /// A read that may be stale was answered: its value must still be the one of its slot.
  func localReadReturned(key: Int, value: UInt64, slot: Slot) -> String? {
    let known = versions[key]
    var i = known.count - 1
    while known[i].slot > slot { i -= 1 }
    return known[i].value == value
      ? nil
      : "a read of register \(key) after slot \(slot) gave \(value), a replay of the log gives"
        + " \(known[i].value)"
  }
}
