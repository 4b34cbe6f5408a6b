import Protocol
import RESP
import Testing

@testable import KeyValueMachine

@Suite struct StoreTests {
  @Test func scanReturnsEveryKeyThatStaysExactlyOnce() {
    for seed: UInt64 in 0..<5 {
      var random = SeededRandom(seed: seed)
      var store = SingleStore()
      for i in 0..<3000 { _ = store.perform("SET stays:\(i) 1") }
      var seen: [String: Int] = [:]
      var cursor = "0"
      var calls = 0
      repeat {
        let reply = store.perform("SCAN \(cursor) COUNT \(1 + random.next(below: 100))")
        guard case .array(let parts) = reply, parts.count == 2, case .bulk(let next) = parts[0],
          case .array(let keys) = parts[1]
        else {
          Issue.record("not a reply to SCAN: \(reply)")
          return
        }
        for case .bulk(let key) in keys {
          seen[String(decoding: key, as: UTF8.self), default: 0] += 1
        }
        cursor = String(decoding: next, as: UTF8.self)
        calls += 1
        // Meanwhile others come and go, and shards are rebuilt.
        for _ in 0..<20 {
          _ = store.perform("SET passes:\(random.next(below: 4000)) 1")
          _ = store.perform("DEL passes:\(random.next(below: 4000))")
        }
      } while cursor != "0"
      #expect(calls > 30)
      for i in 0..<3000 { #expect(seen["stays:\(i)"] == 1, "stays:\(i)") }
    }
  }

  @Test func keysAndScanFollowTheStateAlone() {
    var (first, second) = (SingleStore(), SingleStore())
    for i in 0..<500 { _ = first.perform("SET \(i) 1") }
    for i in (0..<500).reversed() { _ = second.perform("SET \(i) 1") }
    #expect(first.perform("KEYS *") == second.perform("KEYS *"))
    #expect(first.perform("SCAN 0 COUNT 77") == second.perform("SCAN 0 COUNT 77"))
  }

  @Test func theSweepFreesWhatNobodyNames() {
    var store = SingleStore()
    for i in 0..<2000 { _ = store.perform("SET short:\(i) 1 PX 10") }
    for i in 0..<100 { _ = store.perform("SET long:\(i) 1 PX 1000000") }
    store.time += 11
    _ = store.perform("SET mark 1")
    #expect(store.perform("DBSIZE") == .integer(101), "gone at once for whoever counts")
    #expect(store.machine.count > 2000, "but still in memory")
    for _ in 0..<1024 * 16 { _ = store.perform("GET mark") }
    #expect(store.machine.count == 101)
    let clean = store.machine.nextExpiry.filter { $0 <= store.machine.now }
    #expect(clean.isEmpty)
  }

  @Test func aQuerySeesItsOwnTimeWhereThatIsLater() {
    var store = SingleStore()
    _ = store.perform("SET a 1 PX 100")
    let early = store.encode(.get, [Array("a".utf8)])
    store.time += 100
    let late = store.encode(.get, [Array("a".utf8)])
    #expect(store.query(payload: early) == Array("$1\r\n1\r\n".utf8))
    #expect(store.query(payload: late) == Array("_\r\n".utf8))
    #expect(store.machine.now == SingleStore.beginning, "a query moves no clock")
    _ = store.perform("PING")
    #expect(store.query(payload: early) == Array("_\r\n".utf8), "now the store knows better")
  }

  @Test func aQueryCannotWrite() {
    let store = SingleStore()
    let digest = store.machine.digest
    for verb in Verb.allCases where !verb.isReadOnly && verb != .exec {
      let arity = abs(verb.traits.arity)
      let words = (1..<arity).map { Array("\($0)".utf8) }
      let reply = store.query(payload: store.encode(verb, words))
      #expect(reply == Array("-ERR a query cannot write\r\n".utf8), "\(verb)")
    }
    #expect(store.machine.digest == digest)
  }

  @Test func aTransactionOfReadsIsAQuery() {
    var store = SingleStore()
    _ = store.perform("SET a 1")
    var payload: [UInt8] = []
    CommandCoding.encodeTransaction(
      time: store.time,
      commands: [store.encode(.get, [Array("a".utf8)]), store.encode(.dbsize, [])], into: &payload)
    #expect(store.query(payload: payload) == Array("*2\r\n$1\r\n1\r\n:1\r\n".utf8))
  }

  @Test func theWideFormIsReadLikeTheNarrowOne() {
    var store = SingleStore()
    let long = [UInt8](repeating: 7, count: 70_000)
    #expect(store.perform([Array("SET".utf8), Array("a".utf8), long]) == .simple("OK"))
    #expect(store.perform("GET a") == .bulk(long))
    let payload = store.encode(.set, [Array("a".utf8), long])
    #expect(payload[1] == 1)
    #expect(store.encode(.set, [Array("a".utf8), [1]])[1] == 0)
  }

  @Test func garbageIsAnsweredAndNeverATrap() {
    var store = SingleStore()
    for line in ["SET s 1", "RPUSH l a b", "HSET h f v", "SADD z m"] { _ = store.perform(line) }
    var random = SeededRandom(seed: 4)
    var malformed = 0
    var performed = 0
    for round in 0..<20_000 {
      var payload: [UInt8]
      if round % 4 == 0 {
        payload = (0..<random.next(below: 40)).map { _ in UInt8(random.next(below: 256)) }
      } else {
        // A command with any verb and any arguments, then damaged.
        let verb = Verb.allCases[Int(random.next(below: UInt64(Verb.allCases.count)))]
        let words = [
          "s", "l", "h", "z", "1", "-1", "", "NX", "EX", "*", "COUNT", "9223372036854775807",
        ]
        let arguments = (0..<random.next(below: 6)).map { _ in
          Array(words[Int(random.next(below: UInt64(words.count)))].utf8)
        }
        payload = store.encode(verb, arguments)
        if round % 4 == 1 {
          payload[Int(random.next(below: UInt64(payload.count)))] ^= UInt8(random.next(below: 256))
        }
        if round % 4 == 2 {
          var transaction: [UInt8] = []
          CommandCoding.encodeTransaction(
            time: 0, commands: [payload, payload], into: &transaction)
          payload = transaction
        }
      }
      let reply = store.raw(payload: payload)
      var converted: [UInt8] = []
      reply.withUnsafeBytes { RESPReply.convert($0, to: .two, into: &converted) }
      let parsed = RESPValue.parse(converted[...])
      #expect(parsed?.length == converted.count, "one whole reply")
      if reply == Array("-ERR malformed command\r\n".utf8) {
        malformed += 1
      } else {
        performed += 1
      }
    }
    #expect(malformed > 3000)
    #expect(performed > 8000)
  }

  @Test func theDigestTellsStatesApart() {
    let scripts = [
      ["SET a 1"], ["SET a 2"], ["SET b 1"], ["SET a 1 PX 5"], ["SET a 1 PX 6"], ["RPUSH a 1"],
      ["RPUSH a 1 2"], ["RPUSH a 2 1"], ["HSET a 1 2"], ["HSET a 2 1"], ["SADD a 1"],
      ["SADD a 1 2"],
      ["MSET a 1 b 2"], ["MSET a 2 b 1"], ["SET a \"\""], ["PING"],
    ]
    var digests: Set<UInt64> = []
    for script in scripts {
      var store = SingleStore()
      for line in script { _ = store.perform(line) }
      digests.insert(store.machine.digest)
    }
    #expect(digests.count == scripts.count)
    // And the ways to one state do not: as many commands, the same end.
    var (one, two) = (SingleStore(), SingleStore())
    for line in ["SET a 1", "RPUSH l x", "RPUSH l y", "HSET h f 1", "DEL b"] {
      _ = one.perform(line)
    }
    for line in ["HSET h f 1", "LPUSH l y", "SET a 0", "LPUSH l x", "INCR a"] {
      _ = two.perform(line)
    }
    #expect(one.machine.digest == two.machine.digest)
  }

  @Test func fieldMapsGrowLargeAndKeepTheirContents() {
    var random = SeededRandom(seed: 2)
    var store = SingleStore()
    var model: [String: String] = [:]
    for step in 0..<3000 {
      let field = "f\(random.next(below: 500))"
      if random.next(below: 3000) > UInt64(step) {
        _ = store.perform("HSET h \(field) \(step)")
        model[field] = "\(step)"
      } else {
        _ = store.perform("HDEL h \(field)")
        model[field] = nil
      }
      if step == 1500 { #expect(model.count > 2 * FieldMap.smallMax) }
      if step % 100 == 0 || model.count < 3 {
        #expect(store.perform("HLEN h") == .integer(Int64(model.count)))
        for (field, value) in model {
          #expect(store.perform("HGET h \(field)") == .bulk(Array(value.utf8)))
        }
      }
    }
  }
}
