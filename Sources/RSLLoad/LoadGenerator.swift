internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import Protocol
public import RSLClient

/// Loads a cluster and measures what it answers.
public enum LoadGenerator {
  /// Runs one load to its end. Every operation that was started has ended when this returns.
  ///
  /// `configuration` says whom to load; its sessions are made as many as the load needs.
  public static func run(
    _ options: LoadOptions, against configuration: ClientConfiguration
  ) async throws -> LoadResult {
    options.validate()
    let threads = min(options.threads, options.connections)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    let results = (0..<threads).map { thread in
      let loop = group.next()
      let promise = loop.makePromise(of: LoadResult.self)
      loop.execute {
        let mine = stride(from: thread, to: options.connections, by: threads).map { UInt64($0) }
        LoadThread(loop, options, configuration, connections: mine, promise).start()
      }
      return promise.futureResult
    }
    var result = LoadResult()
    for future in results { result.add(try await future.get()) }
    try await group.shutdownGracefully()
    return result
  }
}

/// The connections of one thread: on its event loop, and done when the last operation has ended. Its drivers keep it alive
/// until then.
private final class LoadThread {
  private enum Phase { case warmUp, measuring, ending }

  private let loop: any EventLoop
  private let options: LoadOptions
  private let workload: any LoadWorkload
  private let timeout: TimeSpan
  private let promise: EventLoopPromise<LoadResult>
  private var connections: [LoadConnection] = []
  private var phase = Phase.warmUp
  private var nextPhaseAt = Instant.zero
  private var measuredSince = Instant.zero
  private var usageBefore = (user: TimeSpan.zero, system: TimeSpan.zero)
  private var operationsMax: UInt64
  private var outstanding = 0
  private let result: UnsafeMutablePointer<LoadResult>

  init(
    _ loop: any EventLoop, _ options: LoadOptions, _ configuration: ClientConfiguration,
    connections numbers: [UInt64], _ promise: EventLoopPromise<LoadResult>
  ) {
    self.loop = loop
    self.options = options
    workload = options.workload
    timeout = options.timeout
    result = .allocate(capacity: 1)
    result.initialize(to: LoadResult())
    self.promise = promise
    operationsMax =
      options.operationsMax == .max
      ? .max
      : max(1, options.operationsMax / UInt64(max(1, min(options.threads, options.connections))))
    var configuration = configuration
    let windowMax = configuration.options.windowMax
    configuration.sessions = (options.outstanding + windowMax - 1) / windowMax
    configuration.seed = nil
    for number in numbers {
      let connection = LoadConnection(number: number, outstanding: options.outstanding)
      connection.driver = ClientDriver(on: loop, configuration: configuration) {
        [self] tag, outcome, reply in
        completed(connection, Int(tag), outcome, reply)
      }
      connections.append(connection)
    }
  }

  deinit { result.deinitialize(count: 1).deallocate() }

  func start() {
    nextPhaseAt = ClientClock.now() + options.warmUp
    outstanding = connections.count * options.outstanding
    for connection in connections {
      for slot in 0..<options.outstanding { submit(connection, slot) }
    }
  }

  @inline(__always)
  private func submit(_ connection: LoadConnection, _ slot: Int) {
    let driver = connection.driver.unsafelyUnwrapped
    let now = driver.now
    let operation = connection.begin(slot, now)
    workload.write(operation: operation, of: connection.number, into: &connection.bytes.pointee)
    driver.submit(
      connection.bytes.pointee.span.bytes, tag: UInt64(slot), deadline: now + timeout)
  }

  private func completed(
    _ connection: LoadConnection, _ slot: Int, _ outcome: ClientOutcome, _ reply: RawSpan
  ) {
    let now = connection.driver.unsafelyUnwrapped.now
    if now >= nextPhaseAt { changePhase(now) }
    switch outcome {
    case .applied:
      let operation = connection.slots[slot]
      if !workload.isRight(reply, operation: operation.number, of: connection.number) {
        result.pointee.wrongReplies += 1
      } else {
        result.pointee.operationsInAll += 1
        if phase == .measuring, operation.started >= measuredSince {
          result.pointee.operations += 1
          result.pointee.latency.record((now - operation.started).nanoseconds)
          if result.pointee.operations >= operationsMax { changePhase(now) }
        }
      }
    case .overloaded: result.pointee.overloaded += 1
    case .unavailable: result.pointee.unavailable += 1
    case .unknownOutcome: result.pointee.unknownOutcomes += 1
    case .appliedWithoutReply, .read, .tooLarge, .leasesDisabled, .noRoom:
      result.pointee.withoutReply += 1
    }
    if phase == .ending {
      outstanding -= 1
      if outstanding == 0 { finish() }
    } else {
      submit(connection, slot)
    }
  }

  private func changePhase(_ now: Instant) {
    switch phase {
    case .warmUp:
      phase = .measuring
      measuredSince = now
      nextPhaseAt = now + options.duration
      usageBefore = Self.threadUsage()
    case .measuring:
      phase = .ending
      nextPhaseAt = .never
      let usage = Self.threadUsage()
      result.pointee.time = now - measuredSince
      result.pointee.userTime = Self.difference(usage.user, usageBefore.user)
      result.pointee.systemTime = Self.difference(usage.system, usageBefore.system)
    case .ending: break
    }
  }

  private func finish() {
    for connection in connections {
      guard let driver = connection.driver else { continue }
      result.pointee.add(driver.statistics)
      driver.close()
      connection.driver = nil
    }
    promise.succeed(result.pointee)
  }

  private static func difference(_ a: TimeSpan, _ b: TimeSpan) -> TimeSpan {
    TimeSpan(nanoseconds: a.nanoseconds &- b.nanoseconds)
  }

  private static func threadUsage() -> (user: TimeSpan, system: TimeSpan) {
    var usage = rusage()
    getrusage(1, &usage)  // RUSAGE_THREAD, a macro that Swift does not see
    func span(_ time: timeval) -> TimeSpan {
      .microseconds(UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_usec))
    }
    return (span(usage.ru_utime), span(usage.ru_stime))
  }
}

/// What one connection has under way: by slot, which operation, and since when.
private final class LoadConnection {
  struct Operation {
    var number: UInt64 = 0
    var started = Instant.zero
  }

  let number: UInt64
  var driver: ClientDriver?
  private var next: UInt64 = 0
  let slots: UnsafeMutableBufferPointer<Operation>
  let bytes: UnsafeMutablePointer<[UInt8]>

  init(number: UInt64, outstanding: Int) {
    self.number = number
    slots = .allocate(capacity: outstanding)
    slots.initialize(repeating: Operation())
    bytes = .allocate(capacity: 1)
    bytes.initialize(to: [])
  }

  deinit {
    slots.deinitialize().deallocate()
    bytes.deinitialize(count: 1).deallocate()
  }

  func begin(_ slot: Int, _ now: Instant) -> UInt64 {
    next += 1
    slots[slot] = Operation(number: next, started: now)
    bytes.pointee.removeAll(keepingCapacity: true)
    return next
  }
}
