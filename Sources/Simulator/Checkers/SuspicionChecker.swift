internal import Protocol

/// Damage never counts as "I have not voted": what a replica has forgotten, it knows that it may have.
///
/// Over what `DurabilityChecker` knows to have been durable, so independent of how recovery finds damage.
extension DurabilityChecker {
  /// `node` has recovered this from a disk that was damaged: it may miss what its doubt covers, or a snapshot, and nothing
  /// else.
  mutating func recoveredDamaged(_ node: NodeIndex, _ state: DurableState) -> String? {
    let doubt = state.doubt
    // Its cure had become durable, and nobody was told.
    if suspects.contains(node), doubt == nil, let problem = cured(node, state.promised) {
      return problem
    }
    let before = nodes[node.index]
    if state.promised < before.promised, !(doubt?.isPromiseLost ?? false) {
      return "\(node) lost its promise of \(before.promised) and does not doubt the one it found,"
        + " \(state.promised)"
    }
    /// Up to here the votes of the replica do not matter, or it doubts them.
    let covered: Slot? =
      doubt.map { $0.slotsUpTo.map { max($0, state.snapshot.slot) } } ?? state.snapshot.slot
    if let covered {
      if before.snapshot > covered {
        return
          "\(node) lost its snapshot of slot \(before.snapshot) and doubts nothing above \(covered)"
      }
      var slot = covered.next
      var i = 0
      while slot <= before.votes.last {
        let ballot = before.votes[slot]
        while i < state.entries.count && state.entries[i].slot < slot { i += 1 }
        let found =
          i < state.entries.count && state.entries[i].slot == slot ? state.entries[i] : nil
        if ballot > .zero, !(found?.isLearned ?? false), (found?.ballot ?? .zero) < ballot {
          return
            "\(node) lost its vote of ballot \(ballot) in slot \(slot) and doubts nothing above"
            + " \(covered)"
        }
        slot = slot.next
      }
    }
    forget(node, state)
    return nil
  }

  /// From now on what it found is what it has.
  private mutating func forget(_ node: NodeIndex, _ state: DurableState) {
    let n = node.index
    nodes[n].promised = state.promised
    nodes[n].stoodAt = .zero
    nodes[n].snapshot = state.snapshot.slot
    if state.doubt == nil { suspects.remove(node) } else { suspects.insert(node) }
    nodes[n].votes = SlotTable(empty: .zero)
    nodes[n].highestVotes = SlotTable(empty: .zero)
    for entry in state.entries {
      nodes[n].votes[entry.slot] = entry.isLearned ? .zero : entry.ballot
      if entry.ballot != .zero { noteVote(node, entry.slot, entry.ballot) }
    }
  }

  /// The suspicion of `node` is durably over. A promise that it lost may be below its new one only if nobody stands by it.
  mutating func cured(_ node: NodeIndex, _ ballot: Ballot) -> String? {
    let n = node.index
    guard suspects.contains(node) else { return "\(node) is cured of nothing" }
    suspects.remove(node)
    // No vote from before the cure is needed any more.
    nodes[n].votes = SlotTable(empty: .zero)
    nodes[n].promised = max(nodes[n].promised, ballot)
    for proposer in nodes.indices where proposer != n {
      let promised = nodes[n].promisedTo[proposer]
      if promised > nodes[n].promised, nodes[proposer].stoodAt >= promised {
        return "\(node) is cured with the promise \(ballot), but it promised \(promised) to"
          + " \(NodeIndex(proposer)), which still stands by it"
      }
    }
    return nil
  }

  /// What a suspect must not say.
  func suspectSent(_ node: NodeIndex, _ message: Protocol.Message) -> String? {
    guard suspects.contains(node) else { return nil }
    switch message {
    case .prepare, .promise, .report, .accept, .accepted, .heartbeat, .heartbeatReply, .preVote,
      .standForElection:
      return "\(node) is a suspect and sent \(message)"
    case .preVoteReply(let m):
      return m.isGranted ? "\(node) is a suspect and granted a pre-vote" : nil
    case .standing(let m):
      return m.isSound ? "\(node) is a suspect and calls itself sound" : nil
    case .rejected, .fetch, .learn, .snapshotOffer, .snapshotFetch, .snapshotChunk, .inquiry,
      .stateDigest:
      return nil
    }
  }
}
