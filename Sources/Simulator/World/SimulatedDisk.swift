/// One node's disk: named files of bytes, with a cache that a crash empties.
///
/// Reads see every write at once. A write or a change of a name is *pending* until a flush
/// completes that was issued after it; a crash decides for each pending change on its own whether
/// it survived (see `crash`). Changes of names (create, delete,
/// rename) reach the medium in order, each whole, as in a journalling file system:
/// a rename is atomic, and may survive while data written just before it does not.
///
/// What a completed flush covered is only ever lost to faults of the medium (`SimulatedDisk+Damage.swift`).
///
/// Where it is persistent memory, bytes can be stored as well, past flushes (`SimulatedDisk+Stores.swift`).
public struct SimulatedDisk: Sendable {
  struct Inode {
    /// What reads see.
    var visible: [UInt8] = []
    /// What is on the medium.
    var durable: [UInt8] = [] { didSet { version &+= 1 } }
    /// Sectors that cannot be read, until they are written again; zeroes are read in their place.
    var unreadable: [Range<Int>] = [] { didSet { version &+= 1 } }
    /// Grows with every change of what is on the medium.
    var version: UInt64 = 0
    /// Space that was asked for, in bytes; it may hold less.
    var reserved = 0
    var isUsed = true
  }

  /// A file as the medium holds it.
  public struct MediumFile {
    public var bytes: [UInt8]
    /// Parts that cannot be read; zeroes are read in their place.
    public var unreadable: [Range<Int>]
    /// While it is the same, so is all of the above.
    public var version: UInt64
  }

  struct Entry: Equatable {
    var name: String
    var inode: Int
  }

  enum Change {
    /// Bytes `start..<start + count` of the arena, to `offset` of the file.
    case write(inode: Int, offset: Int, start: Int, count: Int)
    case truncate(inode: Int, size: Int)
    case create(name: String, inode: Int)
    case delete(name: String)
    case rename(from: String, to: String)
    /// Durable before what was changed earlier.
    case done
  }

  let medium: StorageMedium

  var inodes: [Inode] = []
  /// How many of them are in use.
  private var used = 0
  var visibleNames: [Entry] = []
  var durableNames: [Entry] = []
  var pending: [Change] = []
  /// The bytes of pending writes; emptied whenever nothing is pending.
  private var arena: [UInt8] = []
  /// How many changes were made, and how many of them are durable, since the node started.
  private var changes: UInt64 = 0
  private var durableChanges: UInt64 = 0
  var stores = Stores()
  /// What a flush may have lied about, and what overwritten sectors held before.
  var past: Past

  /// How long all files may be together, in bytes, since somebody else has taken the rest; nil: there is plenty.
  var capacity: Int?

  public init() { self.init(keepsReplaced: false) }

  /// - Parameter keepsReplaced: remember what the last overwrites replaced, for `MediumFault.sectorStale`.
  init(_ medium: StorageMedium = .disk, keepsReplaced: Bool) {
    self.medium = medium
    past = Past(keepsReplaced: keepsReplaced, sectorLength: medium.staleLength)
  }

  // MARK: Reading

  public func exists(_ name: String) -> Bool { Self.inode(of: name, in: visibleNames) != nil }
  /// Size in bytes; nil when there is no such file.
  public func size(of name: String) -> Int? {
    Self.inode(of: name, in: visibleNames).map { inodes[$0].visible.count }
  }
  /// Names of all files, in the order they came to be.
  public var names: [String] { visibleNames.map { $0.name } }

  /// The whole file; nil when there is none.
  public func contents(of name: String) -> [UInt8]? {
    Self.inode(of: name, in: visibleNames).map { inodes[$0].visible }
  }

  /// What is on the medium of a file; nil when no durable file has that name.
  func medium(of name: String) -> MediumFile? {
    guard let inode = Self.inode(of: name, in: durableNames) else { return nil }
    return MediumFile(
      bytes: inodes[inode].durable, unreadable: inodes[inode].unreadable,
      version: inodes[inode].version)
  }

  /// Calls `body` with the bytes of the file (none when it does not exist), without copying them.
  public func withContents<R>(
    of name: String, _ body: (UnsafeRawBufferPointer) throws -> R
  ) rethrows
    -> R
  {
    guard let inode = Self.inode(of: name, in: visibleNames) else {
      return try body(UnsafeRawBufferPointer(start: nil, count: 0))
    }
    return try inodes[inode].visible.withUnsafeBytes(body)
  }

  // MARK: Writing

  /// Writes at `offset`, creating the file and filling a gap with zeros where needed.
  public mutating func write(_ name: String, at offset: Int, _ bytes: UnsafeRawBufferPointer) {
    let inode = openOrCreate(name)
    record(.write(inode: inode, offset: offset, start: arena.count, count: bytes.count))
    arena.append(contentsOf: bytes)
    Self.overlay(&inodes[inode].visible, at: offset, bytes)
  }

  /// Writes at the end; answers the offset at which the bytes begin.
  @discardableResult
  public mutating func append(_ name: String, _ bytes: UnsafeRawBufferPointer) -> Int {
    let inode = openOrCreate(name)
    let offset = inodes[inode].visible.count
    record(.write(inode: inode, offset: offset, start: arena.count, count: bytes.count))
    arena.append(contentsOf: bytes)
    inodes[inode].visible.append(contentsOf: bytes)
    return offset
  }

  /// Cuts the file to `size`, or extends it with zeros.
  public mutating func truncate(_ name: String, to size: Int) {
    let inode = openOrCreate(name)
    Self.resize(&inodes[inode].visible, to: size)
    record(.truncate(inode: inode, size: size))
  }

  public mutating func delete(_ name: String) {
    guard Self.remove(name, from: &visibleNames) != nil else { return }
    record(.delete(name: name))
  }

  /// Gives the file another name, replacing what had it, in one step.
  public mutating func rename(_ name: String, to other: String) {
    guard name != other, Self.rename(name, to: other, in: &visibleNames) else { return }
    record(.rename(from: name, to: other))
  }

  // MARK: Flushing

  /// The changes a flush issued now covers; hand it to `complete`.
  var mark: UInt64 { changes }
  /// Whether anything would be at risk in a crash.
  public var hasUnflushed: Bool { durableChanges < changes || !stores.isEmpty }

  /// A flush that covers all changes up to `mark` has completed. One that lies has done so too early: until some flushes
  /// later, a crash may lose what it wrote (`loseLies`).
  mutating func complete(upTo mark: UInt64, lies: Bool = false) {
    guard mark > durableChanges else { return }
    let count = Int(mark - durableChanges)
    for change in pending.prefix(count) {
      applyDurably(change)
      if lies, case .write(let inode, let offset, _, let count) = change {
        past.lied(inode, offset..<offset + count)
      }
    }
    durableChanges = mark
    if count == pending.count {
      settle()
    } else {
      pending.removeFirst(count)
    }
    collect()
  }

  /// Nothing is pending any more.
  mutating func settle() {
    pending.removeAll(keepingCapacity: true)
    arena.removeAll(keepingCapacity: true)
    durableChanges = changes
  }

  // MARK: Crashing

  struct CrashOutcome {
    var lost: UInt64 = 0
    var torn: UInt64 = 0
    /// Stores of which words are lost.
    var storesTorn: UInt64 = 0
  }

  /// Decides what of the pending changes survived, and forgets the rest. Draw 0 keeps a change.
  /// - Parameter isAtFence: stores were being made, and not all of them had come about.
  mutating func crash(
    _ plan: FaultPlan, isAtFence: Bool = false, _ streams: inout RandomStreams
  ) -> CrashOutcome {
    var outcome = CrashOutcome()
    if !stores.isEmpty { outcome.storesTorn = tearStores(isAtFence: isAtFence, &streams) }
    // A prefix loses its tail and nothing else; the write at the edge may be torn.
    var dropping = false
    var droppingNames = false
    for change in pending {
      guard plan.crashWrites != 0 else {
        applyDurably(change)
        continue
      }
      switch change {
      case .write(let inode, let offset, let start, let count):
        if dropping {
          outcome.lost += 1
          continue
        }
        if streams.draw(.disk, below: 2) == 0 && (plan.crashWrites == 2 || count == 0) {
          applyDurably(change)
        } else if plan.crashWrites == 1 && streams.draw(.disk, below: 8) < 7 {
          applyDurably(change)
        } else {
          let kept = tear(inode, offset, start, count, plan, &streams)
          if kept == 0 { outcome.lost += 1 } else { outcome.torn += 1 }
          if plan.crashWrites == 1 {
            dropping = true
            droppingNames = true
          }
        }
      case .truncate, .create, .delete, .rename:
        // In order: what follows a lost change of names is lost as well.
        if !droppingNames && streams.draw(.disk, below: 4) == 3 { droppingNames = true }
        if droppingNames { outcome.lost += 1 } else { applyDurably(change) }
      case .done: break
      }
    }
    losePending()
    return outcome
  }

  /// As a crash from which every 8-byte piece of what is pending survives or does not, by itself; right before a fence.
  mutating func crash(seed: UInt64) {
    var plan = FaultPlan()
    (plan.crashWrites, plan.tornWrite) = (2, 1_000_000)
    (plan.tornGranularity, plan.tornAnySubset) = (8, 1)
    var streams = RandomStreams(seed: seed)
    _ = crash(plan, isAtFence: true, &streams)
  }

  /// Applies some pieces of a write that did not survive whole; answers how many bytes made it.
  private mutating func tear(
    _ inode: Int, _ offset: Int, _ start: Int, _ count: Int, _ plan: FaultPlan,
    _ streams: inout RandomStreams
  ) -> Int {
    guard count > 0, streams.chance(.disk, perMillion: plan.tornWrite) else { return 0 }
    // Pieces are aligned in the file, not in the write.
    let piece = Int(plan.tornGranularity)
    let pieces = (offset + count - 1) / piece - offset / piece + 1
    // A tear keeps at least one piece and loses at least one.
    let prefix = pieces > 1 ? 1 + Int(streams.draw(.disk, below: UInt64(pieces - 1))) : 0
    var kept = 0
    for index in 0..<pieces {
      let survives =
        plan.tornAnySubset == 1 ? streams.draw(.disk, below: 2) == 0 : index < prefix
      guard survives else { continue }
      let from = max(offset, (offset / piece + index) * piece)
      let to = min(offset + count, (offset / piece + index + 1) * piece)
      applyDurably(
        .write(inode: inode, offset: from, start: start + from - offset, count: to - from))
      kept += to - from
    }
    return kept
  }

  /// As a crash that loses everything pending.
  mutating func losePending() {
    settle()
    stores.removeAll()
    visibleNames = durableNames
    collect()
    for index in inodes.indices where inodes[index].isUsed {
      inodes[index].visible = inodes[index].durable
    }
  }

  // MARK: The medium

  mutating func applyDurably(_ change: Change) {
    switch change {
    case .write(let inode, let offset, let start, let count):
      replaceDurably(inode, offset..<offset + count)
      arena.withUnsafeBytes {
        Self.overlay(
          &inodes[inode].durable, at: offset,
          UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
      }
    case .truncate(let inode, let size):
      Self.resize(&inodes[inode].durable, to: size)
    case .create(let name, let inode):
      Self.remove(name, from: &durableNames)
      durableNames.append(Entry(name: name, inode: inode))
    case .delete(let name):
      Self.remove(name, from: &durableNames)
    case .rename(let name, let other):
      _ = Self.rename(name, to: other, in: &durableNames)
    case .done: break
    }
  }

  /// Bytes on the medium are about to be written.
  mutating func replaceDurably(_ inode: Int, _ range: Range<Int>) {
    past.replaces(inode, range, inodes[inode].durable)
    if !inodes[inode].unreadable.isEmpty {
      inodes[inode].unreadable.removeAll { $0.overlaps(range) }
    }
  }

  private mutating func record(_ change: Change) {
    pending.append(change)
    changes &+= 1
  }

  mutating func openOrCreate(_ name: String) -> Int {
    if let inode = Self.inode(of: name, in: visibleNames) { return inode }
    let inode: Int
    used += 1
    if let unused = inodes.firstIndex(where: { !$0.isUsed }) {
      inode = unused
      inodes[unused] = Inode()
    } else {
      inode = inodes.count
      inodes.append(Inode())
    }
    visibleNames.append(Entry(name: name, inode: inode))
    record(.create(name: name, inode: inode))
    return inode
  }

  /// Frees inodes that no name leads to. Only while nothing is pending: a pending change may still
  /// name one.
  mutating func collect() {
    guard pending.isEmpty, stores.isEmpty, visibleNames.count < used else { return }
    for index in inodes.indices where inodes[index].isUsed {
      if !visibleNames.contains(where: { $0.inode == index }) {
        inodes[index] = Inode(isUsed: false)
        past.forget(index)
        used -= 1
      }
    }
  }

  static func inode(of name: String, in names: [Entry]) -> Int? {
    // The newest first: it is what a journal writes to.
    for entry in names.reversed() where entry.name == name { return entry.inode }
    return nil
  }

  @discardableResult
  static func remove(_ name: String, from names: inout [Entry]) -> Int? {
    guard let index = names.firstIndex(where: { $0.name == name }) else { return nil }
    return names.remove(at: index).inode
  }

  private static func rename(_ name: String, to other: String, in names: inout [Entry]) -> Bool {
    guard inode(of: name, in: names) != nil else { return false }
    remove(other, from: &names)
    for index in names.indices where names[index].name == name { names[index].name = other }
    return true
  }

  static func overlay(
    _ bytes: inout [UInt8], at offset: Int, _ new: UnsafeRawBufferPointer
  ) {
    let end = offset + new.count
    if offset == bytes.count {
      bytes.append(contentsOf: new)
      return
    }
    if bytes.count < end { resize(&bytes, to: end) }
    bytes.withUnsafeMutableBytes {
      UnsafeMutableRawBufferPointer(rebasing: $0[offset..<end]).copyMemory(from: new)
    }
  }

  private static func resize(_ bytes: inout [UInt8], to size: Int) {
    if size < bytes.count {
      bytes.removeLast(bytes.count - size)
    } else if size > bytes.count {
      bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
    }
  }
}
