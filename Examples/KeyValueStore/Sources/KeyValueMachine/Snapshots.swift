import Protocol

// A snapshot is one stream of bytes, cut into pieces wherever a piece is full; little endian, lengths as varints:
//
//   header    magic u64, now u64, applied u64, keys u64
//   key       length, bytes, kind u8, expiry u64 (all ones: never), count, then `count` elements:
//               string            length, bytes (count is 1)
//               list              length, bytes
//               hash              length, field, length, value
//               set               length, member
//
// Keys come in the order of (hash, key), elements in their own order; so equal states have equal streams. A hash or set
// whose form is `large` comes in the order of its table.
//
// A cursor says where a piece begins: in a shard (11 bits, 0 for the header), at a slot there (21), at a byte of what is
// written for it (32). It holds for the frozen store it was made from.

enum StoreFormat {
  static let magic: UInt64 = 0x3153_564B_4C53_5200  // "\0RSLKVS1"
  static let headerLength = 32
  static let slotMax = 1 << 21

  enum Kind: UInt8 {
    case string = 1
    case list = 2
    case smallHash = 3
    case largeHash = 4
    case smallSet = 5
    case largeSet = 6
  }

  static func kind(_ value: Value) -> Kind {
    switch value {
    case .string: .string
    case .list: .list
    case .hash(let map): map.value.isLarge ? .largeHash : .smallHash
    case .set(let map): map.value.isLarge ? .largeSet : .smallSet
    }
  }

  static func count(_ value: Value) -> Int {
    switch value {
    case .string: 1
    case .list(let list): list.value.count
    case .hash(let map), .set(let map): map.value.count
    }
  }

  /// How many bytes are written for an entry.
  static func length(_ entry: Table<Record>.Entry) -> Int {
    let body =
      switch entry.payload.value {
      case .string(let bytes): Varint.length(bytes.count) + bytes.count
      case .list(let list): list.value.bytes
      case .hash(let map), .set(let map): map.value.bytes
      }
    return Varint.length(entry.key.count) + entry.key.count + 9
      + Varint.length(count(entry.payload.value)) + body
  }
}

/// Writes a part of a stream: passes over `skip` bytes, then takes as many as there is room for.
struct PieceWriter {
  var bytes: [UInt8]
  private(set) var room: Int
  private var skip = 0
  var isFull: Bool { room == 0 }

  init(_ bytes: consuming [UInt8], room: Int) {
    self.bytes = bytes
    self.room = room
  }

  mutating func begin(skipping bytes: Int) { skip = bytes }

  mutating func put(_ view: ByteView) {
    if skip >= view.count {
      skip -= view.count
      return
    }
    let taken = min(room, view.count - skip)
    bytes.append(contentsOf: ByteView(rebasing: view[skip..<skip + taken]))
    room -= taken
    skip = 0
  }

  mutating func put(_ array: [UInt8]) {
    array.withUnsafeBytes { put(length: $0.count) }
    array.withUnsafeBytes { put($0) }
  }

  mutating func put(word: UInt64) { withUnsafeBytes(of: word.littleEndian) { put($0) } }

  mutating func put(byte: UInt8) { withUnsafeBytes(of: byte) { put($0) } }

  mutating func put(length: Int) {
    var rest = UInt64(length)
    while rest >= 0x80 {
      put(byte: UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    put(byte: UInt8(truncatingIfNeeded: rest))
  }

  /// Passes over `length` bytes if all of them are to be skipped.
  mutating func pass(_ length: Int) -> Bool {
    guard skip >= length else { return false }
    skip -= length
    return true
  }
}

extension KeyValueStore {
  public func snapshotChunk(
    at cursor: UInt64, limit: Int, into bytes: inout [UInt8]
  ) -> UInt64? {
    var taken: [UInt8] = []
    swap(&taken, &bytes)
    var writer = PieceWriter(taken, room: limit)
    let next = write(from: cursor, &writer)
    bytes = writer.bytes
    return next
  }

  private func write(from cursor: UInt64, _ writer: inout PieceWriter) -> UInt64? {
    var position = Position(
      shard: Int(cursor >> 53) - 1, slot: Int(cursor >> 32) & (StoreFormat.slotMax - 1))
    var offset = Int(cursor & 0xFFFF_FFFF)
    if position.shard < 0 {
      let room = writer.room
      writer.begin(skipping: offset)
      writer.put(word: StoreFormat.magic)
      writer.put(word: now)
      writer.put(word: applied)
      writer.put(word: UInt64(table.count))
      if offset + room < StoreFormat.headerLength { return UInt64(offset + room) }
      position = Position(shard: 0, slot: 0)
      offset = 0
    }
    while let at = table.next(from: position) {
      if writer.isFull { return Self.cursor(at, offset: 0) }
      let entry = table.entry(at: at)
      let (length, room) = (StoreFormat.length(entry), writer.room)
      writer.begin(skipping: offset)
      Self.write(entry, &writer)
      if offset + room < length { return Self.cursor(at, offset: offset + room) }
      position = Position(shard: at.shard, slot: at.slot + 1)
      offset = 0
    }
    return nil
  }

  private static func cursor(_ position: Position, offset: Int) -> UInt64 {
    UInt64(position.shard + 1) << 53 | UInt64(position.slot) << 32 | UInt64(offset)
  }

  private static func write(_ entry: Table<Record>.Entry, _ writer: inout PieceWriter) {
    writer.put(entry.key)
    writer.put(byte: StoreFormat.kind(entry.payload.value).rawValue)
    writer.put(word: entry.payload.expiry)
    writer.put(length: StoreFormat.count(entry.payload.value))
    switch entry.payload.value {
    case .string(let bytes): writer.put(bytes)
    case .list(let list):
      list.value.visitChunks { chunk in
        if !writer.pass(chunk.bytes) { for element in chunk.elements { writer.put(element) } }
        return !writer.isFull
      }
    case .hash(let map): write(map.value, hasValues: true, &writer)
    case .set(let map): write(map.value, hasValues: false, &writer)
    }
  }

  private static func write(_ map: FieldMap, hasValues: Bool, _ writer: inout PieceWriter) {
    map.visitRuns { length, fields in
      if !writer.pass(length) {
        fields { field in
          writer.put(field.key)
          if hasValues { writer.put(field.value) }
        }
      }
      return !writer.isFull
    }
  }
}
