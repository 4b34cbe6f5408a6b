import Protocol
import Testing

@Suite struct ByteCodingTests {
  @Test func writtenLittleEndianAndReadBack() throws {
    var bytes: [UInt8] = []
    bytes.put(UInt8(0x11))
    bytes.put(UInt16(0x2233))
    bytes.put(UInt32(0x4455_6677))
    bytes.put(UInt64(0x8899_AABB_CCDD_EEFF))
    bytes.put(true)
    bytes.put(false)
    bytes.putZeroes(3)
    #expect(
      bytes == [
        0x11, 0x33, 0x22, 0x77, 0x66, 0x55, 0x44, 0xFF, 0xEE, 0xDD, 0xCC, 0xBB, 0xAA, 0x99, 0x88,
        1, 0, 0, 0, 0,
      ])
    try bytes.withUnsafeBytes { buffer in
      var reader = ByteReader(buffer)
      #expect(try reader.u8() == 0x11)
      #expect(try reader.u16() == 0x2233)
      #expect(try reader.u32() == 0x4455_6677)
      #expect(try reader.u64() == 0x8899_AABB_CCDD_EEFF)
      #expect(try reader.bool())
      #expect(try !reader.bool())
      try reader.zeroes(3)
      try reader.finish()
    }
  }

  @Test func overwritesInPlace() {
    var bytes = [UInt8](repeating: 0xAA, count: 8)
    bytes.set(UInt32(0x0102_0304), at: 3)
    #expect(bytes == [0xAA, 0xAA, 0xAA, 4, 3, 2, 1, 0xAA])
  }

  @Test func readsBehindTheEndThrowAndMoveNothing() {
    let bytes: [UInt8] = [1, 2, 3]
    bytes.withUnsafeBytes { buffer in
      var reader = ByteReader(buffer)
      #expect(throws: DecodeError(.truncated, at: 0)) { try reader.u64() }
      #expect(throws: DecodeError(.truncated, at: 0)) { try reader.u32() }
      #expect(throws: DecodeError(.truncated, at: 0)) { try reader.skip(4) }
      #expect(throws: DecodeError(.truncated, at: 0)) { try reader.skip(-1) }
      #expect(throws: DecodeError(.trailing, at: 0)) { try reader.finish() }
      #expect(reader.remaining == 3)
      _ = try? reader.u16()
      #expect(throws: DecodeError(.truncated, at: 2)) { try reader.u16() }
      #expect(throws: DecodeError(.notABoolean, at: 2)) { try reader.bool() }
    }
  }

  @Test func partsAreClampedToTheBytes() {
    let bytes: [UInt8] = [1, 2, 3]
    bytes.withUnsafeBytes { buffer in
      #expect(ByteReader(buffer, in: 1..<100).remaining == 2)
      #expect(ByteReader(buffer, in: 50..<100).remaining == 0)
    }
    var empty = ByteReader(UnsafeRawBufferPointer(start: nil, count: 0))
    #expect(throws: DecodeError(.truncated, at: 0)) { try empty.u8() }
  }
}
