public import Histogram
public import Protocol
internal import RSLClient

/// What is sent, and what must come back.
public protocol LoadWorkload: Sendable {
  /// Appends the command of an operation; `bytes` is empty.
  func write(operation: UInt64, of connection: UInt64, into bytes: inout [UInt8])
  /// Whether this is the reply to that operation.
  func isRight(_ reply: RawSpan, operation: UInt64, of connection: UInt64) -> Bool
}

/// Commands for `EchoMachine`: operation, connection, and filler up to the length; the first 16 bytes must come back.
public struct EchoWorkload: LoadWorkload {
  private let filler: [UInt8]

  /// `payload` in bytes, at least 16.
  public init(payload: Int) {
    precondition(payload >= EchoMachine.replyLength, "an echo needs 16 bytes")
    filler = Array(repeating: 0x5A, count: payload - EchoMachine.replyLength)
  }

  public func write(operation: UInt64, of connection: UInt64, into bytes: inout [UInt8]) {
    withUnsafeBytes(of: (operation.littleEndian, connection.littleEndian)) {
      bytes.append(contentsOf: $0)
    }
    bytes.append(contentsOf: filler)
  }

  public func isRight(_ reply: RawSpan, operation: UInt64, of connection: UInt64) -> Bool {
    guard reply.byteCount == EchoMachine.replyLength else { return false }
    let first = reply.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)
    let second = reply.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self)
    return UInt64(littleEndian: first) == operation && UInt64(littleEndian: second) == connection
  }
}

/// A closed loop: so many connections, each with so many commands under way all the time.
public struct LoadOptions: Sendable {
  public var connections = 1
  /// On each connection.
  public var outstanding = 1024
  public var workload: any LoadWorkload
  /// Loads, but does not measure.
  public var warmUp = TimeSpan.seconds(1)
  public var duration = TimeSpan.seconds(10)
  /// Ends the measurement early, when so many operations were measured.
  public var operationsMax = UInt64.max
  /// Of each operation; one that is not answered in time is an error.
  public var timeout = TimeSpan.seconds(10)
  /// Threads that share the connections.
  public var threads = 1

  public init(workload: any LoadWorkload = EchoWorkload(payload: 64)) { self.workload = workload }

  func validate() {
    precondition(connections > 0 && outstanding > 0 && threads > 0, "nothing to load with")
    precondition(duration > .zero && timeout > .zero, "a measurement takes time")
  }
}

/// What was measured between warm-up and end.
public struct LoadResult: Sendable {
  /// Answered, and answered right.
  public internal(set) var operations: UInt64 = 0
  /// The same over the whole run, warm-up and end included.
  public internal(set) var operationsInAll: UInt64 = 0
  /// Answered, but not as the workload expects.
  public internal(set) var wrongReplies: UInt64 = 0
  /// Ended otherwise, over the whole run, warm-up and end included.
  public internal(set) var overloaded: UInt64 = 0
  public internal(set) var unavailable: UInt64 = 0
  public internal(set) var unknownOutcomes: UInt64 = 0
  /// Performed, but the reply was lost; too long; and whatever else has no reply.
  public internal(set) var withoutReply: UInt64 = 0
  /// How long it was measured.
  public internal(set) var time = TimeSpan.zero
  /// From submission to the turn of the loop in which the reply was read, in nanoseconds.
  public internal(set) var latency = Histogram<UInt64>(
    highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
  /// What the threads of the load used meanwhile, in user and in kernel mode.
  public internal(set) var userTime = TimeSpan.zero
  public internal(set) var systemTime = TimeSpan.zero
  /// Of all connections together, over the whole run.
  public internal(set) var bytesSent: UInt64 = 0
  public internal(set) var bytesReceived: UInt64 = 0
  public internal(set) var framesSent: UInt64 = 0
  public internal(set) var framesReceived: UInt64 = 0
  public internal(set) var resends: UInt64 = 0

  public var errors: UInt64 {
    wrongReplies + overloaded + unavailable + unknownOutcomes + withoutReply
  }

  public var operationsPerSecond: Double {
    time == .zero ? 0 : Double(operations) / (Double(time.nanoseconds) / 1e9)
  }

  /// Nanoseconds of user mode for each operation.
  public var userTimePerOperation: Double { perOperation(userTime) }
  public var systemTimePerOperation: Double { perOperation(systemTime) }

  private func perOperation(_ span: TimeSpan) -> Double {
    operations == 0 ? 0 : Double(span.nanoseconds) / Double(operations)
  }

  /// The latency that so many per cent of the operations did not exceed; zero without operations.
  public func latency(atPercentile percentile: Double) -> TimeSpan {
    TimeSpan(nanoseconds: operations == 0 ? 0 : latency.valueAtPercentile(percentile))
  }

  public var latencyMax: TimeSpan {
    TimeSpan(nanoseconds: operations == 0 ? 0 : latency.maxRecorded)
  }

  mutating func add(_ statistics: ClientCounters) {
    bytesSent += statistics.bytesSent
    bytesReceived += statistics.bytesReceived
    framesSent += statistics.framesSent
    framesReceived += statistics.framesReceived
    resends += statistics.resends
  }

  mutating func add(_ other: LoadResult) {
    operations += other.operations
    operationsInAll += other.operationsInAll
    wrongReplies += other.wrongReplies
    overloaded += other.overloaded
    unavailable += other.unavailable
    unknownOutcomes += other.unknownOutcomes
    withoutReply += other.withoutReply
    time = max(time, other.time)
    latency.add(other.latency)
    userTime = userTime + other.userTime
    systemTime = systemTime + other.systemTime
    bytesSent += other.bytesSent
    bytesReceived += other.bytesReceived
    framesSent += other.framesSent
    framesReceived += other.framesReceived
    resends += other.resends
  }
}
