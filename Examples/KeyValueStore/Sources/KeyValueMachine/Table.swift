/// A map from byte strings, ordered by (hash of the key, key): the same contents give the same order, whatever led there.
///
/// That makes SCAN's cursors, KEYS and snapshots functions of the state alone. The upper bits of a hash choose a shard,
/// and shards are arrays of their own: after a copy, the first change copies one shard rather than everything.
struct Table<Payload: Sendable>: Sendable {
  struct Entry: Sendable {
    let hash: UInt64
    let key: [UInt8]
    var payload: Payload
  }

  /// Where an entry lies; valid until entries are inserted or removed.
  struct Position: Equatable, Sendable {
    var shard: Int
    var slot: Int
  }

  private(set) var shards: [TableShard<Payload>]
  private let shardBits: Int
  private(set) var count = 0

  /// With 2^shardBits shards; shardBits is 1...16.
  init(shardBits: Int) {
    precondition((1...16).contains(shardBits), "a hash's upper bits choose one of 2...65536 shards")
    self.shardBits = shardBits
    shards = Array(repeating: TableShard(), count: 1 << shardBits)
  }

  func shard(of hash: UInt64) -> Int { Int(truncatingIfNeeded: hash &>> UInt64(64 &- shardBits)) }

  func find(_ key: ByteView, _ hash: UInt64) -> Position? {
    let shard = shard(of: hash)
    guard let slot = shards[shard].find(key, hash, hash &<< UInt64(shardBits)) else { return nil }
    return Position(shard: shard, slot: slot)
  }

  /// Adds a key that is not there yet.
  mutating func insert(_ key: [UInt8], _ hash: UInt64, _ payload: Payload) -> Position {
    let shard = shard(of: hash)
    let slot = shards[shard].insert(Entry(hash: hash, key: key, payload: payload), shardBits)
    count &+= 1
    return Position(shard: shard, slot: slot)
  }

  mutating func remove(at position: Position) {
    shards[position.shard].remove(at: position.slot, shardBits)
    count &-= 1
  }

  mutating func removeAll() { self = Table(shardBits: shardBits) }

  /// The payload of the entry at this position.
  subscript(position: Position) -> Payload {
    _read { yield shards[position.shard].slots[position.slot]!.payload }
    _modify { yield &shards[position.shard].slots[position.slot]!.payload }
  }

  func entry(at position: Position) -> Entry { shards[position.shard].slots[position.slot]! }

  /// The first entry at or behind a position, in order; nil when there is none.
  func next(from position: Position) -> Position? {
    var (shard, slot) = (position.shard, position.slot)
    while shard < shards.count {
      if shards[shard].count > 0 {
        while slot < shards[shard].slots.count {
          if shards[shard].slots[slot] != nil { return Position(shard: shard, slot: slot) }
          slot &+= 1
        }
      }
      shard &+= 1
      slot = 0
    }
    return nil
  }

  /// The first entry whose hash is at least this.
  func next(from hash: UInt64) -> Position? {
    let shard = shard(of: hash)
    let slot = shards[shard].lowerBound(hash, hash &<< UInt64(shardBits))
    return next(from: Position(shard: shard, slot: slot))
  }

  /// Every entry, in order.
  func visit(_ body: (Entry) -> Void) {
    for shard in shards where shard.count > 0 {
      for entry in shard.slots { if let entry { body(entry) } }
    }
  }
}

/// One shard: linear probing with the entries in the order of their hashes, which are also the order of their homes
/// (Amble and Knuth, "Ordered hash tables", 1974). A run never wraps around: behind the last home there are spare slots.
struct TableShard<Payload: Sendable>: Sendable {
  typealias Entry = Table<Payload>.Entry

  fileprivate(set) var slots: [Entry?] = []
  private(set) var count = 0
  /// There are 2^bits homes; -1 before the first entry.
  private var bits = -1

  /// `tail` is the hash without the bits that chose the shard.
  @inline(__always)
  private func home(_ tail: UInt64) -> Int {
    // A shift by 64, for a single home, would be taken modulo 64.
    Int(truncatingIfNeeded: (tail &>> 1) &>> UInt64(63 &- bits))
  }

  func find(_ key: ByteView, _ hash: UInt64, _ tail: UInt64) -> Int? {
    guard bits >= 0 else { return nil }
    return slots.withUnsafeBufferPointer { slots in
      var slot = home(tail)
      while slot < slots.count, let other = slots[slot]?.hash, other <= hash {
        if other == hash, slots[slot]!.key.withUnsafeBytes({ $0.isSame(as: key) }) { return slot }
        slot &+= 1
      }
      return nil
    }
  }

  /// The first slot, empty or not, before which there is no entry with a hash of at least this.
  func lowerBound(_ hash: UInt64, _ tail: UInt64) -> Int {
    guard bits >= 0 else { return 0 }
    var slot = home(tail)
    while slot < slots.count, let other = slots[slot]?.hash, other < hash { slot &+= 1 }
    return slot
  }

  mutating func insert(_ entry: Entry, _ shardBits: Int) -> Int {
    if bits < 0 {
      rebuild(bits: 2, shardBits)
    } else if (count &+ 1) &* 4 > 3 << bits {
      rebuild(bits: bits + 1, shardBits)
    }
    var slot = home(entry.hash &<< UInt64(shardBits))
    while slot < slots.count, let other = slots[slot], comesBefore(other, entry) { slot &+= 1 }
    // Everything from here to the end of the run moves up by one.
    var end = slot
    while end < slots.count, slots[end] != nil { end &+= 1 }
    if end == slots.count { slots.append(nil) }
    while end > slot {
      slots.swapAt(end, end &- 1)
      end &-= 1
    }
    slots[slot] = entry
    count &+= 1
    return slot
  }

  mutating func remove(at slot: Int, _ shardBits: Int) {
    slots[slot] = nil
    count &-= 1
    // Entries that were pushed behind their homes move down into the gap.
    var gap = slot
    while gap &+ 1 < slots.count, let next = slots[gap &+ 1],
      home(next.hash &<< UInt64(shardBits)) <= gap
    {
      slots.swapAt(gap, gap &+ 1)
      gap &+= 1
    }
    if count == 0 {
      self = TableShard()
    } else if bits > 2, count &* 8 < 1 << bits {
      rebuild(bits: bits - 1, shardBits)
    }
  }

  private func comesBefore(_ a: Entry, _ b: Entry) -> Bool {
    if a.hash != b.hash { return a.hash < b.hash }
    return a.key.withUnsafeBytes { a in b.key.withUnsafeBytes { b in a.precedes(b) } }
  }

  private mutating func rebuild(bits: Int, _ shardBits: Int) {
    self.bits = bits
    var old: [Entry?] = []
    swap(&old, &slots)
    let homes = 1 << bits
    slots.reserveCapacity(homes + homes / 8 + 4)
    slots.append(contentsOf: repeatElement(nil, count: homes))
    var free = 0
    for entry in old {
      guard let entry else { continue }
      let slot = max(free, home(entry.hash &<< UInt64(shardBits)))
      while slot >= slots.count { slots.append(nil) }
      slots[slot] = entry
      free = slot + 1
    }
  }
}
