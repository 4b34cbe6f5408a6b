import Protocol

extension KeyValueStore {
  mutating func push(
    _ arguments: Arguments, front: Bool, onlyIfPresent: Bool, _ reply: inout ReplyWriter
  ) {
    let (hash, position) = locate(arguments[0])
    guard let position else {
      if onlyIfPresent { return reply.integer(0) }
      var list = List()
      Self.push(arguments, front: front, onto: &list)
      insert(arguments[0], hash, Record(.list(Box(list))))
      return reply.integer(list.count)
    }
    guard let size = listSize(at: position, &reply) else { return }
    guard size.bytes + arguments.byteCount < Self.bodyMax else { return reply.tooLarge() }
    changeList(at: position, hash) { Self.push(arguments, front: front, onto: &$0) }
    reply.integer(size.count + arguments.count - 1)
  }

  private static func push(_ arguments: Arguments, front: Bool, onto list: inout List) {
    for i in 1..<arguments.count {
      let element = [UInt8](arguments[i])
      if front { list.pushFront(element) } else { list.pushBack(element) }
    }
  }

  mutating func pop(
    _ verb: Verb, _ arguments: Arguments, front: Bool, _ reply: inout ReplyWriter
  ) {
    guard arguments.count <= 2 else { return reply.wrongCount(verb) }
    var limit: Int?
    if arguments.count == 2 {
      guard let number = Decimal.integer(arguments[1]), number >= 0 else {
        return reply.error("ERR value is out of range, must be positive")
      }
      limit = Int(number)
    }
    let (hash, position) = locate(arguments[0])
    guard let position else { return limit == nil ? reply.null() : reply.nullArray() }
    guard let size = listSize(at: position, &reply) else { return }
    let count = min(limit ?? 1, size.count)
    if limit != nil { reply.array(count) }
    guard count > 0 else { return }
    changeList(at: position, hash) { list in
      for _ in 0..<count { reply.bulk(orNull: front ? list.popFront() : list.popBack()) }
    }
    if count == size.count { remove(at: position) }
  }

  /// Nil after an error was appended. It is a function so that nothing holds on to the list when that is changed.
  private func listSize(
    at position: Position, _ reply: inout ReplyWriter
  ) -> (count: Int, bytes: Int)? {
    guard case .list(let list) = table[position].value else {
      reply.wrongType()
      return nil
    }
    return (list.value.count, list.value.bytes)
  }

  /// Changes the list there, in place unless a copy of the store shares it.
  private mutating func changeList(
    at position: Position, _ hash: UInt64, _ body: (inout List) -> Void
  ) {
    guard var list = takeList(at: position) else { return }
    Box.change(&list, body)
    table[position].value = .list(list)
    settle(position, hash)
  }

  /// Taken out of the table, the list is referenced once.
  private mutating func takeList(at position: Position) -> Box<List>? {
    guard case .list(let list) = table[position].value else { return nil }
    table[position].value = .string([])
    return list
  }
}

extension KeyspaceView {
  func listLength(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let record = find(arguments[0]) else { return reply.integer(0) }
    guard case .list(let list) = record.value else { return reply.wrongType() }
    reply.integer(list.value.count)
  }

  func listRange(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let from = Decimal.integer(arguments[1]), let to = Decimal.integer(arguments[2]) else {
      return reply.notAnInteger()
    }
    guard let record = find(arguments[0]) else { return reply.array(0) }
    guard case .list(let list) = record.value else { return reply.wrongType() }
    let count = Int64(list.value.count)
    let first = max(0, from < 0 ? from + count : from)
    let last = min(count - 1, to < 0 ? to + count : to)
    guard first <= last else { return reply.array(0) }
    reply.array(Int(last - first + 1))
    list.value.visit(in: Int(first)..<Int(last + 1)) { reply.bulk($0) }
  }

  func listElement(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let record = find(arguments[0]) else { return reply.null() }
    guard case .list(let list) = record.value else { return reply.wrongType() }
    guard let number = Decimal.integer(arguments[1]) else { return reply.notAnInteger() }
    let count = Int64(list.value.count)
    let index = number < 0 ? number + count : number
    guard index >= 0, index < count else { return reply.null() }
    list.value.visit(in: Int(index)..<Int(index) + 1) { reply.bulk($0) }
  }
}

extension ReplyWriter {
  mutating func tooLarge() { error("ERR value exceeds maximum allowed size") }
}
