public import NIOCore
public import NIOPosix
public import Protocol
internal import Synchronization

/// A client of a cluster: finds the leader, sends every command until it is answered, and has it performed at most once.
///
/// Safe from any task. Calls made at the same time are pipelined: they share connections, frames and sessions. They are not
/// ordered among one another; a command that must come after another one is sent when that one's reply has come.
///
/// Connects when first used. `close` it when done; a client that is dropped instead disconnects at once.
public final class Client: Sendable {
  private let eventLoop: any EventLoop
  private let mailbox: ClientMailbox
  /// What a call waits at most, unless it says otherwise.
  public let timeout: TimeSpan

  /// On one loop of `group`, which outlives the client.
  public init(
    _ configuration: ClientConfiguration, timeout: TimeSpan = .seconds(10),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    configuration.validate()
    eventLoop = group.next()
    self.timeout = timeout
    mailbox = ClientMailbox(configuration, eventLoop)
  }

  // Nobody waits for anything: every call holds the client. What was cancelled may be under way.
  deinit { mailbox.post(.close(.zero, nil)) }

  /// Has a command performed, exactly once, and returns what the state machine answered.
  ///
  /// `timeout` counts from now. Cancelling the task ends the call at once: as `cancelled` when the command has not been
  /// handed on yet, else as `unknownOutcome`.
  public func execute(
    _ command: [UInt8], timeout: TimeSpan? = nil
  ) async throws(ClientError) -> Reply {
    try await call(.command, command, timeout)
  }

  /// Asks the state machine a question, without going through the log.
  public func read(
    _ query: [UInt8], mode: ReadMode = .quorum, timeout: TimeSpan? = nil
  ) async throws(ClientError) -> Reply {
    try await call(.read(mode), query, timeout)
  }

  private func call(
    _ kind: ClientMailbox.Kind, _ bytes: [UInt8], _ timeout: TimeSpan?
  ) async throws(ClientError) -> Reply {
    let deadline = ClientClock.now() + (timeout ?? self.timeout)
    let number = mailbox.nextNumber()
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        mailbox.post(
          .call(
            ClientMailbox.Call(
              number: number, kind: kind, bytes: bytes, deadline: deadline,
              continuation: continuation)))
        // The handler may have run before there was anything to cancel.
        if Task.isCancelled { mailbox.post(.cancel(number)) }
      }
    } onCancel: {
      mailbox.post(.cancel(number))
    }
    return try result.get()
  }

  /// What was counted so far.
  public func counters() async -> ClientCounters {
    await withCheckedContinuation { mailbox.post(.counters($0)) }
  }

  /// Takes no more calls, waits for those under way, ends what is left after `grace`, and disconnects.
  public func close(grace: TimeSpan = .seconds(5)) async {
    await withCheckedContinuation { mailbox.post(.close(grace, $0)) }
  }
}

/// What calls are put into, from any thread, and taken out of by the event loop, all that are there at once.
final class ClientMailbox: Sendable {
  enum Kind: Sendable {
    case command
    case read(ReadMode)
  }

  struct Call: Sendable {
    var number: UInt64
    var kind: Kind
    var bytes: [UInt8]
    var deadline: Instant
    var continuation: CheckedContinuation<Result<Reply, ClientError>, Never>
  }

  enum Letter: Sendable {
    case call(Call)
    case cancel(UInt64)
    case counters(CheckedContinuation<ClientCounters, Never>)
    case close(TimeSpan, CheckedContinuation<Void, Never>?)
  }

  /// Calls that wait for the event loop; more are refused as overloaded.
  static let callsMax = 1 << 16

  private struct State {
    var letters: [Letter] = []
    var calls = 0
    var isWoken = false
  }

  private let state = Mutex(State())
  private let numbers = Atomic<UInt64>(0)
  private let eventLoop: any EventLoop
  private let desk: NIOLoopBoundBox<ClientDesk?>

  init(_ configuration: ClientConfiguration, _ eventLoop: any EventLoop) {
    self.eventLoop = eventLoop
    desk = .makeBoxSendingValue(ClientDesk(configuration, eventLoop), eventLoop: eventLoop)
  }

  /// Below 2^63 for longer than any process lives.
  func nextNumber() -> UInt64 { numbers.wrappingAdd(1, ordering: .relaxed).oldValue }

  func post(_ letter: Letter) {
    enum Posted {
      case isFirst, isMore
      case isRefused(Call)
    }
    let posted: Posted = state.withLock { state in
      if case .call(let call) = letter {
        guard state.calls < Self.callsMax else { return .isRefused(call) }
        state.calls += 1
      }
      state.letters.append(letter)
      guard !state.isWoken else { return .isMore }
      state.isWoken = true
      return .isFirst
    }
    switch posted {
    case .isFirst: eventLoop.execute { self.deliver() }
    case .isMore: break
    case .isRefused(let call): call.continuation.resume(returning: .failure(.overloaded))
    }
  }

  private func deliver() {
    let letters = state.withLock { state in
      defer {
        state.letters = []
        state.calls = 0
        state.isWoken = false
      }
      return state.letters
    }
    desk.value?.take(letters)
  }
}
