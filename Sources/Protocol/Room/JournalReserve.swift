/// What a journal keeps for the time when the disk is full, in bytes of segments that exist already.
public struct JournalReserve: Hashable, Sendable {
  /// For commands that were taken before the want of room was known.
  public var commands: Int
  /// For promises and watermarks, when even that is used up.
  public var promises: Int

  public init(commands: Int = 0, promises: Int = 0) {
    self.commands = commands
    self.promises = promises
  }

  public init(_ options: ReplicaOptions, segmentBytes: Int) {
    // What waits for the pipeline, and two batches for the ends of segments.
    commands = (options.queuedBatchesMax + 2) * Int(options.batchBytesMax)
    promises = min(4 << 20, segmentBytes / 4)
  }

  public var total: Int { commands + promises }

  /// How many spare segments there are when nothing is wrong: one to be begun next, one for a restart, and as many as the
  /// reserve takes.
  public func sparesWanted(segmentBytes: Int) -> Int {
    2 + (total + segmentBytes - 1) / segmentBytes
  }

  /// How much can be written for certain, in bytes: the rest of the segment that is written up to `offset`, and the spare
  /// ones, but for the last, which is for a restart.
  public static func bytesLeft(segmentBytes: Int, offset: Int, spares: Int) -> Int {
    max(0, segmentBytes - offset) + max(0, spares - 1) * segmentBytes
  }

  /// - Parameter hasShortage: a segment could not be made, because there is no space.
  public func room(bytesLeft: Int, hasShortage: Bool) -> JournalRoom {
    guard hasShortage, bytesLeft < total else { return .plenty }
    return JournalRoom(
      isShort: true, takesVotes: bytesLeft >= promises, takesPromises: bytesLeft >= promises / 4)
  }

  /// Whether the segment that is being written may be left for the next, with what it still has room for: not for the last
  /// spare one, which is for a restart.
  public func mayLeaveSegment(bytesLeft: Int, spares: Int, hasShortage: Bool) -> Bool {
    !hasShortage || spares > 1 && bytesLeft >= total
  }
}

/// What a journal still takes.
public struct JournalRoom: Hashable, Sendable {
  /// There is no space for more segments, and what is left is wanted for what was begun.
  public var isShort: Bool
  /// There is room for votes of other replicas' commands.
  public var takesVotes: Bool
  /// There is room for promises.
  public var takesPromises: Bool

  public init(isShort: Bool, takesVotes: Bool, takesPromises: Bool) {
    self.isShort = isShort
    self.takesVotes = takesVotes
    self.takesPromises = takesPromises
  }

  public static let plenty = JournalRoom(isShort: false, takesVotes: true, takesPromises: true)
}
