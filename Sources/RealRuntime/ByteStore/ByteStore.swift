public import Protocol

/// What `rsl serve` replicates: bytes under numbers. Small on purpose: for measurements, demonstrations and tests of the
/// runtime; `Examples/KeyValueStore` is an application.
///
/// A command: tag 1 u8, seven zero bytes, key u64 little endian, value to the end; it is answered by the number of puts
/// that this key has seen, u64. A query: key u64; answered by that number, u64, then the value; empty for a key without one.
/// Whatever else comes is answered by one byte 0xFF.
public struct ByteStore: StateMachine, Sendable {
  /// Small tables in groups, ever more of them as keys come (linear hashing; Litwin, VLDB 1980), so that none is ever long: a
  /// change after a snapshot copies one table and the list of its group, and a new key moves at most one table's keys.
  private var groups: [[ByteShard]] = [[ByteShard()]]
  private var shardCount = 1
  private var count = 0
  private static let groupBits = 8
  private static let groupLength = 1 << groupBits
  /// There is a shard for so many keys.
  private static let keysPerShard = 8
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
    reply.append(put(key, value))
  }

  /// Returns the number of puts that the key has seen; a new one has seen `puts` before.
  private mutating func put(_ key: UInt64, _ value: RawSpan, after puts: UInt64 = 0) -> UInt64 {
    let shard = shard(of: key)
    if let puts = groups[shard >> Self.groupBits][shard % Self.groupLength]
      .replace(key, value, &digest)
    {
      return puts
    }
    groups[shard >> Self.groupBits][shard % Self.groupLength]
      .append(key, value, &digest, puts: puts + 1)
    count += 1
    if count > shardCount * Self.keysPerShard { split() }
    return puts + 1
  }

  /// Adds a shard, which takes from one other the keys that belong to it from now on.
  private mutating func split() {
    let new = shardCount
    let old = new - Self.powerOfTwo(upTo: new)
    shardCount += 1
    let moved = groups[old >> Self.groupBits][old % Self.groupLength].split {
      Self.shard(of: $0, among: new + 1) == new
    }
    if new % Self.groupLength == 0 {
      groups.append([])
      groups[groups.count - 1].reserveCapacity(Self.groupLength)
    }
    groups[groups.count - 1].append(moved)
  }

  public func query(_ query: RawSpan, reply: inout ReplyWriter) {
    guard query.byteCount == 8 else { return reply.append(UInt8(0xFF)) }
    let key = Self.word(query, 0)
    self[shard(of: key)].withEntry(of: key) { puts, value in
      reply.append(puts)
      reply.append(contentsOf: value)
    }
  }

  // MARK: Snapshots: shard after shard, the keys of each in the order they came; key, puts, length, value.

  public func snapshotChunk(at cursor: UInt64, limit: Int, into bytes: inout [UInt8]) -> UInt64? {
    let end = bytes.count + limit
    var shard = Int(cursor >> 32)
    var offset = Int(cursor & 0xFFFF_FFFF)
    while shard < shardCount {
      if let next = self[shard].write(from: offset, upTo: end, into: &bytes) {
        return UInt64(shard) << 32 | UInt64(next)
      }
      shard += 1
      offset = 0
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
      guard puts > 0, !self[shard(of: key)].contains(key) else { throw .field }
      _ = put(key, value, after: puts - 1)
      offset += Int(length)
    }
  }

  public mutating func finishRestore() throws(SnapshotInvalid) {}

  private func shard(of key: UInt64) -> Int { Self.shard(of: key, among: shardCount) }

  private static func shard(of key: UInt64, among count: Int) -> Int {
    let product = key &* 0x9E37_79B9_7F4A_7C15
    let hash = Int(truncatingIfNeeded: product ^ product >> 32)
    let power = powerOfTwo(upTo: count)
    let shard = hash & (2 * power - 1)
    return shard < count ? shard : shard - power
  }

  private static func powerOfTwo(upTo count: Int) -> Int {
    1 << (Int.bitWidth - 1 - count.leadingZeroBitCount)
  }

  private subscript(shard: Int) -> ByteShard {
    groups[shard >> Self.groupBits][shard % Self.groupLength]
  }

  private static func word(_ bytes: RawSpan, _ offset: Int) -> UInt64 {
    UInt64(littleEndian: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
}
