import Protocol
import Testing

@Suite struct CommandTests {
  @Test(arguments: 0...17)
  func encodedAndDecoded(length: Int) throws {
    let payload = (0..<length).map { UInt8($0 + 1) }
    let bytes = operation(SessionID(0x1122_3344_5566_7788), 9, acknowledged: 4, payload)
    #expect(bytes.count == Command.encodedLength(payload: length))
    #expect(bytes.count % 8 == 0)
    let command = try Command(at: 0, of: bytes.span.bytes)
    #expect(command.kind == .operation)
    #expect(command.session == SessionID(0x1122_3344_5566_7788))
    #expect(command.sequence == SequenceNumber(9))
    #expect(command.acknowledgedUpTo == SequenceNumber(4))
    #expect(Array(bytes[command.payload]) == payload)
    #expect(command.end == bytes.count)
  }

  @Test func layoutIsWhatTheCommentSays() {
    let bytes = operation(SessionID(2), 3, acknowledged: 1, [0xAA])
    #expect(
      bytes == [1, 0, 0, 0, 2, 0, 0, 0] + [2, 0, 0, 0, 0, 0, 0, 0] + [3, 0, 0, 0, 0, 0, 0, 0]
        + [1, 0, 0, 0, 0, 0, 0, 0] + [0xAA, 0, 0, 0, 0, 0, 0, 0])
  }

  struct Damage: Sendable, CustomTestStringConvertible {
    var name: String
    var at: Int
    var byte: UInt8
    var error: CommandInvalid
    var testDescription: String { name }
  }

  @Test(arguments: [
    Damage(name: "payload longer than the bytes", at: 0, byte: 9, error: .truncated(at: 0)),
    Damage(name: "payload of gigabytes", at: 3, byte: 0xFF, error: .truncated(at: 0)),
    Damage(name: "unknown kind", at: 4, byte: 3, error: .field(at: 0)),
    Damage(name: "kind zero", at: 4, byte: 0, error: .field(at: 0)),
    Damage(name: "registration with a payload", at: 4, byte: 1, error: .field(at: 0)),
    Damage(name: "reserved byte", at: 6, byte: 1, error: .field(at: 0)),
    Damage(name: "sequence zero", at: 16, byte: 0, error: .field(at: 0)),
    Damage(name: "acknowledges itself", at: 24, byte: 3, error: .field(at: 0)),
    Damage(name: "acknowledges the future", at: 31, byte: 0x80, error: .field(at: 0)),
    Damage(name: "padding", at: 39, byte: 1, error: .field(at: 0)),
    Damage(name: "shorter than it is", at: 0, byte: 0, error: .trailing(at: 32)),
  ])
  func damageIsATypedError(_ damage: Damage) {
    var bytes = operation(SessionID(2), 3, [7])
    bytes[damage.at] = damage.byte
    let error = #expect(throws: CommandInvalid.self) {
      _ = try CommandRef(verifying: bytes.span.bytes, position: 0)
    }
    #expect(error == damage.error)
  }

  @Test func everyTruncationIsATypedError() {
    let bytes = operation(SessionID(2), 3, "payload")
    for length in 0..<bytes.count {
      let cut = Array(bytes[..<length])
      #expect(throws: CommandInvalid.truncated(at: 0)) {
        try Command(at: 0, of: cut.span.bytes)
      }
    }
  }

  @Test func valueIsTheFoldOfItsCommands() throws {
    let commands = [operation(SessionID(2), 3), registration(77), operation(SessionID(2), 4, "yy")]
    let batch = Array(commands.joined())
    var digest: UInt64 = 0
    for command in commands {
      let ref = try CommandRef(verifying: command.span.bytes, position: 5)
      digest = Value.digest(digest, adding: ref.checksum, length: ref.bytes.length)
    }
    let value = try Value(of: batch.span.bytes, position: 100)
    #expect(
      value
        == Value(
          bytes: BytesRef(position: 100, length: UInt32(batch.count)), count: 3, digest: digest))
    try value.verify(batch.span.bytes)
    try Value.noop.verify([UInt8]().span.bytes)
  }

  @Test func everyFlippedBitOfABatchIsFound() throws {
    let batch = operation(SessionID(2), 3, "some payload") + operation(SessionID(5), 1, "more")
    let value = try Value(of: batch.span.bytes, position: 0)
    for bit in 0..<batch.count * 8 {
      var damaged = batch
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: CommandInvalid.self, "bit \(bit)") { try value.verify(damaged.span.bytes) }
    }
    let swapped = Array(batch[48...]) + Array(batch[..<48])
    #expect(throws: CommandInvalid.mismatch) { try value.verify(swapped.span.bytes) }
  }

  /// Random bytes, and random edits of good batches: the walk ends, within the bytes.
  @Test(arguments: 1...50)
  func walkOfGarbageEnds(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    for _ in 0..<200 {
      var bytes: [UInt8] = []
      if random.next(below: 2) == 0 {
        for _ in 0..<random.next(below: 100) { bytes.append(UInt8(random.next(below: 256))) }
      } else {
        for s in 1...4 { bytes += operation(SessionID(9), UInt64(s), "abcdefgh") }
        for _ in 0...random.next(below: 3) {
          bytes[Int(random.next(below: UInt64(bytes.count)))] = UInt8(random.next(below: 256))
        }
        bytes.removeLast(Int(random.next(below: 20)))
      }
      var iterator = BatchIterator()
      var steps = 0
      do {
        while let command = try iterator.next(in: bytes.span.bytes) {
          #expect(command.end <= bytes.count && command.payload.upperBound <= command.end)
          steps += 1
        }
        #expect(iterator.offset == bytes.count)
      } catch {}
      #expect(steps <= bytes.count / Command.headerLength)
    }
  }

  @Test func batchOfTooManyCommandsIsRefused() {
    var bytes: [UInt8] = []
    for i in 0...UInt64(Command.batchMax) { Command.encodeRegistration(nonce: i, into: &bytes) }
    #expect(throws: CommandInvalid.tooMany) { try Value(of: bytes.span.bytes, position: 0) }
    bytes.removeLast(Command.headerLength)
    #expect(throws: Never.self) { try Value(of: bytes.span.bytes, position: 0) }
  }
}
