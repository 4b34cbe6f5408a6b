public import Logging
internal import Protocol
internal import Synchronization

/// Why a connection was not accepted.
public enum ConnectionRefusal: String, CaseIterable, Sendable {
  /// Something else than TLS was spoken.
  case plaintext
  /// A certificate is missing, of another CA, expired or not yet valid.
  case certificate
  /// A good certificate of somebody who has no business here.
  case identity
  /// The other side does not accept our certificate.
  case refusedByPeer
  /// No version or cipher in common, or a broken handshake.
  case handshake
  /// The handshake took too long.
  case deadline
  /// The other side went away during the handshake.
  case closed
  /// Too many connections.
  case limit
}

/// Counts refused connections, and says so without letting strangers fill a disk: once for each source and reason, then
/// at most once a minute with the number of times, and never more than a few lines in ten seconds altogether.
public final class RefusalLedger: Sendable {
  static let repetition = TimeSpan.seconds(60)
  static let sourcesMax = 1_024
  static let linesMax = 10
  static let linesWindow = TimeSpan.seconds(10)

  fileprivate struct Key: Hashable {
    var source: String
    var reason: ConnectionRefusal
  }

  fileprivate struct Entry {
    var saidAt: Instant
    var unsaid = 0
  }

  fileprivate struct State {
    var counts: [ConnectionRefusal: UInt64] = [:]
    var entries: [Key: Entry] = [:]
    var windowEnd = Instant.zero
    var linesLeft = linesMax
    /// Refusals that no line tells of.
    var silent = 0
  }

  private let logger: Logger
  private let state = Mutex(State())

  /// Told of every refusal once it is counted.
  private let observer: (@Sendable (ConnectionRefusal) -> Void)?

  public init(logger: Logger, observer: (@Sendable (ConnectionRefusal) -> Void)? = nil) {
    self.logger = logger
    self.observer = observer
  }

  /// How often, by reason, since the start.
  public var counts: [String: UInt64] {
    state.withLock { state in
      Dictionary(uniqueKeysWithValues: state.counts.map { ($0.key.rawValue, $0.value) })
    }
  }

  func note(
    _ reason: ConnectionRefusal, source: String, _ detail: String,
    now: Instant = MonotonicClock.now()
  ) {
    let times = state.withLock { $0.note(Key(source: source, reason: reason), now: now) }
    defer { observer?(reason) }
    guard let times else { return }
    var metadata: Logger.Metadata = [
      "source": "\(source)", "reason": "\(reason.rawValue)", "detail": "\(detail)",
    ]
    if times.since > 1 { metadata["times"] = "\(times.since)" }
    if times.silent > 0 { metadata["others"] = "\(times.silent)" }
    logger.warning("connection refused", metadata: metadata)
  }
}

extension RefusalLedger.State {
  /// What a line has to tell; nil: no line.
  fileprivate mutating func note(
    _ key: RefusalLedger.Key, now: Instant
  ) -> (
    since: Int, silent: Int
  )? {
    counts[key.reason, default: 0] += 1
    if now >= windowEnd {
      windowEnd = now + RefusalLedger.linesWindow
      linesLeft = RefusalLedger.linesMax
    }
    var entry = entries[key]
    if let known = entry, now < known.saidAt + RefusalLedger.repetition {
      entries[key]?.unsaid += 1
      return nil
    }
    if entry == nil, entries.count >= RefusalLedger.sourcesMax {
      entries = entries.filter { now < $0.value.saidAt + RefusalLedger.repetition }
    }
    guard linesLeft > 0, entry != nil || entries.count < RefusalLedger.sourcesMax else {
      silent += 1
      return nil
    }
    linesLeft -= 1
    let times = ((entry?.unsaid ?? 0) + 1, silent)
    silent = 0
    entry = RefusalLedger.Entry(saidAt: now)
    entries[key] = entry
    return times
  }
}
