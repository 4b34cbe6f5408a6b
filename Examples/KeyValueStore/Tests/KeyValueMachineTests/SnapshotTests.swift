import RESP
import TestSupport
import Testing

@testable import KeyValueMachine
@testable import Protocol

@Suite struct SnapshotTests {
  /// A store with a past, all types in it, and some long values.
  private static func store(seed: UInt64, steps: Int = 800) -> (SingleStore, CommandGenerator) {
    var generator = CommandGenerator(seed: seed)
    generator.keys = 40
    generator.longest = 3000
    var store = SingleStore()
    for _ in 0..<steps {
      store.time = generator.time(store.time)
      _ = store.perform(generator.words())
    }
    let many = (0..<300).map { Array("m\($0)".utf8) }
    _ = store.perform([Array("SADD".utf8), Array("large set".utf8)] + many)
    _ = store.perform([Array("HSET".utf8), Array("large hash".utf8)] + many)
    _ = store.perform([Array("RPUSH".utf8), Array("long list".utf8)] + many)
    return (store, generator)
  }

  private static func pieces(_ machine: KeyValueStore, limit: Int) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var cursor: UInt64? = 0
    while let at = cursor {
      var piece: [UInt8] = [1, 2, 3]
      cursor = machine.snapshotChunk(at: at, limit: limit, into: &piece)
      #expect(Array(piece.prefix(3)) == [1, 2, 3], "what is there already stays")
      pieces.append(Array(piece.dropFirst(3)))
    }
    return pieces
  }

  @Test(arguments: [1, 7, 64, 1000, 1 << 16])
  func piecesAreBoundedAndTogetherTheSame(limit: Int) {
    let (store, _) = Self.store(seed: 1)
    let whole = Self.pieces(store.machine, limit: 1 << 24)
    #expect(whole.count == 1)
    let pieces = Self.pieces(store.machine, limit: limit)
    #expect(pieces.allSatisfy { $0.count <= limit })
    #expect(pieces.dropLast().allSatisfy { $0.count == limit })
    #expect(Array(pieces.joined()) == whole[0])
  }

  @Test(arguments: [UInt64](0..<8))
  func aRestoredStoreIsTheSameAndStaysTheSame(seed: UInt64) throws {
    var (store, generator) = Self.store(seed: seed)
    var copy = SingleStore()
    try copy.restore(from: store.snapshot(chunk: 1 + Int(seed) * 977))
    copy = Self.follow(copy, store)
    #expect(copy.machine.digest == store.machine.digest)
    #expect(copy.snapshot() == store.snapshot())
    #expect(copy.machine.count == store.machine.count)
    for step in 0..<600 {
      store.time = generator.time(store.time)
      copy.time = store.time
      var words = generator.words()
      if step % 50 == 0 { words = Words.of("SCAN 0 COUNT 1000") }
      if step % 50 == 25 { words = Words.of("HGETALL \"large hash\"") }
      let reply = store.raw(words)
      #expect(copy.raw(words) == reply)
      #expect(copy.machine.digest == store.machine.digest)
    }
    #expect(copy.snapshot() == store.snapshot())
  }

  /// A client that goes on where the other one was: same session, same place.
  private static func follow(_ restored: SingleStore, _ original: SingleStore) -> SingleStore {
    var follower = original
    follower.replaceApplication(by: restored)
    return follower
  }

  @Test func equalStatesHaveEqualSnapshotsWhateverLedThere() {
    var (first, second) = (SingleStore(), SingleStore())
    let keys = (0..<400).map { "key:\($0)" }
    for key in keys { _ = first.perform("SET \(key) \(key)") }
    // The other one grew larger, in another order, and shrank.
    for key in keys.reversed() { _ = second.perform("SET \(key) x") }
    for key in keys { _ = second.perform("SET \(key) \(key)") }
    for i in 0..<3000 { _ = second.perform("SET other:\(i) 1") }
    for i in 0..<3000 { _ = second.perform("DEL other:\(i)") }
    // The header holds how many commands there were.
    let header = StoreFormat.headerLength
    let one = Self.pieces(first.machine, limit: 1 << 20)[0].dropFirst(header)
    let two = Self.pieces(second.machine, limit: 1 << 20)[0].dropFirst(header)
    #expect(one == two)
    #expect(first.machine.contents == second.machine.contents)
  }

  @Test func aCopyIsFrozen() {
    var (store, generator) = Self.store(seed: 5)
    let frozen = store.machine
    let before = Self.pieces(frozen, limit: 4096)
    let digest = frozen.digest
    for _ in 0..<500 { _ = store.perform(generator.words()) }
    _ = store.perform("LPUSH \"long list\" x")
    _ = store.perform("HSET \"large hash\" m0 x")
    #expect(Self.pieces(frozen, limit: 4096) == before)
    #expect(frozen.digest == digest)
    #expect(store.machine.digest != digest)
  }

  /// The addresses of all shards: a copied one is somewhere else.
  private static func addresses<P>(_ table: Table<P>) -> [UnsafeRawPointer?] {
    table.shards.map { $0.slots.withUnsafeBufferPointer { UnsafeRawPointer($0.baseAddress) } }
  }

  /// Has the machine perform a line directly: an unoptimised `Application.apply` holds copies of its own.
  private static func perform(_ line: String, in store: inout KeyValueStore) {
    let words = Words.of(line)
    guard let verb = words[0].withUnsafeBytes({ Verb.named($0) }) else {
      fatalError("no such verb: \(line)")
    }
    var payload: [UInt8] = []
    CommandCoding.encode(verb, time: 1, arguments: Array(words.dropFirst()), into: &payload)
    var reply = ReplyWriter()
    store.apply(payload.span.bytes, slot: Slot(1), reply: &reply)
  }

  @Test func theFirstWriteAfterACopyCopiesOneShard() {
    var store = KeyValueStore()
    for i in 0..<4096 { Self.perform("SET key:\(i) 1", in: &store) }
    let frozen = store
    let before = Self.addresses(frozen.table)
    Self.perform("SET key:17 x", in: &store)
    let moved = zip(before, Self.addresses(store.table)).filter { $0 != $1 }.count
    #expect(moved == 1)
    #expect(before.count == 1024)
    #expect(frozen.digest != store.digest)
  }

  /// Where the contents of a key are.
  private static func address(of key: String, in store: borrowing KeyValueStore) -> UInt {
    let key = Array(key.utf8)
    let hash = ByteHash.hash(key)
    guard let position = key.withUnsafeBytes({ store.table.find($0, hash) }) else { return 0 }
    switch store.table[position].value {
    case .string(let bytes): return bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    case .list(let box): return UInt(bitPattern: ObjectIdentifier(box))
    case .hash(let box), .set(let box): return UInt(bitPattern: ObjectIdentifier(box))
    }
  }

  @Test(arguments: [
    ("SET k aaaaaaaa", "SET k bbbbbbbb"), ("SET k 10000000", "INCR k"),
    ("RPUSH k a b c", "LPUSH k d"), ("RPUSH k a b c", "RPOP k"), ("HSET k f 1", "HSET k f 2"),
    ("HSET k f 1 g 2", "HDEL k f"), ("HSET k f 1", "HINCRBY k f 2"), ("SADD k a", "SADD k b"),
  ])
  func aChangeMovesNothingUnlessACopySharesIt(make: String, change: String) {
    var store = KeyValueStore()
    Self.perform(make, in: &store)
    let shards = Self.addresses(store.table)
    let place = Self.address(of: "k", in: store)
    // Once: a second copy could come to lie where the first one was.
    Self.perform(change, in: &store)
    #expect(Self.address(of: "k", in: store) == place)
    #expect(zip(shards, Self.addresses(store.table)).filter { $0 != $1 }.count == 0)
    let frozen = store
    let digest = frozen.digest
    Self.perform(change, in: &store)
    #expect(Self.address(of: "k", in: store) != place)
    #expect(Self.address(of: "k", in: frozen) == place)
    #expect(frozen.digest == digest)
  }

  private static func restore(_ bytes: [UInt8]) -> Result<KeyValueStore, SnapshotInvalid> {
    var machine = KeyValueStore()
    machine.beginRestore()
    do throws(SnapshotInvalid) {
      // In pieces that end anywhere.
      var offset = 0
      while offset < bytes.count {
        let end = min(bytes.count, offset + 61)
        try Array(bytes[offset..<end]).withPiece { (piece) throws(SnapshotInvalid) in
          try machine.restoreChunk(piece)
        }
        offset = end
      }
      try machine.finishRestore()
      return .success(machine)
    } catch {
      return .failure(error)
    }
  }

  @Test func aDamagedSnapshotIsRefusedOrIsAnotherState() throws {
    let (store, _) = Self.store(seed: 3, steps: 300)
    let whole = Self.pieces(store.machine, limit: 1 << 24)[0]
    #expect(try Self.restore(whole).get().digest == store.machine.digest)
    var random = SeededRandom(seed: 9)
    var refused = 0
    for _ in 0..<400 {
      var damaged = whole
      let at = Int(random.next(below: UInt64(whole.count)))
      switch random.next(below: 3) {
      case 0: damaged[at] ^= 1 << UInt8(random.next(below: 8))
      case 1: damaged.remove(at: at)
      default: damaged.insert(UInt8(random.next(below: 256)), at: at)
      }
      if damaged == whole { continue }
      switch Self.restore(damaged) {
      case .failure: refused += 1
      case .success(let machine): #expect(machine.digest != store.machine.digest)
      }
    }
    #expect(refused > 100)
    for cut in stride(from: 0, to: whole.count, by: 173) {
      guard case .failure = Self.restore(Array(whole[..<cut])) else {
        Issue.record("restored from \(cut) of \(whole.count) bytes")
        continue
      }
    }
  }

  @Test func faultsHaveTheirNames() {
    var store = SingleStore()
    _ = store.perform("SET a 1")
    let one = Self.pieces(store.machine, limit: 1 << 20)[0]
    let header = Array(one.prefix(StoreFormat.headerLength))
    let entry = Array(one.dropFirst(StoreFormat.headerLength))
    #expect(entry == [1, 97, 1] + [UInt8](repeating: 255, count: 8) + [1, 1, 49])
    func fault(_ bytes: [UInt8]) -> SnapshotInvalid? {
      if case .failure(let fault) = Self.restore(bytes) { fault } else { nil }
    }
    func head(keys: UInt8) -> [UInt8] {
      var header = header
      header[24] = keys
      return header
    }
    func machine(_ fault: SnapshotFault) -> SnapshotInvalid { .machine(fault.rawValue) }
    let never = [UInt8](repeating: 255, count: 8)
    #expect(fault(one) == nil)
    #expect(fault([]) == .header)
    #expect(fault([0] + one) == .header)
    #expect(fault(Array(one.dropLast())) == machine(.notWhole))
    #expect(fault(header) == machine(.keys))
    #expect(fault(head(keys: 2) + entry) == machine(.keys))
    #expect(fault(one + entry) == machine(.keys))
    #expect(fault(head(keys: 2) + entry + entry) == machine(.order))
    #expect(fault(header + [1, 97, 9] + never + [1, 1, 49]) == machine(.kind))
    #expect(fault(header + [1, 97, 1] + never + [2, 1, 49, 1, 49]) == machine(.count))
    #expect(fault(header + [1, 97, 2] + never + [0]) == machine(.count))
    #expect(fault(header + [1, 97, 5] + never + [2, 1, 49, 1, 49]) == machine(.fields))
    #expect(fault(header + [0x81, 0, 97, 1]) == machine(.length))
    #expect(fault(header + [255, 255, 255, 255, 255, 255, 255, 1]) == machine(.length))
    var late = header
    late[14] = 1
    #expect(fault(late + entry) == .field)
    var machine = KeyValueStore()
    #expect(throws: SnapshotInvalid.machine(SnapshotFault.notWhole.rawValue)) {
      try machine.finishRestore()
    }
  }
}

extension [UInt8] {
  fileprivate func withPiece(
    _ body: (RawSpan) throws(SnapshotInvalid) -> Void
  ) throws(SnapshotInvalid) {
    try body(span.bytes)
  }
}
