internal import Protocol

extension NodeConfiguration {
  /// The most resident memory that a replica takes with so many clients connected, in bytes, without the state machine's own
  /// state and without queries that wait (`read.pending-max` of them). `docs/operations.md` explains the terms.
  ///
  /// As the kernel counts it: the log buffer is mapped twice, and its pages count twice.
  public func memoryMax(clients: Int) -> Int {
    let program = 64 << 20
    let log = 2 * logCapacity + 256 * options.logSlots
    let waiting = 64 * options.queuedBatchesMax * Int(options.batchCommandsMax)
    let replies = sessions.sessionsMax * sessions.outstandingMax * (sessions.replyLengthMax + 64)
    let peers = (members.count - 1) * (limits.peerUnsentBytes + limits.frameBytes)
    // A frame that is not whole yet; and answers, up to where the client is not asked for more, and as much again.
    let connected = clients * (limits.frameBytes + limits.frameBytes / 2)
    // A segment that is looked at, and a snapshot that is read back.
    let looking = scrub.isEnabled ? journal.segmentBytes + (2 << 20) : 0
    let recording = recorder.isEnabled ? 4 << 20 : 0
    return program + log + waiting + replies + peers + connected + limits.frameBytes + recording
      + looking
  }

  /// The size of the log buffer: a power of two.
  var logCapacity: Int {
    var capacity = 1 << 16
    while capacity < logBytes { capacity *= 2 }
    return capacity
  }
}
