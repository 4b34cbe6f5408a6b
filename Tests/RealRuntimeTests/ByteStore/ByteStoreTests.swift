import RealRuntime
import Testing

@testable import Protocol

@Suite struct ByteStoreTests {
  private static func put(_ store: inout ByteStore, _ key: UInt64, _ value: [UInt8]) -> [UInt8] {
    var command: [UInt8] = []
    ByteStore.encodePut(key, value: value.span.bytes, into: &command)
    return apply(command, to: &store)
  }

  private static func apply(_ payload: [UInt8], to store: inout ByteStore) -> [UInt8] {
    var reply = ReplyWriter()
    store.apply(payload.span.bytes, slot: Slot(1), reply: &reply)
    return reply.current
  }

  private static func get(_ store: ByteStore, _ key: UInt64) -> [UInt8] {
    var query: [UInt8] = []
    ByteStore.encodeGet(key, into: &query)
    return answer(store, query)
  }

  private static func answer(_ store: ByteStore, _ query: [UInt8]) -> [UInt8] {
    var reply = ReplyWriter()
    store.query(query.span.bytes, reply: &reply)
    return reply.current
  }

  private static func pieces(_ store: ByteStore, limit: Int = 200) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var cursor: UInt64? = 0
    while let from = cursor {
      var piece: [UInt8] = []
      cursor = store.snapshotChunk(at: from, limit: limit, into: &piece)
      pieces.append(piece)
    }
    return pieces
  }

  private static func bytes(_ word: UInt64) -> [UInt8] {
    withUnsafeBytes(of: word.littleEndian) { Array($0) }
  }

  /// Against a dictionary: values of all lengths, that grow and shrink, under enough keys to split tables often.
  @Test func holdsWhatADictionaryHolds() {
    var random = SeededRandom(seed: 5)
    var store = ByteStore()
    var expected: [UInt64: (puts: UInt64, value: [UInt8])] = [:]
    let keys = (UInt64(0)..<400).map { $0 % 2 == 0 ? $0 : $0 &* 0x1_0000_0001_0001 }
    for _ in 0..<5_000 {
      let key = keys[Int(random.next(below: UInt64(keys.count)))]
      let value = (0..<random.next(below: 90)).map { UInt8(truncatingIfNeeded: $0 ^ key) }
      expected[key, default: (0, [])].puts += 1
      expected[key]!.value = value
      #expect(Self.put(&store, key, value) == Self.bytes(expected[key]!.puts))
    }
    for key in keys {
      #expect(
        Self.get(store, key) == expected[key].map { Self.bytes($0.puts) + $0.value } ?? [])
    }
    #expect(Self.get(store, 1_000).isEmpty)
  }

  /// The digest is one of the state, however it came about, and so are the pieces.
  @Test func aRestoredStoreIsTheSame() throws {
    var store = ByteStore()
    for key in UInt64(0)..<300 {
      _ = Self.put(&store, key, Array(repeating: 1, count: Int(key % 40)))
    }
    for key in UInt64(0)..<100 { _ = Self.put(&store, key * 3, [UInt8(key), 2]) }
    var copy = ByteStore()
    copy.beginRestore()
    for piece in Self.pieces(store) { try copy.restoreChunk(piece.span.bytes) }
    try copy.finishRestore()
    #expect(copy.digest == store.digest)
    #expect(Self.pieces(copy) == Self.pieces(store))
    #expect(Self.pieces(store).dropLast().allSatisfy { $0.count <= 200 && $0.count > 100 })
    #expect(Self.put(&copy, 3, []) == Self.put(&store, 3, []))
    #expect(copy.digest == store.digest)
    _ = Self.put(&copy, 3, [9])
    #expect(copy.digest != store.digest)
  }

  /// What a copy holds stays as it was while the original goes on.
  @Test func aCopyIsFrozen() {
    var store = ByteStore()
    for key in UInt64(0)..<50 { _ = Self.put(&store, key, [1, 2, 3]) }
    let frozen = store
    let before = Self.pieces(frozen)
    for key in UInt64(0)..<60 { _ = Self.put(&store, key, [4, 5, 6, UInt8(key)]) }
    #expect(Self.pieces(frozen) == before)
    #expect(Self.get(frozen, 7) == Self.bytes(1) + [1, 2, 3])
    #expect(Self.get(store, 7) == Self.bytes(2) + [4, 5, 6, 7])
  }

  @Test func whatIsNoSnapshotIsRefused() {
    let entry = Self.bytes(7) + Self.bytes(1) + Self.bytes(2) + [1, 2]
    for (bytes, expected) in [
      (Array(entry.dropLast()), SnapshotInvalid.length), (Array(entry.prefix(20)), .length),
      (entry + entry, .field), (Self.bytes(7) + Self.bytes(0) + Self.bytes(0), .field),
      (Self.bytes(7) + Self.bytes(1) + Self.bytes(.max), .length),
    ] {
      var store = ByteStore()
      store.beginRestore()
      #expect(throws: expected) { try store.restoreChunk(bytes.span.bytes) }
    }
  }

  @Test(arguments: [[], [1], Array(repeating: 0, count: 16), Array(repeating: 1, count: 15)])
  func anythingElseIsAnswered(_ command: [UInt8]) {
    var store = ByteStore()
    #expect(Self.apply(command, to: &store) == [0xFF])
    #expect(Self.answer(store, command) == [0xFF])
    #expect(store.digest == 0)
  }
}

extension ReplyWriter {
  fileprivate var current: [UInt8] { Array(bytes[start...]) }
}
