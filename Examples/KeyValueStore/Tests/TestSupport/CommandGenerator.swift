public import Protocol

/// A random walk through commands that often meet: few keys, all types, values of many lengths, expiry.
public struct CommandGenerator {
  public var random: SeededRandom
  public var keys: UInt64 = 12
  public var longest: UInt64 = 40

  public init(seed: UInt64) { random = SeededRandom(seed: seed) }

  public mutating func below(_ bound: UInt64) -> UInt64 { random.next(below: bound) }

  public mutating func one(of words: [String]) -> String { words[Int(below(UInt64(words.count)))] }

  public mutating func key() -> String { "key:\(below(keys))" }

  public mutating func value() -> String {
    if below(3) == 0 { return String(Int64(bitPattern: random.next()) >> Int64(below(64))) }
    let length = below(10) == 0 ? below(longest) : below(12)
    return String((0..<length).map { _ in Character(Unicode.Scalar(UInt8(97 + below(26)))) })
  }

  public mutating func field() -> String { "f\(below(below(4) == 0 ? 200 : 6))" }

  /// Sometimes the clock goes on, and sometimes it is another, lagging one.
  public mutating func time(_ now: UInt64) -> UInt64 {
    switch below(10) {
    case 0: now + below(400)
    case 1: now - min(now, below(300))
    default: now
    }
  }

  public mutating func words() -> [[UInt8]] { texts().map { Array($0.utf8) } }

  public mutating func texts() -> [String] {
    switch below(34) {
    case 0, 1: return ["SET", key(), value()]
    case 2: return ["SET", key(), value(), "PX", String(1 + below(500))]
    case 3: return ["SET", key(), value(), one(of: ["NX", "XX", "GET", "KEEPTTL"])]
    case 4: return ["GET", key()]
    case 5: return [one(of: ["INCR", "DECR", "STRLEN", "GETDEL", "TYPE", "PERSIST"]), key()]
    case 6: return [one(of: ["INCRBY", "DECRBY"]), key(), value()]
    case 7: return ["APPEND", key(), value()]
    case 8: return ["MSET", key(), value(), key(), value()]
    case 9: return ["MSETNX", key(), value(), key(), value()]
    case 10: return [one(of: ["MGET", "EXISTS"]), key(), key(), key()]
    case 11: return [one(of: ["DEL", "UNLINK"]), key()]
    case 12: return ["PEXPIRE", key(), String(Int64(below(600)) - 50)]
    case 13: return ["PEXPIRE", key(), String(below(500)), one(of: ["NX", "XX", "GT", "LT"])]
    case 14, 15: return [one(of: ["LPUSH", "RPUSH"]), key(), value(), value()]
    case 16: return [one(of: ["LPOP", "RPOP", "LLEN"]), key()]
    case 17: return [one(of: ["LPOP", "RPOP"]), key(), String(below(5))]
    case 18: return ["LRANGE", key(), String(Int64(below(9)) - 4), String(Int64(below(9)) - 4)]
    case 19: return ["LINDEX", key(), String(Int64(below(9)) - 4)]
    case 20, 21: return ["HSET", key(), field(), value(), field(), value()]
    case 22: return ["HGET", key(), field()]
    case 23: return ["HDEL", key(), field(), field()]
    case 24: return [one(of: ["HLEN", "SCARD", "HGETALL", "HKEYS", "HVALS"]), key()]
    case 25: return ["HINCRBY", key(), field(), String(Int64(below(100)) - 50)]
    case 26: return ["HSETNX", key(), field(), value()]
    case 27: return ["SADD", key(), field(), field()]
    case 28: return ["SREM", key(), field()]
    case 29: return [one(of: ["SISMEMBER", "HEXISTS", "HMGET"]), key(), field()]
    case 30: return ["GETEX", key(), "PX", String(1 + below(300))]
    case 31: return ["GETSET", key(), value()]
    case 32: return ["DBSIZE"]
    default: return [one(of: ["LPUSHX", "RPUSHX", "SETNX"]), key(), value()]
    }
  }
}
