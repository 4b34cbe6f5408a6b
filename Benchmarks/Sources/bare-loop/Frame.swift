import Protocol

/// A batch on the wire and in the journal: a header of 32 bytes, the operations, and filler up to whole blocks, so that no
/// later write touches a block that holds what was acknowledged.
///
/// | Offset | Bytes | |
/// |---|---|---|
/// | 0 | 4 | CRC32C of what follows, up to the last operation |
/// | 4 | 4 | length of the operations in bytes |
/// | 8 | 8 | position of the frame in the log |
/// | 16 | 8 | number of operations before this frame |
/// | 24 | 8 | `magic` |
enum Frame {
  static let headerLength = 32
  static let magic: UInt64 = 0x4241_5245_4C4F_4F50

  /// From the header to the filler's end.
  static func length(operations bytes: Int, block: Int) -> Int {
    (headerLength + bytes + block - 1) / block * block
  }

  /// Puts the header in front of operations that are there already.
  static func seal(
    _ frame: UnsafeMutableRawPointer, operations bytes: Int, at position: UInt64,
    after count: UInt64
  ) {
    frame.storeBytes(of: UInt32(bytes), toByteOffset: 4, as: UInt32.self)
    frame.storeBytes(of: position, toByteOffset: 8, as: UInt64.self)
    frame.storeBytes(of: count, toByteOffset: 16, as: UInt64.self)
    frame.storeBytes(of: magic, toByteOffset: 24, as: UInt64.self)
    frame.storeBytes(of: checksum(frame, operations: bytes), as: UInt32.self)
  }

  /// The length of the operations of the frame that begins here, or nil when not all of it has arrived.
  ///
  /// Throws when these bytes are not the frame that must come next.
  static func check(
    _ frame: UnsafeRawPointer, available: Int, block: Int, at position: UInt64, after count: UInt64,
    bytesMax: Int
  ) throws(BareLoopError) -> Int? {
    guard available >= headerLength else { return nil }
    let bytes = Int(frame.load(fromByteOffset: 4, as: UInt32.self))
    guard frame.load(fromByteOffset: 24, as: UInt64.self) == magic, bytes <= bytesMax,
      frame.load(fromByteOffset: 8, as: UInt64.self) == position,
      frame.load(fromByteOffset: 16, as: UInt64.self) == count
    else { throw BareLoopError("position \(position): not the frame that comes next") }
    guard available >= length(operations: bytes, block: block) else { return nil }
    guard frame.load(as: UInt32.self) == checksum(frame, operations: bytes) else {
      throw BareLoopError("position \(position): the checksum of a frame is wrong")
    }
    return bytes
  }

  private static func checksum(_ frame: UnsafeRawPointer, operations bytes: Int) -> UInt32 {
    CRC32C.checksum(
      UnsafeRawBufferPointer(start: frame + 4, count: headerLength - 4 + bytes))
  }
}

/// An operation: its number on its connection, the connection, and filler.
enum Operation {
  static let lengthMin = 16
}

/// A reply: the operation's number on its connection, and how many operations were applied before it.
enum Reply {
  static let length = 16
}

/// What applying operations does: the same ones in the same order give the same value on every replica.
struct AppliedState {
  private(set) var count: UInt64 = 0
  private(set) var digest: UInt64 = 0

  @inline(__always)
  mutating func apply(_ operation: UnsafeRawPointer) {
    let number = operation.loadUnaligned(as: UInt64.self)
    let connection = operation.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
    digest = (digest ^ number ^ (connection << 48)) &* 0x9E37_79B9_7F4A_7C15
    count += 1
  }
}
