// Every change of a record goes through these few functions, which keep the digest and the times of expiry along.

extension KeyValueStore {
  typealias Position = Table<Record>.Position

  /// A key's hash, and where it is, if it is there and has not expired. An expired one is removed.
  mutating func locate(_ key: ByteView) -> (hash: UInt64, position: Position?) {
    let hash = ByteHash.hash(key)
    guard let position = table.find(key, hash) else { return (hash, nil) }
    guard table[position].isLive(at: now) else {
      remove(at: position)
      return (hash, nil)
    }
    return (hash, position)
  }

  /// Adds a key that is not there.
  mutating func insert(_ key: ByteView, _ hash: UInt64, _ record: Record) {
    let position = table.insert([UInt8](key), hash, record)
    settle(position, hash)
  }

  /// Brings a record's digest, and its shard's next expiry, up to date after a change.
  mutating func settle(_ position: Position, _ hash: UInt64) {
    let expiry = table[position].expiry
    let old = table[position].digest
    let new = ByteHash.mix(hash, ByteHash.mix(table[position].value.digest, expiry))
    table[position].digest = new
    contents = contents &- old &+ new
    if expiry < nextExpiry[position.shard] { nextExpiry[position.shard] = expiry }
  }

  mutating func remove(at position: Position) {
    contents &-= table[position].digest
    table.remove(at: position)
  }

  /// Gives a key a string, whatever it held; `expiry` nil keeps the one it has.
  mutating func store(
    _ value: ByteView, at position: Position?, _ key: ByteView, _ hash: UInt64, expiry: UInt64?
  ) {
    guard let position else {
      let record = Record(.string([UInt8](value)), expiry: expiry ?? Record.never)
      return insert(key, hash, record)
    }
    changeString(at: position, hash) { $0.replace(by: value) }
    guard let expiry, table[position].expiry != expiry else { return }
    table[position].expiry = expiry
    settle(position, hash)
  }

  /// Changes a string in place. A value of another type becomes an empty string first.
  mutating func changeString(
    at position: Position, _ hash: UInt64, _ body: (inout [UInt8]) -> Void
  ) {
    var bytes: [UInt8] = []
    if case .string(let old) = table[position].value { bytes = old }
    // Taken out of the table, the bytes are referenced once and change where they are.
    table[position].value = .string([])
    body(&bytes)
    table[position].value = .string(bytes)
    settle(position, hash)
  }

  /// Looks at one shard, and removes what expired there.
  mutating func sweep() {
    let shard = Int(applied / Self.sweepPeriod % UInt64(nextExpiry.count))
    guard nextExpiry[shard] <= now else { return }
    var next = Record.never
    var slot = 0
    while slot < table.shards[shard].slots.count {
      if let expiry = table.shards[shard].slots[slot]?.payload.expiry {
        if expiry <= now {
          let count = table.shards[shard].slots.count
          remove(at: Position(shard: shard, slot: slot))
          // What lay behind may have moved down; a shard that was rebuilt is looked at again from its beginning.
          if table.shards[shard].slots.count != count {
            slot = 0
            next = Record.never
          }
          continue
        }
        next = min(next, expiry)
      }
      slot += 1
    }
    nextExpiry[shard] = next
  }
}

extension KeyspaceView {
  /// How many keys have not expired. Counts only where something may have.
  var liveCount: Int {
    var count = store.table.count
    for (shard, next) in zip(store.table.shards, store.nextExpiry) where next <= now {
      for entry in shard.slots {
        if let entry, !entry.payload.isLive(at: now) { count -= 1 }
      }
    }
    return count
  }
}
