import Protocol

extension KeyValueStore {
  /// The time an argument stands for, in milliseconds since 1970; nil after an error was appended.
  func instant(
    _ text: ByteView, _ millisecondsPerUnit: Int64, isRelative: Bool, mustBePositive: Bool,
    _ verb: Verb, _ reply: inout ReplyWriter
  ) -> UInt64? {
    guard let number = Decimal.integer(text) else {
      reply.notAnInteger()
      return nil
    }
    let (milliseconds, tooLarge) = number.multipliedReportingOverflow(by: millisecondsPerUnit)
    let base = isRelative ? Int64(clamping: now) : 0
    let (sum, overflow) = milliseconds.addingReportingOverflow(base)
    guard !tooLarge, !overflow, !mustBePositive || number > 0 else {
      reply.invalidExpiry(verb)
      return nil
    }
    return UInt64(max(0, sum))
  }

  mutating func setExpiry(_ expiry: UInt64, at position: Position, _ hash: UInt64) {
    if expiry <= now { return remove(at: position) }
    table[position].expiry = expiry
    settle(position, hash)
  }

  mutating func expire(
    _ verb: Verb, _ arguments: Arguments, millisecondsPerUnit: Int64, isRelative: Bool,
    _ reply: inout ReplyWriter
  ) {
    var (onlyWithout, onlyWith, onlyLater, onlyEarlier) = (false, false, false, false)
    for i in 2..<max(2, arguments.count) {
      let word = arguments[i]
      if word.isWord("NX") {
        onlyWithout = true
      } else if word.isWord("XX") {
        onlyWith = true
      } else if word.isWord("GT") {
        onlyLater = true
      } else if word.isWord("LT") {
        onlyEarlier = true
      } else {
        reply.text("-ERR Unsupported option ")
        reply.printable(word)
        return reply.text("\r\n")
      }
    }
    guard !onlyWithout || !(onlyWith || onlyLater || onlyEarlier) else {
      return reply.error(
        "ERR NX and XX, GT or LT options at the same time are not compatible")
    }
    guard !onlyLater || !onlyEarlier else {
      return reply.error("ERR GT and LT options at the same time are not compatible")
    }
    guard
      let expiry = instant(
        arguments[1], millisecondsPerUnit, isRelative: isRelative, mustBePositive: false, verb,
        &reply)
    else { return }
    let (hash, position) = locate(arguments[0])
    guard let position else { return reply.flag(false) }
    let old = table[position].expiry
    let isAllowed =
      !(onlyWithout && old != Record.never) && !(onlyWith && old == Record.never)
      && !(onlyLater && expiry <= old) && !(onlyEarlier && expiry >= old)
    if isAllowed { setExpiry(expiry, at: position, hash) }
    reply.flag(isAllowed)
  }

  mutating func persist(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    let (hash, position) = locate(arguments[0])
    guard let position, table[position].expiry != Record.never else { return reply.flag(false) }
    setExpiry(Record.never, at: position, hash)
    reply.flag(true)
  }
}

extension KeyspaceView {
  func timeToLive(
    _ arguments: Arguments, millisecondsPerUnit: UInt64, isRelative: Bool,
    _ reply: inout ReplyWriter
  ) {
    guard let record = find(arguments[0]) else { return reply.integer(-2) }
    guard record.expiry != Record.never else { return reply.integer(-1) }
    let milliseconds = isRelative ? record.expiry - now : record.expiry
    // Rounded to the nearest second, as Redis does.
    let rounded = (milliseconds + millisecondsPerUnit / 2) / millisecondsPerUnit
    reply.integer(Int64(clamping: rounded))
  }
}
