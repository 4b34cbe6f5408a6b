internal import NIOCore
internal import Protocol

/// The half of `Client` that lives on the event loop: who waits for which outcome.
final class ClientDesk {
  private let configuration: ClientConfiguration
  private let eventLoop: any EventLoop
  /// Made by the first letter.
  private var driver: ClientDriver?
  private var waiting: [UInt64: CheckedContinuation<Result<Reply, ClientError>, Never>] = [:]
  private var closing: [CheckedContinuation<Void, Never>] = []
  private var isClosing = false
  private var graceTimer: Scheduled<Void>?
  /// As of the end, once there is no driver any more.
  private var lastCounters = ClientCounters()

  init(_ configuration: ClientConfiguration, _ eventLoop: any EventLoop) {
    self.configuration = configuration
    self.eventLoop = eventLoop
  }

  func take(_ letters: [ClientMailbox.Letter]) {
    var withdrawn: Set<UInt64> = []
    for case .cancel(let number) in letters { withdrawn.insert(number) }
    for letter in letters {
      switch letter {
      case .call(let call) where withdrawn.contains(call.number):
        call.continuation.resume(returning: .failure(.cancelled))
      case .call(let call): submit(call)
      case .cancel(let number): cancel(number)
      case .counters(let continuation):
        continuation.resume(returning: driver?.statistics ?? lastCounters)
      case .close(let grace, let continuation): close(grace, continuation)
      }
    }
  }

  private func submit(_ call: ClientMailbox.Call) {
    guard !isClosing else { return call.continuation.resume(returning: .failure(.closed)) }
    let driver = driver ?? makeDriver()
    waiting[call.number] = call.continuation
    let bytes = call.bytes.span.bytes
    switch call.kind {
    case .command: driver.submit(bytes, tag: call.number, deadline: call.deadline)
    case .read(let mode):
      driver.submitRead(bytes, mode, tag: call.number, deadline: call.deadline)
    }
  }

  private func makeDriver() -> ClientDriver {
    let driver = ClientDriver(on: eventLoop, configuration: configuration) {
      [unowned self] tag, outcome, reply in completed(tag, outcome, reply)
    }
    self.driver = driver
    return driver
  }

  private func completed(_ number: UInt64, _ outcome: ClientOutcome, _ reply: RawSpan) {
    // Nobody waits any more for what was cancelled.
    guard let continuation = waiting.removeValue(forKey: number) else { return }
    let result: Result<Reply, ClientError> =
      switch outcome {
      case .applied(let slot), .read(let slot):
        .success(Reply(slot: slot, bytes: reply.withUnsafeBytes { Array($0) }))
      case .appliedWithoutReply: .failure(.replyLost)
      case .overloaded: .failure(.overloaded)
      case .unavailable: .failure(isClosing ? .closed : .unavailable)
      case .unknownOutcome(let rejection): .failure(.unknownOutcome(rejection))
      case .tooLarge(let limit): .failure(.tooLarge(limit: limit))
      case .leasesDisabled: .failure(.leasesDisabled)
      case .noRoom: .failure(.noRoom)
      }
    continuation.resume(returning: result)
    closeIfDone()
  }

  private func cancel(_ number: UInt64) {
    // Handed on already: the session sends it until its deadline, so nobody can say that it will not be performed.
    guard let continuation = waiting.removeValue(forKey: number) else { return }
    continuation.resume(returning: .failure(.unknownOutcome(nil)))
    closeIfDone()
  }

  private func close(_ grace: TimeSpan, _ continuation: CheckedContinuation<Void, Never>?) {
    if let continuation { closing.append(continuation) }
    if !isClosing {
      isClosing = true
      graceTimer = driver?.schedule(in: grace) { self.end() }
    }
    closeIfDone()
  }

  private func closeIfDone() {
    if isClosing, waiting.isEmpty { end() }
  }

  private func end() {
    graceTimer?.cancel()
    graceTimer = nil
    if let driver {
      self.driver = nil
      driver.close()
      lastCounters = driver.statistics
    }
    let closing = closing
    self.closing = []
    for continuation in closing { continuation.resume() }
  }
}
