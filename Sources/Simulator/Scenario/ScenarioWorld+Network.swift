internal import Protocol

/// Which messages a command means: `[r1->r2] [KIND…] [slot=N] [all|first|last|N]`.
struct FlightSelection {
  var from: Int?
  var to: Int?
  var kinds: [String] = []
  var slot: Slot?
  /// At most this many.
  var count = Int.max
  var isFromTheEnd = false

  func includes(_ flight: ScenarioWorld.Flight) -> Bool {
    if let from, flight.from != from { return false }
    if let to, flight.to != to { return false }
    if !kinds.isEmpty && !kinds.contains(PaxosText.kind(of: flight.message)) { return false }
    guard let slot else { return true }
    return Self.slots(of: flight.message)?.contains(slot) ?? false
  }

  /// The indices of the messages that are meant, rising.
  func indices(in flights: [ScenarioWorld.Flight]) -> [Int] {
    let all = flights.indices.filter { includes(flights[$0]) }
    return Array(isFromTheEnd ? all.suffix(count) : all.prefix(count))
  }

  private static func slots(of message: Message) -> ClosedRange<Slot>? {
    switch message {
    case .accept(let m): m.slot...m.slot
    case .accepted(let m): m.firstSlot...m.lastSlot
    case .report(let m): m.slot...m.slot
    case .learn(let m): m.slot...m.slot
    default: nil
    }
  }
}

// Messages and links.
extension ScenarioWorld {
  func describe(_ flight: Flight) -> String {
    "\(name(flight.from)) -> \(name(flight.to)) \(text.describe(flight.message))"
  }

  /// Hands a message to its receiver; it is lost if that is down.
  mutating func deliver(_ flight: Flight) {
    guard let configuration else { return }
    let envelope = Envelope(
      from: nodes[flight.from].id, to: nodes[flight.to].id, epoch: configuration.epoch,
      message: flight.message)
    let printing = isHidden(flight.message) ? Header.ifEffects : .always
    if nodes[flight.to].replica == nil && printing == .ifEffects { return }
    step(flight.to, .messageReceived(envelope), header: describe(flight), printing)
  }

  /// Takes the selected messages out of the network, in the order of sending.
  mutating func take(_ selection: FlightSelection) -> [Flight] {
    let indices = selection.indices(in: flights)
    let taken = indices.map { flights[$0] }
    for i in indices.reversed() { flights.remove(at: i) }
    return taken
  }

  /// Cuts or mends a link in one direction; what is on its way over a link that is cut is lost.
  mutating func setLink(from: Int, to: Int, isCut: Bool) {
    cut[from][to] = isCut
    guard isCut else { return }
    flights.removeAll { $0.from == from && $0.to == to }
  }

  // MARK: Reading the arguments

  func selection(_ command: inout ScenarioCommand) throws(ScenarioError) -> FlightSelection {
    var selection = FlightSelection()
    if let slot = try command.number("slot") { selection.slot = Slot(slot) }
    while !command.isAtEnd {
      if command.takes("all") {
        selection.count = .max
      } else if command.takes("first") {
        selection.count = 1
      } else if command.takes("last") {
        selection.count = 1
        selection.isFromTheEnd = true
      } else if let count = command.take({ Int($0) }) {
        selection.count = count
      } else if let kind = command.take({ PaxosText.kinds.contains($0) ? $0 : nil }) {
        selection.kinds.append(kind)
      } else {
        let word = try command.word("messages")
        guard word.contains("->") else {
          throw command.error(
            "\"\(word)\" is neither a route (r1->r2), nor a kind of message (accept), nor a count"
              + " (all, first, last or a number)")
        }
        (selection.from, selection.to) = try route(word, command)
      }
    }
    return selection
  }

  /// `r1->r2`, `r1->` or `->r2`.
  private func route(
    _ word: String, _ command: ScenarioCommand
  ) throws(ScenarioError) -> (from: Int?, to: Int?) {
    var (from, to, isBehind) = ("", "", false)
    for character in word where character != "-" {
      if character == ">" {
        isBehind = true
      } else if isBehind {
        to.append(character)
      } else {
        from.append(character)
      }
    }
    return (
      from.isEmpty ? nil : try replica(from, command), to.isEmpty ? nil : try replica(to, command)
    )
  }

  /// A route with both ends.
  func link(_ command: inout ScenarioCommand) throws(ScenarioError) -> (from: Int, to: Int) {
    let word = try command.word("a route, as in r1->r2")
    guard case (let from?, let to?) = try route(word, command), from != to else {
      throw command.error("\"\(word)\" is not a route; name two replicas, as in r1->r2")
    }
    return (from, to)
  }

  /// The index of `r1`.
  func replica(_ word: String, _ command: ScenarioCommand) throws(ScenarioError) -> Int {
    guard let i = nodes.firstIndex(where: { $0.id.description == word }) else {
      throw command.error(
        "there is no replica \"\(word)\"; the cluster has r1 to r\(nodes.count)")
    }
    return i
  }

  /// Groups of replicas with bars between: `r1 | r2 r3`.
  func groups(_ command: inout ScenarioCommand) throws(ScenarioError) -> [[Int]] {
    var groups: [[Int]] = [[]]
    while !command.isAtEnd {
      if command.takes("|") {
        groups.append([])
      } else {
        groups[groups.count - 1].append(try replica(try command.word("a replica"), command))
      }
    }
    guard groups.count > 1, !groups.contains(where: { $0.isEmpty }) else {
      throw command.error("\(command.name) needs groups with | between, as in r1 | r2 r3")
    }
    return groups
  }
}
