internal import Protocol

/// What a simulated host knows of room on disks: its own and its peers'. There is one for each node where disks get full.
struct RoomState: Sendable {
  /// A real host's policy at the pace of simulated runs, which last seconds.
  var policy = RoomPolicy(interval: Self.interval, snapshotWaitMax: .seconds(1))
  /// Files for segments to come, empty as yet; their space is taken.
  var spares: [String] = []
  /// The last one could not be made.
  var hasShortage = false
  /// The process ends for want of a spare segment, and is started again.
  var isWaitingForSpace = false
  /// What peers' hosts said, by node.
  var peers: [Peer]
  /// The operator lets it lead; it does when its host does as well.
  var isPermitted = true
  /// What the host has to tell its replica, in order.
  var due: [Protocol.Event] = []
  /// Files are to be looked after at the end of this turn.
  var isTurn = false
  /// It is time to try again what failed.
  var isTryDue = false
  /// The peer's snapshot that is coming does not fit.
  var isIncomingRefused = false

  struct Peer: Sendable {
    var heardAt: Instant?
    var isShort = false
  }

  /// How often a host looks at its disk and tells its peers.
  static let interval = TimeSpan.milliseconds(100)
  /// A peer from whose host nothing was heard for so long is not reached.
  static let silenceMax = interval * 5

  init(nodes: Int) { peers = Array(repeating: Peer(), count: nodes) }
}

extension PaxosSetup {
  /// What makes disks that get full matter: segments of which a run fills many, batches of which a few are no reserve for all of
  /// it. They do as a real replica's in this: what may be kept in reserve is much longer than the blocks of a flush.
  static func fitForFullDisks(
    _ replica: inout ReplicaOptions, _ workload: inout PaxosWorkloadOptions
  ) {
    replica.batchBytesMax = min(replica.batchBytesMax, 1_024)
    replica.queuedBatchesMax = min(replica.queuedBatchesMax, 2)
    workload.segmentLength = workload.segmentLength < 4_096 ? 8_192 : 16_384
  }
}
