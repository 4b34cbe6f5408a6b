public import Protocol

/// A key-value store that performs Redis's commands: strings, lists, hashes, sets, expiry, transactions.
///
/// Deterministic: the order of everything comes from hashes and from the order of commands, and time comes with each
/// command. `now` is the highest time any command brought, so a gateway whose clock lags cannot bring back a key that
/// was seen to expire. A query sees the keys as of its own time where that is later.
///
/// A key that expired is gone for every command at once. Its memory is freed when a command names it, or when the sweep
/// comes by: every sixteenth command looks at one of the shards.
public struct KeyValueStore: StateMachine, Sendable {
  static let shardBits = 10
  /// One in so many commands sweeps a shard.
  static let sweepPeriod: UInt64 = 16
  /// As in Redis: no string is longer than 512 MiB.
  static let stringMax = 512 << 20
  /// No list, hash or set takes more in a snapshot, whose cursors have 32 bits for it.
  static let bodyMax = 1 << 32 - 1 << 20

  var table = Table<Record>(shardBits: Self.shardBits)
  /// For each shard a time before which none of its keys expires.
  var nextExpiry = [UInt64](repeating: Record.never, count: 1 << Self.shardBits)
  /// Milliseconds since 1970.
  public internal(set) var now: UInt64 = 0
  /// How many commands were applied; paces the sweep.
  var applied: UInt64 = 0
  /// The sum of what all records add.
  var contents: UInt64 = 0
  /// While a snapshot is taken in.
  var restoring: Restoring?

  public init() {}

  /// Keys in memory, among them those that expired and were not swept yet.
  public var count: Int { table.count }

  public var digest: UInt64 {
    ByteHash.mix(contents, ByteHash.mix(now, ByteHash.mix(applied, UInt64(table.count))))
  }

  public mutating func apply(_ command: RawSpan, slot: Slot, reply: inout ReplyWriter) {
    command.withUnsafeBytes { bytes in
      guard let request = Request(bytes) else { return reply.error("ERR malformed command") }
      now = max(now, request.time)
      applied &+= 1
      if applied % Self.sweepPeriod == 0 { sweep() }
      if request.verb == .exec {
        performAll(request.arguments, &reply)
      } else {
        perform(request.verb, request.arguments, &reply)
      }
    }
  }

  public func query(_ query: RawSpan, reply: inout ReplyWriter) {
    query.withUnsafeBytes { bytes in
      guard let request = Request(bytes) else { return reply.error("ERR malformed command") }
      let view = KeyspaceView(store: self, now: max(now, request.time))
      if request.verb == .exec {
        view.answerAll(request.arguments, &reply)
      } else {
        view.answer(request.verb, request.arguments, &reply)
      }
    }
  }

  /// A transaction: nothing comes between its commands, and the failure of one does not undo the others.
  private mutating func performAll(_ commands: Arguments, _ reply: inout ReplyWriter) {
    reply.array(commands.count)
    for i in 0..<commands.count {
      guard let request = Request(commands[i]), request.verb != .exec else {
        reply.error("ERR malformed command")
        continue
      }
      perform(request.verb, request.arguments, &reply)
    }
  }

  private mutating func perform(
    _ verb: Verb, _ arguments: Arguments, _ reply: inout ReplyWriter
  ) {
    guard verb.accepts(arguments: arguments.count) else { return reply.wrongCount(verb) }
    switch verb {
    case .set: set(arguments, &reply)
    case .setnx: setIfAbsent(arguments, &reply)
    case .setex: setWithExpiry(verb, arguments, millisecondsPerUnit: 1000, &reply)
    case .psetex: setWithExpiry(verb, arguments, millisecondsPerUnit: 1, &reply)
    case .getset: getAndSet(arguments, &reply)
    case .getdel: getAndDelete(arguments, &reply)
    case .getex: getAndExpire(arguments, &reply)
    case .mset: setMany(verb, arguments, onlyIfAbsent: false, &reply)
    case .msetnx: setMany(verb, arguments, onlyIfAbsent: true, &reply)
    case .incr: add(1, to: arguments[0], &reply)
    case .decr: add(-1, to: arguments[0], &reply)
    case .incrby: incrementBy(arguments, &reply)
    case .decrby: decrementBy(arguments, &reply)
    case .append: append(arguments, &reply)
    case .del, .unlink: delete(arguments, &reply)
    case .expire: expire(verb, arguments, millisecondsPerUnit: 1000, isRelative: true, &reply)
    case .pexpire: expire(verb, arguments, millisecondsPerUnit: 1, isRelative: true, &reply)
    case .expireat: expire(verb, arguments, millisecondsPerUnit: 1000, isRelative: false, &reply)
    case .pexpireat: expire(verb, arguments, millisecondsPerUnit: 1, isRelative: false, &reply)
    case .persist: persist(arguments, &reply)
    case .flushdb, .flushall: flush(arguments, &reply)
    case .lpush: push(arguments, front: true, onlyIfPresent: false, &reply)
    case .rpush: push(arguments, front: false, onlyIfPresent: false, &reply)
    case .lpushx: push(arguments, front: true, onlyIfPresent: true, &reply)
    case .rpushx: push(arguments, front: false, onlyIfPresent: true, &reply)
    case .lpop: pop(verb, arguments, front: true, &reply)
    case .rpop: pop(verb, arguments, front: false, &reply)
    case .hset: setFields(verb, arguments, &reply)
    case .hmset: setFields(verb, arguments, &reply)
    case .hsetnx: setFieldIfAbsent(arguments, &reply)
    case .hdel: deleteFields(arguments, &reply)
    case .hincrby: incrementField(arguments, &reply)
    case .sadd: addMembers(arguments, &reply)
    case .srem: removeMembers(arguments, &reply)
    case .ping, .echo, .get, .mget, .strlen, .exists, .type, .ttl, .pttl, .expiretime, .pexpiretime,
      .scan, .keys, .dbsize, .llen, .lrange, .lindex, .hget, .hmget, .hgetall, .hkeys, .hvals,
      .hlen, .hexists, .smembers, .sismember, .scard:
      KeyspaceView(store: self, now: now).answer(verb, arguments, &reply)
    case .exec: reply.error("ERR malformed command")
    }
  }
}

/// A store at a time: what read-only commands see. `now` may be later than the store's own.
struct KeyspaceView {
  let store: KeyValueStore
  let now: UInt64

  func answerAll(_ commands: Arguments, _ reply: inout ReplyWriter) {
    reply.array(commands.count)
    for i in 0..<commands.count {
      guard let request = Request(commands[i]), request.verb != .exec else {
        reply.error("ERR malformed command")
        continue
      }
      answer(request.verb, request.arguments, &reply)
    }
  }

  func answer(_ verb: Verb, _ arguments: Arguments, _ reply: inout ReplyWriter) {
    guard verb.accepts(arguments: arguments.count) else { return reply.wrongCount(verb) }
    switch verb {
    case .ping: ping(arguments, &reply)
    case .echo: reply.bulk(arguments[0])
    case .get: get(arguments, &reply)
    case .mget: getMany(arguments, &reply)
    case .strlen: stringLength(arguments, &reply)
    case .exists: exists(arguments, &reply)
    case .type: type(arguments, &reply)
    case .ttl: timeToLive(arguments, millisecondsPerUnit: 1000, isRelative: true, &reply)
    case .pttl: timeToLive(arguments, millisecondsPerUnit: 1, isRelative: true, &reply)
    case .expiretime: timeToLive(arguments, millisecondsPerUnit: 1000, isRelative: false, &reply)
    case .pexpiretime: timeToLive(arguments, millisecondsPerUnit: 1, isRelative: false, &reply)
    case .scan: scan(arguments, &reply)
    case .keys: keys(arguments, &reply)
    case .dbsize: reply.integer(liveCount)
    case .llen: listLength(arguments, &reply)
    case .lrange: listRange(arguments, &reply)
    case .lindex: listElement(arguments, &reply)
    case .hget: field(arguments, &reply)
    case .hmget: fieldValues(arguments, &reply)
    case .hgetall: allFields(arguments, &reply)
    case .hkeys: fieldKeys(arguments, &reply)
    case .hvals: allFieldValues(arguments, &reply)
    case .hlen: fieldCount(arguments, &reply)
    case .hexists: fieldExists(arguments, &reply)
    case .smembers: members(arguments, &reply)
    case .sismember: isMember(arguments, &reply)
    case .scard: memberCount(arguments, &reply)
    case .exec, .set, .setnx, .setex, .psetex, .getset, .getdel, .getex, .mset, .msetnx, .incr,
      .decr, .incrby, .decrby, .append, .del, .unlink, .expire, .pexpire, .expireat, .pexpireat,
      .persist, .flushdb, .flushall, .lpush, .rpush, .lpushx, .rpushx, .lpop, .rpop, .hset, .hmset,
      .hsetnx, .hdel, .hincrby, .sadd, .srem:
      reply.error("ERR a query cannot write")
    }
  }

  private func ping(_ arguments: Arguments, _ reply: inout ReplyWriter) {
    switch arguments.count {
    case 0: reply.simple("PONG")
    case 1: reply.bulk(arguments[0])
    default: reply.wrongCount(.ping)
    }
  }

  /// The record of a key that has not expired.
  func find(_ key: ByteView) -> Record? {
    guard let position = store.table.find(key, ByteHash.hash(key)) else { return nil }
    let record = store.table[position]
    return record.isLive(at: now) ? record : nil
  }
}
