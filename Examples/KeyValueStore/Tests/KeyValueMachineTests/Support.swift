import Foundation
import Protocol
import RESP

@testable import KeyValueMachine

/// A store as a replica holds it, with one client whose session and clock are looked after.
struct SingleStore {
  static let beginning: UInt64 = 1_700_000_000_000

  private(set) var application = Application(machine: KeyValueStore())
  private var replies = ReplyBuffer()
  private var session = SessionID(0)
  private var sequence: UInt64 = 0
  private var transaction: [[UInt8]]?
  /// What the gateway's clock shows.
  var time = Self.beginning

  var machine: KeyValueStore { application.machine }

  init() {
    var batch: [UInt8] = []
    Command.encodeRegistration(nonce: 7, into: &batch)
    apply(batch)
    guard case .registered(let session)? = replies.replies.first?.outcome else {
      fatalError("a registration is answered with a session")
    }
    self.session = session
  }

  /// Goes on from a snapshot of this application.
  mutating func restore(from snapshot: [UInt8]) throws {
    var restorer = application.restorer()
    try restorer.take(snapshot.span.bytes)
    application = try restorer.finish()
  }

  /// Goes on with another one's state, which is this one's by way of a snapshot.
  mutating func replaceApplication(by other: SingleStore) { application = other.application }

  /// The reply to these words, as the machine wrote it.
  mutating func raw(_ words: [[UInt8]]) -> [UInt8] {
    guard let verb = words[0].withUnsafeBytes({ Verb.named($0) }) else {
      return Array("-ERR unknown command\r\n".utf8)
    }
    return raw(payload: encode(verb, Array(words.dropFirst())))
  }

  /// The reply to an encoded command. If it changes nothing, a query must give the same one.
  mutating func raw(payload: [UInt8]) -> [UInt8] {
    let asked = query(payload: payload)
    sequence += 1
    var batch: [UInt8] = []
    Command.encode(
      session: session, sequence: SequenceNumber(sequence),
      acknowledgedUpTo: SequenceNumber(sequence - 1), payload: payload.span.bytes, into: &batch)
    apply(batch)
    let reply = Array(replies.bytes[replies.replies[0].bytes])
    let isReadOnly =
      payload.withUnsafeBytes { Request($0) }.map { $0.verb.isReadOnly && $0.verb != .exec }
    if isReadOnly == true { precondition(asked == reply, "a query is answered otherwise") }
    return reply
  }

  func query(payload: [UInt8]) -> [UInt8] {
    var replies = ReplyBuffer()
    let place = application.query(payload.span.bytes, into: &replies)
    return Array(replies.bytes[place])
  }

  func encode(_ verb: Verb, _ arguments: [[UInt8]]) -> [UInt8] {
    var payload: [UInt8] = []
    CommandCoding.encode(verb, time: time, arguments: arguments, into: &payload)
    return payload
  }

  /// The reply as a client of RESP2 sees it. MULTI and EXEC work as they do at a gateway.
  mutating func perform(_ words: [[UInt8]]) -> RESPValue {
    let name = String(decoding: words[0], as: UTF8.self).uppercased()
    switch (name, transaction) {
    case ("MULTI", nil):
      transaction = []
      return .simple("OK")
    case ("EXEC", let commands?):
      transaction = nil
      var payload: [UInt8] = []
      CommandCoding.encodeTransaction(time: time, commands: commands, into: &payload)
      return value(raw(payload: payload))
    case (_, .some):
      guard let verb = words[0].withUnsafeBytes({ Verb.named($0) }) else {
        return .error("ERR unknown command")
      }
      let command = encode(verb, Array(words.dropFirst()))
      transaction?.append(command)
      return .simple("QUEUED")
    default:
      return value(raw(words))
    }
  }

  mutating func perform(_ line: String) -> RESPValue {
    perform(Self.words(line))
  }

  func snapshot(chunk: Int = 1 << 16) -> [UInt8] {
    var source = application.snapshot()
    var bytes: [UInt8] = []
    while source.chunk(limit: chunk, into: &bytes) {}
    return bytes
  }

  private func value(_ reply: [UInt8]) -> RESPValue {
    var converted: [UInt8] = []
    reply.withUnsafeBytes { RESPReply.convert($0, to: .two, into: &converted) }
    guard let (value, length) = RESPValue.parse(converted[...]), length == converted.count else {
      fatalError("not a reply: \(String(decoding: reply, as: UTF8.self))")
    }
    return value
  }

  private mutating func apply(_ batch: [UInt8]) {
    replies.removeAll()
    do {
      try application.apply(application.appliedUpTo.next, batch.span.bytes, into: &replies)
    } catch {
      fatalError("the batch is well formed: \(error)")
    }
  }

  /// A line split into words as redis-cli does.
  static func words(_ line: String) -> [[UInt8]] {
    var parser = RESPCommandParser()
    let bytes = Array((line + "\r\n").utf8)
    guard bytes.withUnsafeBytes({ parser.parse($0) }) == .command else {
      fatalError("not a command: \(line)")
    }
    return parser.arguments.map { Array(parser.inlineBytes[$0]) }
  }
}

/// A random walk through commands that often meet: few keys, all types, values of many lengths, expiry.
struct CommandGenerator {
  var random: SeededRandom
  var keys: UInt64 = 12
  var longest: UInt64 = 40

  init(seed: UInt64) { random = SeededRandom(seed: seed) }

  mutating func below(_ bound: UInt64) -> UInt64 { random.next(below: bound) }

  mutating func one(of words: [String]) -> String { words[Int(below(UInt64(words.count)))] }

  mutating func key() -> String { "key:\(below(keys))" }

  mutating func value() -> String {
    if below(3) == 0 { return String(Int64(bitPattern: random.next()) >> Int64(below(64))) }
    let length = below(10) == 0 ? below(longest) : below(12)
    return String((0..<length).map { _ in Character(Unicode.Scalar(UInt8(97 + below(26)))) })
  }

  mutating func field() -> String { "f\(below(below(4) == 0 ? 200 : 6))" }

  /// Sometimes the clock goes on, and sometimes it is another, lagging one.
  mutating func time(_ now: UInt64) -> UInt64 {
    switch below(10) {
    case 0: now + below(400)
    case 1: now - min(now, below(300))
    default: now
    }
  }

  mutating func words() -> [[UInt8]] { texts().map { Array($0.utf8) } }

  mutating func texts() -> [String] {
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
