internal import Protocol

// Persistent memory, where the plan gives a process some and the tenant can use it.
extension World {
  /// What the process keeps its files on.
  public func medium(of node: NodeIndex) -> StorageMedium { disks[node.index].medium }
  /// Whether the process can store to its files.
  public func hasMemory(_ node: NodeIndex) -> Bool { disks[node.index].medium != .disk }

  /// Stores bytes in a file, visible at once and durable after a fence. Only in persistent memory.
  public mutating func store(
    _ node: NodeIndex, file: String, at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) {
    assertMayAct(node)
    disks[node.index].store(file, at: offset, bytes)
  }

  /// Makes everything stored so far durable, in no time. False when the process dies on the way: it may not act any more, and what
  /// was stored since the fence before is torn.
  public mutating func fence(_ node: NodeIndex) -> Bool {
    assertMayAct(node)
    guard !diesAtFence(node) else { return false }
    if !core.contains(node) && streams.chance(.medium, perMillion: plan.flushLie) {
      disks[node.index].forgetLine(&streams)
    }
    disks[node.index].fence()
    return true
  }

  /// Makes the names of files durable while the process waits, which takes no time. False as for `fence`.
  public mutating func flushNames(_ node: NodeIndex) -> Bool {
    assertMayAct(node)
    guard !diesAtFence(node) else { return false }
    disks[node.index].flushNames()
    return true
  }

  /// What fences have made durable becomes the news of the next moment: `.diskCompleted` with the ticket returned.
  public mutating func announce(_ node: NodeIndex) -> UInt64 {
    assertMayAct(node)
    let n = node.index
    let ticket = diskQueues[n].nextTicket
    diskQueues[n].nextTicket = ticket + 1
    var news = Event(.diskCompleted, node: node, word: ticket, generation: boots[n])
    // Only the news: no device has anything to do for it.
    news.flags = 1
    queue.push(news, at: now)
    return ticket
  }

  /// Flushes what the process has written besides, unless that is under way; nobody waits for it.
  public mutating func writeBack(_ node: NodeIndex) {
    let n = node.index
    if diskQueues[n].inFlight.isEmpty, disks[n].hasUnflushed { _ = flush(node) }
  }

  /// Whether power goes at this fence. What survives of the disk is decided here and now, and the process is gone with the step
  /// (`Simulation.endProcesses`).
  private mutating func diesAtFence(_ node: NodeIndex) -> Bool {
    guard runPhase == .safety, streams.chance(.nvm, perMillion: plan.crashAtFence),
      affords([node])
    else { return false }
    count(.crashedAtFence, node)
    note("crash at a fence", node)
    crashDisk(node, isAtFence: true)
    fallen.insert(node)
    quitting.insert(node)
    return true
  }
}
