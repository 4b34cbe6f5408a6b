extension FaultPlan {
  /// The plan of one run of `profile` with `nodes` processes.
  public static func draw(
    _ profile: FaultProfile, nodes: Int, from streams: inout RandomStreams
  ) -> FaultPlan {
    var plan = FaultPlan()
    plan.delayBase = streams.draw(.swarm, in: 10...500)
    plan.delaySpread = streams.draw(.swarm, in: 0...500)
    plan.delayJitter = streams.draw(.swarm, in: 10...500)
    plan.flushBase = streams.draw(.swarm, in: 5...500)
    plan.flushJitter = streams.draw(.swarm, in: 5...500)
    guard profile != .calm else { return plan }

    // One stretch of stability for the whole plan: features at wildly different rhythms rarely
    // meet.
    plan.drawNetwork(&streams)
    plan.drawPartitions(&streams)
    plan.drawProcesses(&streams, nodes: nodes, unlimited: profile == .unlimited)
    plan.drawDisks(&streams)
    plan.drawClocks(&streams)
    plan.drawRareMoments(&streams)
    plan.drawEnd(&streams, unlimited: profile == .unlimited)
    plan.drawMedia(&streams)
    plan.drawStates(&streams)
    plan.drawSpace(&streams)
    plan.drawMemory(&streams, nodes: nodes)
    return plan
  }

  /// Whether a feature exists in this run. Half of them do, on average.
  private func exists(_ streams: inout RandomStreams) -> Bool {
    streams.draw(.swarm, below: 2) == 1
  }

  /// A value of `range` with its magnitude uniform rather than the value: small and large ones
  /// alike often.
  private func magnitude(
    _ streams: inout RandomStreams, _ range: ClosedRange<UInt64>
  ) -> UInt64 {
    var doublings: UInt64 = 0
    while range.lowerBound << (doublings + 1) <= range.upperBound { doublings += 1 }
    let low = range.lowerBound << streams.draw(.swarm, below: doublings + 1)
    return min(range.upperBound, low + streams.draw(.swarm, below: low))
  }

  private mutating func drawNetwork(_ streams: inout RandomStreams) {
    if exists(&streams) { packetLoss = magnitude(&streams, 500...200_000) }
    if exists(&streams) { packetDuplication = magnitude(&streams, 500...200_000) }
    if exists(&streams) { packetReorder = magnitude(&streams, 1_000...300_000) }
    reorderDelay = magnitude(&streams, 500...200_000)
    if exists(&streams) { packetCorruption = magnitude(&streams, 200...50_000) }
    if exists(&streams) { packetReplay = magnitude(&streams, 200...20_000) }
    if streams.draw(.swarm, below: 4) == 3 { everythingThroughCodec = 1 }
    if exists(&streams) { delayJitter = magnitude(&streams, 100...20_000) }
  }

  private mutating func drawPartitions(_ streams: inout RandomStreams) {
    if exists(&streams) { partitionInterval = magnitude(&streams, 100_000...4_000_000) }
    partitionStability = magnitude(&streams, 20_000...3_000_000)
    // At least one shape, each of them in about half of the runs.
    partitionShapes = streams.draw(.swarm, below: 1 << UInt64(PartitionShape.allCases.count))
    partitionShapes |= 1 << streams.draw(.swarm, below: UInt64(PartitionShape.allCases.count))
    if exists(&streams) { slowLinkInterval = magnitude(&streams, 100_000...4_000_000) }
    slowLinkDelay = magnitude(&streams, 1_000...500_000)
    slowLinkStability = magnitude(&streams, 50_000...2_000_000)
  }

  private mutating func drawProcesses(
    _ streams: inout RandomStreams, nodes: Int, unlimited: Bool
  ) {
    if exists(&streams) { crashInterval = magnitude(&streams, 50_000...4_000_000) }
    crashBetweenEffects = [500_000, 0, 900_000, 1_000_000][Int(streams.draw(.swarm, below: 4))]
    downMinimum = magnitude(&streams, 1_000...100_000)
    downMaximum = downMinimum + magnitude(&streams, 10_000...2_000_000)
    restartAtOnce = [500_000, 0, 200_000, 900_000][Int(streams.draw(.swarm, below: 4))]
    if exists(&streams) { restartStorm = magnitude(&streams, 10_000...300_000) }
    if streams.draw(.swarm, below: 4) == 3 {
      powerFailureInterval = magnitude(&streams, 500_000...5_000_000)
    }
    if exists(&streams) { pauseInterval = magnitude(&streams, 100_000...4_000_000) }
    pauseMaximum = magnitude(&streams, 10_000...2_000_000)
    pauseAfterEffects = [500_000, 0, 900_000, 1_000_000][Int(streams.draw(.swarm, below: 4))]
    aimAtPhases = [500_000, 0, 900_000][Int(streams.draw(.swarm, below: 3))]
    // Often what a quorum survives, at times one less, one more or everybody: recovery is interesting
    // at every number, and a cluster may be stopped for a while as long as no disk lies.
    let minority = UInt64((nodes - 1) / 2)
    let choices = [
      minority, max(1, minority), max(1, minority) - 1, minority + 1, UInt64(nodes),
    ]
    let choice = choices[Int(streams.draw(.swarm, below: UInt64(choices.count)))]
    maximumDown = unlimited ? UInt64(nodes) : min(choice, UInt64(nodes))
  }

  private mutating func drawDisks(_ streams: inout RandomStreams) {
    if exists(&streams) { flushSlow = magnitude(&streams, 1_000...200_000) }
    flushSlowDelay = magnitude(&streams, 1_000...100_000)
    if exists(&streams) { flushStall = magnitude(&streams, 300...30_000) }
    flushStallDelay = magnitude(&streams, 100_000...3_000_000)
    crashWrites = [2, 0, 1, 2][Int(streams.draw(.swarm, below: 4))]
    if streams.draw(.swarm, below: 4) > 0 { tornWrite = magnitude(&streams, 300_000...900_000) }
    tornGranularity = [512, 8, 64, 8, 64, 4_096][Int(streams.draw(.swarm, below: 6))]
    tornAnySubset = streams.draw(.swarm, below: 2)
  }

  private mutating func drawClocks(_ streams: inout RandomStreams) {
    clockOffset = magnitude(&streams, 1_000...100_000_000)
    if exists(&streams) { clockDrift = magnitude(&streams, 10...100_000) }
    if exists(&streams) { clockStepInterval = magnitude(&streams, 200_000...5_000_000) }
    clockStepMaximum = magnitude(&streams, 1_000...5_000_000)
    if exists(&streams) { clockFreezeInterval = magnitude(&streams, 200_000...5_000_000) }
    clockFreezeMaximum = magnitude(&streams, 1_000...1_000_000)
  }

  /// What makes short phases and small windows of time likely to be hit.
  private mutating func drawRareMoments(_ streams: inout RandomStreams) {
    if exists(&streams) { crashOnPhaseChange = magnitude(&streams, 10_000...500_000) }
    if streams.draw(.swarm, below: 4) == 3 {
      flushBase = magnitude(&streams, 500...20_000)
      flushJitter = magnitude(&streams, 500...20_000)
    }
  }

  /// In what state the cluster is when it is healed: as late as possible, or in the middle of something.
  private mutating func drawEnd(_ streams: inout RandomStreams, unlimited: Bool) {
    if exists(&streams) && !unlimited { endOnPhaseChange = magnitude(&streams, 1_000...100_000) }
    if exists(&streams) { lastPartition = 500_000 }
    if exists(&streams) { outsiderLost = 500_000 }
  }

  private mutating func drawStates(_ streams: inout RandomStreams) {
    if exists(&streams) { stateFlipInterval = magnitude(&streams, 200_000...4_000_000) }
  }

  /// Seldom, because a full disk takes the commands from everything else.
  private mutating func drawSpace(_ streams: inout RandomStreams) {
    guard streams.draw(.swarm, below: 8) == 7 else { return }
    diskFullInterval = magnitude(&streams, 100_000...4_000_000)
    diskFullSpan = magnitude(&streams, 200_000...8_000_000)
    diskFullEverywhere = [0, 200_000, 1_000_000][Int(streams.draw(.swarm, below: 3))]
    diskFullLeft = [0, 0, 4_096, 65_536][Int(streams.draw(.swarm, below: 4))]
  }

  /// From a stream of its own: every other run stays what it was. All processes have such memory, or each may by itself.
  private mutating func drawMemory(_ streams: inout RandomStreams, nodes: Int) {
    guard streams.draw(.nvm, below: 8) == 7 else { return }
    let all = NodeSet(first: nodes).bits
    let some = 1 + streams.draw(.nvm, below: all)
    memoryNodes = [all, some][Int(streams.draw(.nvm, below: 2))]
    let caches = [0, 0, all, all & streams.draw(.nvm, below: .max)]
    memoryWithCaches = caches[Int(streams.draw(.nvm, below: 4))]
    if streams.draw(.nvm, below: 4) > 0 {
      crashAtFence = [1_000, 3_000, 10_000, 30_000, 60_000][Int(streams.draw(.nvm, below: 5))]
    }
  }

  /// Late, so that what was drawn before it stays what it was.
  private mutating func drawMedia(_ streams: inout RandomStreams) {
    if exists(&streams) { flushFailure = magnitude(&streams, 100...20_000) }
    if exists(&streams) { flushLie = magnitude(&streams, 1_000...300_000) }
    // At least one kind, each of them in about half of the runs that have any.
    let kinds = UInt64(MediumFault.allCases.count)
    mediumFaults = streams.draw(.swarm, below: 1 << kinds) | 1 << streams.draw(.swarm, below: kinds)
    if exists(&streams) { mediumInterval = magnitude(&streams, 200_000...4_000_000) }
    if exists(&streams) { mediumAtCrash = magnitude(&streams, 20_000...500_000) }
    mediumAgain = [300_000, 0, 700_000][Int(streams.draw(.swarm, below: 3))]
    if streams.draw(.swarm, below: 4) == 3 {
      atRestInterval = magnitude(&streams, 100_000...4_000_000)
    }
  }
}
