internal import Protocol

/// What a process keeps its files on.
public enum StorageMedium: UInt8, CaseIterable, Sendable {
  /// What is written is durable after a flush.
  case disk
  /// Persistent memory under a file system. As a disk, and bytes can also be stored where they belong: these are durable after
  /// a fence (ADR).
  case memory
  /// The same, where the processor's caches survive as well: whatever was stored is durable (eADR).
  case memoryWithCaches

  /// What is damaged together, in bytes: two lengths for each medium. Of memory a line, and what it corrects errors in.
  var sectorLengths: (small: Int, large: Int) {
    switch self {
    case .disk: (512, 4_096)
    case .memory, .memoryWithCaches: (GroupCommit.lineLength, 256)
    }
  }

  /// What goes back together to what it held before, in bytes.
  var staleLength: Int { sectorLengths.large }
}

// Persistent memory: stores are visible at once and durable after a fence. Before it, any of them may be durable already, word by
// word, because a cache writes back what it likes when it likes.
extension SimulatedDisk {
  /// What no fence has covered yet, in the order of the program.
  struct Stores: Sendable {
    struct Store: Sendable {
      var inode: Int
      var offset: Int
      /// Where its bytes are.
      var start: Int
      var count: Int

      var range: Range<Int> { offset..<offset + count }
    }

    private(set) var list: [Store] = []
    private(set) var bytes: [UInt8] = []

    var isEmpty: Bool { list.isEmpty }

    mutating func append(_ inode: Int, at offset: Int, _ new: UnsafeRawBufferPointer) {
      list.append(Store(inode: inode, offset: offset, start: bytes.count, count: new.count))
      bytes.append(contentsOf: new)
    }

    mutating func removeAll() {
      list.removeAll(keepingCapacity: true)
      bytes.removeAll(keepingCapacity: true)
    }
  }

  /// Stores bytes at `offset`, creating the file and filling a gap with zeros where needed.
  mutating func store(_ name: String, at offset: Int, _ bytes: UnsafeRawBufferPointer) {
    precondition(medium != .disk, "a disk is written to")
    let inode = openOrCreate(name)
    stores.append(inode, at: offset, bytes)
    Self.overlay(&inodes[inode].visible, at: offset, bytes)
  }

  /// Everything stored so far is durable.
  mutating func fence() {
    for store in stores.list { makeDurable(store, store.range) }
    stores.removeAll()
    collect()
  }

  /// One line of what is stored is forgotten when it is written back: the next fence will claim that it is durable, and until some
  /// fences later a crash may lose it (`loseLies`). Caches that survive forget nothing.
  mutating func forgetLine(_ streams: inout RandomStreams) {
    guard medium == .memory, !stores.isEmpty else { return }
    let store = stores.list[Int(streams.draw(.medium, below: UInt64(stores.list.count)))]
    let length = GroupCommit.lineLength
    let first = store.offset / length
    let lines = (store.range.upperBound + length - 1) / length - first
    let line = (first + Int(streams.draw(.medium, below: UInt64(lines)))) * length
    let range = (line..<line + length).clamped(to: store.range)
    let durable = inodes[store.inode].durable
    past.lied(store.inode, range, before: range.map { $0 < durable.count ? durable[$0] : 0 })
  }

  /// Names of files are durable as they are now, whatever is written and not flushed.
  mutating func flushNames() {
    for i in pending.indices {
      switch pending[i] {
      case .create, .delete, .rename:
        applyDurably(pending[i])
        pending[i] = .done
      case .write, .truncate, .done: break
      }
    }
    if pending.allSatisfy({ if case .done = $0 { true } else { false } }) {
      settle()
      collect()
    }
  }

  /// A crash: decides which words of what no fence has covered survived; answers how many stores lost some. Draw 0 keeps
  /// everything.
  /// - Parameter isAtFence: they were being made, so that the last ones may not have come about at all.
  mutating func tearStores(isAtFence: Bool, _ streams: inout RandomStreams) -> UInt64 {
    // 0: everything was written back, 1: each word by itself, 2: nothing was.
    let eviction = medium == .memory ? streams.draw(.nvm, below: 3) : 0
    let total = stores.list.reduce(0) { $0 + Self.words($1.range).count }
    var left = total
    if medium == .memoryWithCaches, isAtFence {
      left -= Int(streams.draw(.nvm, below: UInt64(total) + 1))
    }
    var torn: UInt64 = 0
    for store in stores.list {
      var isTorn = false
      for word in Self.words(store.range) {
        let isWrittenBack =
          eviction == 0 || eviction == 1 && streams.draw(.nvm, below: 2) == 0
        if left > 0, isWrittenBack {
          let start = word * GroupCommit.wordLength
          makeDurable(
            store, (start..<start + GroupCommit.wordLength).clamped(to: store.range))
        } else {
          isTorn = true
        }
        left -= 1
      }
      if isTorn { torn += 1 }
    }
    return torn
  }

  /// The numbers of the words that a range of a file touches.
  private static func words(_ range: Range<Int>) -> Range<Int> {
    let length = GroupCommit.wordLength
    return range.lowerBound / length..<(range.upperBound + length - 1) / length
  }

  /// A part of a store reaches the medium.
  private mutating func makeDurable(_ store: Stores.Store, _ range: Range<Int>) {
    replaceDurably(store.inode, range)
    let start = store.start + range.lowerBound - store.offset
    stores.bytes.withUnsafeBytes {
      Self.overlay(
        &inodes[store.inode].durable, at: range.lowerBound,
        UnsafeRawBufferPointer(rebasing: $0[start..<start + range.count]))
    }
  }
}
