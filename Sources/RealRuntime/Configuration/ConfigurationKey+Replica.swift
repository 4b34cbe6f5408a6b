internal import Protocol

// The bounds of the replica: `ReplicaOptions` and `SessionTable.Limits`.
extension ConfigurationKey {
  private static let time = TimeSpan.microseconds(1)...(.seconds(3_600))

  static let replica: [Section] = [
    Section(
      title: "Replicated log",
      keys: [
        .bound(
          "log.window-slots", .whole(1...1 << 24), option: "windowSlots", \.options.windowSlots,
          "How many slots may be in flight."),
        .bound(
          "log.slots", .whole(1...ReplicaOptions.logSlotsMax), option: "logSlots",
          \.options.logSlots, "How many slots are kept in memory; a power of two."),
        .bound(
          "batch.commands-max", .whole(1...1 << 16), option: "batchCommandsMax",
          \.options.batchCommandsMax, "The most commands in one slot."),
        .bound(
          "batch.bytes-max", .bytes(64...256 << 20), option: "batchBytesMax",
          \.options.batchBytesMax, "The most bytes in one slot."),
        .bound(
          "batch.delay", .span(.zero...(.seconds(1))), option: "batchDelay", \.options.batchDelay,
          "How long a command waits for company when there is room."),
        .bound(
          "batch.queued-max", .whole(1...1 << 16), option: "queuedBatchesMax",
          \.options.queuedBatchesMax,
          "Full batches that may wait; beyond, commands are refused as overload."),
      ]),
    Section(
      title: "Election",
      keys: [
        .bound(
          "election.timeout", .span(time), option: "electionTimeout", \.options.electionTimeout,
          "Without a sign of the leader for this long a follower stands."),
        .bound(
          "election.jitter", .span(time), option: "electionJitter", \.options.electionJitter,
          "Up to this much longer, at random."),
        .bound(
          "election.priority-delay", .span(.zero...(.seconds(3_600))), option: "priorityDelay",
          \.options.priorityDelay, "Each step of priority waits this much longer."),
        .bound(
          "election.heartbeat-interval", .span(time), option: "heartbeatInterval",
          \.options.heartbeatInterval, "How often the leader says that it leads."),
        .bound(
          "election.journal-stall-max", .span(time), option: "journalStallMax",
          \.options.journalStallMax, "A leader whose journal stalls for this long steps down."),
        .bound(
          "lease.duration", .span(.zero...(.seconds(3_600))), option: "lease.duration",
          \.leaseDuration, "How long followers vow not to elect another leader; 0: no leases."),
        .bound(
          "lease.drift-bound-ppm", .whole(0...499_999), option: "lease.driftBoundPPM",
          \.leaseDriftBoundPPM, "How far any clock's rate may be off, in parts per million."),
      ]),
    Section(
      title: "Repair and snapshots",
      keys: [
        .bound(
          "repair.retransmit-interval", .span(time), option: "retransmitInterval",
          \.options.retransmitInterval, "When an unanswered proposal is sent again."),
        .bound(
          "catch-up.delay", .span(.zero...(.seconds(3_600))), option: "catchUpDelay",
          \.options.catchUpDelay, "How old a gap must be before it is fetched."),
        .bound(
          "catch-up.retry", .span(time), option: "catchUpRetry", \.options.catchUpRetry,
          "When another member is asked."),
        .bound(
          "catch-up.slots", .whole(1...1 << 20), option: "catchUpSlots", \.options.catchUpSlots,
          "How many slots are asked for at once."),
        .bound(
          "snapshot.interval-slots", .whole(1...1 << 24), option: "snapshotInterval",
          \.options.snapshotInterval, "Slots between two snapshots."),
        .bound(
          "snapshot.tail-slots", .whole(0...1 << 24), option: "snapshotTailSlots",
          \.options.snapshotTailSlots, "Slots kept below a snapshot for members a little behind."),
        .bound(
          "snapshot.chunk-bytes", .bytes(64...16 << 20), option: "snapshotChunkBytes",
          \.options.snapshotChunkBytes, "The pieces in which a snapshot travels."),
        .one(
          "snapshot.transfer-bytes-per-second", .bytes(64 << 10...1 << 40),
          \.snapshotTransferBytesPerSecond,
          "How fast a member sends snapshots, to all others together."),
      ]),
    Section(
      title: "Digests",
      keys: [
        .bound(
          "digest.period-slots", .whole(0...1 << 24), option: "digestPeriod",
          \.options.digestPeriod,
          "Slots between two digests of the state that members compare; 0: none. At most snapshot.interval-slots lets snapshots be vouched for."
        )
      ]),
    Section(
      title: "Reads and sessions",
      keys: [
        .bound(
          "read.pending-max", .whole(1...1 << 20), option: "readsMax", \.options.readsMax,
          "Reads that may wait; beyond, they are refused as overload."),
        .bound(
          "read.local-timeout", .span(time), option: "localReadTimeout",
          \.options.localReadTimeout, "A local read whose slot is not applied by then is refused."),
        .one(
          "sessions.max", .whole(1...1 << 20), \.sessions.sessionsMax,
          "Sessions of clients; the longest unused makes room."
        ).shared,
        .one(
          "sessions.outstanding-max", .whole(1...1 << 12), \.sessions.outstandingMax,
          "Replies kept of a session: the most commands a client may have outstanding."
        ).shared,
        .one(
          "sessions.reply-bytes-max", .bytes(0...1 << 20), \.sessions.replyLengthMax,
          "A longer reply is not kept for retries."
        ).shared,
      ]),
  ]
}

extension NodeConfiguration {
  private static let usualDriftBoundPPM: UInt64 = 1_000

  /// Zero: no leases.
  var leaseDuration: TimeSpan {
    get { options.lease?.duration ?? .zero }
    set { options.lease = LeaseOptions(duration: newValue, driftBoundPPM: leaseDriftBoundPPM) }
  }

  var leaseDriftBoundPPM: UInt64 {
    get { options.lease?.driftBoundPPM ?? Self.usualDriftBoundPPM }
    set { options.lease = LeaseOptions(duration: leaseDuration, driftBoundPPM: newValue) }
  }

  /// Leases that last no time are no leases.
  mutating func dropEmptyLease() {
    if options.lease?.duration == .zero { options.lease = nil }
  }
}
