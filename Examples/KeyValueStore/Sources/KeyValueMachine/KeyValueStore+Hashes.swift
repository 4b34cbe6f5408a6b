import Protocol

extension KeyValueStore {
  mutating func setFields(
    _ verb: Verb, _ arguments: Arguments, _ reply: inout ReplyWriter
  ) {
    guard arguments.count % 2 == 1 else { return reply.wrongCount(verb) }
    let added = changeMap(.hash, arguments, &reply) { map in
      var added = 0
      for i in stride(from: 1, to: arguments.count, by: 2)
      where map.set(arguments[i], arguments[i + 1]) {
        added += 1
      }
      return added
    }
    guard let added else { return }
    if verb == .hmset { reply.ok() } else { reply.integer(added) }
  }

  mutating func setFieldIfAbsent(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let added = changeMap(.hash, arguments, &reply) { map in
      if map.contains(arguments[1]) { return 0 }
      map.set(arguments[1], arguments[2])
      return 1
    }
    if let added { reply.integer(added) }
  }

  mutating func deleteFields(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let removed = shrinkMap(.hash, arguments, &reply) { map in
      var removed = 0
      for i in 1..<arguments.count where map.remove(arguments[i]) { removed += 1 }
      return removed
    }
    if let removed { reply.integer(removed) }
  }

  mutating func incrementField(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let amount = Decimal.integer(arguments[2]) else { return reply.notAnInteger() }
    var old: Int64 = 0
    if let position = locate(arguments[0]).position {
      guard case .hash(let map) = table[position].value else { return reply.wrongType() }
      if let value = map.value.value(of: arguments[1]) {
        guard let number = value.withUnsafeBytes({ Decimal.integer($0) }) else {
          return reply.error("ERR hash value is not an integer")
        }
        old = number
      }
    }
    let (new, overflow) = old.addingReportingOverflow(amount)
    guard !overflow else { return reply.error("ERR increment or decrement would overflow") }
    let changed = changeMap(.hash, arguments, &reply) { map in
      Decimal.withDigits(of: new) { _ = map.set(arguments[1], $0) }
      return 1
    }
    if changed != nil { reply.integer(new) }
  }

  mutating func addMembers(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let added = changeMap(.set, arguments, &reply) { map in
      var added = 0
      let none = ByteView(start: nil, count: 0)
      for i in 1..<arguments.count where map.set(arguments[i], none) { added += 1 }
      return added
    }
    if let added { reply.integer(added) }
  }

  mutating func removeMembers(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let removed = shrinkMap(.set, arguments, &reply) { map in
      var removed = 0
      for i in 1..<arguments.count where map.remove(arguments[i]) { removed += 1 }
      return removed
    }
    if let removed { reply.integer(removed) }
  }

  private enum MapKind {
    case hash
    case set
  }

  /// Changes the map at the first argument, which is made if it is not there; nil after an error was appended.
  private mutating func changeMap(
    _ kind: MapKind, _ arguments: Arguments, _ reply: inout ReplyWriter,
    _ body: (inout FieldMap) -> Int
  ) -> Int? {
    let (hash, position) = locate(arguments[0])
    guard let position else {
      var map = FieldMap(hasValues: kind == .hash)
      let result = body(&map)
      insert(arguments[0], hash, Record(kind == .hash ? .hash(Box(map)) : .set(Box(map))))
      return result
    }
    guard let bytes = mapBytes(kind, at: position, &reply) else { return nil }
    guard bytes + arguments.byteCount < Self.bodyMax else {
      reply.tooLarge()
      return nil
    }
    return changeMap(kind, at: position, hash, body)
  }

  /// Removes from the map at the first argument, and the key with the last field; nil after an error was appended.
  private mutating func shrinkMap(
    _ kind: MapKind, _ arguments: Arguments, _ reply: inout ReplyWriter,
    _ body: (inout FieldMap) -> Int
  ) -> Int? {
    let (hash, position) = locate(arguments[0])
    guard let position else { return 0 }
    guard mapBytes(kind, at: position, &reply) != nil else { return nil }
    var isEmpty = false
    let result = changeMap(kind, at: position, hash) { map in
      let result = body(&map)
      isEmpty = map.count == 0
      return result
    }
    if isEmpty { remove(at: position) }
    return result
  }

  /// Nil after an error was appended. It is a function so that nothing holds on to the map when that is changed.
  private func mapBytes(
    _ kind: MapKind, at position: Position, _ reply: inout ReplyWriter
  ) -> Int? {
    switch (table[position].value, kind) {
    case (.hash(let map), .hash), (.set(let map), .set): return map.value.bytes
    default:
      reply.wrongType()
      return nil
    }
  }

  /// Changes the map there, in place unless a copy of the store shares it.
  private mutating func changeMap(
    _ kind: MapKind, at position: Position, _ hash: UInt64, _ body: (inout FieldMap) -> Int
  ) -> Int? {
    guard var map = takeMap(at: position) else { return nil }
    let result = Box.change(&map, body)
    table[position].value = kind == .hash ? .hash(map) : .set(map)
    settle(position, hash)
    return result
  }

  /// Taken out of the table, the map is referenced once.
  private mutating func takeMap(at position: Position) -> Box<FieldMap>? {
    switch table[position].value {
    case .hash(let map), .set(let map):
      table[position].value = .string([])
      return map
    case .string, .list: return nil
    }
  }
}

extension KeyspaceView {
  /// The hash there, an empty one when there is none; nil after an error was appended.
  private func hash(_ key: ByteView, _ reply: inout ReplyWriter) -> FieldMap? {
    guard let record = find(key) else { return FieldMap(hasValues: true) }
    guard case .hash(let map) = record.value else {
      reply.wrongType()
      return nil
    }
    return map.value
  }

  private func set(_ key: ByteView, _ reply: inout ReplyWriter) -> FieldMap? {
    guard let record = find(key) else { return FieldMap(hasValues: false) }
    guard case .set(let map) = record.value else {
      reply.wrongType()
      return nil
    }
    return map.value
  }

  func field(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = hash(arguments[0], &reply) else { return }
    reply.bulk(orNull: map.value(of: arguments[1]))
  }

  func fieldValues(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = hash(arguments[0], &reply) else { return }
    reply.array(arguments.count - 1)
    for i in 1..<arguments.count { reply.bulk(orNull: map.value(of: arguments[i])) }
  }

  func allFields(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = hash(arguments[0], &reply) else { return }
    reply.map(map.count)
    map.visit { key, value in
      reply.bulk(key)
      reply.bulk(value)
    }
  }

  func fieldKeys(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = hash(arguments[0], &reply) else { return }
    reply.array(map.count)
    map.visit { key, _ in reply.bulk(key) }
  }

  func allFieldValues(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = hash(arguments[0], &reply) else { return }
    reply.array(map.count)
    map.visit { _, value in reply.bulk(value) }
  }

  func fieldCount(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    if let map = hash(arguments[0], &reply) { reply.integer(map.count) }
  }

  func fieldExists(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    if let map = hash(arguments[0], &reply) { reply.flag(map.contains(arguments[1])) }
  }

  func members(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let map = set(arguments[0], &reply) else { return }
    reply.set(map.count)
    map.visit { key, _ in reply.bulk(key) }
  }

  func isMember(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    if let map = set(arguments[0], &reply) { reply.flag(map.contains(arguments[1])) }
  }

  func memberCount(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    if let map = set(arguments[0], &reply) { reply.integer(map.count) }
  }
}
