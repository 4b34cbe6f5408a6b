// Little-endian integers to and from bytes: the one vocabulary of the wire and the journal. Reading, here, is total;
// writing (ByteWriter.swift) appends to an array the caller owns and reuses, so that the steady state allocates nothing.

/// Why bytes are not what they should be, and where.
public struct DecodeError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum What: UInt8, Hashable, Sendable {
    /// The bytes end before the field does.
    case truncated
    /// Bytes behind the end of what was announced.
    case trailing
    /// No kind of message or record has this tag.
    case unknownTag
    /// A byte that says yes or no is neither 0 nor 1.
    case notABoolean
    /// A byte that must be zero is not.
    case reservedNotZero
    /// A length or a count is above its limit, or does not fit its kind.
    case length
    /// Fields that contradict one another: a no-op with content, a batch without.
    case contradiction
    /// The checksum of the bytes is another.
    case checksum
    /// Written by a version of the format this code does not read.
    case version
  }

  public var what: What
  /// In bytes, from the beginning of what the decoder was given.
  public var offset: Int

  public init(_ what: What, at offset: Int) {
    self.what = what
    self.offset = offset
  }

  public var description: String { "\(what) at byte \(offset)" }
}

/// A cursor over bytes of any origin. Every read is in bounds or throws `DecodeError`; nothing here traps.
///
/// Borrows the memory: valid as long as the buffer it was made from, so it never leaves the closure of
/// `withUnsafeBytes`.
public struct ByteReader {
  public let bytes: UnsafeRawBufferPointer
  /// Where the next read begins, in bytes.
  public private(set) var offset: Int
  /// Where reading ends, in bytes.
  public private(set) var end: Int

  public init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
    offset = 0
    end = bytes.count
  }

  /// Over a part of the bytes; offsets in errors count from the beginning of `bytes`. The part is clamped to them.
  public init(_ bytes: UnsafeRawBufferPointer, in part: Range<Int>) {
    self.bytes = bytes
    let part = part.clamped(to: 0..<bytes.count)
    offset = part.lowerBound
    end = part.upperBound
  }

  @inlinable public var remaining: Int { end &- offset }
  @inlinable public var isAtEnd: Bool { offset == end }

  public mutating func u8() throws(DecodeError) -> UInt8 { try load() }
  public mutating func u16() throws(DecodeError) -> UInt16 { try load() }
  public mutating func u32() throws(DecodeError) -> UInt32 { try load() }
  public mutating func u64() throws(DecodeError) -> UInt64 { try load() }

  /// One byte that is 0 or 1.
  public mutating func bool() throws(DecodeError) -> Bool {
    let at = offset
    switch try u8() {
    case 0: return false
    case 1: return true
    default: throw DecodeError(.notABoolean, at: at)
    }
  }

  /// The range of the next `count` bytes, which are passed over.
  public mutating func skip(_ count: Int) throws(DecodeError) -> Range<Int> {
    guard count >= 0, remaining >= count else { throw DecodeError(.truncated, at: offset) }
    let begin = offset
    offset = begin &+ count
    return begin..<offset
  }

  /// The next `count` bytes must be zero.
  public mutating func zeroes(_ count: Int) throws(DecodeError) {
    for i in try skip(count) where bytes[i] != 0 { throw DecodeError(.reservedNotZero, at: i) }
  }

  /// Nothing may be left.
  public func finish() throws(DecodeError) {
    guard isAtEnd else { throw DecodeError(.trailing, at: offset) }
  }

  @inline(__always)
  private mutating func load<T: FixedWidthInteger & BitwiseCopyable>() throws(DecodeError) -> T {
    let size = MemoryLayout<T>.size
    guard remaining >= size else { throw DecodeError(.truncated, at: offset) }
    let value = bytes.loadUnaligned(fromByteOffset: offset, as: T.self)
    offset &+= size
    return T(littleEndian: value)
  }
}
