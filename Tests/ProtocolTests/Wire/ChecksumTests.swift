import Testing

@testable import Protocol

@Suite struct ChecksumTests {
  /// RFC 3720 appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
  static let vectors: [(name: String, bytes: [UInt8], crc: UInt32)] = [
    ("check", Array("123456789".utf8), 0xE306_9283),
    ("empty", [], 0),
    ("one zero", [0], 0x527D_5351),
    ("32 zeroes", [UInt8](repeating: 0, count: 32), 0x8A91_36AA),
    ("32 ones", [UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
    ("ascending", Array(0..<32), 0x46DD_794E),
    ("descending", (0..<32).reversed(), 0x113F_DB5C),
    (
      "iSCSI read command",
      [
        0x01, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00,
        0x00, 0x18, 0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00,
      ], 0xD996_3A56
    ),
  ]

  @Test(arguments: vectors.indices) func knownVectors(_ i: Int) {
    let vector = Self.vectors[i]
    #expect(CRC32C.checksum(vector.bytes) == vector.crc, "\(vector.name)")
    let overSpan = CRC32C.checksum(vector.bytes.span.bytes)
    #expect(overSpan == vector.crc, "\(vector.name)")
  }

  /// Bit by bit, straight from the definition.
  private func naive(_ bytes: ArraySlice<UInt8>) -> UInt32 {
    var crc = ~UInt32(0)
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 != 0 ? (crc >> 1) ^ 0x82F6_3B78 : crc >> 1 }
    }
    return ~crc
  }

  @Test func everyLengthAndAlignmentEqualsTheDefinition() {
    var random = SeededRandom(seed: 1)
    let bytes = (0..<100).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for begin in 0..<16 {
      for end in begin...bytes.count {
        let crc = bytes.withUnsafeBytes {
          CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[begin..<end]))
        }
        #expect(crc == naive(bytes[begin..<end]))
        let tabled = bytes.withUnsafeBytes {
          CRC32C.tabled(UnsafeRawBufferPointer(rebasing: $0[begin..<end]))
        }
        #expect(tabled == crc)
      }
    }
  }

  /// Around the lengths from which on three lanes are summed at once, once and several times.
  @Test func longBytesEqualTheDefinition() {
    var random = SeededRandom(seed: 3)
    let bytes = (0..<8_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    for end in Array(760...776) + Array(1_530...1_545) + [2_304, 4_096, 7_999, 8_000] {
      for begin in [0, 1, 7] {
        let crc = bytes.withUnsafeBytes {
          CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[begin..<end]), seed: 0)
        }
        #expect(crc == naive(bytes[begin..<end]), "\(begin)..<\(end)")
      }
    }
  }

  @Test func anySplitGivesTheSameChecksum() {
    var random = SeededRandom(seed: 2)
    let bytes = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let whole = CRC32C.checksum(bytes)
    for split in 0...bytes.count {
      let head = CRC32C.checksum(Array(bytes[..<split]))
      #expect(CRC32C.checksum(Array(bytes[split...]), seed: head) == whole)
    }
  }

  @Test func everySingleBitCounts() {
    let bytes = [UInt8](repeating: 0x5A, count: 67)
    let whole = CRC32C.checksum(bytes)
    for bit in 0..<bytes.count * 8 {
      var other = bytes
      other[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(CRC32C.checksum(other) != whole)
    }
  }
}
