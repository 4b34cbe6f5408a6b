/// The configurations a search has already explored: fixed-width keys, each with a state.
///
/// Open addressing over one flat array of words. Membership compares the whole key and the state, never only the hash:
/// a collision taken for a visit would prune an order nobody tried and condemn a correct history.
package struct VisitedTable<State: Equatable> {
  /// Words per key.
  package let width: Int
  package private(set) var count = 0
  private var words: [UInt64] = []
  private var states: [State] = []
  private var hashes: [UInt64] = []
  /// Entry number plus one, 0 for a free place. A power of two long and at most half full.
  private var places: [UInt32]

  package init(width: Int) {
    self.width = width
    places = [UInt32](repeating: 0, count: 64)
  }

  /// Adds a configuration; false when it was there already.
  ///
  /// - Parameter hash: Of the key and the state together; equal pairs must come with equal hashes.
  package mutating func insert(_ key: [UInt64], _ state: State, hash: UInt64) -> Bool {
    if (count + 1) * 2 > places.count { grow() }
    let mask = places.count - 1
    var place = Int(truncatingIfNeeded: hash) & mask
    while places[place] != 0 {
      let entry = Int(places[place]) - 1
      if hashes[entry] == hash && matches(entry, key) && states[entry] == state { return false }
      place = (place + 1) & mask
    }
    count += 1
    places[place] = UInt32(count)
    hashes.append(hash)
    states.append(state)
    for word in 0..<width { words.append(key[word]) }
    return true
  }

  private func matches(_ entry: Int, _ key: [UInt64]) -> Bool {
    let base = entry * width
    for word in 0..<width where words[base + word] != key[word] { return false }
    return true
  }

  private mutating func grow() {
    let mask = places.count * 2 - 1
    places = [UInt32](repeating: 0, count: mask + 1)
    for entry in 0..<count {
      var place = Int(truncatingIfNeeded: hashes[entry]) & mask
      while places[place] != 0 { place = (place + 1) & mask }
      places[place] = UInt32(entry + 1)
    }
  }
}
