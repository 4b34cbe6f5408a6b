internal import Protocol

// What the commands that look and change nothing print.
extension ScenarioWorld {
  /// One line: role, ballot, leader, promise, watermarks.
  mutating func printStatus(_ node: Int) {
    guard let replica = nodes[node].replica else { return say("\(name(node)) down") }
    var line = "\(name(node)) \(text.describe(replica.role))"
    if replica.role != .follower && replica.role != .preCandidate {
      line += " \(replica.proposer.ballot)"
    }
    if replica.role == .follower {
      line += replica.leader.map { " of \($0)" } ?? ", no leader"
    }
    line += ", promised \(replica.acceptor.promised), chosen \(replica.window.chosenUpTo)"
    line += ", applied \(replica.window.appliedUpTo)"
    if replica.window.truncatedUpTo > .zero {
      line += ", truncated \(replica.window.truncatedUpTo)"
    }
    if replica.snapshot.slot > .zero { line += ", snapshot \(replica.snapshot.slot)" }
    let waiting = nodes[node].records.count - nodes[node].durable
    if waiting > 0 { line += ", \(waiting) \(waiting == 1 ? "record" : "records") waiting" }
    say(line)
  }

  /// One line for each slot that the replica keeps.
  mutating func printLog(_ node: Int) {
    guard let window = nodes[node].replica?.window else { return say("\(name(node)) down") }
    if window.truncatedUpTo == window.highestUsed { say("\(name(node)) keeps no slots") }
    var slot = window.truncatedUpTo.next
    while slot <= window.highestUsed {
      let entry = window[slot]
      var line = "\(name(node)) slot \(slot)"
      if !entry.isUsed {
        line += " nothing"
      } else {
        if entry.ballot > .zero { line += " voted \(entry.ballot)" }
        line += " \(text.describe(entry.value))"
        if entry.isChosen { line += " chosen" }
      }
      say(line)
      slot = slot.next
    }
  }

  /// One line for each record of the journal.
  mutating func printJournal(_ node: Int) {
    if nodes[node].records.isEmpty { say("\(name(node)) has an empty journal") }
    for (i, record) in nodes[node].records.enumerated() {
      let isDurable = i < nodes[node].durable
      say("\(name(node)) \(isDurable ? "durable" : "waiting") \(text.describe(record))")
    }
  }

  /// One line for each message on its way.
  mutating func printNetwork() {
    if flights.isEmpty { say("no messages") }
    for flight in flights { say(describe(flight)) }
    for flight in kept { say("kept \(describe(flight))") }
  }
}
