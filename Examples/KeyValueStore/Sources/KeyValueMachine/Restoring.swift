public import Protocol

/// Why a snapshot was refused: the code of `SnapshotInvalid.machine`.
public enum SnapshotFault: UInt32, Sendable {
  /// Pieces came without `beginRestore`, or it ended within a key.
  case notWhole = 1
  /// A length that nothing can have.
  case length = 2
  /// No such kind of value.
  case kind = 3
  /// Keys out of order, or one twice.
  case order = 4
  /// A list, hash or set without elements, or a string that is not one element.
  case count = 5
  /// A field or member twice, or a small map with too many.
  case fields = 6
  /// Another number of keys than the header says.
  case keys = 7
}

/// Takes a snapshot's stream in, whatever pieces it comes in. Total: any bytes give a state or a typed error.
struct Restoring: Sendable {
  /// What was not parsed yet.
  private var pending: [UInt8] = []
  private var keysExpected: UInt64?
  private var current: Current?
  private var last: (hash: UInt64, key: [UInt8])?

  /// The key whose elements are coming.
  private struct Current: Sendable {
    var key: [UInt8]
    var kind: StoreFormat.Kind
    var expiry: UInt64
    var elementsLeft: Int
    var string: [UInt8] = []
    var list = List()
    var map: FieldMap
  }

  mutating func take(
    _ bytes: ByteView, into store: inout KeyValueStore
  ) throws(SnapshotInvalid) {
    pending.append(contentsOf: bytes)
    var buffer: [UInt8] = []
    swap(&buffer, &pending)
    let used = try buffer.span.bytes.withUnsafeBytes { (view) throws(SnapshotInvalid) -> Int in
      var cursor = Cursor(view)
      while try takeItem(&cursor, &store) {}
      return cursor.offset
    }
    buffer.removeFirst(used)
    pending = buffer
  }

  func finish(_ store: KeyValueStore) throws(SnapshotInvalid) {
    guard let keysExpected else { throw .header }
    guard pending.isEmpty, current == nil else { throw .machine(SnapshotFault.notWhole.rawValue) }
    guard UInt64(store.table.count) == keysExpected else {
      throw .machine(SnapshotFault.keys.rawValue)
    }
  }

  /// Parses one header, key or element; false when more bytes are needed for it.
  private mutating func takeItem(
    _ cursor: inout Cursor, _ store: inout KeyValueStore
  ) throws(SnapshotInvalid) -> Bool {
    var reader = cursor
    let isWhole: Bool
    if keysExpected == nil {
      isWhole = try takeHeader(&reader, &store)
    } else if current == nil {
      isWhole = try takeKey(&reader, &store)
    } else {
      isWhole = try takeElement(&reader, &store)
    }
    if isWhole { cursor = reader }
    return isWhole
  }

  private mutating func takeHeader(
    _ reader: inout Cursor, _ store: inout KeyValueStore
  ) throws(SnapshotInvalid) -> Bool {
    guard let magic = reader.word() else { return false }
    guard magic == StoreFormat.magic else { throw .header }
    guard let now = reader.word(), let applied = reader.word(), let keys = reader.word() else {
      return false
    }
    guard now < 1 << 48 else { throw .field }
    store.now = now
    store.applied = applied
    keysExpected = keys
    return true
  }

  private mutating func takeKey(
    _ reader: inout Cursor, _ store: inout KeyValueStore
  ) throws(SnapshotInvalid) -> Bool {
    guard !reader.isAtEnd else { return false }
    guard UInt64(store.table.count) < keysExpected ?? 0 else {
      throw .machine(SnapshotFault.keys.rawValue)
    }
    guard let key = try reader.bytes(), let kindCode = reader.byte(), let expiry = reader.word(),
      let count = try reader.length()
    else { return false }
    guard let kind = StoreFormat.Kind(rawValue: kindCode) else {
      throw .machine(SnapshotFault.kind.rawValue)
    }
    guard count > 0, kind != .string || count == 1 else {
      throw .machine(SnapshotFault.count.rawValue)
    }
    let hash = ByteHash.hash(key)
    if let last {
      let follows =
        last.hash != hash
        ? last.hash < hash : last.key.withUnsafeBytes { $0.precedes(key) }
      guard follows else { throw .machine(SnapshotFault.order.rawValue) }
    }
    last = (hash, [UInt8](key))
    current = Current(
      key: [UInt8](key), kind: kind, expiry: expiry, elementsLeft: count,
      map: FieldMap(hasValues: kind == .smallHash || kind == .largeHash))
    if kind == .largeHash || kind == .largeSet { current?.map.makeLarge() }
    return true
  }

  private mutating func takeElement(
    _ reader: inout Cursor, _ store: inout KeyValueStore
  ) throws(SnapshotInvalid) -> Bool {
    guard let element = try reader.bytes() else { return false }
    guard let kind = current?.kind else { return false }
    switch kind {
    case .string: current?.string = [UInt8](element)
    case .list: current?.list.pushBack([UInt8](element))
    case .smallHash, .largeHash:
      guard let value = try reader.bytes() else { return false }
      try takeField(element, value)
    case .smallSet, .largeSet: try takeField(element, ByteView(start: nil, count: 0))
    }
    current?.elementsLeft -= 1
    if current?.elementsLeft == 0 { install(&store) }
    return true
  }

  private mutating func takeField(_ key: ByteView, _ value: ByteView) throws(SnapshotInvalid) {
    guard let kind = current?.kind, current?.map.set(key, value) == true else {
      throw .machine(SnapshotFault.fields.rawValue)
    }
    let isLarge = kind == .largeHash || kind == .largeSet
    guard current?.map.isLarge == isLarge else { throw .machine(SnapshotFault.fields.rawValue) }
  }

  private mutating func install(_ store: inout KeyValueStore) {
    guard let entry = current else { return }
    current = nil
    let value: Value =
      switch entry.kind {
      case .string: .string(entry.string)
      case .list: .list(Box(entry.list))
      case .smallHash, .largeHash: .hash(Box(entry.map))
      case .smallSet, .largeSet: .set(Box(entry.map))
      }
    entry.key.withUnsafeBytes {
      store.insert($0, ByteHash.hash($0), Record(value, expiry: entry.expiry))
    }
  }
}

/// Reads a stream of which more may come: nil when it is not there yet.
private struct Cursor {
  private let view: ByteView
  private(set) var offset = 0
  var isAtEnd: Bool { offset == view.count }

  init(_ view: ByteView) { self.view = view }

  mutating func byte() -> UInt8? {
    guard offset < view.count else { return nil }
    offset += 1
    return view[offset - 1]
  }

  mutating func word() -> UInt64? {
    guard view.count - offset >= 8 else { return nil }
    offset += 8
    return view.word(at: offset - 8)
  }

  mutating func length() throws(SnapshotInvalid) -> Int? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while let byte = byte() {
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 {
        // Only the shortest form: one state, one stream.
        guard byte != 0 || shift == 0 else { throw .machine(SnapshotFault.length.rawValue) }
        return Int(value)
      }
      shift += 7
      guard shift < 42 else { throw .machine(SnapshotFault.length.rawValue) }
    }
    return nil
  }

  mutating func bytes() throws(SnapshotInvalid) -> ByteView? {
    guard let length = try length() else { return nil }
    guard length <= KeyValueStore.stringMax else {
      throw .machine(SnapshotFault.length.rawValue)
    }
    guard view.count - offset >= length else { return nil }
    offset += length
    return ByteView(rebasing: view[offset - length..<offset])
  }
}

extension KeyValueStore {
  public mutating func beginRestore() {
    self = KeyValueStore()
    restoring = Restoring()
  }

  public mutating func restoreChunk(_ bytes: RawSpan) throws(SnapshotInvalid) {
    // Taken out, so that it is not part of the store it fills.
    guard var restoring else { throw .machine(SnapshotFault.notWhole.rawValue) }
    self.restoring = nil
    try bytes.withUnsafeBytes { (view) throws(SnapshotInvalid) in
      try restoring.take(view, into: &self)
    }
    self.restoring = restoring
  }

  public mutating func finishRestore() throws(SnapshotInvalid) {
    guard let restoring else { throw .machine(SnapshotFault.notWhole.rawValue) }
    self.restoring = nil
    try restoring.finish(self)
  }
}
