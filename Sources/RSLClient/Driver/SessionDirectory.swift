/// Which session of the pool a name stands for: open addressing over two words, because every answer asks it.
struct SessionDirectory {
  private struct Entry {
    var name: UInt64 = 0
    /// Below zero: free.
    var session: Int32 = -1
  }

  private var entries: [Entry]
  private var count = 0

  /// For up to `capacity` names.
  init(capacity: Int) {
    var size = 8
    while size < 4 * capacity { size *= 2 }
    entries = Array(repeating: Entry(), count: size)
  }

  private func home(_ name: UInt64) -> Int {
    // Session names are a slot and an index: multiplied so that neighbours do not share a run.
    Int(truncatingIfNeeded: (name &* 0x9E37_79B9_7F4A_7C15) >> 32) & (entries.count - 1)
  }

  subscript(name: UInt64) -> Int? {
    var i = home(name)
    while entries[i].session >= 0 {
      if entries[i].name == name { return Int(entries[i].session) }
      i = (i + 1) & (entries.count - 1)
    }
    return nil
  }

  mutating func insert(_ name: UInt64, _ session: Int) {
    precondition(count < entries.count / 2, "more names than announced")
    var i = home(name)
    while entries[i].session >= 0, entries[i].name != name { i = (i + 1) & (entries.count - 1) }
    if entries[i].session < 0 { count += 1 }
    entries[i] = Entry(name: name, session: Int32(session))
  }

  mutating func remove(_ name: UInt64) {
    var i = home(name)
    while entries[i].name != name || entries[i].session < 0 {
      guard entries[i].session >= 0 else { return }
      i = (i + 1) & (entries.count - 1)
    }
    count -= 1
    // Close the gap: whatever lies behind and could have been placed here moves up.
    var j = i
    while true {
      entries[i] = Entry()
      var home: Int
      repeat {
        j = (j + 1) & (entries.count - 1)
        guard entries[j].session >= 0 else { return }
        home = self.home(entries[j].name)
      } while (i <= j) ? (i < home && home <= j) : (i < home || home <= j)
      entries[i] = entries[j]
      i = j
    }
  }
}
