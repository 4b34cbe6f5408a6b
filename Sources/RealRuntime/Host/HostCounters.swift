import Logging
import Protocol

/// What a host has counted since it started.
public struct HostCounters: Hashable, Sendable {
  public internal(set) var turns: UInt64 = 0
  public internal(set) var commandsReceived: UInt64 = 0
  public internal(set) var commandsApplied: UInt64 = 0
  public internal(set) var readsReceived: UInt64 = 0
  public internal(set) var replies: UInt64 = 0
  public internal(set) var malformedCommands: UInt64 = 0
  public internal(set) var messagesSent: UInt64 = 0
  public internal(set) var messagesReceived: UInt64 = 0
  public internal(set) var damagedValues: UInt64 = 0
  /// Messages put aside because what follows from them could not be written.
  public internal(set) var messagesWithoutRoom: UInt64 = 0
  public internal(set) var bytesReceived: UInt64 = 0
  public internal(set) var logBufferFull: UInt64 = 0
  public internal(set) var connectionsRefused: UInt64 = 0
  public internal(set) var roleChanges: UInt64 = 0
  /// Requests that were rejected, by reason.
  public internal(set) var rejectedNotLeader: UInt64 = 0
  public internal(set) var rejectedOverloaded: UInt64 = 0
  public internal(set) var rejectedNoRoom: UInt64 = 0
  public internal(set) var rejectedOther: UInt64 = 0

  mutating func note(_ rejection: Rejection) {
    switch rejection {
    case .notLeader: rejectedNotLeader &+= 1
    case .overloaded: rejectedOverloaded &+= 1
    case .noRoom: rejectedNoRoom &+= 1
    case .transferring, .tooLarge, .notApplied, .leasesDisabled: rejectedOther &+= 1
    }
  }
}

/// Says once what went wrong, and then how often, however often it does: strangers must not fill a disk with lines.
struct RefusalLog {
  private var counts: [String: Int] = [:]
  private var nextReport = Instant.zero
  private static let interval = TimeSpan.seconds(10)
  /// Different reasons remembered at once; beyond, they are only counted.
  private static let reasonsMax = 256
  private var others = 0

  mutating func note(_ reason: String, now: Instant, _ logger: Logger) {
    if let count = counts[reason] {
      counts[reason] = count + 1
    } else if counts.count < Self.reasonsMax {
      counts[reason] = 0
      logger.warning("refused", metadata: ["reason": "\(reason)"])
    } else {
      others += 1
    }
  }

  mutating func report(now: Instant, _ logger: Logger) {
    guard now >= nextReport else { return }
    nextReport = now + Self.interval
    guard !counts.isEmpty else { return }
    for (reason, count) in counts.sorted(by: { $0.key < $1.key }) where count > 0 {
      logger.warning("refused again", metadata: ["reason": "\(reason)", "times": "\(count)"])
    }
    if others > 0 { logger.warning("refused for other reasons", metadata: ["times": "\(others)"]) }
    counts.removeAll(keepingCapacity: true)
    others = 0
  }
}
