internal import CChecksum

/// CRC32C (Castagnoli, reflected polynomial 0x82F63B78), the checksum of frames, journal records and snapshots.
///
/// By the processor's instruction where it has one, three lanes at once where there are many bytes; else eight bytes a
/// round by eight tables (Kounavis and Berry, "A Systematic Approach to Building High Performance Software-Based CRC
/// Generators", 2005). Incremental: `checksum(b, seed: checksum(a))` is the checksum of `a` followed by `b`. It finds every burst of up to 32 bits and, in lengths below 2³¹ bits, every odd number and every pair of
/// flipped bits. It is no defence against someone who forges bytes on purpose.
public enum CRC32C {
  /// Table k, at 256 k, advances a byte by k more bytes.
  private static let tables: [UInt32] = {
    var tables = [UInt32](repeating: 0, count: 8 * 256)
    for byte in 0..<256 {
      var crc = UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 != 0 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
      tables[byte] = crc
    }
    for k in 1..<8 {
      for byte in 0..<256 {
        let before = tables[256 * (k - 1) + byte]
        tables[256 * k + byte] = tables[Int(before & 0xFF)] ^ (before >> 8)
      }
    }
    return tables
  }()

  /// The checksum of `bytes`, continuing the one of the bytes before them; 0 begins anew.
  public static func checksum(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    guard rsl_crc32c_is_available() else { return tabled(bytes, seed: seed) }
    return ~rsl_crc32c(~seed, bytes.baseAddress, bytes.count)
  }

  /// The same in software.
  static func tabled(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
    guard let base = bytes.baseAddress else { return seed }
    return tables.withUnsafeBufferPointer { tables in
      // The table has 8 * 256 entries, and every index below is a byte plus a multiple of 256 up to 7 * 256: unchecked
      // access is in bounds by construction.
      let table = tables.baseAddress.unsafelyUnwrapped
      var crc = UInt64(~seed)
      var offset = 0
      let whole = bytes.count & ~7
      while offset < whole {
        let word = UInt64(
          littleEndian: base.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        let x = word ^ crc
        let a = table[1792 &+ Int(x & 0xFF)] ^ table[1536 &+ Int((x &>> 8) & 0xFF)]
        let b = table[1280 &+ Int((x &>> 16) & 0xFF)] ^ table[1024 &+ Int((x &>> 24) & 0xFF)]
        let c = table[768 &+ Int((x &>> 32) & 0xFF)] ^ table[512 &+ Int((x &>> 40) & 0xFF)]
        let d = table[256 &+ Int((x &>> 48) & 0xFF)] ^ table[Int(x &>> 56)]
        crc = UInt64((a ^ b) ^ (c ^ d))
        offset &+= 8
      }
      while offset < bytes.count {
        let byte = base.load(fromByteOffset: offset, as: UInt8.self)
        crc = UInt64(table[Int((crc ^ UInt64(byte)) & 0xFF)]) ^ (crc &>> 8)
        offset &+= 1
      }
      return ~UInt32(truncatingIfNeeded: crc)
    }
  }

  /// The checksum of `bytes`, continuing the one of the bytes before them; 0 begins anew.
  public static func checksum(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { checksum($0, seed: seed) }
  }

  /// The checksum of `bytes`, continuing the one of the bytes before them; 0 begins anew.
  public static func checksum(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { checksum($0, seed: seed) }
  }
}
