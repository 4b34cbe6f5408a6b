internal import Protocol

/// Nothing that was promised to anybody is lost: promises and votes across crashes, and acknowledged commands for ever.
struct DurabilityChecker: Sendable {
  struct Node: Sendable {
    var promised = Ballot.zero
    /// The ballot of the last durable vote in each slot.
    var votes = SlotTable(empty: Ballot.zero)
    /// The highest ballot of any durable vote in each slot, whatever became of it.
    var highestVotes = SlotTable(empty: Ballot.zero)
    var snapshot = Slot.zero
    /// The highest ballot that it asked for in its present life.
    var stoodAt = Ballot.zero
    /// What it promised durably to each replica.
    var promisedTo: [Ballot]
  }

  var nodes: [Node]
  /// They were damaged and are not cured: they may not promise, vote or confirm anything.
  var suspects: NodeSet = []
  /// The highest slot that a client has an acknowledgement from.
  private(set) var acknowledgedUpTo = Slot.zero

  init(replicas: Int) {
    let none = Array(repeating: Ballot.zero, count: replicas)
    nodes = Array(repeating: Node(promisedTo: none), count: replicas)
  }

  /// A record of `node` has become durable.
  mutating func durable(_ node: NodeIndex, _ fact: JournalFact) -> String? {
    switch fact {
    case .promised(let ballot):
      promised(node, ballot)
    case .cured(let ballot, _):
      return cured(node, ballot)
    case .accepted(let slot, let ballot, _):
      promised(node, ballot)
      nodes[node.index].votes[slot] = ballot
      noteVote(node, slot, ballot)
    case .learned(let slot, _):
      // What is known to be chosen needs no vote any more.
      nodes[node.index].votes[slot] = .zero
    case .snapshot(let info):
      nodes[node.index].snapshot = max(nodes[node.index].snapshot, info.slot)
    case .chosenUpTo:
      break
    }
    return nil
  }

  private mutating func promised(_ node: NodeIndex, _ ballot: Ballot) {
    guard ballot > nodes[node.index].promised else { return }
    nodes[node.index].promised = ballot
    nodes[node.index].promisedTo[PaxosNames.node(ballot.proposer).index] = ballot
  }

  /// `node` has recovered this from its disk.
  mutating func recovered(_ node: NodeIndex, _ state: DurableState) -> String? {
    let before = nodes[node.index]
    if state.promised < before.promised {
      return "\(node) forgot its promise of \(before.promised): it recovered \(state.promised)"
    }
    if state.snapshot.slot < before.snapshot {
      return "\(node) lost its snapshot of slot \(before.snapshot)"
    }
    var slot = state.snapshot.slot.next
    var i = 0
    while slot <= before.votes.last {
      let ballot = before.votes[slot]
      while i < state.entries.count && state.entries[i].slot < slot { i += 1 }
      if ballot > .zero {
        guard i < state.entries.count, state.entries[i].slot == slot,
          state.entries[i].isLearned || state.entries[i].ballot >= ballot
        else { return "\(node) forgot its vote of ballot \(ballot) in slot \(slot)" }
      }
      slot = slot.next
    }
    nodes[node.index].promised = state.promised
    nodes[node.index].stoodAt = .zero
    for entry in state.entries {
      nodes[node.index].votes[entry.slot] = entry.isLearned ? .zero : entry.ballot
      if entry.ballot != .zero { noteVote(node, entry.slot, entry.ballot) }
    }
    return nil
  }

  mutating func noteVote(_ node: NodeIndex, _ slot: Slot, _ ballot: Ballot) {
    let before = nodes[node.index].highestVotes[slot]
    nodes[node.index].highestVotes[slot] = max(before, ballot)
  }

  /// `node` sends a message: what it vows or claims there must already be on its disk, and nothing less than what is.
  mutating func sent(_ node: NodeIndex, _ message: Protocol.Message) -> String? {
    let promised = nodes[node.index].promised
    switch message {
    case .prepare(let m):
      nodes[node.index].stoodAt = max(nodes[node.index].stoodAt, m.ballot)
      if m.ballot > promised {
        return "\(node) asks for ballot \(m.ballot), which it may use again"
      }
    case .accept(let m):
      if m.ballot > promised {
        return "\(node) proposes at ballot \(m.ballot) before it is durable"
      }
    case .promise(let m):
      if m.ballot > promised { return "\(node) promises \(m.ballot) before that is durable" }
      if m.lastSlot < nodes[node.index].votes.last {
        return
          "\(node) promises \(m.ballot) and reports up to slot \(m.lastSlot), but its votes go on to"
          + " slot \(nodes[node.index].votes.last)"
      }
    case .report(let m):
      let vote = nodes[node.index].votes[m.slot]
      if !m.isChosen && m.votedBallot < vote {
        return
          "\(node) reports a vote of ballot \(m.votedBallot) in slot \(m.slot), but it has one of"
          + " ballot \(vote)"
      }
    case .accepted(let m):
      var slot = m.firstSlot
      while slot <= m.lastSlot {
        if nodes[node.index].highestVotes[slot] < m.ballot {
          return
            "\(node) answers for its vote of ballot \(m.ballot) in slot \(slot) before it is durable"
        }
        slot = slot.next
      }
    default: break
    }
    return nil
  }

  /// A client was told that its command was applied in `slot`.
  mutating func acknowledged(_ slot: Slot) { acknowledgedUpTo = max(acknowledgedUpTo, slot) }

  /// At the end: the whole core holds everything that was acknowledged.
  func finish(_ node: NodeIndex, appliedUpTo: Slot) -> String? {
    appliedUpTo < acknowledgedUpTo
      ? "\(node) ends at slot \(appliedUpTo), but slot \(acknowledgedUpTo) was acknowledged" : nil
  }
}
