/// Bytes somebody else keeps: valid only inside the call they are handed to.
typealias ByteView = UnsafeRawBufferPointer

extension UnsafeRawBufferPointer {
  /// Eight bytes, little endian. The caller has made sure that they are there.
  @inline(__always)
  func word(at offset: Int) -> UInt64 {
    UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }

  /// Whether the bytes are the same.
  func isSame(as other: ByteView) -> Bool {
    guard count == other.count else { return false }
    var offset = 0
    while count &- offset >= 8 {
      if word(at: offset) != other.word(at: offset) { return false }
      offset &+= 8
    }
    while offset < count {
      if self[offset] != other[offset] { return false }
      offset &+= 1
    }
    return true
  }

  /// Whether these bytes come before the others in lexicographic order.
  func precedes(_ other: ByteView) -> Bool {
    for i in 0..<Swift.min(count, other.count) where self[i] != other[i] {
      return self[i] < other[i]
    }
    return count < other.count
  }

  /// Compares with an ASCII word in capitals, ignoring case.
  func isWord(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for i in 0..<count {
      let byte = self[i]
      let capital = byte &- 0x61 < 26 ? byte &- 32 : byte
      if capital != word.utf8Start[i] { return false }
    }
    return true
  }
}

extension [UInt8] {
  init(_ view: ByteView) {
    self.init(unsafeUninitializedCapacity: view.count) { buffer, initialized in
      UnsafeMutableRawBufferPointer(buffer).copyMemory(from: view)
      initialized = view.count
    }
  }

  /// Takes other content, in the same memory where it fits and is not much too large.
  mutating func replace(by view: ByteView) {
    guard capacity >= view.count, capacity <= 2 &* view.count &+ 64 else {
      self = [UInt8](view)
      return
    }
    removeAll(keepingCapacity: true)
    append(contentsOf: view)
  }
}

/// A 64-bit hash of bytes that is the same in every process and on every machine: it decides the order of SCAN and of
/// snapshots, and digests are made of it.
///
/// Multiply and fold, eight bytes a round, as in wyhash. Its constants are public, so whoever chooses keys can make them
/// collide; colliding keys cost time, never correctness.
enum ByteHash {
  static func hash(_ bytes: ByteView) -> UInt64 {
    var h = 0x9E37_79B9_7F4A_7C15 ^ UInt64(truncatingIfNeeded: bytes.count)
    var offset = 0
    while bytes.count &- offset >= 8 {
      h = fold(h ^ bytes.word(at: offset), 0xD6E8_FEB8_6659_FD93)
      offset &+= 8
    }
    if offset < bytes.count {
      var tail: UInt64 = 0
      var shift: UInt64 = 0
      while offset < bytes.count {
        tail |= UInt64(bytes[offset]) &<< shift
        shift &+= 8
        offset &+= 1
      }
      h = fold(h ^ tail, 0xA076_1D64_78BD_642F)
    }
    return fold(h ^ 0xE703_7ED1_A0B4_28DB, 0x8EBC_6AF0_9C88_C6E3)
  }

  static func hash(_ bytes: [UInt8]) -> UInt64 { bytes.withUnsafeBytes { hash($0) } }

  /// A well-mixed word of two, not symmetric.
  static func mix(_ a: UInt64, _ b: UInt64) -> UInt64 {
    fold(a ^ 0xE703_7ED1_A0B4_28DB, fold(b ^ 0x8EBC_6AF0_9C88_C6E3, 0xD6E8_FEB8_6659_FD93) | 1)
  }

  @inline(__always)
  private static func fold(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let product = a.multipliedFullWidth(by: b)
    return product.high ^ product.low
  }
}

/// Numbers as Redis reads and writes them.
enum Decimal {
  /// A signed 64-bit number in its one canonical form: no plus, no leading zero, no space, no "-0"; nil for all else.
  static func integer(_ text: ByteView) -> Int64? {
    guard !text.isEmpty, text.count <= 20 else { return nil }
    let isNegative = text[0] == UInt8(ascii: "-")
    var offset = isNegative ? 1 : 0
    guard offset < text.count else { return nil }
    if text[offset] == UInt8(ascii: "0") { return text.count == 1 ? 0 : nil }
    var magnitude: UInt64 = 0
    while offset < text.count {
      let digit = text[offset] &- 0x30
      guard digit < 10 else { return nil }
      let (scaled, tooLarge) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, over) = scaled.addingReportingOverflow(UInt64(digit))
      guard !tooLarge, !over else { return nil }
      magnitude = sum
      offset &+= 1
    }
    guard isNegative else { return Int64(exactly: magnitude) }
    return magnitude <= 1 << 63 ? Int64(truncatingIfNeeded: 0 &- magnitude) : nil
  }

  /// An unsigned number of up to 20 digits; leading zeroes are allowed.
  static func unsigned(_ text: ByteView) -> UInt64? {
    guard !text.isEmpty, text.count <= 20 else { return nil }
    var value: UInt64 = 0
    for byte in text {
      let digit = byte &- 0x30
      guard digit < 10 else { return nil }
      let (scaled, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, over) = scaled.addingReportingOverflow(UInt64(digit))
      guard !tooLarge, !over else { return nil }
      value = sum
    }
    return value
  }

  /// Hands the digits of a number to `body`.
  @inline(__always)
  static func withDigits<R>(of value: Int64, _ body: (ByteView) -> R) -> R {
    withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { buffer in
      var magnitude = value.magnitude
      var first = 20
      repeat {
        first &-= 1
        buffer[first] = UInt8(truncatingIfNeeded: magnitude % 10) &+ 0x30
        magnitude /= 10
      } while magnitude != 0
      if value < 0 {
        first &-= 1
        buffer[first] = UInt8(ascii: "-")
      }
      return body(ByteView(rebasing: UnsafeRawBufferPointer(buffer)[first..<20]))
    }
  }
}

/// Lengths in snapshots: seven bits a byte, the low ones first (LEB128).
enum Varint {
  static func length(_ value: Int) -> Int {
    max(1, (71 &- UInt64(value).leadingZeroBitCount - 1) / 7)
  }
}
