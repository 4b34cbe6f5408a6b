import NIOCore
import NIOPosix
import Protocol
import RSLClient

/// What became of one tag.
struct Ending: Hashable, Sendable {
  var outcome: ClientOutcome
  var reply: [UInt8]
}

/// A driver under a closed loop of commands, and everything it reported.
final class DriverRun {
  static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
  static let loop = group.next()

  struct Report: Sendable {
    /// By tag, in the order of reports: exactly one each, if all is well.
    var endings: [[Ending]]
    var counters: ClientCounters
    /// Reports after `close` had returned.
    var late: Int
  }

  private let total: Int
  private let timeout: TimeSpan
  private let length: Int
  private let promise: EventLoopPromise<Report>
  private var driver: ClientDriver?
  private var endings: [[Ending]]
  private var submitted = 0
  private var ended = 0
  private var hasClosed = false
  private var late = 0

  /// Submits commands 0 ..< `total`, `outstanding` at a time, and closes when all have ended.
  static func commands(
    _ total: Int, outstanding: Int, timeout: TimeSpan = .seconds(60), length: Int = 24,
    _ configuration: ClientConfiguration
  ) async throws -> Report {
    let promise = loop.makePromise(of: Report.self)
    loop.execute {
      let run = DriverRun(total, timeout, length, promise)
      run.driver = ClientDriver(on: loop, configuration: configuration) { tag, outcome, reply in
        run.completed(Int(tag), outcome, reply.withUnsafeBytes { Array($0) })
      }
      for _ in 0..<min(outstanding, total) { run.submit() }
    }
    return try await promise.futureResult.get()
  }

  private init(
    _ total: Int, _ timeout: TimeSpan, _ length: Int, _ promise: EventLoopPromise<Report>
  ) {
    self.total = total
    self.timeout = timeout
    self.length = length
    self.promise = promise
    endings = Array(repeating: [], count: total)
  }

  private func submit() {
    guard submitted < total, let driver else { return }
    let payload = bytes(UInt64(submitted), length: length)
    let tag = UInt64(submitted)
    submitted += 1
    driver.submit(payload.span.bytes, tag: tag, deadline: driver.now + timeout)
  }

  private func completed(_ tag: Int, _ outcome: ClientOutcome, _ reply: [UInt8]) {
    if hasClosed { late += 1 }
    endings[tag].append(Ending(outcome: outcome, reply: reply))
    ended += 1
    submit()
    guard ended == total, let driver else { return }
    let counters = driver.statistics
    driver.close()
    hasClosed = true
    self.driver = nil
    // What is on its way to the loop may report, wrongly, in the turn after this.
    Self.loop.assumeIsolated().execute { [self] in
      Self.loop.assumeIsolated().execute { [self] in
        promise.succeed(Report(endings: endings, counters: counters, late: late))
      }
    }
  }
}
