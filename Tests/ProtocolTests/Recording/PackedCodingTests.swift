import Testing

@testable import Protocol

@Suite struct PackedCodingTests {
  private func packed(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendPacked(upTo: PackedWriter.numberBytesMax) { $0.put(value) }
    return bytes
  }

  private func read(_ bytes: [UInt8]) throws(DecodeError) -> UInt64 {
    try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodeError) in
      var reader = ByteReader(buffer)
      let value = try reader.packed()
      try reader.finish()
      return value
    }
  }

  /// The definition: n bytes hold 7 n bits, nine hold all.
  private func definition(_ value: UInt64) -> [UInt8] {
    for n in 1...8 where value >> UInt64(7 * n) == 0 {
      let word = value << UInt64(n) | 1 << UInt64(n - 1)
      return (0..<n).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
    }
    return [0] + (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
  }

  @Test func everyLengthAndItsBoundsComeBack() throws {
    var values: [UInt64] = [0, 1, .max, .max - 1]
    for bits in 1..<64 as Range<UInt64> {
      values += [1 << bits - 1, 1 << bits, 1 << bits + 1]
    }
    var generator = Generator(seed: 3)
    for bits in 0..<64 as Range<UInt64> {
      for _ in 0..<20 { values.append(generator.random.next() >> bits) }
    }
    for value in values {
      let bytes = packed(value)
      #expect(bytes == definition(value), "\(value)")
      #expect(bytes.count == PackedNumber.length(of: value))
      #expect(try read(bytes) == value)
    }
  }

  @Test func knownBytes() {
    #expect(hex(packed(0)) == "01")
    #expect(hex(packed(127)) == "ff")
    #expect(hex(packed(128)) == "0202")
    #expect(hex(packed(0x1234)) == "d248")
    #expect(hex(packed(.max)) == "00ffffffffffffffff")
  }

  @Test func distancesComeBackAcrossTheWholeRange() throws {
    var generator = Generator(seed: 4)
    for _ in 0..<2_000 {
      let (value, origin) = (generator.u64(), generator.u64())
      var bytes: [UInt8] = []
      bytes.appendPacked(upTo: PackedWriter.numberBytesMax) { $0.put(value, from: origin) }
      let back = try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodeError) in
        var reader = ByteReader(buffer)
        return try reader.packed(from: origin)
      }
      #expect(back == value)
    }
    #expect(PackedNumber.folded(0 &- 1) == 1, "one below is as short as one above")
  }

  @Test func aNumberHasOneEncodingAndEnds() {
    // 5 in two bytes, and in nine.
    #expect(throws: DecodeError(.contradiction, at: 0)) { try read([5 << 2 | 2, 0]) }
    #expect(throws: DecodeError(.contradiction, at: 0)) { try read([0, 5, 0, 0, 0, 0, 0, 0, 0]) }
    for value in [128, 1 << 20, 1 << 55, UInt64.max] {
      let bytes = packed(value)
      for count in 0..<bytes.count {
        #expect(throws: DecodeError.self) { try read(Array(bytes[..<count])) }
      }
    }
  }

  @Test func aNumberThatDoesNotFitIsRefused() throws {
    let bytes = packed(1 << 32)
    bytes.withUnsafeBytes { buffer in
      var reader = ByteReader(buffer)
      #expect(throws: DecodeError(.length, at: 0)) { try reader.packed32() }
    }
  }
}
