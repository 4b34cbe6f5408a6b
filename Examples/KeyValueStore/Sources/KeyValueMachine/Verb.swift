/// The commands the state machine performs. A raw value is part of the log's format: it never changes its meaning.
public enum Verb: UInt8, CaseIterable, Hashable, Sendable {
  case ping = 1
  case echo = 2
  /// A transaction; its arguments are encoded commands.
  case exec = 3

  case get = 16
  case set = 17
  case setnx = 18
  case setex = 19
  case psetex = 20
  case getset = 21
  case getdel = 22
  case getex = 23
  case mget = 24
  case mset = 25
  case msetnx = 26
  case incr = 27
  case decr = 28
  case incrby = 29
  case decrby = 30
  case append = 31
  case strlen = 32

  case del = 48
  case unlink = 49
  case exists = 50
  case type = 51
  case expire = 52
  case pexpire = 53
  case expireat = 54
  case pexpireat = 55
  case persist = 56
  case ttl = 57
  case pttl = 58
  case expiretime = 59
  case pexpiretime = 60
  case scan = 61
  case keys = 62
  case dbsize = 63
  case flushdb = 64
  case flushall = 65

  case lpush = 80
  case rpush = 81
  case lpushx = 82
  case rpushx = 83
  case lpop = 84
  case rpop = 85
  case llen = 86
  case lrange = 87
  case lindex = 88

  case hset = 112
  case hmset = 113
  case hsetnx = 114
  case hget = 115
  case hmget = 116
  case hdel = 117
  case hgetall = 118
  case hkeys = 119
  case hvals = 120
  case hlen = 121
  case hexists = 122
  case hincrby = 123

  case sadd = 144
  case srem = 145
  case smembers = 146
  case sismember = 147
  case scard = 148

  /// What is fixed about a verb.
  public struct Traits: Sendable {
    public var verb: Verb
    /// In small letters, as Redis's error texts say it.
    public var name: StaticString
    /// How many words a command has, its name included; negative: at least that many. As COMMAND reports it.
    public var arity: Int
    /// May be answered by `query`, because it changes nothing.
    public var isReadOnly: Bool
    /// First key, last key (-1: the last argument) and step, as COMMAND reports them.
    public var keys: (first: Int, last: Int, step: Int)
  }

  public var traits: Traits {
    // Every verb is in the table, which a test checks; were one missing it would be answered as if it were PING.
    let place = Int(Self.places[Int(rawValue)])
    return Self.table[place]
  }

  public var isReadOnly: Bool { traits.isReadOnly }

  /// Whether a command with this many arguments behind its name can be performed.
  public func accepts(arguments: Int) -> Bool {
    let arity = traits.arity
    return arity > 0 ? arguments + 1 == arity : arguments + 1 >= -arity
  }
}

extension Verb {
  private static let one = (first: 1, last: 1, step: 1)
  private static let all = (first: 1, last: -1, step: 1)
  private static let pairs = (first: 1, last: -1, step: 2)
  private static let none = (first: 0, last: 0, step: 0)

  private static func read(
    _ verb: Verb, _ name: StaticString, _ arity: Int, _ keys: (first: Int, last: Int, step: Int)
  ) -> Traits {
    Traits(verb: verb, name: name, arity: arity, isReadOnly: true, keys: keys)
  }

  private static func write(
    _ verb: Verb, _ name: StaticString, _ arity: Int, _ keys: (first: Int, last: Int, step: Int)
  ) -> Traits {
    Traits(verb: verb, name: name, arity: arity, isReadOnly: false, keys: keys)
  }

  /// All verbs a client can name, in the order of their raw values.
  public static let table: [Traits] = [
    read(.ping, "ping", -1, none), read(.echo, "echo", 2, none), write(.exec, "exec", 1, none),

    read(.get, "get", 2, one), write(.set, "set", -3, one), write(.setnx, "setnx", 3, one),
    write(.setex, "setex", 4, one), write(.psetex, "psetex", 4, one),
    write(.getset, "getset", 3, one), write(.getdel, "getdel", 2, one),
    write(.getex, "getex", -2, one), read(.mget, "mget", -2, all), write(.mset, "mset", -3, pairs),
    write(.msetnx, "msetnx", -3, pairs), write(.incr, "incr", 2, one),
    write(.decr, "decr", 2, one), write(.incrby, "incrby", 3, one),
    write(.decrby, "decrby", 3, one), write(.append, "append", 3, one),
    read(.strlen, "strlen", 2, one),

    write(.del, "del", -2, all), write(.unlink, "unlink", -2, all),
    read(.exists, "exists", -2, all),
    read(.type, "type", 2, one), write(.expire, "expire", -3, one),
    write(.pexpire, "pexpire", -3, one), write(.expireat, "expireat", -3, one),
    write(.pexpireat, "pexpireat", -3, one), write(.persist, "persist", 2, one),
    read(.ttl, "ttl", 2, one), read(.pttl, "pttl", 2, one), read(.expiretime, "expiretime", 2, one),
    read(.pexpiretime, "pexpiretime", 2, one), read(.scan, "scan", -2, none),
    read(.keys, "keys", 2, none), read(.dbsize, "dbsize", 1, none),
    write(.flushdb, "flushdb", -1, none), write(.flushall, "flushall", -1, none),

    write(.lpush, "lpush", -3, one), write(.rpush, "rpush", -3, one),
    write(.lpushx, "lpushx", -3, one), write(.rpushx, "rpushx", -3, one),
    write(.lpop, "lpop", -2, one), write(.rpop, "rpop", -2, one), read(.llen, "llen", 2, one),
    read(.lrange, "lrange", 4, one), read(.lindex, "lindex", 3, one),

    write(.hset, "hset", -4, one), write(.hmset, "hmset", -4, one),
    write(.hsetnx, "hsetnx", 4, one), read(.hget, "hget", 3, one), read(.hmget, "hmget", -3, one),
    write(.hdel, "hdel", -3, one), read(.hgetall, "hgetall", 2, one), read(.hkeys, "hkeys", 2, one),
    read(.hvals, "hvals", 2, one), read(.hlen, "hlen", 2, one), read(.hexists, "hexists", 3, one),
    write(.hincrby, "hincrby", 4, one),

    write(.sadd, "sadd", -3, one), write(.srem, "srem", -3, one),
    read(.smembers, "smembers", 2, one), read(.sismember, "sismember", 3, one),
    read(.scard, "scard", 2, one),
  ]

  /// From raw value to place in the table.
  private static let places: [UInt8] = {
    var places = [UInt8](repeating: 0, count: 256)
    for (place, traits) in table.enumerated() { places[Int(traits.verb.rawValue)] = UInt8(place) }
    return places
  }()
}

extension Verb {
  /// The verb of this name in any case; nil when the state machine has none.
  @inlinable
  public static func named(_ name: UnsafeRawBufferPointer) -> Verb? {
    guard let word = CommandWord(name) else { return nil }
    return named(word)
  }

  @inlinable
  public static func named(_ word: CommandWord) -> Verb? { names[word] }

  @usableFromInline static let names = WordTable(table.map { ($0.name, $0.verb) })
}

/// A command's name of at most 16 letters in capitals, as two words: compared and hashed without memory.
public struct CommandWord: Hashable, Sendable {
  public var low: UInt64 = 0
  public var high: UInt64 = 0

  /// nil for what is too long to be a command's name, or holds a zero, with which the words are filled up.
  @inlinable
  public init?(_ name: UnsafeRawBufferPointer) {
    guard name.count <= 16 else { return nil }
    for (i, byte) in name.enumerated() {
      if byte == 0 { return nil }
      let capital = byte &- 0x61 < 26 ? byte &- 32 : byte
      if i < 8 {
        low |= UInt64(capital) &<< UInt64(8 &* i)
      } else {
        high |= UInt64(capital) &<< UInt64(8 &* (i &- 8))
      }
    }
  }

  public init(_ name: StaticString) {
    let bytes = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
    guard let word = CommandWord(bytes) else { preconditionFailure("\(name) is too long") }
    self = word
  }

  @inlinable var home: Int {
    Int(truncatingIfNeeded: ((low ^ (high &* 31)) &* 0x9E37_79B9_7F4A_7C15) &>> 54)
  }
}

/// A fixed table of words: open addressing, few enough entries for its 1,024 places.
public struct WordTable<Value: Sendable>: Sendable {
  @usableFromInline var words: [CommandWord]
  @usableFromInline var values: [Value?]

  public init(_ entries: [(StaticString, Value)]) {
    precondition(entries.count <= 256, "the table would be slow")
    words = Array(repeating: CommandWord(""), count: 1024)
    values = Array(repeating: nil, count: 1024)
    for (name, value) in entries {
      let word = CommandWord(name)
      var place = word.home
      while values[place] != nil { place = (place &+ 1) & 1023 }
      words[place] = word
      values[place] = value
    }
  }

  @inlinable
  public subscript(word: CommandWord) -> Value? {
    var place = word.home
    while let value = values[place] {
      if words[place] == word { return value }
      place = (place &+ 1) & 1023
    }
    return nil
  }
}
