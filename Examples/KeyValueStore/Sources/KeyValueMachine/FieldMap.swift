/// The fields of a hash, or the members of a set (whose values are empty).
///
/// Up to 64 fields in the order they came, which is how Redis shows small hashes; more than that in a `Table`, and then
/// in its order. Either way the order is part of the state: it is the same on every replica and in every snapshot.
struct FieldMap: Sendable {
  static let smallMax = 64
  /// Shards of a large map: how much the first change after a copy copies.
  private static let shardBits = 6

  struct Field: Sendable {
    let hash: UInt64
    let key: [UInt8]
    var value: [UInt8]
  }

  private enum Form: Sendable {
    case small([Field])
    case large(Table<[UInt8]>, shardBytes: [Int])
  }

  private var form = Form.small([])
  /// Whether values are part of it: false for a set.
  private let hasValues: Bool
  /// What the fields take in a snapshot.
  private(set) var bytes = 0
  /// Σ of a mix for each field.
  private(set) var digest: UInt64 = 0

  init(hasValues: Bool) { self.hasValues = hasValues }

  var count: Int {
    switch form {
    case .small(let fields): fields.count
    case .large(let table, _): table.count
    }
  }

  var isLarge: Bool {
    if case .large = form { true } else { false }
  }

  func value(of key: ByteView) -> [UInt8]? {
    let hash = ByteHash.hash(key)
    switch form {
    case .small(let fields):
      return Self.place(of: key, hash, in: fields).map { fields[$0].value }
    case .large(let table, _):
      return table.find(key, hash).map { table[$0] }
    }
  }

  func contains(_ key: ByteView) -> Bool {
    let hash = ByteHash.hash(key)
    return switch form {
    case .small(let fields): Self.place(of: key, hash, in: fields) != nil
    case .large(let table, _): table.find(key, hash) != nil
    }
  }

  /// Gives a field this value; whether the field is new.
  @discardableResult
  mutating func set(_ key: ByteView, _ value: ByteView) -> Bool {
    let hash = ByteHash.hash(key)
    // Taking the form out leaves it referenced once, so that it is changed in place.
    var taken = Form.small([])
    swap(&taken, &form)
    defer { swap(&taken, &form) }
    switch taken {
    case .small(var fields):
      taken = .small([])
      if let place = Self.place(of: key, hash, in: fields) {
        note(removed: key, fields[place].value, hash)
        fields[place].value.replace(by: value)
        note(added: key, value, hash)
        taken = .small(fields)
        return false
      }
      note(added: key, value, hash)
      fields.append(Field(hash: hash, key: [UInt8](key), value: [UInt8](value)))
      taken = fields.count <= Self.smallMax ? .small(fields) : large(fields)
      return true
    case .large(var table, var shardBytes):
      taken = .small([])
      let before = bytes
      let shard = table.shard(of: hash)
      let place = table.find(key, hash)
      if let place {
        note(removed: key, table[place], hash)
        table[place].replace(by: value)
      } else {
        _ = table.insert([UInt8](key), hash, [UInt8](value))
      }
      note(added: key, value, hash)
      shardBytes[shard] += bytes - before
      taken = .large(table, shardBytes: shardBytes)
      return place == nil
    }
  }

  /// Removes a field; whether it was there.
  mutating func remove(_ key: ByteView) -> Bool {
    let hash = ByteHash.hash(key)
    var taken = Form.small([])
    swap(&taken, &form)
    defer { swap(&taken, &form) }
    switch taken {
    case .small(var fields):
      taken = .small([])
      let place = Self.place(of: key, hash, in: fields)
      if let place {
        note(removed: key, fields[place].value, hash)
        fields.remove(at: place)
      }
      taken = .small(fields)
      return place != nil
    case .large(var table, var shardBytes):
      taken = .small([])
      let before = bytes
      let place = table.find(key, hash)
      if let place {
        note(removed: key, table[place], hash)
        table.remove(at: place)
        shardBytes[table.shard(of: hash)] += bytes - before
      }
      taken = .large(table, shardBytes: shardBytes)
      return place != nil
    }
  }

  /// Hands each field and its value to `body`, in order.
  func visit(_ body: (_ key: [UInt8], _ value: [UInt8]) -> Void) {
    switch form {
    case .small(let fields): for field in fields { body(field.key, field.value) }
    case .large(let table, _): table.visit { body($0.key, $0.payload) }
    }
  }

  /// Hands the fields to `body` in runs, with the bytes each takes in a snapshot, until that answers false.
  func visitRuns(_ body: (_ bytes: Int, _ fields: ((_ field: Field) -> Void) -> Void) -> Bool) {
    switch form {
    case .small(let fields):
      _ = body(bytes) { visit in for field in fields { visit(field) } }
    case .large(let table, let shardBytes):
      for (shard, length) in zip(table.shards, shardBytes) where length > 0 {
        let goesOn = body(length) { visit in
          for entry in shard.slots {
            if let entry {
              visit(Field(hash: entry.hash, key: entry.key, value: entry.payload))
            }
          }
        }
        if !goesOn { return }
      }
    }
  }

  /// Makes it large, as a snapshot says it was: a map that was large stays so when it shrinks.
  mutating func makeLarge() {
    if case .small(let fields) = form { form = large(fields) }
  }

  /// What a field takes in a snapshot.
  static func length(_ key: Int, _ value: Int, hasValues: Bool) -> Int {
    Varint.length(key) + key + (hasValues ? Varint.length(value) + value : 0)
  }

  private func large(_ fields: [Field]) -> Form {
    var table = Table<[UInt8]>(shardBits: Self.shardBits)
    var shardBytes = [Int](repeating: 0, count: table.shards.count)
    for field in fields {
      let place = table.insert(field.key, field.hash, field.value)
      shardBytes[place.shard] += Self.length(
        field.key.count, field.value.count, hasValues: hasValues)
    }
    return .large(table, shardBytes: shardBytes)
  }

  private static func place(of key: ByteView, _ hash: UInt64, in fields: [Field]) -> Int? {
    fields.firstIndex { $0.hash == hash && $0.key.withUnsafeBytes { $0.isSame(as: key) } }
  }

  private mutating func note(added key: ByteView, _ value: ByteView, _ hash: UInt64) {
    bytes += Self.length(key.count, value.count, hasValues: hasValues)
    digest &+= ByteHash.mix(hash, ByteHash.hash(value))
  }

  private mutating func note(removed key: ByteView, _ value: [UInt8], _ hash: UInt64) {
    bytes -= Self.length(key.count, value.count, hasValues: hasValues)
    digest &-= ByteHash.mix(hash, ByteHash.hash(value))
  }
}
