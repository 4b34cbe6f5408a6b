/// A map from 64-bit words to small indices: open addressing with linear probing, at most half full.
///
/// Instead of a `Dictionary`, whose seed and order differ between processes. Lookups never depend on the order of the
/// insertions that led here, and nothing iterates it.
package struct WordIndex: Sendable {
  private var keys: [UInt64]
  /// The index of the key at the same place, or -1 where there is none.
  private var values: [Int32]
  package private(set) var count = 0
  private var mask: Int { keys.count &- 1 }

  package init() {
    keys = Array(repeating: 0, count: 16)
    values = Array(repeating: -1, count: 16)
  }

  package subscript(key: UInt64) -> Int? {
    var place = home(of: key)
    while values[place] >= 0 {
      if keys[place] == key { return Int(values[place]) }
      place = (place &+ 1) & mask
    }
    return nil
  }

  /// Adds a key that is not there yet.
  package mutating func insert(_ key: UInt64, _ value: Int) {
    if (count + 1) * 2 > keys.count { grow() }
    place(key, Int32(value))
    count += 1
  }

  /// Removes a key; the ones that were pushed behind it move up (Knuth, vol. 3, 6.4, algorithm R), so no tombstones.
  package mutating func remove(_ key: UInt64) {
    var hole = home(of: key)
    while keys[hole] != key || values[hole] < 0 {
      if values[hole] < 0 { return }
      hole = (hole &+ 1) & mask
    }
    var next = (hole &+ 1) & mask
    while values[next] >= 0 {
      // The key at `next` may fill the hole unless its home lies behind the hole.
      let distance = (next &- home(of: keys[next])) & mask
      if distance >= (next &- hole) & mask {
        keys[hole] = keys[next]
        values[hole] = values[next]
        hole = next
      }
      next = (next &+ 1) & mask
    }
    values[hole] = -1
    count -= 1
  }

  private func home(of key: UInt64) -> Int {
    var z = (key ^ (key >> 32)) &* 0x9E37_79B9_7F4A_7C15
    z ^= z >> 29
    return Int(truncatingIfNeeded: z) & mask
  }

  private mutating func place(_ key: UInt64, _ value: Int32) {
    var place = home(of: key)
    while values[place] >= 0 { place = (place &+ 1) & mask }
    keys[place] = key
    values[place] = value
  }

  private mutating func grow() {
    let (oldKeys, oldValues) = (keys, values)
    keys = Array(repeating: 0, count: oldKeys.count * 2)
    values = Array(repeating: -1, count: oldKeys.count * 2)
    for i in oldKeys.indices where oldValues[i] >= 0 { place(oldKeys[i], oldValues[i]) }
  }
}
