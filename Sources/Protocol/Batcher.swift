import DequeModule

/// Gathers commands into values: those that arrive while the pipeline is full join the next one.
///
/// Commands lie back to back in the log buffer, so a batch is a range of it and grows without a copy. A command that does
/// not continue the open batch (another source, a full batch) begins the next.
public struct Batcher: Equatable, Sendable {
  public enum AddResult: Equatable, Sendable {
    case added
    case overloaded
    case tooLarge
  }

  private let commandsMax: UInt32
  private let bytesMax: UInt32
  private let queuedMax: Int
  private var closed = Deque<Value>()
  /// The batch that still grows; the no-op when there is none.
  private var open = Value.noop
  /// When the open batch got its first command.
  public private(set) var openSince = Instant.zero

  public init(_ options: ReplicaOptions) {
    commandsMax = options.batchCommandsMax
    bytesMax = options.batchBytesMax
    queuedMax = options.queuedBatchesMax
  }

  public var isEmpty: Bool { open.isNoop && closed.isEmpty }
  public var hasOpen: Bool { !open.isNoop }
  public var hasClosed: Bool { !closed.isEmpty }
  /// How many commands wait.
  public var commands: Int { closed.reduce(Int(open.count)) { $0 + Int($1.count) } }

  /// Calls `body` with everything that waits.
  func forEach(_ body: (Value) -> Void) {
    for value in closed { body(value) }
    body(open)
  }

  /// So many more batches may wait when they begin with a report: one of each voter is under way at most, and an overloaded
  /// cluster shall not be one that compares nothing.
  private static let reportsMax = Configuration.votersMax

  /// Takes a command in, or says why not.
  public mutating func add(
    _ command: CommandRef, isReport: Bool = false, now: Instant,
    _ contracts: inout ContractRecorder
  ) -> AddResult {
    guard command.bytes.length <= bytesMax else { return .tooLarge }
    let joins =
      !open.isNoop && open.bytes.end == command.bytes.position && open.count < commandsMax
      && UInt64(open.bytes.length) + UInt64(command.bytes.length) <= UInt64(bytesMax)
    if !joins && !open.isNoop {
      guard closed.count < queuedMax + (isReport ? Self.reportsMax : 0) else {
        contracts.mark(.overloaded)
        return .overloaded
      }
      closeOpen()
    }
    if open.isNoop {
      open = Value(
        bytes: BytesRef(position: command.bytes.position, length: 0), count: 0, digest: 0)
      openSince = now
    } else {
      contracts.mark(.batchGrew)
    }
    open.bytes.length += command.bytes.length
    open.count += 1
    open.digest = Value.digest(
      open.digest, adding: command.checksum, length: command.bytes.length)

    contracts.ensure(.batcherPostWithinCount, open.count <= commandsMax)
    contracts.ensure(.batcherPostWithinBytes, open.bytes.length <= bytesMax)
    contracts.ensure(.batcherPostContiguous, open.bytes.end == command.bytes.end)
    contracts.ensure(.batcherPostQueueBounded, closed.count <= queuedMax + Self.reportsMax)
    return .added
  }

  /// The next value to propose. `closeOpen`: also when it could still grow.
  public mutating func next(closeOpen: Bool) -> Value? {
    if let first = closed.popFirst() { return first }
    guard !open.isNoop, closeOpen || open.count >= commandsMax else { return nil }
    defer { open = .noop }
    return open
  }

  /// Forgets everything that waits; the clients retry.
  public mutating func removeAll() {
    closed.removeAll(keepingCapacity: true)
    open = .noop
  }

  private mutating func closeOpen() {
    closed.append(open)
    open = .noop
  }
}

extension Batcher {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    var end: UInt64 = 0
    try coder.list(&closed, .noop) { coder, value throws(DecodeError) in
      try coder.value(&value, end: &end)
    }
    try coder.value(&open, end: &end)
    try coder.word(&openSince)
  }
}
