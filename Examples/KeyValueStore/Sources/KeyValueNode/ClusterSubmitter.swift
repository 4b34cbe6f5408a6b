public import NIOCore
public import Protocol
public import RESPServer
public import RSLClient

/// Hands a gateway's commands to a cluster: one driver with one session on the gateway's event loop, because only the
/// commands of one session apply in the order they were submitted.
///
/// The driver finds and follows the leader, sends again what was lost, and ends every command exactly once; here its
/// outcomes become the gateway's.
public final class ClusterSubmitter: CommandSubmitting {
  /// Marks the driver's tags of reads. Gateways use fewer bits, and the driver keeps the highest for itself.
  private static let readFlag: UInt64 = 1 << 62

  private struct WaitingRead {
    var tag: UInt64
    var deadline: Instant
    var query: [UInt8]
  }

  private let completed: SubmissionCompletion
  private let timeout: TimeSpan
  private let readsMax: Int
  private let waitingMax: Int
  private var driver: ClientDriver!
  private var readsUnderWay = 0
  /// Reads for which the session has no place yet: it looks through all of its places for each answer, so they are few.
  private var waiting = CircularBuffer<WaitingRead>()

  /// On `eventLoop`; connects when something is submitted. A command is given up `timeout` after it was submitted.
  public init(
    on eventLoop: any EventLoop, configuration: ClientConfiguration, timeout: TimeSpan,
    completed: @escaping SubmissionCompletion
  ) {
    precondition(configuration.sessions == 1, "commands of several sessions have no order")
    self.completed = completed
    self.timeout = timeout
    readsMax = configuration.options.readsMax
    waitingMax = configuration.options.queueMax
    driver = ClientDriver(on: eventLoop, configuration: configuration) {
      [unowned self] tag, outcome, reply in ended(tag, outcome, reply)
    }
  }

  public func submit(_ command: RawSpan, tag: UInt64) {
    driver.submit(command, tag: tag, deadline: driver.now + timeout)
  }

  public func read(_ query: RawSpan, tag: UInt64) {
    precondition(tag < Self.readFlag, "a gateway's tag is below 2^62")
    let deadline = driver.now + timeout
    // Beyond `waitingMax` the driver refuses it, since it has no place either.
    if readsUnderWay < readsMax || waiting.count >= waitingMax {
      ask(query, tag: tag, deadline: deadline)
    } else {
      let bytes = query.withUnsafeBytes { [UInt8]($0) }
      waiting.append(WaitingRead(tag: tag, deadline: deadline, query: bytes))
    }
  }

  public func close() { driver.close() }

  private func ask(_ query: RawSpan, tag: UInt64, deadline: Instant) {
    readsUnderWay += 1
    driver.submitRead(query, .quorum, tag: tag | Self.readFlag, deadline: deadline)
  }

  private func ended(_ tag: UInt64, _ outcome: ClientOutcome, _ reply: RawSpan) {
    if tag & Self.readFlag != 0 {
      readsUnderWay -= 1
      if readsUnderWay < readsMax, let next = waiting.popFirst() {
        ask(next.query.span.bytes, tag: next.tag, deadline: next.deadline)
      }
    }
    completed(tag & ~Self.readFlag, SubmissionOutcome(outcome), reply)
  }
}

extension SubmissionOutcome {
  init(_ outcome: ClientOutcome) {
    self =
      switch outcome {
      case .applied, .read: .answered
      case .appliedWithoutReply: .performedWithoutReply
      case .overloaded: .overloaded
      case .noRoom: .noRoom
      // Reads here never ask for a lease; refused is refused.
      case .unavailable, .leasesDisabled: .unavailable
      case .unknownOutcome: .unknown
      case .tooLarge(let limit): .tooLarge(limit: Int(limit))
      }
  }
}
