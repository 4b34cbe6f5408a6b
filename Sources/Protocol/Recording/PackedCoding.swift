// Small numbers in few bytes: the vocabulary of recordings. A packed number of n bytes has n - 1 zero bits below a one in
// its first byte, then seven bits a byte; nine bytes hold all 64 bits. Its length is known from its first byte, so that
// neither side loops. Every number has exactly one encoding.

/// Fills memory that has room for it: the writing half.
///
/// Borrows the memory: valid only inside the closure of `appendPacked`. Whoever writes says before how many bytes it will
/// be at most, once for many fields; a field itself is not checked.
struct PackedWriter {
  private let base: UnsafeMutableRawPointer
  private let capacity: Int
  /// How many bytes have been written.
  private(set) var offset = 0

  fileprivate init(_ base: UnsafeMutableRawPointer, capacity: Int) {
    self.base = base
    self.capacity = capacity
  }

  /// A number may store 8 bytes from its second one on, whatever its length.
  static let numberBytesMax = 9

  /// Must hold before the fields of the next `count` bytes are written.
  @inline(__always)
  func expect(_ count: Int) {
    precondition(capacity &- offset >= count, "more bytes than announced")
  }

  @inline(__always)
  mutating func put(byte: UInt8) {
    base.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    offset &+= 1
  }

  @inline(__always)
  mutating func put(raw value: UInt32) {
    base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt32.self)
    offset &+= 4
  }

  @inline(__always)
  mutating func put(raw value: UInt64) {
    base.storeBytes(of: value.littleEndian, toByteOffset: offset, as: UInt64.self)
    offset &+= 8
  }

  @inline(__always)
  mutating func put(_ value: UInt64) {
    if value < 128 {
      put(byte: UInt8(truncatingIfNeeded: value &<< 1 | 1))
    } else {
      putLong(value)
    }
  }

  private mutating func putLong(_ value: UInt64) {
    let count = PackedNumber.length(of: value)
    guard count <= 8 else {
      put(byte: 0)
      return put(raw: value)
    }
    let n = UInt64(count)
    base.storeBytes(
      of: (value &<< n | 1 &<< (n &- 1)).littleEndian, toByteOffset: offset, as: UInt64.self)
    offset &+= count
  }

  /// How far `value` lies from `origin`, in either direction.
  @inline(__always)
  mutating func put(_ value: UInt64, from origin: UInt64) {
    put(PackedNumber.folded(value &- origin))
  }
}

/// The arithmetic that both directions share.
enum PackedNumber {
  /// Of the encoding, in bytes: one for each seven bits.
  @inline(__always)
  static func length(of value: UInt64) -> Int {
    let bits = 64 &- (value | 1).leadingZeroBitCount
    return min((bits &+ 6) / 7, 9)
  }

  /// A difference with its sign in the lowest bit, so that small ones are short in both directions.
  @inline(__always)
  static func folded(_ difference: UInt64) -> UInt64 {
    let signed = Int64(bitPattern: difference)
    return UInt64(bitPattern: (signed &<< 1) ^ (signed &>> 63))
  }

  @inline(__always)
  static func unfolded(_ word: UInt64) -> UInt64 {
    (word &>> 1) ^ (0 &- (word & 1))
  }
}

extension [UInt8] {
  /// Appends what `body` writes, at most `capacity` bytes.
  @inline(__always)
  mutating func appendPacked(upTo capacity: Int, _ body: (inout PackedWriter) -> Void) {
    append(addingCapacity: capacity) { (span: inout OutputSpan<UInt8>) in
      span.withUnsafeMutableBufferPointer { buffer, initialized in
        guard let base = buffer.baseAddress else { return }
        var writer = PackedWriter(
          UnsafeMutableRawPointer(base + initialized), capacity: capacity)
        body(&writer)
        initialized &+= writer.offset
      }
    }
  }
}

extension ByteReader {
  /// A packed number. Refuses one that is longer than it need be.
  mutating func packed() throws(DecodeError) -> UInt64 {
    let at = offset
    let first = try u8()
    if first & 1 == 1 { return UInt64(first &>> 1) }
    if first == 0 {
      let value = try u64()
      guard value >> 56 > 0 else { throw DecodeError(.contradiction, at: at) }
      return value
    }
    let extra = first.trailingZeroBitCount
    var value = UInt64(first) &>> UInt64(extra &+ 1)
    var shift = UInt64(7 &- extra)
    for i in try skip(extra) {
      value |= UInt64(bytes[i]) &<< shift
      shift &+= 8
    }
    guard value &>> UInt64(7 &* extra) > 0 else { throw DecodeError(.contradiction, at: at) }
    return value
  }

  /// A packed number that fits 32 bits.
  mutating func packed32() throws(DecodeError) -> UInt32 {
    let at = offset
    guard let value = UInt32(exactly: try packed()) else { throw DecodeError(.length, at: at) }
    return value
  }

  /// A number by its distance from `origin`.
  mutating func packed(from origin: UInt64) throws(DecodeError) -> UInt64 {
    origin &+ PackedNumber.unfolded(try packed())
  }
}
