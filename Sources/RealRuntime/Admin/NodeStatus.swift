/// What a node says about itself: the body of `/status`, and the source of most metrics.
public struct NodeStatus: Codable, Hashable, Sendable {
  public struct Ballot: Codable, Hashable, Sendable {
    public var round: UInt64
    public var proposer: UInt32

    public init(round: UInt64, proposer: UInt32) {
      self.round = round
      self.proposer = proposer
    }
  }

  public struct Journal: Codable, Hashable, Sendable {
    public var segments: Int
    /// Of the segments' files, which are as long as they will ever be.
    public var bytes: UInt64
    /// Since the start.
    public var bytesWritten: UInt64
    public var flushes: UInt64
    /// Of persistent memory, for these flushes; 0 in files.
    public var fences: UInt64
    /// What can still be written, whatever becomes of the disk's free space.
    public var bytesLeft: UInt64

    public init(
      segments: Int, bytes: UInt64, bytesWritten: UInt64, flushes: UInt64, fences: UInt64,
      bytesLeft: UInt64
    ) {
      self.segments = segments
      self.bytes = bytes
      self.bytesWritten = bytesWritten
      self.flushes = flushes
      self.fences = fences
      self.bytesLeft = bytesLeft
    }
  }

  public struct Peer: Codable, Hashable, Sendable {
    public var id: UInt32
    public var address: String
    public var isConnected: Bool
    /// How many slots it is behind what is chosen here; nil where that is not known.
    public var lagSlots: UInt64?
    public var unsentBytes: UInt64
    /// Its disk has no room for more commands.
    public var isShortOfRoom: Bool

    public init(
      id: UInt32, address: String, isConnected: Bool, lagSlots: UInt64?, unsentBytes: UInt64,
      isShortOfRoom: Bool = false
    ) {
      self.id = id
      self.address = address
      self.isConnected = isConnected
      self.lagSlots = lagSlots
      self.unsentBytes = unsentBytes
      self.isShortOfRoom = isShortOfRoom
    }
  }

  /// Times from reading a command's bytes until it reached the stage, in microseconds, of the latest minute or two.
  public struct StageTimes: Codable, Hashable, Sendable {
    public var stage: Stage
    /// Since the start.
    public var count: UInt64
    public var p50: Double
    public var p99: Double
    public var p999: Double
    public var max: Double
  }

  /// The cluster's identity, sixteen hexadecimal digits.
  public var cluster = ""
  public var id: UInt32 = 0
  public var version = RealRuntimeVersion.text
  public var uptimeSeconds = 0.0
  /// `follower`, `preCandidate`, `candidate`, `recoveringLeader` or `leader`.
  public var role = ""
  /// Why it does not vote and what it waits for; nil for a sound replica.
  public var suspicion: String?
  public var ballot = Ballot(round: 0, proposer: 0)
  public var leader: UInt32?
  public var chosenUpTo: UInt64 = 0
  public var appliedUpTo: UInt64 = 0
  public var truncatedUpTo: UInt64 = 0
  public var snapshotSlot: UInt64 = 0
  public var journal = Journal(
    segments: 0, bytes: 0, bytesWritten: 0, flushes: 0, fences: 0, bytesLeft: 0)
  /// Why commands are refused or this node stands aside, and what to do; nil when every disk has room.
  public var noRoom: String?
  /// Files at rest, as far as they were looked at since the start.
  public struct Scrub: Codable, Hashable, Sendable {
    public var bytesRead: UInt64 = 0
    public var passes: UInt64 = 0
    public var damagesFound: UInt64 = 0
    public var damagesRepaired: UInt64 = 0
    /// Snapshots given up because they were not read back as written.
    public var misreads: UInt64 = 0

    public init() {}
  }

  public var scrub = Scrub()
  /// What is damaged at rest and what its repair waits for; nil when nothing is known to be.
  public var damage: String?
  /// Digests of the state that were compared with the other members'; all 0 where `digest.period-slots` is.
  public struct Digests: Codable, Hashable, Sendable {
    /// The last slot whose agreed digest is the own one.
    public var vouchedUpTo: UInt64 = 0
    public var agreements: UInt64 = 0
    /// Slots for which no majority could agree.
    public var splits: UInt64 = 0
    /// How often in a row the states before this one had diverged.
    public var divergences = 0

    public init() {}
  }

  public var digests = Digests()
  public var peers: [Peer] = []
  public var sessions = 0
  public var clientConnections = 0
  /// Commands refused, by reason.
  public var rejections: [String: UInt64] = [:]
  /// Messages put aside before any role saw them, by reason.
  public var screened: [String: UInt64] = [:]
  /// Connections refused, by reason.
  public var refusedConnections: [String: UInt64] = [:]
  /// When this process's certificate expires, in seconds since 1970.
  public var certificateExpiry: Int?
  /// Filled in by the admin endpoint.
  public var stages: [StageTimes] = []

  public init() {}
}

/// The version of this library and its tools.
public enum RealRuntimeVersion {
  public static let text = "0.1.0"
}

extension StageBoard.Reading {
  var times: [NodeStatus.StageTimes] {
    Stage.allCases.map { stage in
      func microseconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e3 }
      return NodeStatus.StageTimes(
        stage: stage, count: counts[stage.place],
        p50: microseconds(recent.quantile(0.5, of: stage)),
        p99: microseconds(recent.quantile(0.99, of: stage)),
        p999: microseconds(recent.quantile(0.999, of: stage)),
        max: microseconds(recent.longest(of: stage)))
    }
  }
}
