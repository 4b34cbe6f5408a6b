import Protocol

extension KeyValueStore {
  mutating func delete(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    var count = 0
    for i in 0..<arguments.count {
      guard let position = locate(arguments[i]).position else { continue }
      remove(at: position)
      count += 1
    }
    reply.integer(count)
  }

  mutating func flush(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    if arguments.count > 0 {
      guard arguments.count == 1, arguments[0].isWord("SYNC") || arguments[0].isWord("ASYNC") else {
        return reply.syntaxError()
      }
    }
    table.removeAll()
    contents = 0
    for shard in nextExpiry.indices { nextExpiry[shard] = Record.never }
    reply.ok()
  }
}

extension KeyspaceView {
  func exists(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    var count = 0
    for i in 0..<arguments.count where find(arguments[i]) != nil { count += 1 }
    reply.integer(count)
  }

  func type(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    reply.simple(find(arguments[0])?.value.typeName ?? "none")
  }

  func keys(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    var found: [[UInt8]] = []
    store.table.visit { entry in
      guard entry.payload.isLive(at: now),
        entry.key.withUnsafeBytes({ Glob.matches($0, pattern: arguments[0]) })
      else { return }
      found.append(entry.key)
    }
    reply.array(found.count)
    for key in found { reply.bulk(key) }
  }

  /// SCAN cursor [MATCH pattern] [COUNT count] [TYPE type].
  ///
  /// Keys come in the order of their hashes, and a cursor is the upper 48 bits of the hash to go on with. So a key that is
  /// there from the first call to the last is returned exactly once, whatever is added or removed meanwhile, on
  /// whichever replica each call is answered.
  func scan(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let cursor = Decimal.unsigned(arguments[0]) else {
      return reply.error("ERR invalid cursor")
    }
    var (pattern, type): (ByteView?, ByteView?) = (nil, nil)
    var limit: Int64 = 10
    var i = 1
    while i < arguments.count {
      guard i + 1 < arguments.count else { return reply.syntaxError() }
      if arguments[i].isWord("COUNT") {
        guard let number = Decimal.integer(arguments[i + 1]) else { return reply.notAnInteger() }
        guard number >= 1 else { return reply.syntaxError() }
        limit = number
      } else if arguments[i].isWord("MATCH") {
        pattern = arguments[i + 1]
      } else if arguments[i].isWord("TYPE") {
        type = arguments[i + 1]
      } else {
        return reply.syntaxError()
      }
      i += 2
    }
    var found: [[UInt8]] = []
    let next = scan(from: cursor, limit) { entry in
      guard entry.payload.isLive(at: now),
        pattern.map({ Glob.matches(entry.key, pattern: $0) }) ?? true,
        type.map({ $0.isName(entry.payload.value.typeName) }) ?? true
      else { return }
      found.append(entry.key)
    }
    reply.array(2)
    Decimal.withDigits(of: Int64(next)) { reply.bulk($0) }
    reply.array(found.count)
    for key in found { reply.bulk(key) }
  }

  /// Looks at about `limit` keys from a cursor on, and returns the next cursor, 0 at the end.
  private func scan(
    from cursor: UInt64, _ limit: Int64, _ visit: (Table<Record>.Entry) -> Void
  ) -> UInt64 {
    guard cursor < 1 << 48, var position = store.table.next(from: cursor << 16) else { return 0 }
    var seen: Int64 = 0
    var last: UInt64?
    while true {
      let entry = store.table.entry(at: position)
      let group = entry.hash >> 16
      if seen >= limit, group != last { return group }
      visit(entry)
      seen += 1
      last = group
      position.slot += 1
      guard let next = store.table.next(from: position) else { return 0 }
      position = next
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Compares with a type's name, ignoring case.
  fileprivate func isName(_ name: StaticString) -> Bool {
    guard count == name.utf8CodeUnitCount else { return false }
    for i in 0..<count where self[i] | 0x20 != name.utf8Start[i] { return false }
    return true
  }
}

/// Patterns as KEYS and SCAN know them: `*`, `?`, `[a-z]`, `[^a-z]`, and `\` before what is meant literally.
public enum Glob {
  public static func matches(_ text: [UInt8], pattern: UnsafeRawBufferPointer) -> Bool {
    text.withUnsafeBytes { matches($0, pattern: pattern) }
  }

  /// Goes back to the last star only, which is enough: at most |text| · |pattern| steps for any pattern.
  static func matches(_ text: ByteView, pattern: ByteView) -> Bool {
    var (t, p) = (0, 0)
    var retry: (text: Int, pattern: Int)?
    while true {
      if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
        p += 1
        retry = (t, p)
        continue
      }
      if t == text.count, p == pattern.count { return true }
      if t < text.count, p < pattern.count, let next = step(text[t], pattern, p) {
        t += 1
        p = next
        continue
      }
      guard let last = retry, last.text < text.count else { return false }
      retry = (last.text + 1, last.pattern)
      (t, p) = (last.text + 1, last.pattern)
    }
  }

  /// Where the pattern goes on when its next element matches this byte; nil when it does not.
  private static func step(_ byte: UInt8, _ pattern: ByteView, _ p: Int) -> Int? {
    switch pattern[p] {
    case UInt8(ascii: "?"): return p + 1
    case UInt8(ascii: "["): return bracket(byte, pattern, p + 1)
    case UInt8(ascii: "\\") where p + 1 < pattern.count:
      return pattern[p + 1] == byte ? p + 2 : nil
    default: return pattern[p] == byte ? p + 1 : nil
    }
  }

  private static func bracket(_ byte: UInt8, _ pattern: ByteView, _ begin: Int) -> Int? {
    var p = begin
    let isNegated = p < pattern.count && pattern[p] == UInt8(ascii: "^")
    if isNegated { p += 1 }
    var isMember = false
    // A bracket that is never closed ends with the pattern.
    while p < pattern.count, pattern[p] != UInt8(ascii: "]") {
      if pattern[p] == UInt8(ascii: "\\"), p + 1 < pattern.count {
        p += 1
        isMember = isMember || pattern[p] == byte
      } else if p + 2 < pattern.count, pattern[p + 1] == UInt8(ascii: "-") {
        let (a, b) = (pattern[p], pattern[p + 2])
        isMember = isMember || (min(a, b)...max(a, b)).contains(byte)
        p += 2
      } else {
        isMember = isMember || pattern[p] == byte
      }
      p += 1
    }
    return isMember != isNegated ? min(p + 1, pattern.count) : nil
  }
}

extension ReplyWriter {
  /// Bytes of a client inside an error: line ends would end the error.
  mutating func printable(_ bytes: ByteView) {
    for byte in bytes.prefix(128) { append(byte == 13 || byte == 10 ? UInt8(ascii: " ") : byte) }
  }
}
