/// One step of a recording. What it led to is in the buffer that `RecordingReader.next` filled.
public struct RecordedStep: Equatable, Sendable {
  /// Counted over the replica's life, from 0.
  public var number: UInt64
  public var now: Instant
  public var event: Event
}

/// Reads the bytes of one file of a recording. Total: any bytes give steps or a `RecordingInvalid`.
///
/// A torn end is what a process leaves that dies, or a machine that loses power: everything before it is good, and is not
/// an error. Damage before the last chunk is one, after the steps before it.
public struct RecordingReader: Sendable {
  public let header: RecordingHeader
  /// The number of the next step.
  public private(set) var nextStep: UInt64
  /// How the file was ended; nil while there is more, and for a torn one.
  public private(set) var end: RecordingEnd?
  /// How many bytes at the end are not a whole chunk.
  public private(set) var tornBytes = 0

  private let bytes: [UInt8]
  let checkpoint: Range<Int>
  private var decoder: StepDecoder
  private var chain: UInt32
  /// Where the next chunk begins.
  private var offset: Int
  /// What is left of the open chunk, and how many steps must be in it.
  private var open: Range<Int> = 0..<0
  private var openSteps: UInt32 = 0

  private struct Chunk {
    var kind: RecordingFormat.Kind
    var firstStep: UInt64
    var steps: UInt32
    var payload: Range<Int>
    var chain: UInt32
  }

  private enum Parsed {
    case chunk(Chunk)
    /// The bytes end within it, or what is there was never written.
    case torn
  }

  public init(_ bytes: [UInt8]) throws(RecordingInvalid) {
    self.bytes = bytes
    let first = try Self.known(Self.parse(bytes, at: 0, chain: 0))
    guard first.kind == .header else { throw .notARecording }
    header = try bytes.span.bytes.withUnsafeBytes { buffer throws(RecordingInvalid) in
      try RecordingHeader(ByteReader(buffer, in: first.payload))
    }
    let second = try Self.known(
      Self.parse(bytes, at: first.payload.upperBound, chain: first.chain))
    guard second.kind == .checkpoint, second.firstStep == header.firstStep,
      first.firstStep == header.firstStep
    else { throw .damaged(offset: first.payload.upperBound) }
    checkpoint = second.payload
    chain = second.chain
    offset = second.payload.upperBound
    nextStep = header.firstStep
    decoder = StepDecoder(own: header.identity.replica, epoch: header.configuration.epoch)
  }

  private static func known(_ parsed: Parsed) throws(RecordingInvalid) -> Chunk {
    guard case .chunk(let chunk) = parsed else { throw .noCheckpoint }
    return chunk
  }

  /// The replica as it was before the first step.
  public func replica() throws(RecordingInvalid) -> Replica {
    try bytes.span.bytes.withUnsafeBytes { buffer throws(RecordingInvalid) in
      var reader = ByteReader(buffer, in: checkpoint)
      let replica = try Replica(
        state: &reader, id: header.identity.replica, configuration: header.configuration,
        options: header.options)
      do throws(DecodeError) { try reader.finish() } catch { throw .checkpoint(error) }
      return replica
    }
  }

  /// Whether `replica` is in the very state that this file begins with.
  public func begins(with replica: borrowing Replica) -> Bool {
    var state: [UInt8] = []
    replica.appendState(to: &state)
    return state.elementsEqual(bytes[checkpoint])
  }

  /// The next step, nil at the end. Its effects replace those in `effects`.
  public mutating func next(
    into effects: inout EffectBuffer
  ) throws(RecordingInvalid) -> RecordedStep? {
    while openSteps == 0 {
      guard open.isEmpty else {
        throw .step(nextStep, DecodeError(.trailing, at: open.lowerBound))
      }
      guard try nextChunk() else { return nil }
    }
    let (bytes, open, number) = (bytes, open, nextStep)
    do throws(DecodeError) {
      let (event, now, rest) = try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodeError) in
        var reader = ByteReader(buffer, in: open)
        let (event, now) = try decoder.decode(&reader, into: &effects)
        return (event, now, reader.offset)
      }
      self.open = rest..<open.upperBound
      openSteps -= 1
      nextStep += 1
      return RecordedStep(number: number, now: now, event: event)
    } catch {
      throw .step(number, error)
    }
  }

  /// Opens the next chunk of steps; false at the end.
  private mutating func nextChunk() throws(RecordingInvalid) -> Bool {
    guard end == nil, tornBytes == 0, offset < bytes.count else { return false }
    guard case .chunk(let chunk) = try Self.parse(bytes, at: offset, chain: chain) else {
      tornBytes = bytes.count - offset
      return false
    }
    let start = offset
    (offset, chain) = (chunk.payload.upperBound, chunk.chain)
    guard chunk.firstStep == nextStep else { throw .damaged(offset: start) }
    switch chunk.kind {
    case .steps:
      (open, openSteps) = (chunk.payload, chunk.steps)
      decoder.context.reset()
      return true
    case .end:
      guard chunk.payload.count == 1, chunk.steps == 0, offset == bytes.count,
        let end = RecordingEnd(rawValue: bytes[chunk.payload.lowerBound])
      else { throw .damaged(offset: start) }
      self.end = end
      return false
    case .header, .checkpoint:
      throw .damaged(offset: start)
    }
  }

  // MARK: Chunks

  private static func parse(
    _ bytes: [UInt8], at start: Int, chain: UInt32
  ) throws(RecordingInvalid) -> Parsed {
    try bytes.span.bytes.withUnsafeBytes { buffer throws(RecordingInvalid) in
      let isFirst = start == 0
      guard buffer.count - start >= RecordingFormat.chunkHeader else {
        let magic = withUnsafeBytes(of: RecordingFormat.magic.littleEndian) { Array($0) }
        if isFirst && !buffer.prefix(4).elementsEqual(magic) { throw .notARecording }
        return .torn
      }
      let head = UnsafeRawBufferPointer(
        rebasing: buffer[start..<start + RecordingFormat.chunkHeader])
      func word(_ offset: Int) -> UInt32 {
        UInt32(littleEndian: head.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
      }
      let sum = CRC32C.checksum(
        UnsafeRawBufferPointer(rebasing: head[..<RecordingFormat.chainOffset]), seed: chain)
      guard word(0) == RecordingFormat.magic, word(RecordingFormat.chainOffset) == sum else {
        // What was allocated and never written holds zeroes.
        if !isFirst && buffer[start...].allSatisfy({ $0 == 0 }) { return .torn }
        throw isFirst && word(0) != RecordingFormat.magic
          ? .notARecording : .damaged(offset: start)
      }
      guard head[4] == RecordingFormat.version else { throw .version(UInt64(head[4])) }
      guard let kind = RecordingFormat.Kind(rawValue: head[5]), head[6] == 0, head[7] == 0 else {
        throw .damaged(offset: start)
      }
      let payload = start + RecordingFormat.chunkHeader
      let length = Int(word(RecordingFormat.lengthOffset))
      guard length <= buffer.count - payload else { return .torn }
      let range = payload..<payload + length
      guard
        CRC32C.checksum(UnsafeRawBufferPointer(rebasing: buffer[range]))
          == word(RecordingFormat.checksumOffset)
      else {
        // A last chunk whose bytes did not all reach the disk, although its length did.
        if !isFirst && range.upperBound == buffer.count { return .torn }
        throw .damaged(offset: start)
      }
      let firstStep = UInt64(
        littleEndian: head.loadUnaligned(fromByteOffset: 16, as: UInt64.self))
      return .chunk(
        Chunk(
          kind: kind, firstStep: firstStep, steps: word(RecordingFormat.stepsOffset),
          payload: range, chain: sum))
    }
  }
}
