import Protocol

/// A few keys of a `ByteStore` and their values, in the order in which the keys came, in one piece of memory: looking one up
/// waits for memory once, and a copy is one copy of bytes.
///
/// An entry: key, number of puts, what it adds to the digest (u64 each), length of the value u32, 4 bytes unused, the value.
struct ByteShard: Sendable {
  private var bytes: [UInt8] = []

  private static let headLength = 32

  /// Puts a value in place of the one before; returns the number of puts, nil for a key without one.
  mutating func replace(_ key: UInt64, _ value: RawSpan, _ digest: inout UInt64) -> UInt64? {
    guard let (offset, length) = find(key) else { return nil }
    if length != value.byteCount {
      let old = offset + Self.headLength..<offset + Self.headLength + length
      value.withUnsafeBytes { bytes.replaceSubrange(old, with: $0) }
    }
    return bytes.withUnsafeMutableBytes { bytes in
      let head = bytes.baseAddress! + offset
      value.withUnsafeBytes {
        UnsafeMutableRawBufferPointer(start: head + Self.headLength, count: $0.count)
          .copyMemory(from: $0)
      }
      let puts = head.loadUnaligned(fromByteOffset: 8, as: UInt64.self) &+ 1
      let before = head.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
      let now = Self.contribution(key, puts, CRC32C.checksum(value))
      head.storeBytes(of: puts, toByteOffset: 8, as: UInt64.self)
      head.storeBytes(of: now, toByteOffset: 16, as: UInt64.self)
      head.storeBytes(of: UInt32(value.byteCount), toByteOffset: 24, as: UInt32.self)
      digest = digest &- before &+ now
      return puts
    }
  }

  /// Adds a key that is not there.
  mutating func append(_ key: UInt64, _ value: RawSpan, _ digest: inout UInt64, puts: UInt64) {
    let contribution = Self.contribution(key, puts, CRC32C.checksum(value))
    for word in [key, puts, contribution, UInt64(value.byteCount)] {
      withUnsafeBytes(of: word) { bytes.append(contentsOf: $0) }
    }
    value.withUnsafeBytes { bytes.append(contentsOf: $0) }
    digest = digest &+ contribution
  }

  /// Takes the entries out whose keys are chosen; both parts keep their order.
  mutating func split(_ isChosen: (UInt64) -> Bool) -> ByteShard {
    var (kept, taken) = (ByteShard(), ByteShard())
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let end = offset + Self.headLength + Self.length(bytes, offset)
        if isChosen(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) {
          taken.bytes.append(contentsOf: bytes[offset..<end])
        } else {
          kept.bytes.append(contentsOf: bytes[offset..<end])
        }
        offset = end
      }
    }
    self = kept
    return taken
  }

  func contains(_ key: UInt64) -> Bool { find(key) != nil }

  /// Calls `body` with the number of puts and the value; not at all for a key without one.
  func withEntry(of key: UInt64, _ body: (UInt64, RawSpan) -> Void) {
    guard let (offset, length) = find(key) else { return }
    let span = bytes.span.bytes
    body(
      span.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self),
      span.extracting(offset + Self.headLength..<offset + Self.headLength + length))
  }

  /// Where the entry of a key begins, and how long its value is.
  private func find(_ key: UInt64) -> (offset: Int, length: Int)? {
    bytes.withUnsafeBytes { bytes in
      var offset = 0
      while offset < bytes.count {
        let length = Self.length(bytes, offset)
        if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) == key {
          return (offset, length)
        }
        offset += Self.headLength + length
      }
      return nil
    }
  }

  private static func length(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Int {
    Int(bytes.loadUnaligned(fromByteOffset: offset + 24, as: UInt32.self))
  }

  /// Appends the entries from `offset` on, each as key, puts, length (u64 each, little endian) and value, as long as `out` does
  /// not grow beyond `end`. Returns where to go on; nil when there is no more.
  func write(from offset: Int, upTo end: Int, into out: inout [UInt8]) -> Int? {
    bytes.withUnsafeBytes { bytes in
      var offset = offset
      while offset < bytes.count {
        let length = Self.length(bytes, offset)
        // An entry longer than a piece cannot be: commands are bounded below it.
        guard out.count + 24 + length <= end else { return offset }
        let key = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        let puts = bytes.loadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)
        for word in [key, puts, UInt64(length)] {
          withUnsafeBytes(of: word.littleEndian) { out.append(contentsOf: $0) }
        }
        offset += Self.headLength
        out.append(contentsOf: bytes[offset..<offset + length])
        offset += length
      }
      return nil
    }
  }

  private static func contribution(_ key: UInt64, _ puts: UInt64, _ checksum: UInt32) -> UInt64 {
    var z = key &* 0x9E37_79B9_7F4A_7C15 ^ puts << 32 ^ UInt64(checksum)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
