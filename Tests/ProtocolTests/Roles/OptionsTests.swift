import Protocol
import Testing

/// One relation of the options: a change that just breaks it, and one that just keeps it.
struct OptionRelation: Sendable, CustomTestStringConvertible {
  var testDescription: String
  /// A word of the message that tells the relation.
  var word: String
  var breaks: @Sendable (inout ReplicaOptions) -> Void
  var keeps: @Sendable (inout ReplicaOptions) -> Void

  init(
    _ name: String, word: String? = nil, breaks: @escaping @Sendable (inout ReplicaOptions) -> Void,
    keeps: @escaping @Sendable (inout ReplicaOptions) -> Void
  ) {
    testDescription = name
    self.word = word ?? name
    self.breaks = breaks
    self.keeps = keeps
  }

  static let all: [OptionRelation] = [
    .init("windowSlots") {
      $0.windowSlots = 0
    } keeps: {
      $0.windowSlots = 1
    },
    .init("logSlots is no power of two", word: "power of two") {
      $0.logSlots = 4_095
    } keeps: {
      $0.logSlots = 8_192
    },
    .init("logSlots zero", word: "power of two") {
      $0.logSlots = 0
    } keeps: { _ in
    },
    .init("logSlots negative", word: "power of two") {
      $0.logSlots = -8
    } keeps: { _ in
    },
    .init("snapshotInterval") {
      $0.snapshotInterval = 0
    } keeps: {
      $0.snapshotInterval = 1
    },
    .init("snapshotTailSlots") {
      $0.snapshotTailSlots = -1
    } keeps: {
      $0.snapshotTailSlots = 0
    },
    .init("log too small for interval", word: "raise logSlots") {
      $0.snapshotInterval = 4_096 - 256 - 128 + 1
    } keeps: {
      $0.snapshotInterval = 4_096 - 256 - 128
    },
    .init("log too small for tail", word: "raise logSlots") {
      $0.snapshotTailSlots = 4_096 - 2_048 - 128 + 1
    } keeps: {
      $0.snapshotTailSlots = 4_096 - 2_048 - 128
    },
    .init("log too small for two windows", word: "raise logSlots") {
      $0.windowSlots = (4_096 - 2_048 - 256) / 2 + 1
    } keeps: {
      $0.windowSlots = (4_096 - 2_048 - 256) / 2
    },
    .init("bounds beyond arithmetic: window", word: "logSlots") {
      $0.windowSlots = .max
    } keeps: { _ in
    },
    .init("bounds beyond arithmetic: interval", word: "logSlots") {
      $0.snapshotInterval = .max
    } keeps: { _ in
    },
    .init("bounds beyond arithmetic: tail", word: "logSlots") {
      $0.snapshotTailSlots = .max
    } keeps: { _ in
    },
    .init("log beyond memory", word: "logSlots") {
      $0.logSlots = 1 << 62
    } keeps: {
      $0.logSlots = 1 << 24
    },
    .init("batchCommandsMax") {
      $0.batchCommandsMax = 0
    } keeps: {
      $0.batchCommandsMax = 1
    },
    .init("batchBytesMax") {
      $0.batchBytesMax = 63
    } keeps: {
      $0.batchBytesMax = 64
    },
    .init("queuedBatchesMax") {
      $0.queuedBatchesMax = 0
    } keeps: {
      $0.queuedBatchesMax = 1
    },
    .init("catchUpSlots") {
      $0.catchUpSlots = 0
    } keeps: {
      $0.catchUpSlots = 1
    },
    .init("snapshotChunkBytes") {
      $0.snapshotChunkBytes = 63
    } keeps: {
      $0.snapshotChunkBytes = 64
    },
    .init("readsMax") {
      $0.readsMax = 0
    } keeps: {
      $0.readsMax = 1
    },
    .init("heartbeat zero", word: "heartbeatInterval") {
      $0.heartbeatInterval = .zero
    } keeps: {
      $0.heartbeatInterval = TimeSpan(nanoseconds: 1)
    },
    .init("heartbeat against election", word: "twice heartbeatInterval") {
      $0.heartbeatInterval = TimeSpan(nanoseconds: 250_000_001)
    } keeps: {
      $0.heartbeatInterval = .milliseconds(250)
    },
    .init("heartbeat beyond arithmetic", word: "twice heartbeatInterval") {
      $0.heartbeatInterval = TimeSpan(nanoseconds: 1 << 63)
    } keeps: { _ in
    },
    .init("electionJitter") {
      $0.electionJitter = .zero
    } keeps: {
      $0.electionJitter = TimeSpan(nanoseconds: 1)
    },
    .init("retransmitInterval") {
      $0.retransmitInterval = .zero
    } keeps: {
      $0.retransmitInterval = TimeSpan(nanoseconds: 1)
    },
    .init("catchUpRetry") {
      $0.catchUpRetry = .zero
    } keeps: {
      $0.catchUpRetry = TimeSpan(nanoseconds: 1)
    },
    .init("drift", word: "driftBoundPPM") {
      $0.lease = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 500_000)
    } keeps: {
      $0.lease = LeaseOptions(duration: .milliseconds(400), driftBoundPPM: 499_999)
    },
    .init("lease too short", word: "lease.duration") {
      $0.lease = LeaseOptions(duration: .milliseconds(200), driftBoundPPM: 0)
    } keeps: {
      $0.lease = LeaseOptions(duration: TimeSpan(nanoseconds: 200_000_001), driftBoundPPM: 0)
    },
    .init("lease too long", word: "lease.duration") {
      $0.lease = LeaseOptions(duration: TimeSpan(nanoseconds: 500_000_001), driftBoundPPM: 0)
    } keeps: {
      $0.lease = LeaseOptions(duration: .milliseconds(500), driftBoundPPM: 0)
    },
  ]
}

@Suite struct OptionsTests {
  @Test func defaultsAreValid() throws { try ReplicaOptions().validate() }

  @Test(arguments: OptionRelation.all) func eachRelationIsChecked(_ relation: OptionRelation) throws
  {
    var good = ReplicaOptions()
    relation.keeps(&good)
    try good.validate()
    var bad = ReplicaOptions()
    relation.breaks(&bad)
    let error = #expect(throws: ReplicaOptions.Invalid.self) { try bad.validate() }
    #expect(error?.description.contains(relation.word) == true, "\(String(describing: error))")
  }

  @Test func aReplicaRefusesInvalidOptions() {
    var options = ReplicaOptions()
    options.readsMax = 0
    #expect(throws: Replica.Invalid.self) {
      try Replica(id: ReplicaID(1), configuration: configuration(1), options: options, seed: 1)
    }
  }

  /// The leader's lease measured on the slowest clock, against the vow on the fastest: it ends no later, and not much
  /// earlier.
  @Test(arguments: [0, 1, 200, 10_000, 250_000, 499_999] as [UInt64])
  func leaderDurationEndsBeforeTheVow(_ drift: UInt64) {
    let lease = LeaseOptions(duration: .milliseconds(450), driftBoundPPM: drift)
    let million = 1_000_000.0
    let trueTime = Double(lease.leaderDuration.nanoseconds) / (1 - Double(drift) / million)
    let vow = Double(lease.duration.nanoseconds) / (1 + Double(drift) / million)
    #expect(trueTime <= vow + 0.01)
    #expect(trueTime >= vow - 10)
  }
}
