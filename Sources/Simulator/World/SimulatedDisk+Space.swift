// How much room there is. A write never fails for want of it, because a host asks first and writes into what it was given: so do
// real ones, by `fallocate`, where a write that fails would be too late.
extension SimulatedDisk {
  /// What all files take, in bytes.
  private var used: Int {
    visibleNames.reduce(0) { $0 + max(inodes[$1.inode].reserved, inodes[$1.inode].visible.count) }
  }

  /// What is left, in bytes.
  public var free: Int { capacity.map { max(0, $0 - used) } ?? .max }

  /// Somebody else takes everything but so many bytes.
  mutating func fill(leaving left: Int) { capacity = used + left }

  mutating func freeSpace() { capacity = nil }

  /// Takes so many bytes for a file, all or nothing, and creates it if there is none; false when they are not there.
  mutating func reserve(_ name: String, _ count: Int) -> Bool {
    let known = Self.inode(of: name, in: visibleNames)
    let taken = known.map { max(inodes[$0].reserved, inodes[$0].visible.count) } ?? 0
    guard count - taken <= free else { return false }
    let inode = openOrCreate(name)
    inodes[inode].reserved = max(inodes[inode].reserved, count)
    return true
  }
}
