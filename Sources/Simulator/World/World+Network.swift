internal import Protocol

enum PacketFlags {
  /// Goes through the tenant's codec at delivery.
  static var encoded: UInt8 { 1 }
  /// Bits flip on the way.
  static var corrupted: UInt8 { 2 }
}

extension World {
  /// How many past packets the network remembers for replay.
  static var replayCapacity: Int { 64 }

  /// Sends a packet of `bytes` bytes; what the plan and the current cuts make of it is up to the
  /// network.
  public mutating func send(_ from: NodeIndex, _ to: NodeIndex, _ message: Message, bytes: Int) {
    assertMayAct(from)
    packets.sent &+= 1
    if from == to || isHealed(from, to) {
      transmit(from, to, message, bytes, extra: 0, flags: codecFlag)
      return
    }
    if anyCut && cuts.isCut(from: from, to: to) {
      count(.packetCut, from)
      return
    }
    if plan.packetReplay != 0 { mayReplay(from, to, message, bytes) }
    if streams.chance(.network, perMillion: plan.packetLoss) {
      count(.packetLost, from)
      return
    }
    var extra: UInt64 = 0
    if streams.chance(.network, perMillion: plan.packetReorder) {
      extra = streams.draw(.network, in: 0...plan.reorderDelay) * 1_000
      count(.packetReordered, from)
    }
    var flags = codecFlag
    if streams.chance(.network, perMillion: plan.packetCorruption) {
      flags |= PacketFlags.corrupted
    }
    if streams.chance(.network, perMillion: plan.packetDuplication) {
      let later = streams.draw(.network, in: 0...plan.reorderDelay) * 1_000
      count(.packetDuplicated, from)
      transmit(from, to, message, bytes, extra: later, flags: codecFlag)
    }
    transmit(from, to, message, bytes, extra: extra, flags: flags)
  }

  /// In the liveness phase: links within the core, and all links of clients. Progress is demanded
  /// of the processes; a client that could not reach a leader outside the core would blame them for
  /// its own link.
  @inline(__always)
  func isHealed(_ from: NodeIndex, _ to: NodeIndex) -> Bool {
    runPhase == .liveness
      && (core.contains(from) && core.contains(to) || from.index >= nodeCount
        || to.index >= nodeCount)
  }

  private var codecFlag: UInt8 { plan.everythingThroughCodec != 0 ? PacketFlags.encoded : 0 }

  private mutating func transmit(
    _ from: NodeIndex, _ to: NodeIndex, _ message: Message, _ bytes: Int, extra: UInt64,
    flags: UInt8
  ) {
    let link = from.index * endpointCount + to.index
    let jitter = streams.draw(.network, below: plan.delayJitter &* 1_000 &+ 1)
    let transfer = (UInt64(bytes) &* plan.transferTime) >> 10
    let slow = isHealed(from, to) ? 0 : linkExtra[link]
    let time = now &+ linkBase[link] &+ jitter &+ transfer &+ slow &+ extra
    queue.push(
      Event(.message, node: to, peer: from, word: store.put(message), flags: flags), at: time)
  }

  /// Remembers some packets and now and then sends an old one once more, long after its time.
  private mutating func mayReplay(
    _ from: NodeIndex, _ to: NodeIndex, _ message: Message, _ bytes: Int
  ) {
    if replayRing.count < Self.replayCapacity {
      replayRing.append((message, from, to, bytes))
    } else if streams.draw(.network, below: 16) == 15 {
      replayRing[replayNext] = (message, from, to, bytes)
      replayNext = (replayNext + 1) % Self.replayCapacity
    }
    guard streams.chance(.network, perMillion: plan.packetReplay) else { return }
    let old = replayRing[Int(streams.draw(.network, below: UInt64(replayRing.count)))]
    // The core is healed: nothing old may enter it from within.
    if isHealed(old.from, old.to) { return }
    if anyCut && cuts.isCut(from: old.from, to: old.to) { return }
    count(.packetReplayed, old.from)
    transmit(old.from, old.to, old.message, old.bytes, extra: 0, flags: codecFlag)
  }

  /// Whether a packet that arrives now is still let through.
  func isReachable(from: NodeIndex, to: NodeIndex) -> Bool {
    !anyCut || !cuts.isCut(from: from, to: to)
  }

  // MARK: Cuts and slow links

  /// Cuts or slows links until a heal event with its number.
  struct Disturbance {
    var number: UInt32
    var cuts: LinkCuts?
    var slow: (from: NodeIndex, to: NodeIndex, extra: UInt64)?
    /// Processes that this takes away from the majority: they count against the fault budget.
    var victims: NodeSet
  }

  @discardableResult
  mutating func disturb(
    cuts: LinkCuts?, slow: (from: NodeIndex, to: NodeIndex, extra: UInt64)? = nil,
    victims: NodeSet = [], healAfter span: UInt64?
  ) -> UInt32 {
    disturbanceCount &+= 1
    disturbances.append(
      Disturbance(number: disturbanceCount, cuts: cuts, slow: slow, victims: victims))
    recomputeLinks()
    if let span { queue.push(Event(.heal, generation: disturbanceCount), at: now &+ span) }
    return disturbanceCount
  }

  mutating func heal(_ number: UInt32) {
    disturbances.removeAll { $0.number == number }
    recomputeLinks()
  }

  mutating func recomputeLinks() {
    cuts = LinkCuts(endpoints: endpointCount)
    anyCut = false
    for index in linkExtra.indices { linkExtra[index] = 0 }
    for disturbance in disturbances {
      if let more = disturbance.cuts {
        cuts.formUnion(more)
        anyCut = true
      }
      if let slow = disturbance.slow {
        linkExtra[slow.from.index * endpointCount + slow.to.index] += slow.extra
      }
    }
    guard runPhase == .liveness else { return }
    cuts.heal(among: core)
    for client in endpoints.subtracting(nodes) { cuts.heal(client) }
  }
}
