/// The configurations a search has already explored.
///
/// A configuration is a state, some words that must be the same, and some words that are a set of
/// bits: the optional operations it has used up. One that used more than another, and is the same
/// otherwise, can do nothing the other could not, so it counts as explored too.
///
/// Open addressing over flat arrays. Membership compares all words and the state, never only the
/// hash: a collision taken for a visit would prune an order nobody tried and condemn a correct
/// history.
package struct VisitedTable<State: Equatable> {
  /// Words that must be the same.
  package let width: Int
  /// Words that are a set.
  package let setWidth: Int
  /// Configurations kept.
  package private(set) var count = 0
  /// Sets compared so far: what a lookup costs beyond a constant.
  package private(set) var comparisons = 0

  // Classes: configurations that differ in their sets only.
  private var words: [UInt64] = []
  private var states: [State] = []
  private var hashes: [UInt64] = []
  /// Class -> its latest member.
  private var latest: [Int] = []

  // Members of the classes.
  private var sets: [UInt64] = []
  /// Member -> the one before it in its class, -1 without one.
  private var earlier: [Int] = []

  /// Class plus one, 0 for a free place. A power of two long and at most half full.
  private var places: [UInt32]

  package init(width: Int, setWidth: Int = 0) {
    self.width = width
    self.setWidth = setWidth
    places = [UInt32](repeating: 0, count: 64)
  }

  /// Adds a configuration; false when it, or one with a smaller set, was there already.
  ///
  /// - Parameters:
  ///   - key: The words that must be the same, then those of the set.
  ///   - hash: Of the former and the state; equal pairs must come with equal hashes.
  package mutating func insert(_ key: [UInt64], _ state: State, hash: UInt64) -> Bool {
    if (hashes.count + 1) * 2 > places.count { grow() }
    let mask = places.count - 1
    var place = Int(truncatingIfNeeded: hash) & mask
    while places[place] != 0 {
      let entry = Int(places[place]) - 1
      if hashes[entry] == hash && matches(entry, key) && states[entry] == state {
        if covers(entry, key) { return false }
        addMember(key, after: latest[entry])
        latest[entry] = count - 1
        return true
      }
      place = (place + 1) & mask
    }
    hashes.append(hash)
    states.append(state)
    for word in 0..<width { words.append(key[word]) }
    addMember(key, after: -1)
    latest.append(count - 1)
    places[place] = UInt32(hashes.count)
    return true
  }

  private mutating func addMember(_ key: [UInt64], after other: Int) {
    for word in width..<(width + setWidth) { sets.append(key[word]) }
    earlier.append(other)
    count += 1
  }

  private func matches(_ entry: Int, _ key: [UInt64]) -> Bool {
    let base = entry * width
    for word in 0..<width where words[base + word] != key[word] { return false }
    return true
  }

  /// Whether a member of the class has a set within that of `key`.
  private mutating func covers(_ entry: Int, _ key: [UInt64]) -> Bool {
    var member = latest[entry]
    while member >= 0 {
      comparisons += 1
      if isWithin(member, key) { return true }
      member = earlier[member]
    }
    return false
  }

  private func isWithin(_ member: Int, _ key: [UInt64]) -> Bool {
    let base = member * setWidth
    for word in 0..<setWidth where sets[base + word] & ~key[width + word] != 0 { return false }
    return true
  }

  private mutating func grow() {
    let mask = places.count * 2 - 1
    places = [UInt32](repeating: 0, count: mask + 1)
    for entry in hashes.indices {
      var place = Int(truncatingIfNeeded: hashes[entry]) & mask
      while places[place] != 0 { place = (place + 1) & mask }
      places[place] = UInt32(entry + 1)
    }
  }
}
