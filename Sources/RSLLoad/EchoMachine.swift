public import Protocol

/// The machine of measurements: folds every command into one word and answers with the command's first 16 bytes.
public struct EchoMachine: StateMachine, Sendable {
  /// How many bytes of a command come back.
  public static let replyLength = 16

  public private(set) var digest: UInt64 = 0
  public private(set) var count: UInt64 = 0

  public init() {}

  public mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    count &+= 1
    let first =
      command.byteCount >= 8
      ? UInt64(littleEndian: command.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)) : 0
    digest = (digest ^ first) &* 0x9E37_79B9_7F4A_7C15 &+ count
    reply.append(contentsOf: command.extracting(first: Self.replyLength))
  }

  /// The count and the digest.
  public func query(_ query: RawSpan, reply: inout ReplyWriter) {
    reply.append(count)
    reply.append(digest)
  }

  public func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    for word in [count, digest] { withUnsafeBytes(of: word.littleEndian) { bytes += $0 } }
    return nil
  }

  public mutating func beginRestore() { self = EchoMachine() }

  public mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    guard bytes.byteCount == 16 else { throw .length }
    count = UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self))
    digest = UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  public mutating func finishRestore() throws(SnapshotInvalid) {}
}
