import Testing

@testable import Protocol

/// The checkpoint: a replica's whole state as bytes.
@Suite struct ReplicaStateTests {
  static func bytes(of replica: Replica) -> [UInt8] {
    var bytes: [UInt8] = []
    replica.appendState(to: &bytes)
    return bytes
  }

  static func decode(_ bytes: [UInt8], as replica: Replica) throws(RecordingInvalid) -> Replica {
    try bytes.span.bytes.withUnsafeBytes { buffer throws(RecordingInvalid) in
      var reader = ByteReader(buffer)
      let decoded = try Replica(
        state: &reader, id: replica.id, configuration: replica.configuration,
        options: replica.options)
      do throws(DecodeError) { try reader.finish() } catch { throw .checkpoint(error) }
      return decoded
    }
  }

  /// Every number in a value, by reflection, so that it also finds a property added tomorrow: `window.entries[].ballot.round`
  /// and what it is. Contracts are not part of a checkpoint.
  static func leaves(
    of value: Any, _ path: String = "", _ found: (String, String) -> Void
  ) {
    let mirror = Mirror(reflecting: value)
    if mirror.displayStyle == .collection {
      found("\(path).count", "\(mirror.children.count)")
      for child in mirror.children { leaves(of: child.value, "\(path)[]", found) }
      return
    }
    if mirror.displayStyle == .optional {
      found("\(path).isThere", "\(!mirror.children.isEmpty)")
      for child in mirror.children { leaves(of: child.value, path, found) }
      return
    }
    guard !mirror.children.isEmpty else { return found(path, "\(value)") }
    if mirror.displayStyle == .enum, let label = mirror.children.first?.label {
      found("\(path).case", label)
    }
    for child in mirror.children {
      let label = child.label ?? ""
      if path.isEmpty && label == "contracts" { continue }
      leaves(of: child.value, path.isEmpty ? label : "\(path).\(label)", found)
    }
  }

  static func text(of replica: Replica) -> [String] {
    var lines: [String] = []
    leaves(of: replica) { lines.append("\($0) \($1)") }
    return lines
  }

  /// What `init` makes of configuration and options. Everything else must be seen to be something below.
  static let madeByInit = [
    "id", "configuration", "options", "ownIndex", "window.capacity", "window.mask",
    "window.entries.count", "proposer.quorum", "proposer.windowSlots", "proposer.mask",
    "proposer.inFlight.count", "proposer.phase1.quorum", "proposer.phase1.capacity",
    "proposer.phase1.words", "proposer.phase1.heads.count", "proposer.phase1.seen.count",
    "proposer.phase1.slots.count", "election.own", "election.quorum", "election.timeout",
    "election.jitter", "election.rankDelay", "screened.counts.count", "batcher.commandsMax",
    "batcher.bytesMax", "batcher.queuedMax", "rounds.quorum", "rounds.own", "rounds.answered.count",
    "rounds.answeredAt.count", "rounds.sentAt.count", "leaseGuard.options", "reads.readsMax",
    "catchUp.peers.count", "catchUp.own", "catchUp.slotsMax", "deadlines.times.count",
    "digests.entered.count", "digests.heldBack.count",
    // Between two steps it is always false.
    "isPumping",
  ]

  @Test func everyStoredPropertyIsInTheCheckpoint() throws {
    var first: [String: String] = [:]
    var varied: Set<String> = []
    for seed in 1...40 as ClosedRange<UInt64> {
      var generator = Generator(seed: seed)
      var life = RecordedLife(seed: seed)
      var problem: String?
      life.cluster.observe = { _, _, _, replica in
        // Phase 1 and transfers are short: look at them more often.
        let isRare = replica.catchUp.transfer != nil || replica.proposer.phase1 != nil
        guard problem == nil, generator.below(isRare ? 12 : 150) == 0 else { return }
        let before = Self.text(of: replica)
        do {
          let after = Self.text(of: try Self.decode(Self.bytes(of: replica), as: replica))
          if let i = before.indices.first(where: { $0 >= after.count || before[$0] != after[$0] }) {
            problem = "\(before[i]) came back as \(i < after.count ? after[i] : "nothing")"
          }
        } catch {
          problem = "\(error)"
        }
        Self.leaves(of: replica) { path, value in
          if let known = first[path] {
            if known != value { varied.insert(path) }
          } else {
            first[path] = value
          }
        }
      }
      life.go(120)
      #expect(problem == nil, "seed \(seed)")
    }
    // What was nothing in every life cannot have been found missing; anything else would have come back as nothing.
    let unseen = first.filter { path, value in
      !varied.contains(path) && ["0", "false"].contains(value)
        && !Self.madeByInit.contains {
          path == $0 || path.hasPrefix($0 + ".") || path.hasPrefix($0 + "[")
        }
    }
    #expect(unseen.keys.sorted() == [], "drive what changes these, or name them in `madeByInit`")
  }

  @Test(arguments: 1...10 as ClosedRange<UInt64>) func aDecodedReplicaGoesOnTheSame(seed: UInt64) {
    var generator = Generator(seed: seed)
    var life = RecordedLife(seed: seed)
    var twins: [UInt32: Replica] = [:]
    var compared = 0
    life.cluster.observe = { [unowned cluster = life.cluster] before, event, effects, after in
      let id = after.id.rawValue
      if event == .started || generator.below(50) == 0 {
        twins[id] = try? Self.decode(Self.bytes(of: before), as: before)
        #expect(twins[id] != nil)
      }
      guard twins[id] != nil else { return }
      var again = EffectBuffer()
      twins[id]!.step(event, now: cluster.now, into: &again)
      if again.all != effects.all { Issue.record("replica \(id) differs on \(event)") }
      compared += 1
    }
    life.go(150)
    #expect(compared > 300)
  }

  /// The header has every option: each is given a value of its own here, and comes back.
  @Test func everyOptionIsInTheHeader() throws {
    var options = ReplicaOptions()
    options.windowSlots = 3
    options.logSlots = 64
    options.batchCommandsMax = 5
    options.batchBytesMax = 6_000
    options.batchDelay = .milliseconds(7)
    options.queuedBatchesMax = 8
    options.electionTimeout = .milliseconds(1_009)
    options.electionJitter = .milliseconds(1_010)
    options.priorityDelay = .milliseconds(11)
    options.heartbeatInterval = .milliseconds(12)
    options.journalStallMax = .milliseconds(13)
    options.retransmitInterval = .milliseconds(14)
    options.catchUpDelay = .milliseconds(15)
    options.catchUpRetry = .milliseconds(16)
    options.catchUpSlots = 17
    options.snapshotInterval = 18
    options.snapshotBytes = 190_000
    options.snapshotTailSlots = 19
    options.snapshotChunkBytes = 20_000
    options.digestPeriod = 25
    options.readsMax = 21
    options.localReadTimeout = .milliseconds(22)
    options.lease = LeaseOptions(duration: .milliseconds(230), driftBoundPPM: 24)
    var usual: [String: String] = [:]
    Self.leaves(of: ReplicaOptions()) { usual[$0] = $1 }
    Self.leaves(of: options) { path, value in
      #expect(usual[path] != value, "give \(path) another value here")
    }

    let header = RecordingHeader(
      identity: Recorded.identity(2), hasContracts: true, firstStep: 31, recordedAt: 32,
      configuration: try Configuration(
        epoch: Epoch(33), firstSlot: Slot(34), lastSlot: Slot(350),
        voters: [
          Member(id: ReplicaID(2), incarnation: Incarnation(36), priorityRank: 37),
          Member(id: ReplicaID(38), incarnation: Incarnation(39), priorityRank: 255),
        ]), options: options)
    var bytes: [UInt8] = []
    header.append(to: &bytes)
    let back = try bytes.span.bytes.withUnsafeBytes { buffer throws(RecordingInvalid) in
      try RecordingHeader(ByteReader(buffer))
    }
    #expect(back == header)
  }

  @Test func theSameStateHasTheSameBytes() throws {
    var life = RecordedLife(seed: 5)
    life.go(200)
    for id in life.cluster.ids {
      let bytes = Self.bytes(of: life.cluster[id])
      #expect(Self.bytes(of: try Self.decode(bytes, as: life.cluster[id])) == bytes)
    }
  }

  @Test(arguments: 1...8 as ClosedRange<UInt64>) func damagedBytesGiveAReplicaOrAnError(
    seed: UInt64
  ) {
    var generator = Generator(seed: seed)
    var life = RecordedLife(seed: seed)
    life.go(60)
    for id in life.cluster.ids {
      let bytes = Self.bytes(of: life.cluster[id])
      for count in stride(from: 0, to: bytes.count, by: 7) {
        #expect(throws: RecordingInvalid.self) {
          try Self.decode(Array(bytes[..<count]), as: life.cluster[id])
        }
      }
      for _ in 0..<300 {
        var damaged = bytes
        damaged[generator.below(bytes.count)] ^= UInt8(1 << generator.below(8))
        _ = try? Self.decode(damaged, as: life.cluster[id])
      }
    }
  }

  @Test func aStateThatContradictsItselfIsRefused() {
    let cluster = Cluster(3).elect(1)
    for _ in 0..<5 { cluster.command(1) }
    cluster.settle()
    // The promise of a leader taken back, a role without its phase.
    var candidate = cluster[1]
    candidate.role = .candidate
    #expect(throws: RecordingInvalid.self) {
      try Self.decode(Self.bytes(of: candidate), as: candidate)
    }
    var ahead = cluster[2]
    ahead.persistedUpTo = JournalPosition(ahead.journalPosition.rawValue + 1)
    #expect(throws: RecordingInvalid.self) { try Self.decode(Self.bytes(of: ahead), as: ahead) }
    #expect(throws: Never.self) { try Self.decode(Self.bytes(of: cluster[1]), as: cluster[1]) }
  }

  @Test func anEmptyLogIsShort() {
    var options = Cluster.options()
    options.logSlots = 1 << 16
    let cluster = Cluster(3, options: options)
    #expect(Self.bytes(of: cluster[1]).count < 500)
    cluster.elect(1)
    for _ in 0..<20 {
      cluster.command(1)
      cluster.settle()
    }
    let slots = Int(cluster[1].window.highestUsed.rawValue)
    #expect(slots >= 20 && Self.bytes(of: cluster[1]).count < 1_000 + 40 * slots)
  }
}
