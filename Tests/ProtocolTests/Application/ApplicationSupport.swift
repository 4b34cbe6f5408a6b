import Protocol
import Testing

/// Remembers every command it was given, with its slot; answers with how many there were and the command itself.
struct LogMachine: StateMachine, Hashable, Sendable {
  struct Applied: Hashable, Sendable {
    var slot: Slot
    var payload: [UInt8]
  }

  private(set) var applied: [Applied] = []
  private(set) var digest: UInt64 = 0
  private var isRestoring = false

  mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    append(Applied(slot: slot, payload: command.withUnsafeBytes { Array($0) }))
    reply.append(UInt64(applied.count))
    reply.append(contentsOf: command)
  }

  func query(_ query: RawSpan, reply: inout ReplyWriter) {
    reply.append(UInt64(applied.count))
    reply.append(contentsOf: query)
  }

  private mutating func append(_ entry: Applied) {
    applied.append(entry)
    digest = (digest ^ UInt64(CRC32C.checksum(entry.payload)) ^ entry.slot.rawValue) &* 0x9E37_79B9
    digest ^= digest >> 29
  }

  // One piece per command: slot, then the payload; then an empty one.
  func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    guard cursor < applied.count else { return nil }
    withUnsafeBytes(of: applied[Int(cursor)].slot.rawValue.littleEndian) {
      bytes.append(contentsOf: $0)
    }
    bytes.append(contentsOf: applied[Int(cursor)].payload)
    return cursor + 1
  }

  mutating func beginRestore() {
    self = LogMachine()
    isRestoring = true
  }

  mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    guard isRestoring else { throw .machine(1) }
    guard bytes.byteCount > 0 else {
      isRestoring = false
      return
    }
    guard bytes.byteCount >= 8 else { throw .machine(2) }
    let slot = UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    append(
      Applied(slot: Slot(slot), payload: bytes.extracting(8...).withUnsafeBytes { Array($0) }))
  }

  mutating func finishRestore() throws(SnapshotInvalid) {
    guard !isRestoring else { throw .machine(3) }
  }
}

func operation(
  _ session: SessionID, _ sequence: UInt64, acknowledged: UInt64 = 0, _ payload: String = "x"
) -> [UInt8] {
  operation(session, sequence, acknowledged: acknowledged, Array(payload.utf8))
}

func operation(
  _ session: SessionID, _ sequence: UInt64, acknowledged: UInt64 = 0, _ payload: [UInt8]
) -> [UInt8] {
  var bytes: [UInt8] = []
  Command.encode(
    session: session, sequence: SequenceNumber(sequence),
    acknowledgedUpTo: SequenceNumber(acknowledged), payload: payload.span.bytes, into: &bytes)
  return bytes
}

func registration(_ nonce: UInt64) -> [UInt8] {
  var bytes: [UInt8] = []
  Command.encodeRegistration(nonce: nonce, into: &bytes)
  return bytes
}

/// An outcome with its reply's bytes, to compare.
struct Answer: Hashable {
  var outcome: CommandOutcome
  var reply: [UInt8]
}

extension Application {
  /// Applies the next slot.
  mutating func applyNext(_ commands: [[UInt8]]) throws(CommandInvalid) -> [Answer] {
    let batch = Array(commands.joined())
    var replies = ReplyBuffer()
    try apply(appliedUpTo.next, batch.span.bytes, into: &replies)
    #expect(contracts.violation == nil)
    return replies.replies.map {
      Answer(outcome: $0.outcome, reply: Array(replies.bytes[$0.bytes]))
    }
  }

  /// Applies one command in a slot of its own.
  mutating func applyOne(_ command: [UInt8]) -> Answer {
    try! applyNext([command])[0]
  }

  mutating func register(_ nonce: UInt64) -> SessionID {
    guard case .registered(let session) = applyOne(registration(nonce)).outcome else {
      fatalError("registration \(nonce) was refused")
    }
    return session
  }

  /// All bytes of a snapshot, taken in chunks of `chunk` bytes.
  func snapshotBytes(chunk: Int = 1 << 16) -> [UInt8] {
    var source = snapshot()
    var bytes: [UInt8] = []
    while source.chunk(limit: chunk, into: &bytes) {}
    return bytes
  }

  /// Restores from `bytes`, given in chunks of `chunk` bytes.
  func restored(from bytes: [UInt8], chunk: Int = 1 << 16) throws(SnapshotInvalid) -> Self {
    var restorer = restorer()
    var offset = 0
    while offset < bytes.count {
      let end = min(bytes.count, offset + chunk)
      try restorer.take(bytes.span.bytes.extracting(offset..<end))
      offset = end
    }
    return try restorer.finish()
  }
}

/// The reply LogMachine gives to its n-th command.
func logReply(_ n: UInt64, _ payload: [UInt8]) -> [UInt8] {
  withUnsafeBytes(of: n.littleEndian) { Array($0) } + payload
}

func logReply(_ n: UInt64, _ payload: String = "x") -> [UInt8] {
  logReply(n, Array(payload.utf8))
}
