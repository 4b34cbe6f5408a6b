/// Writes a recording into buffers that its host owns: files, threads and limits are the host's business.
///
/// A file is `beginFile`, any number of `note` with `endChunk` in between, `endFile`. A buffer may be taken away between
/// two chunks. What is written carries no checksums until `RecordingSealer` has gone over it, in the order of writing: the
/// host may leave that to another thread.
public struct RecordingWriter: Sendable {
  public let identity: JournalIdentity
  /// The number of the next step: how many the replica has taken before.
  public private(set) var nextStep: UInt64 = 0

  private var encoder: StepEncoder
  /// Where the open chunk begins in the buffer; -1 when none is open.
  private var chunkStart = -1
  private var chunkSteps: UInt32 = 0
  private var isFileOpen = false

  public init(identity: JournalIdentity) {
    self.identity = identity
    encoder = StepEncoder(own: identity.replica, epoch: Epoch(0))
  }

  /// Begins a file by its header and a checkpoint: what is noted next are the steps from this state on.
  /// - Parameter recordedAt: what the calendar says, in nanoseconds since 1970, for people; 0: unknown.
  public mutating func beginFile(
    _ replica: borrowing Replica, recordedAt: UInt64 = 0, into bytes: inout [UInt8]
  ) {
    precondition(chunkStart < 0, "a chunk is open")
    precondition(replica.id == identity.replica, "another replica's recording")
    isFileOpen = true
    encoder = StepEncoder(own: replica.id, epoch: replica.configuration.epoch)
    let header = RecordingHeader(
      identity: identity, hasContracts: ContractRecorder.isEnabled, firstStep: nextStep,
      recordedAt: recordedAt, configuration: replica.configuration, options: replica.options)
    var start = bytes.count
    RecordingFormat.begin(.header, firstStep: nextStep, into: &bytes)
    header.append(to: &bytes)
    RecordingFormat.end(start, steps: 0, in: &bytes)
    start = bytes.count
    RecordingFormat.begin(.checkpoint, firstStep: nextStep, into: &bytes)
    replica.appendState(to: &bytes)
    RecordingFormat.end(start, steps: 0, in: &bytes)
  }

  /// Appends a step: what happened, when, and everything it led to.
  @inline(__always)
  public mutating func note(
    _ event: Event, now: Instant, _ effects: borrowing EffectBuffer, into bytes: inout [UInt8]
  ) {
    if chunkStart < 0 { beginChunk(&bytes) }
    encoder.encode(event, now: now, effects, into: &bytes)
    chunkSteps &+= 1
    nextStep &+= 1
  }

  /// Counts a step that is not recorded.
  public mutating func skip() { nextStep &+= 1 }

  private mutating func beginChunk(_ bytes: inout [UInt8]) {
    precondition(isFileOpen, "a step needs the state it begins with")
    chunkStart = bytes.count
    chunkSteps = 0
    encoder.context.reset()
    RecordingFormat.begin(.steps, firstStep: nextStep, into: &bytes)
  }

  /// Ends the open chunk, if there is one, so that the buffer can be sealed.
  public mutating func endChunk(into bytes: inout [UInt8]) {
    guard chunkStart >= 0 else { return }
    RecordingFormat.end(chunkStart, steps: chunkSteps, in: &bytes)
    chunkStart = -1
  }

  /// Gives the file up, and the open chunk with its buffer; returns how many steps were in that.
  public mutating func abandonFile() -> UInt64 {
    isFileOpen = false
    guard chunkStart >= 0 else { return 0 }
    chunkStart = -1
    return UInt64(chunkSteps)
  }

  /// Ends the open chunk and the file.
  public mutating func endFile(_ end: RecordingEnd, into bytes: inout [UInt8]) {
    endChunk(into: &bytes)
    isFileOpen = false
    Self.appendEnd(end, nextStep: nextStep, into: &bytes)
  }

  /// Ends a file of which no chunk is open: for a host that has already taken the writer elsewhere.
  /// - Parameter nextStep: the number of the first step that is not in the file.
  public static func appendEnd(
    _ end: RecordingEnd, nextStep: UInt64, into bytes: inout [UInt8]
  ) {
    let start = bytes.count
    RecordingFormat.begin(.end, firstStep: nextStep, into: &bytes)
    bytes.append(end.rawValue)
    RecordingFormat.end(start, steps: 0, in: &bytes)
  }
}

/// Puts the checksums into the chunks of one file. Each continues the one before, so that no chunk can be missing, or come
/// from elsewhere.
public struct RecordingSealer: Sendable {
  private var chain: UInt32 = 0

  /// For a file that has no chunks yet.
  public init() {}

  /// Seals the chunks of a buffer, which must be whole: the next ones of the file.
  public mutating func seal(_ bytes: inout [UInt8]) {
    var chain = chain
    bytes.withUnsafeMutableBytes { buffer in
      var start = 0
      while start < buffer.count {
        precondition(buffer.count - start >= RecordingFormat.chunkHeader, "a chunk is not whole")
        let length = UInt32(
          littleEndian: buffer.loadUnaligned(
            fromByteOffset: start + RecordingFormat.lengthOffset, as: UInt32.self))
        let payload = start + RecordingFormat.chunkHeader
        let end = payload + Int(length)
        precondition(end <= buffer.count, "a chunk is not whole")
        let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: buffer[payload..<end]))
        buffer.storeBytes(
          of: checksum.littleEndian, toByteOffset: start + RecordingFormat.checksumOffset,
          as: UInt32.self)
        let head = UnsafeRawBufferPointer(
          rebasing: buffer[start..<start + RecordingFormat.chainOffset])
        chain = CRC32C.checksum(head, seed: chain)
        buffer.storeBytes(
          of: chain.littleEndian, toByteOffset: start + RecordingFormat.chainOffset,
          as: UInt32.self)
        start = end
      }
    }
    self.chain = chain
  }
}
