/// Builds an application from the bytes of a snapshot, taken in pieces of any size. Total: whatever the bytes are, the
/// result is an application or a typed error, and never is more buffered than one block of the format.
///
/// The state goes into a machine of its own; the running one is untouched until `finish` has returned the new one.
public struct SnapshotRestorer<Machine: StateMachine> {
  private var machine: Machine
  private var sessions: SessionTable
  private let watch: DigestWatch
  private var digests = DigestTable()
  private var slot = Slot.zero
  private var sessionsExpected: UInt64 = 0
  private var stage = Stage.header
  /// The block that is not complete yet, its header included.
  private var block: [UInt8] = []
  private var checksum: UInt32 = 0
  /// The first error: a restorer that has failed stays failed.
  private var failure: SnapshotInvalid?

  private enum Stage {
    case header
    case sessions
    case digests
    case machine
    case done
  }

  init(machine: Machine, limits: SessionTable.Limits, watch: DigestWatch) {
    self.watch = watch
    self.machine = machine
    self.sessions = SessionTable(limits: limits)
    self.machine.beginRestore()
  }

  /// Takes the next bytes of the snapshot.
  public mutating func take(_ bytes: RawSpan) throws(SnapshotInvalid) {
    if let failure { throw failure }
    do throws(SnapshotInvalid) {
      try collect(bytes)
    } catch {
      failure = error
      throw error
    }
  }

  /// All bytes were taken: the application as it was, or why it is none.
  public consuming func finish() throws(SnapshotInvalid) -> Application<Machine> {
    if let failure { throw failure }
    guard case .done = stage, block.isEmpty else { throw .length }
    var application = Application(machine: machine, limits: sessions.limits)
    application.sessions = sessions
    application.digests = digests
    application.appliedUpTo = slot
    application.watch(watch)
    return application
  }

  private mutating func collect(_ bytes: RawSpan) throws(SnapshotInvalid) {
    var offset = 0
    while offset < bytes.byteCount {
      if case .done = stage { throw .length }
      let wanted = try blockLength() - block.count
      let n = min(wanted, bytes.byteCount - offset)
      let piece = bytes.extracting(offset..<offset + n)
      piece.withUnsafeBytes { block.append(contentsOf: $0) }
      offset += n
      if block.count >= SnapshotFormat.blockHeaderLength, try blockLength() == block.count {
        try takeBlock()
        block.removeAll(keepingCapacity: true)
      }
    }
  }

  /// How long the current block is as far as is known: its header first, then what that says.
  private func blockLength() throws(SnapshotInvalid) -> Int {
    guard block.count >= SnapshotFormat.blockHeaderLength else {
      return SnapshotFormat.blockHeaderLength
    }
    let length = Int(word32(0))
    let kind = try blockKind()
    guard length <= SnapshotFormat.lengthMax(kind, sessions.limits) else { throw .length }
    return SnapshotFormat.blockHeaderLength + length
  }

  /// The current block's kind, when such a block may come next.
  private func blockKind() throws(SnapshotInvalid) -> SnapshotFormat.Kind {
    let kind = SnapshotFormat.Kind(rawValue: word32(4))
    switch (stage, kind) {
    case (.header, .header): return .header
    case (.header, _): throw .header
    case (.sessions, .session): return .session
    case (.sessions, .digests) where UInt64(sessions.count) == sessionsExpected: return .digests
    case (.sessions, .machine) where UInt64(sessions.count) == sessionsExpected: return .machine
    case (.digests, .machine): return .machine
    case (.machine, .machine): return .machine
    case (.machine, .end): return .end
    default: throw .field
    }
  }

  private mutating func takeBlock() throws(SnapshotInvalid) {
    let kind = try blockKind()
    switch kind {
    case .header:
      try takeHeader()
      stage = .sessions
    case .session:
      try takeSession()
    case .digests:
      guard
        let table = DigestTable(
          block.span.bytes.extracting(SnapshotFormat.blockHeaderLength...), slot: slot)
      else { throw .field }
      digests = table
      stage = .digests
    case .machine:
      stage = .machine
      let complete = block
      try machine.restoreChunk(
        complete.span.bytes.extracting(SnapshotFormat.blockHeaderLength...))
    case .end:
      try takeEnd()
      stage = .done
    }
    checksum = CRC32C.checksum(block, seed: checksum)
  }

  private mutating func takeHeader() throws(SnapshotInvalid) {
    let at = SnapshotFormat.blockHeaderLength
    guard block.count == at + SnapshotFormat.headerLength, word64(at) == SnapshotFormat.magic,
      word32(at + 8) == SnapshotFormat.version
    else { throw .header }
    let limits = sessions.limits
    guard word32(at + 12) == UInt32(limits.sessionsMax),
      word32(at + 16) == UInt32(limits.outstandingMax),
      word32(at + 20) == UInt32(limits.replyLengthMax),
      word64(at + 32) <= UInt64(limits.sessionsMax)
    else { throw .sessions }
    slot = Slot(word64(at + 24))
    guard slot.rawValue < 1 << 48 else { throw .field }
    sessionsExpected = word64(at + 32)
  }

  private mutating func takeSession() throws(SnapshotInvalid) {
    guard UInt64(sessions.count) < sessionsExpected else { throw .sessions }
    var at = SnapshotFormat.blockHeaderLength
    guard block.count >= at + SnapshotFormat.sessionLength else { throw .length }
    var session = SessionTable.Session(
      id: word64(at), nonce: word64(at + 8), lastUse: word64(at + 32))
    session.last = word64(at + 16)
    session.floor = word64(at + 24)
    at += SnapshotFormat.sessionLength
    guard session.id <= session.lastUse, session.lastUse >> 16 <= slot.rawValue,
      session.id >> 16 > 0,
      session.floor <= session.last,
      session.last - session.floor <= UInt64(sessions.limits.outstandingMax)
    else { throw .field }
    var replies: [ReplyTable.Reply] = []
    var lowest = session.id >> 16
    for _ in 0..<session.last - session.floor {
      guard block.count - at >= SnapshotFormat.replyLength else { throw .length }
      var reply = ReplyTable.Reply(slot: word64(at))
      let (length, dropped) = (Int(word32(at + 8)), word32(at + 12))
      at += SnapshotFormat.replyLength
      guard reply.slot >= lowest, reply.slot <= session.lastUse >> 16, dropped <= 1,
        length <= (dropped == 1 ? 0 : sessions.limits.replyLengthMax)
      else { throw .field }
      guard block.count - at >= length else { throw .length }
      lowest = reply.slot
      reply.isDropped = dropped == 1
      reply.bytes = KeptBytes(block.span.bytes.extracting(at..<at + length))
      at += length
      replies.append(reply)
    }
    guard at == block.count else { throw .length }
    try sessions.restore(session, replies: replies)
  }

  private mutating func takeEnd() throws(SnapshotInvalid) {
    let at = SnapshotFormat.blockHeaderLength
    guard block.count == at + SnapshotFormat.endLength, word32(at + 12) == 0 else { throw .length }
    guard word32(at + 8) == checksum else { throw .checksum }
    try machine.finishRestore()
    let digest = digests.mixed(
      into: SessionTable.mix(
        machine.digest, SessionTable.mix(sessions.digest, slot.rawValue)))
    guard word64(at) == digest else { throw .checksum }
  }

  private func word64(_ offset: Int) -> UInt64 {
    UInt64(word32(offset)) | UInt64(word32(offset + 4)) << 32
  }

  private func word32(_ offset: Int) -> UInt32 {
    var word: UInt32 = 0
    for i in 0..<4 { word |= UInt32(block[offset + i]) << UInt32(8 * i) }
    return word
  }
}

extension SnapshotRestorer: Sendable where Machine: Sendable {}
