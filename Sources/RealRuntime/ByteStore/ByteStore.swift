public import Protocol

/// What `rsl serve` replicates: bytes under numbers. Small on purpose: for measurements, demonstrations and tests of the
/// runtime; `Examples/KeyValueStore` is an application.
///
/// A command: tag 1 u8, seven zero bytes, key u64 little endian, value to the end; it is answered by the number of puts
/// that this key has seen, u64. A query: key u64; answered by that number, u64, then the value; empty for a key without one.
/// Whatever else comes is answered by one byte 0xFF.
public struct ByteStore: StateMachine, Sendable {
  fileprivate struct Entry: Sendable {
    var key: UInt64
    var puts: UInt64 = 0
    /// What it adds to the digest; nothing before the first put.
    var digest: UInt64 = 0
    var value: [UInt8] = []
  }

  /// Entries in the order in which their keys came.
  fileprivate struct Shard: Sendable {
    var index = WordIndex()
    var entries: [Entry] = []
  }

  /// Very many small tables in groups: the first change after a snapshot copies one table and the list of one group, a few
  /// microseconds with a million keys (docs/performance.md), and never much of the state.
  private var groups = [[Shard]](
    repeating: [Shard](repeating: Shard(), count: Self.groupLength), count: Self.groupCount)
  private static let groupBits = 6
  private static let groupLength = 1 << groupBits
  private static let groupCount = 256
  private static let shardCount = groupCount * groupLength
  public private(set) var digest: UInt64 = 0

  public static let headLength = 16
  private static let tag: UInt64 = 1

  public init() {}

  public static func encodePut(_ key: UInt64, value: RawSpan, into bytes: inout [UInt8]) {
    withUnsafeBytes(of: tag.littleEndian) { bytes.append(contentsOf: $0) }
    withUnsafeBytes(of: key.littleEndian) { bytes.append(contentsOf: $0) }
    value.withUnsafeBytes { bytes.append(contentsOf: $0) }
  }

  public static func encodeGet(_ key: UInt64, into bytes: inout [UInt8]) {
    withUnsafeBytes(of: key.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    guard command.byteCount >= Self.headLength, Self.word(command, 0) == Self.tag else {
      return reply.append(UInt8(0xFF))
    }
    let key = Self.word(command, 8)
    let value = command.extracting(Self.headLength...)
    let shard = Self.shard(of: key)
    reply.append(
      groups[shard >> Self.groupBits][shard % Self.groupLength].put(key, value, &digest))
  }

  public func query(_ query: RawSpan, reply: inout ReplyWriter) {
    guard query.byteCount == 8 else { return reply.append(UInt8(0xFF)) }
    let key = Self.word(query, 0)
    let shard = self.shard(Self.shard(of: key))
    guard let place = shard.index[key] else { return }
    let entry = shard.entries[place]
    reply.append(entry.puts)
    reply.append(contentsOf: entry.value)
  }

  // MARK: Snapshots: shard after shard, the keys of each in the order they came; key, puts, length, value.

  public func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    let end = bytes.count + limit
    var shard = Int(cursor >> 32)
    var skip = Int(cursor & 0xFFFF_FFFF)
    while shard < Self.shardCount {
      let entries = self.shard(shard).entries
      while skip < entries.count {
        let entry = entries[skip]
        // An entry longer than a piece cannot be: commands are bounded below it.
        guard bytes.count + 24 + entry.value.count <= end else {
          return UInt64(shard) << 32 | UInt64(skip)
        }
        for word in [entry.key, entry.puts, UInt64(entry.value.count)] {
          withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes.append(contentsOf: entry.value)
        skip += 1
      }
      shard += 1
      skip = 0
    }
    return nil
  }

  public mutating func beginRestore() { self = ByteStore() }

  public mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    var offset = 0
    while offset < bytes.byteCount {
      guard bytes.byteCount - offset >= 24 else { throw .length }
      let (key, puts) = (Self.word(bytes, offset), Self.word(bytes, offset + 8))
      let length = Self.word(bytes, offset + 16)
      offset += 24
      guard length <= UInt64(bytes.byteCount - offset) else { throw .length }
      let value = bytes.extracting(offset..<offset + Int(length))
      let shard = Self.shard(of: key)
      guard puts > 0, self.shard(shard).index[key] == nil else { throw .field }
      _ = groups[shard >> Self.groupBits][shard % Self.groupLength]
        .put(key, value, &digest, after: puts - 1)
      offset += Int(length)
    }
  }

  public mutating func finishRestore() throws(SnapshotInvalid) {}

  /// By the upper bits of a hash.
  private static func shard(of key: UInt64) -> Int {
    Int((key &* 0x9E37_79B9_7F4A_7C15) >> 50)
  }

  private func shard(_ number: Int) -> Shard {
    groups[number >> Self.groupBits][number % Self.groupLength]
  }

  private static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}

extension ByteStore.Shard {
  /// Puts a value in place of the one before, in the memory of that; returns the number of puts. A new key has been put
  /// `after` times before.
  fileprivate mutating func put(
    _ key: UInt64, _ value: RawSpan, _ digest: inout UInt64, after puts: UInt64 = 0
  ) -> UInt64 {
    if let place = index[key] { return entries[place].replace(by: value, &digest) }
    index.insert(key, entries.count)
    entries.append(ByteStore.Entry(key: key, puts: puts))
    return entries[entries.count - 1].replace(by: value, &digest)
  }
}

extension ByteStore.Entry {
  /// Puts a value in place of the one before, in the memory of that; returns the number of puts.
  fileprivate mutating func replace(
    by new: RawSpan, _ digest: inout UInt64
  ) -> UInt64 {
    puts += 1
    if value.count == new.byteCount {
      new.withUnsafeBytes { new in value.withUnsafeMutableBytes { $0.copyMemory(from: new) } }
    } else {
      value.removeAll(keepingCapacity: true)
      new.withUnsafeBytes { value.append(contentsOf: $0) }
    }
    let contribution = contribution(CRC32C.checksum(new))
    digest = digest &- self.digest &+ contribution
    self.digest = contribution
    return puts
  }

  private func contribution(_ checksum: UInt32) -> UInt64 {
    var z = key &* 0x9E37_79B9_7F4A_7C15 ^ puts << 32 ^ UInt64(checksum)
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
