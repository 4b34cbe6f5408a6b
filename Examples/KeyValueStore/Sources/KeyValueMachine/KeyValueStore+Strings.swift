import Protocol

/// What SET and GETEX say about expiry.
private struct ExpiryOption {
  var value: ByteView
  var millisecondsPerUnit: Int64
  var isRelative: Bool

  init?(_ word: ByteView, _ value: ByteView) {
    self.value = value
    if word.isWord("EX") {
      (millisecondsPerUnit, isRelative) = (1000, true)
    } else if word.isWord("PX") {
      (millisecondsPerUnit, isRelative) = (1, true)
    } else if word.isWord("EXAT") {
      (millisecondsPerUnit, isRelative) = (1000, false)
    } else if word.isWord("PXAT") {
      (millisecondsPerUnit, isRelative) = (1, false)
    } else {
      return nil
    }
  }

  static func isOne(_ word: ByteView) -> Bool {
    word.isWord("EX") || word.isWord("PX") || word.isWord("EXAT") || word.isWord("PXAT")
  }
}

extension KeyValueStore {
  mutating func set(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let key = arguments[0]
    if arguments.count == 2 {  // the hot path
      let (hash, position) = locate(key)
      store(arguments[1], at: position, key, hash, expiry: Record.never)
      return reply.ok()
    }
    var onlyIfAbsent = false
    var onlyIfPresent = false
    var keepsExpiry = false
    var getsOld = false
    var option: ExpiryOption?
    var i = 2
    while i < arguments.count {
      let word = arguments[i]
      if word.isWord("NX"), !onlyIfPresent {
        onlyIfAbsent = true
      } else if word.isWord("XX"), !onlyIfAbsent {
        onlyIfPresent = true
      } else if word.isWord("GET") {
        getsOld = true
      } else if word.isWord("KEEPTTL"), option == nil {
        keepsExpiry = true
      } else if option == nil, !keepsExpiry, i + 1 < arguments.count,
        let found = ExpiryOption(word, arguments[i + 1])
      {
        option = found
        i += 1
      } else {
        return reply.syntaxError()
      }
      i += 1
    }
    var expiry: UInt64? = keepsExpiry ? nil : Record.never
    if let option {
      guard let parsed = instant(option, .set, &reply) else { return }
      expiry = parsed
    }
    let (hash, position) = locate(key)
    if getsOld {
      guard replyWithString(at: position, &reply) else { return }
    }
    if (onlyIfAbsent && position != nil) || (onlyIfPresent && position == nil) {
      if !getsOld { reply.null() }
      return
    }
    if let expiry, expiry <= now {
      if let position { remove(at: position) }
    } else {
      store(arguments[1], at: position, key, hash, expiry: expiry)
    }
    if !getsOld { reply.ok() }
  }

  mutating func setIfAbsent(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let (hash, position) = locate(arguments[0])
    if position == nil { store(arguments[1], at: nil, arguments[0], hash, expiry: Record.never) }
    reply.flag(position == nil)
  }

  mutating func setWithExpiry(
    _ verb: Verb, _ arguments: Arguments, millisecondsPerUnit: Int64, _ reply: inout ReplyWriter
  ) {
    guard
      let expiry = instant(
        arguments[1], millisecondsPerUnit, isRelative: true, mustBePositive: true, verb, &reply)
    else { return }
    let (hash, position) = locate(arguments[0])
    store(arguments[2], at: position, arguments[0], hash, expiry: expiry)
    reply.ok()
  }

  mutating func getAndSet(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let (hash, position) = locate(arguments[0])
    guard replyWithString(at: position, &reply) else { return }
    store(arguments[1], at: position, arguments[0], hash, expiry: Record.never)
  }

  mutating func getAndDelete(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let position = locate(arguments[0]).position
    guard replyWithString(at: position, &reply), let position else { return }
    remove(at: position)
  }

  mutating func getAndExpire(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    var option: ExpiryOption?
    var persists = false
    var i = 1
    while i < arguments.count {
      let word = arguments[i]
      if word.isWord("PERSIST"), option == nil {
        persists = true
      } else if option == nil, !persists, i + 1 < arguments.count,
        let found = ExpiryOption(word, arguments[i + 1])
      {
        option = found
        i += 1
      } else {
        return reply.syntaxError()
      }
      i += 1
    }
    let (hash, position) = locate(arguments[0])
    guard let position else { return reply.null() }
    guard case .string(let bytes) = table[position].value else { return reply.wrongType() }
    if let option {
      guard let expiry = instant(option, .getex, &reply) else { return }
      reply.bulk(bytes)
      setExpiry(expiry, at: position, hash)
    } else {
      reply.bulk(bytes)
      if persists { setExpiry(Record.never, at: position, hash) }
    }
  }

  mutating func setMany(
    _ verb: Verb, _ arguments: Arguments, onlyIfAbsent: Bool, _ reply: inout ReplyWriter
  ) {
    guard arguments.count % 2 == 0 else { return reply.wrongCount(verb) }
    if onlyIfAbsent {
      for i in stride(from: 0, to: arguments.count, by: 2)
      where locate(arguments[i]).position != nil {
        return reply.flag(false)
      }
    }
    for i in stride(from: 0, to: arguments.count, by: 2) {
      let (hash, position) = locate(arguments[i])
      store(arguments[i + 1], at: position, arguments[i], hash, expiry: Record.never)
    }
    if onlyIfAbsent { reply.flag(true) } else { reply.ok() }
  }

  mutating func incrementBy(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let amount = Decimal.integer(arguments[1]) else { return reply.notAnInteger() }
    add(amount, to: arguments[0], &reply)
  }

  mutating func decrementBy(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let amount = Decimal.integer(arguments[1]) else { return reply.notAnInteger() }
    guard amount != .min else { return reply.error("ERR decrement would overflow") }
    add(-amount, to: arguments[0], &reply)
  }

  mutating func add(_ amount: Int64, to key: ByteView, _ reply: inout ReplyWriter) {
    let (hash, position) = locate(key)
    var old: Int64 = 0
    if let position {
      guard case .string(let bytes) = table[position].value else { return reply.wrongType() }
      guard let number = bytes.withUnsafeBytes({ Decimal.integer($0) }) else {
        return reply.notAnInteger()
      }
      old = number
    }
    let (new, overflow) = old.addingReportingOverflow(amount)
    guard !overflow else { return reply.error("ERR increment or decrement would overflow") }
    Decimal.withDigits(of: new) { store($0, at: position, key, hash, expiry: nil) }
    reply.integer(new)
  }

  mutating func append(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let (hash, position) = locate(arguments[0])
    guard let position else {
      store(arguments[1], at: nil, arguments[0], hash, expiry: nil)
      return reply.integer(arguments[1].count)
    }
    guard case .string(let bytes) = table[position].value else { return reply.wrongType() }
    let length = bytes.count + arguments[1].count
    guard length <= Self.stringMax else {
      return reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
    }
    append(arguments[1], at: position, hash)
    reply.integer(length)
  }

  private mutating func append(_ bytes: ByteView, at position: Position, _ hash: UInt64) {
    changeString(at: position, hash) { $0.append(contentsOf: bytes) }
  }

  /// Answers with the string there, or with null; false, and an error, when it is something else.
  private func replyWithString(at position: Position?, _ reply: inout ReplyWriter) -> Bool {
    guard let position else {
      reply.null()
      return true
    }
    guard case .string(let bytes) = table[position].value else {
      reply.wrongType()
      return false
    }
    reply.bulk(bytes)
    return true
  }

  private func instant(
    _ option: ExpiryOption, _ verb: Verb, _ reply: inout ReplyWriter
  ) -> UInt64? {
    instant(
      option.value, option.millisecondsPerUnit, isRelative: option.isRelative, mustBePositive: true,
      verb, &reply)
  }
}

extension KeyspaceView {
  func get(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let record = find(arguments[0]) else { return reply.null() }
    guard case .string(let bytes) = record.value else { return reply.wrongType() }
    reply.bulk(bytes)
  }

  func getMany(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    reply.array(arguments.count)
    for i in 0..<arguments.count {
      if case .string(let bytes)? = find(arguments[i])?.value {
        reply.bulk(bytes)
      } else {
        reply.null()
      }
    }
  }

  func stringLength(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard let record = find(arguments[0]) else { return reply.integer(0) }
    guard case .string(let bytes) = record.value else { return reply.wrongType() }
    reply.integer(bytes.count)
  }
}
