internal import Protocol

/// Flushes of one disk on their way. They complete in the order they were issued.
struct FlushQueue: Sendable {
  struct Flush: Sendable {
    var ticket: UInt64
    var mark: UInt64
  }
  var inFlight: [Flush] = []
  var nextTicket: UInt64 = 1
  var lastCompletion: UInt64 = 0
}

extension World {
  /// The node's disk, for reading. Writes go through the methods below.
  public func disk(_ node: NodeIndex) -> SimulatedDisk { disks[node.index] }

  /// The bytes of a file; nil when there is none.
  public func read(_ node: NodeIndex, file: String) -> [UInt8]? {
    disks[node.index].contents(of: file)
  }

  /// `count` bytes at `offset`; fewer at the end of the file.
  public func read(_ node: NodeIndex, file: String, at offset: Int, count: Int) -> [UInt8] {
    disks[node.index].withContents(of: file) { bytes in
      let start = min(max(0, offset), bytes.count)
      return [UInt8](bytes[start..<min(bytes.count, start + max(0, count))])
    }
  }

  /// The parts of a file that cannot be read; zeroes are read in their place.
  public func unreadable(_ node: NodeIndex, file: String) -> [Range<Int>] {
    disks[node.index].unreadable(file)
  }

  /// What is on the medium of a file, past the cache that `read` answers from; nil when no durable file has that name.
  public func readMedium(_ node: NodeIndex, file: String) -> SimulatedDisk.MediumFile? {
    disks[node.index].medium(of: file)
  }

  /// The process has read everything on its medium that it would need, and all of it is as it was written. Damage is over
  /// thereby; what was overlooked is found when the process starts again.
  public mutating func foundSound(_ node: NodeIndex) { latent.remove(node) }

  /// What the node's disk has room for, in bytes.
  public func freeSpace(_ node: NodeIndex) -> Int { disks[node.index].free }

  /// Takes so many bytes for a file, all or nothing, and creates it if there is none. False when the disk is too full; writes
  /// never fail for that, so a tenant asks before it writes.
  public mutating func reserve(_ node: NodeIndex, file: String, bytes count: Int) -> Bool {
    assertMayAct(node)
    return disks[node.index].reserve(file, count)
  }

  /// Size in bytes; nil when there is no such file.
  public func size(_ node: NodeIndex, file: String) -> Int? { disks[node.index].size(of: file) }

  /// Overwrites at `offset`, extending the file where needed.
  public mutating func write(_ node: NodeIndex, file: String, at offset: Int, _ bytes: [UInt8]) {
    bytes.withUnsafeBytes { write(node, file: file, at: offset, $0) }
  }
  public mutating func write(
    _ node: NodeIndex, file: String, at offset: Int, _ bytes: UnsafeRawBufferPointer
  ) {
    assertMayAct(node)
    disks[node.index].write(file, at: offset, bytes)
  }

  /// Writes at the end; answers where the bytes begin.
  @discardableResult
  public mutating func append(_ node: NodeIndex, file: String, _ bytes: [UInt8]) -> Int {
    bytes.withUnsafeBytes { append(node, file: file, $0) }
  }
  @discardableResult
  public mutating func append(
    _ node: NodeIndex, file: String, _ bytes: UnsafeRawBufferPointer
  ) -> Int {
    assertMayAct(node)
    return disks[node.index].append(file, bytes)
  }

  /// Cuts or zero-extends a file. Durable at the next flush, like all changes.
  public mutating func truncate(_ node: NodeIndex, file: String, to size: Int) {
    assertMayAct(node)
    disks[node.index].truncate(file, to: size)
  }
  public mutating func delete(_ node: NodeIndex, file: String) {
    assertMayAct(node)
    disks[node.index].delete(file)
  }
  /// Atomic, replacing what had the name.
  public mutating func rename(_ node: NodeIndex, file: String, to other: String) {
    assertMayAct(node)
    disks[node.index].rename(file, to: other)
  }

  /// Makes everything written so far durable; `.diskCompleted(ticket)` comes when it is.
  public mutating func flush(_ node: NodeIndex) -> UInt64 {
    assertMayAct(node)
    let n = node.index
    var latency = (plan.flushBase + streams.draw(.disk, below: plan.flushJitter + 1)) * 1_000
    if !core.contains(node) {
      if streams.chance(.disk, perMillion: plan.flushSlow) {
        latency += streams.draw(.disk, in: 0...plan.flushSlowDelay) * 1_000
        count(.flushSlow, node)
      }
      if streams.chance(.disk, perMillion: plan.flushStall) {
        latency += streams.draw(.disk, in: 0...plan.flushStallDelay) * 1_000
        count(.flushStalled, node)
      }
    }
    let ticket = diskQueues[n].nextTicket
    diskQueues[n].nextTicket = ticket + 1
    let time = max(now &+ latency, diskQueues[n].lastCompletion)
    diskQueues[n].lastCompletion = time
    diskQueues[n].inFlight.append(.init(ticket: ticket, mark: disks[n].mark))
    queue.push(
      Event(.diskCompleted, node: node, word: ticket, generation: boots[n]), at: time)
    return ticket
  }

  /// Whether this event is the end of a flush: one pulled forward by `unstall` leaves a stale event behind.
  func endsFlush(_ event: Event) -> Bool {
    let n = event.node.index
    return boots[n] == event.generation && states[n] != .down
      && diskQueues[n].inFlight.first?.ticket == event.word
  }

  /// The device has finished a flush: durable from here on, whether or not the process gets to hear
  /// of it.
  mutating func completeFlush(_ node: NodeIndex) {
    let n = node.index
    let first = diskQueues[n].inFlight.removeFirst()
    let lies = !core.contains(node) && streams.chance(.medium, perMillion: plan.flushLie)
    disks[n].complete(upTo: first.mark, lies: lies)
  }

  /// Puts an empty disk in the place of the process's, with one durable file on it: what an operator does when nothing is
  /// left or nothing can be concluded from what is left.
  mutating func replaceDisk(_ node: NodeIndex, file: String, _ bytes: [UInt8]) {
    let n = node.index
    disks[n] = SimulatedDisk(disks[n].medium, keepsReplaced: plan.mayGoStale)
    write(node, file: file, at: 0, bytes)
    disks[n].complete(upTo: disks[n].mark)
  }

  /// Power is gone: in-flight flushes never completed, and the disk decides what survived.
  /// - Parameter isAtFence: it goes while stores are made.
  mutating func crashDisk(_ node: NodeIndex, isAtFence: Bool = false) {
    let n = node.index
    if !diskQueues[n].inFlight.isEmpty { count(.crashDuringFlush, node) }
    diskQueues[n].inFlight.removeAll(keepingCapacity: true)
    diskQueues[n].lastCompletion = 0
    let outcome = disks[n].crash(plan, isAtFence: isAtFence, &streams)
    count(.writeLost, node, by: outcome.lost)
    count(.writeTorn, node, by: outcome.torn)
    count(.storeTorn, node, by: outcome.storesTorn)
  }

  /// Flushes of a healed disk that still hang complete within the usual latency.
  mutating func unstall(_ node: NodeIndex) {
    let n = node.index
    let time = now + (plan.flushBase + plan.flushJitter) * 1_000
    guard diskQueues[n].lastCompletion > time else { return }
    diskQueues[n].lastCompletion = time
    for flush in diskQueues[n].inFlight {
      queue.push(
        Event(.diskCompleted, node: node, word: flush.ticket, generation: boots[n]), at: time)
    }
  }
}
