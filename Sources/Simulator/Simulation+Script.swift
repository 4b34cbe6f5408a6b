public import Protocol

// Faults by hand, for tests and text scenarios. Call them between two events; what the plan
// schedules goes on beside.
extension Simulation {
  /// Crashes a process between two events. It restarts as the plan says.
  public mutating func crashNow(_ node: NodeIndex) { crash(node) }

  /// Lets a process crash among the effects of its next step that has any.
  public mutating func armCrash(_ node: NodeIndex) {
    precondition(world.isProcess(node), "clients do not crash")
    world.armed.insert(node)
  }

  /// Starts a process that is down, or resumes one that is paused.
  public mutating func restartNow(_ node: NodeIndex) { revive(node) }

  /// Pauses a process for a time of simulated time.
  public mutating func pauseNow(_ node: NodeIndex, for span: TimeSpan) {
    pause(node, forMicroseconds: span.nanoseconds / 1_000)
  }

  /// Cuts links as `cuts` says; answers the number that `restoreLinks` takes.
  public mutating func cutLinks(_ cuts: LinkCuts) -> UInt32 {
    world.disturb(cuts: cuts, healAfter: nil)
  }

  /// Takes `extra` longer from one endpoint to another; answers the number that `restoreLinks`
  /// takes.
  public mutating func slowLink(from: NodeIndex, to: NodeIndex, by extra: TimeSpan) -> UInt32 {
    world.disturb(cuts: nil, slow: (from, to, extra.nanoseconds), healAfter: nil)
  }

  /// Ends what `cutLinks` or `slowLink` did.
  public mutating func restoreLinks(_ number: UInt32) { world.heal(number) }

  /// Steps a node's clock forward.
  public mutating func stepClock(_ node: NodeIndex, by span: TimeSpan) {
    world.clocks[node.index].step(by: span, at: world.now)
    world.requeueTimers(of: node)
  }

  /// Changes the rate of a node's clock, in parts per million against simulated time.
  public mutating func setClockRate(_ node: NodeIndex, partsPerMillion rate: Int64) {
    world.clocks[node.index].setRate(rate, at: world.now)
    world.requeueTimers(of: node)
  }

  /// Stops a node's clock until `thawClock`.
  public mutating func freezeClock(_ node: NodeIndex) {
    world.clocks[node.index].freeze(at: world.now)
  }
  public mutating func thawClock(_ node: NodeIndex) { thaw(node) }

  /// Fills a process's disk, but for some bytes, until `freeSpaceNow`.
  public mutating func fillDiskNow(_ node: NodeIndex, leaving bytes: Int = 0) {
    world.disks[node.index].fill(leaving: bytes)
  }
  public mutating func freeSpaceNow(_ node: NodeIndex) { freeSpace(node) }

  /// Gives an input to an endpoint out of turn: a message that nobody sent, for instance.
  public mutating func deliverNow(_ message: System.Message, from: NodeIndex, to: NodeIndex) {
    world.queue.push(
      Event(.message, node: to, peer: from, word: world.store.put(message)), at: world.now)
  }

  /// Ends the safety phase now, and with it all scheduled faults.
  public mutating func beginLivenessNow() { if world.runPhase == .safety { endSafety() } }
}
