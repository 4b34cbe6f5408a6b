// A recording is a file of chunks, one behind the other: a header, a checkpoint, any number of chunks of steps, an end.
// docs/flight-recorder.md has every byte.

/// Why bytes are not a recording, or not an undamaged one.
public enum RecordingInvalid: Error, Equatable, Sendable, CustomStringConvertible {
  /// Something else, or so damaged that it cannot be told.
  case notARecording
  /// Written by a version that this one does not read.
  case version(UInt64)
  /// Ends before the first step: the process died while it began the file.
  case noCheckpoint
  /// A chunk that is not the last one is damaged, at this byte of the file.
  case damaged(offset: Int)
  /// The checksums are right and the contents are not: written by faulty code, or on purpose.
  case header(DecodeError)
  case configuration(Configuration.Invalid)
  case replica(Replica.Invalid)
  case checkpoint(DecodeError)
  case step(UInt64, DecodeError)

  public var description: String {
    switch self {
    case .notARecording: "not a recording"
    case .version(let version): "a recording of version \(version), which this one does not read"
    case .noCheckpoint: "ends before its checkpoint does"
    case .damaged(let offset): "damaged at byte \(offset)"
    case .header(let error): "its header cannot be read: \(error)"
    case .configuration(let invalid): "its configuration is invalid: \(invalid)"
    case .replica(let invalid): "its replica cannot be made: \(invalid)"
    case .checkpoint(let error): "its checkpoint cannot be read: \(error)"
    case .step(let step, let error): "step \(step) cannot be read: \(error)"
    }
  }
}

/// How a recording comes to its end.
public enum RecordingEnd: UInt8, Hashable, Sendable {
  /// The next file goes on with the next step.
  case rotated = 1
  /// The host closed its recorder.
  case closed
  /// Steps are missing behind it: the disk was too slow, full or broken.
  case gap
}

/// What a recording says about itself, before its steps.
public struct RecordingHeader: Equatable, Sendable {
  /// Whose steps they are.
  public var identity: JournalIdentity
  /// Whether contracts were compiled into what was recorded.
  public var hasContracts: Bool
  /// The number of the first step: how many steps the replica had taken before in its life.
  public var firstStep: UInt64
  /// What the host's calendar said when the file began, in nanoseconds since 1970; 0 when it did not say.
  public var recordedAt: UInt64
  public var configuration: Configuration
  public var options: ReplicaOptions
}

enum RecordingFormat {
  static let version: UInt8 = 1
  /// Of the state in the checkpoint; raised with every change of what `Replica.codeState` visits.
  static let stateVersion: UInt64 = 3
  /// "RSLR"
  static let magic: UInt32 = 0x524C_5352

  enum Kind: UInt8 {
    case header = 1
    case checkpoint
    case steps
    case end
  }

  /// Magic, version, kind, two zero bytes, length of the payload, number of steps, first step, checksum of the payload,
  /// checksum of all before, which continues that of the chunk before.
  static let chunkHeader = 32
  static let lengthOffset = 8
  static let stepsOffset = 12
  static let checksumOffset = 24
  static let chainOffset = 28

  /// Begins a chunk; its length, number of steps and checksums follow.
  static func begin(_ kind: Kind, firstStep: UInt64, into bytes: inout [UInt8]) {
    bytes.extend(by: chunkHeader) { out in
      out.put(magic)
      out.put(version)
      out.put(kind.rawValue)
      out.putZeroes(10)
      out.put(firstStep)
      out.putZeroes(8)
    }
  }

  /// Ends the chunk that begins at `start`.
  static func end(_ start: Int, steps: UInt32, in bytes: inout [UInt8]) {
    let length = bytes.count - start - chunkHeader
    precondition(length <= UInt32.max, "a chunk has less than 4 GiB")
    bytes.set(UInt32(length), at: start + lengthOffset)
    bytes.set(steps, at: start + stepsOffset)
  }
}

extension JournalIdentity {
  fileprivate mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.raw(&cluster.rawValue)
    try coder.word(&ring.rawValue)
    try coder.word(&replica.rawValue)
    try coder.word(&incarnation.rawValue)
  }
}

extension RecordingHeader {
  func append(to bytes: inout [UInt8]) {
    var (options, version) = (options, RecordingFormat.stateVersion)
    var writer = StateWriter(appendingTo: bytes)
    bytes = []
    do throws(DecodeError) {
      try writer.word(&version)
      try codeHead(&writer)
      try configuration.appendState(to: &writer)
      try options.codeState(&writer)
    } catch {
      preconditionFailure("writing a header refuses nothing: \(error)")
    }
    bytes = writer.finish()
  }

  init(_ reader: ByteReader) throws(RecordingInvalid) {
    var coder = StateReader(reader)
    var version: UInt64 = 0
    do throws(DecodeError) { try coder.word(&version) } catch { throw .header(error) }
    guard version == RecordingFormat.stateVersion else { throw .version(version) }
    identity = JournalIdentity(
      cluster: ClusterID(0), ring: RingID(0), replica: ReplicaID(0), incarnation: Incarnation(0))
    (hasContracts, firstStep, recordedAt, options) = (false, 0, 0, ReplicaOptions())
    var head = Head(identity: identity)
    do throws(DecodeError) { try head.codeState(&coder) } catch { throw .header(error) }
    (identity, hasContracts) = (head.identity, head.hasContracts)
    (firstStep, recordedAt) = (head.firstStep, head.recordedAt)
    configuration = try Configuration(state: &coder)
    do throws(DecodeError) {
      try options.codeState(&coder)
      try coder.reader.finish()
    } catch {
      throw .header(error)
    }
  }

  private struct Head {
    var identity: JournalIdentity
    var hasContracts = false
    var firstStep: UInt64 = 0
    var recordedAt: UInt64 = 0

    mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
      try identity.codeState(&coder)
      try coder.bool(&hasContracts)
      try coder.word(&firstStep)
      try coder.word(&recordedAt)
    }
  }

  private func codeHead(_ coder: inout some StateCoder) throws(DecodeError) {
    var head = Head(
      identity: identity, hasContracts: hasContracts, firstStep: firstStep, recordedAt: recordedAt)
    try head.codeState(&coder)
  }
}
