import Protocol
import RESP
import TestSupport
import Testing

@testable import KeyValueMachine

/// The same commands by dictionaries and arrays, one line each where possible: what the store is compared with.
struct StoreModel {
  enum Content: Equatable {
    case string(String)
    case list([String])
    case hash([String: String])
    case set(Set<String>)

    var typeName: String {
      switch self {
      case .string: "string"
      case .list: "list"
      case .hash: "hash"
      case .set: "set"
      }
    }
  }

  private(set) var values: [String: Content] = [:]
  private(set) var expiries: [String: UInt64] = [:]
  private var now: UInt64 = 0

  private static let wrongType = RESPValue.error(
    "WRONGTYPE Operation against a key holding the wrong kind of value")
  private static let notAnInteger = RESPValue.error("ERR value is not an integer or out of range")

  private static func bulk(_ text: String?) -> RESPValue {
    text.map { .bulk(Array($0.utf8)) } ?? .null
  }

  private static func array(_ texts: some Sequence<String>) -> RESPValue {
    .array(texts.map { bulk($0) })
  }

  private static func flag(_ value: Bool) -> RESPValue { .integer(value ? 1 : 0) }

  /// The reply, with what has no order in the model sorted; nil for a command the model does not know.
  mutating func perform(_ words: [String], time: UInt64) -> RESPValue? {
    now = max(now, time)
    for (key, expiry) in expiries where expiry <= now { remove(key) }
    let key = words.count > 1 ? words[1] : ""
    switch words[0] {
    case "DBSIZE": return .integer(Int64(values.count))
    case "EXISTS":
      return .integer(Int64(words.dropFirst().filter { values[$0] != nil }.count))
    case "DEL", "UNLINK": return Self.flag(remove(key))
    case "TYPE": return .simple(values[key]?.typeName ?? "none")
    case "PERSIST": return Self.flag(expiries.removeValue(forKey: key) != nil)
    case "PEXPIRE": return expire(words)
    case "MGET":
      return .array(
        words.dropFirst().map {
          if case .string(let text)? = values[$0] { Self.bulk(text) } else { .null }
        })
    case "MSET", "MSETNX":
      if words[0] == "MSETNX", values[words[1]] != nil || values[words[3]] != nil {
        return .integer(0)
      }
      store(words[1], words[2])
      store(words[3], words[4])
      return words[0] == "MSET" ? .simple("OK") : .integer(1)
    case "SET", "GET", "STRLEN", "INCR", "DECR", "INCRBY", "DECRBY", "APPEND", "GETDEL", "GETEX",
      "GETSET", "SETNX":
      return performString(words)
    case "LPUSH", "RPUSH", "LPUSHX", "RPUSHX", "LPOP", "RPOP", "LLEN", "LRANGE", "LINDEX":
      return performList(words)
    case "HSET", "HGET", "HDEL", "HLEN", "HGETALL", "HKEYS", "HVALS", "HINCRBY", "HSETNX",
      "HEXISTS",
      "HMGET":
      return performHash(words)
    case "SADD", "SREM", "SISMEMBER", "SCARD": return performSet(words)
    default: return nil
    }
  }

  @discardableResult
  private mutating func remove(_ key: String) -> Bool {
    expiries[key] = nil
    return values.removeValue(forKey: key) != nil
  }

  private mutating func store(_ key: String, _ text: String, expiry: UInt64? = nil) {
    values[key] = .string(text)
    expiries[key] = expiry
  }

  private mutating func put(_ key: String, _ content: Content, isEmpty: Bool) {
    if isEmpty { remove(key) } else { values[key] = content }
  }

  private mutating func expire(_ words: [String]) -> RESPValue {
    let key = words[1]
    guard values[key] != nil, let span = Int64(words[2]) else { return .integer(0) }
    let expiry = UInt64(Int64(now) + span)
    let old = expiries[key] ?? .max
    switch words.count > 3 ? words[3] : "" {
    case "NX" where old != .max: return .integer(0)
    case "XX" where old == .max: return .integer(0)
    case "GT" where expiry <= old: return .integer(0)
    case "LT" where expiry >= old: return .integer(0)
    default: break
    }
    if expiry <= now { remove(key) } else { expiries[key] = expiry }
    return .integer(1)
  }

  private mutating func performString(_ words: [String]) -> RESPValue? {
    let key = words[1]
    var amount: Int64 = 0
    if words[0] == "INCRBY" || words[0] == "DECRBY" {
      guard let number = Int64(words[2]), String(number) == words[2] else {
        return Self.notAnInteger
      }
      if words[0] == "DECRBY", number == .min { return .error("ERR decrement would overflow") }
      amount = words[0] == "INCRBY" ? number : -number
    }
    var old: String?
    switch values[key] {
    case .string(let text)?: old = text
    case nil: break
    default:
      switch (words[0], words.count > 3 ? words[3] : "") {
      case ("SET", "GET"): return Self.wrongType
      case ("SET", _), ("SETNX", _): break
      default: return Self.wrongType
      }
    }
    switch words[0] {
    case "GET": return Self.bulk(old)
    case "STRLEN": return .integer(Int64(old?.utf8.count ?? 0))
    case "SETNX":
      guard values[key] == nil else { return .integer(0) }
      store(key, words[2])
      return .integer(1)
    case "GETSET":
      store(key, words[2])
      return Self.bulk(old)
    case "GETDEL":
      if old != nil { remove(key) }
      return Self.bulk(old)
    case "GETEX":
      if old != nil { expiries[key] = now + UInt64(words[3])! }
      return Self.bulk(old)
    case "APPEND":
      values[key] = .string((old ?? "") + words[2])
      return .integer(Int64(((old ?? "") + words[2]).utf8.count))
    case "INCR": return add(1, key, old)
    case "DECR": return add(-1, key, old)
    case "INCRBY", "DECRBY": return add(amount, key, old)
    default: return set(words, old)
    }
  }

  private mutating func set(_ words: [String], _ old: String?) -> RESPValue {
    let key = words[1]
    switch words.count > 3 ? words[3] : "" {
    case "NX" where values[key] != nil: return .null
    case "XX" where values[key] == nil: return .null
    case "GET":
      store(key, words[2])
      return Self.bulk(old)
    case "KEEPTTL": values[key] = .string(words[2])
    case "PX": store(key, words[2], expiry: now + UInt64(words[4])!)
    default: store(key, words[2])
    }
    return .simple("OK")
  }

  private mutating func add(_ amount: Int64, _ key: String, _ old: String?) -> RESPValue {
    guard let number = Int64(old ?? "0"), String(number) == old ?? "0" else {
      return Self.notAnInteger
    }
    let (sum, overflow) = number.addingReportingOverflow(amount)
    guard !overflow else { return .error("ERR increment or decrement would overflow") }
    values[key] = .string(String(sum))
    return .integer(sum)
  }

  private mutating func performList(_ words: [String]) -> RESPValue {
    let key = words[1]
    var list: [String] = []
    switch values[key] {
    case .list(let elements)?: list = elements
    case nil: if words[0].hasSuffix("PUSHX") { return .integer(0) }
    default: return Self.wrongType
    }
    let isFront = words[0].hasPrefix("L")
    switch words[0] {
    case "LLEN": return .integer(Int64(list.count))
    case "LINDEX":
      let index = Int(words[2])! < 0 ? Int(words[2])! + list.count : Int(words[2])!
      return list.indices.contains(index) ? Self.bulk(list[index]) : .null
    case "LRANGE":
      let (from, to) = (Int(words[2])!, Int(words[3])!)
      let first = max(0, from < 0 ? from + list.count : from)
      let last = min(list.count - 1, to < 0 ? to + list.count : to)
      return first <= last ? Self.array(list[first...last]) : .array([])
    case "LPOP", "RPOP":
      if words.count == 2 {
        guard !list.isEmpty else { return .null }
        let element = isFront ? list.removeFirst() : list.removeLast()
        put(key, .list(list), isEmpty: list.isEmpty)
        return Self.bulk(element)
      }
      guard !list.isEmpty else { return .nullArray }
      let count = min(Int(words[2])!, list.count)
      let taken = isFront ? Array(list.prefix(count)) : list.suffix(count).reversed()
      if isFront { list.removeFirst(count) } else { list.removeLast(count) }
      put(key, .list(list), isEmpty: list.isEmpty)
      return Self.array(taken)
    default:
      for element in words.dropFirst(2) { list.insert(element, at: isFront ? 0 : list.count) }
      values[key] = .list(list)
      return .integer(Int64(list.count))
    }
  }

  private mutating func performHash(_ words: [String]) -> RESPValue {
    let key = words[1]
    var map: [String: String] = [:]
    switch values[key] {
    case .hash(let fields)?: map = fields
    case nil: break
    default: return Self.wrongType
    }
    switch words[0] {
    case "HGET": return Self.bulk(map[words[2]])
    case "HMGET": return .array(words.dropFirst(2).map { Self.bulk(map[$0]) })
    case "HLEN": return .integer(Int64(map.count))
    case "HEXISTS": return Self.flag(map[words[2]] != nil)
    case "HKEYS": return Self.array(map.keys.sorted())
    case "HVALS": return Self.array(map.values.sorted())
    case "HGETALL": return Self.array((Array(map.keys) + Array(map.values)).sorted())
    case "HDEL":
      let before = map.count
      for field in words.dropFirst(2) { map[field] = nil }
      put(key, .hash(map), isEmpty: map.isEmpty)
      return .integer(Int64(before - map.count))
    case "HSETNX":
      if map[words[2]] != nil { return .integer(0) }
      map[words[2]] = words[3]
      values[key] = .hash(map)
      return .integer(1)
    case "HINCRBY":
      guard let old = Int64(map[words[2]] ?? "0"), String(old) == map[words[2]] ?? "0" else {
        return .error("ERR hash value is not an integer")
      }
      let (sum, overflow) = old.addingReportingOverflow(Int64(words[3])!)
      guard !overflow else { return .error("ERR increment or decrement would overflow") }
      map[words[2]] = String(sum)
      values[key] = .hash(map)
      return .integer(sum)
    default:
      let before = map.count
      for i in stride(from: 2, to: words.count, by: 2) { map[words[i]] = words[i + 1] }
      values[key] = .hash(map)
      return .integer(Int64(map.count - before))
    }
  }

  private mutating func performSet(_ words: [String]) -> RESPValue {
    let key = words[1]
    var members: Set<String> = []
    switch values[key] {
    case .set(let old)?: members = old
    case nil: break
    default: return Self.wrongType
    }
    let before = members.count
    switch words[0] {
    case "SCARD": return .integer(Int64(before))
    case "SISMEMBER": return Self.flag(members.contains(words[2]))
    case "SADD":
      members.formUnion(words.dropFirst(2))
      values[key] = .set(members)
      return .integer(Int64(members.count - before))
    default:
      members.subtract(words.dropFirst(2))
      put(key, .set(members), isEmpty: members.isEmpty)
      return .integer(Int64(before - members.count))
    }
  }
}

@Suite struct ModelTests {
  /// What the model sorts.
  private static let unordered: Set<String> = ["HGETALL", "HKEYS", "HVALS"]

  @Test(arguments: [UInt64](0..<24))
  func theStoreAnswersAsTheModelDoes(seed: UInt64) {
    var store = SingleStore()
    var model = StoreModel()
    var generator = CommandGenerator(seed: seed)
    if seed % 3 == 0 { generator.keys = 3 }
    var answered = 0
    for step in 0..<3000 {
      store.time = generator.time(store.time)
      let texts = generator.texts()
      guard let expected = model.perform(texts, time: store.time) else { continue }
      answered += 1
      var reply = store.perform(texts.map { Array($0.utf8) })
      if Self.unordered.contains(texts[0]), case .array(let values) = reply {
        let sorted = values.map(\.description).sorted()
        guard case .array(let wanted) = expected else {
          Issue.record("seed \(seed) step \(step): \(texts) → \(reply)")
          break
        }
        #expect(sorted == wanted.map(\.description).sorted(), "seed \(seed) step \(step) \(texts)")
        reply = expected
      }
      guard reply == expected else {
        Issue.record("seed \(seed) step \(step): \(texts) → \(reply), not \(expected)")
        break
      }
    }
    #expect(answered > 2500)
    #expect(!model.values.isEmpty)
  }
}
