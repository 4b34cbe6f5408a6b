import Protocol
import Testing

@Suite struct MessageCodecTests {
  private func encode(_ envelope: Envelope, _ payload: [UInt8]) -> [UInt8] {
    var out: [UInt8] = []
    MessageCodec.encode(
      envelope.message, epoch: envelope.epoch, payload: payload.span.bytes, into: &out)
    return out
  }

  private func decode(
    _ bytes: [UInt8], from: ReplicaID = ReplicaID(1), to: ReplicaID = ReplicaID(2),
    placing: PayloadPlacement = .at(0)
  ) -> Result<DecodedMessage, DecodeError> {
    bytes.withUnsafeBytes { buffer in
      var reader = ByteReader(buffer)
      do throws(DecodeError) {
        let decoded = try MessageCodec.decode(&reader, from: from, to: to, placing: placing)
        try reader.finish()
        return .success(decoded)
      } catch {
        return .failure(error)
      }
    }
  }

  private func position(_ message: Message) -> UInt64 { message.payload.position }

  @Test(arguments: 0..<Generator.messageKinds) func roundTrip(kind: Int) throws {
    var generator = Generator(seed: UInt64(kind))
    for _ in 0..<500 {
      let (envelope, payload) = generator.envelope(kind: kind)
      let bytes = encode(envelope, payload)
      #expect(bytes.count == MessageCodec.encodedLength(of: envelope.message))
      #expect(bytes.count % 8 == 0)
      let decoded = try decode(
        bytes, from: envelope.from, to: envelope.to,
        placing: .at(position(envelope.message))
      ).get()
      #expect(decoded.envelope == envelope)
      #expect(Array(bytes[decoded.payload]) == payload)
      // The other direction: what was decoded encodes to the very bytes.
      #expect(encode(decoded.envelope, Array(bytes[decoded.payload])) == bytes)
    }
  }

  @Test(arguments: 0..<Generator.messageKinds) func everyTruncationIsRefused(kind: Int) {
    var generator = Generator(seed: 100 + UInt64(kind))
    for _ in 0..<20 {
      let (envelope, payload) = generator.envelope(kind: kind)
      let bytes = encode(envelope, payload)
      for length in 0..<bytes.count {
        guard case .failure(let error) = decode(Array(bytes[..<length])) else {
          Issue.record("\(length) of \(bytes.count) bytes of kind \(kind) were decoded")
          continue
        }
        #expect(error.what == .truncated)
      }
    }
  }

  /// Whatever decodes encodes to the same bytes: nothing is read in two ways, nothing is ignored.
  @Test(arguments: 0..<Generator.messageKinds) func damagedBytesAreRefusedOrCanonical(kind: Int) {
    var generator = Generator(seed: 200 + UInt64(kind))
    var decodedCount = 0
    for _ in 0..<10 {
      let (envelope, payload) = generator.envelope(kind: kind)
      let bytes = encode(envelope, payload)
      for bit in 0..<bytes.count * 8 {
        var damaged = bytes
        damaged[bit / 8] ^= 1 << UInt8(bit % 8)
        guard case .success(let decoded) = decode(damaged) else { continue }
        decodedCount += 1
        #expect(encode(decoded.envelope, Array(damaged[decoded.payload])) == damaged)
      }
    }
    #expect(decodedCount > 0)
  }

  @Test func garbageNeverTraps() {
    var generator = Generator(seed: 3)
    var decodedCount = 0
    for i in 0..<100_000 {
      var bytes = generator.bytes(generator.below(120))
      // Give every other one a plausible beginning, or hardly any would get past the tag.
      if i % 2 == 0, bytes.count >= 16 {
        bytes[0] = UInt8(1 + generator.below(16))
        for j in 1..<8 { bytes[j] = 0 }
      }
      if case .success(let decoded) = decode(bytes) {
        decodedCount += 1
        #expect(encode(decoded.envelope, Array(bytes[decoded.payload])) == bytes)
      }
    }
    #expect(decodedCount > 0)
  }

  @Test func payloadsLieWhereTheHostSays() throws {
    let bytes: [UInt8] = Array(0..<24)
    let value = Value(bytes: BytesRef(position: 5, length: 24), count: 2, digest: 77)
    let message = Message.accept(
      Accept(
        ballot: Ballot(round: 1, proposer: ReplicaID(1)), slot: Slot(1), value: value,
        chosenUpTo: .zero))
    let encoded = encode(
      Envelope(from: ReplicaID(1), to: ReplicaID(2), epoch: Epoch(1), message: message), bytes)
    let fixed = UInt64(MessageCodec.fixedLength(of: message))
    let inPlace = try decode(encoded, placing: .inPlace(origin: 1000)).get()
    #expect(inPlace.envelope.message.payload == BytesRef(position: 1000 + fixed, length: 24))
    let copied = try decode(encoded, placing: .at(9)).get()
    #expect(copied.envelope.message.payload == BytesRef(position: 9, length: 24))
    #expect(Array(encoded[copied.payload]) == bytes)
  }

  @Test func contradictionsAreRefused() {
    func accept(
      count: UInt32, digest: UInt64, length: UInt32
    ) -> Result<DecodedMessage, DecodeError> {
      var bytes: [UInt8] = [4, 0, 0, 0]
      bytes.put(length)
      bytes.put(UInt64(1))
      bytes.put(UInt64(1))
      bytes.put(UInt32(1))
      bytes.put(count)
      bytes.put(UInt64(1))
      bytes.put(UInt64(0))
      bytes.put(digest)
      bytes.putZeroes(Int(length))
      return decode(bytes)
    }
    func failure(_ result: Result<DecodedMessage, DecodeError>) -> DecodeError.What? {
      if case .failure(let error) = result { error.what } else { nil }
    }
    #expect(failure(accept(count: 0, digest: 0, length: 0)) == nil)
    #expect(failure(accept(count: 1, digest: 1, length: 8)) == nil)
    #expect(failure(accept(count: 0, digest: 1, length: 0)) == .contradiction)
    #expect(failure(accept(count: 0, digest: 0, length: 8)) == .contradiction)
    #expect(failure(accept(count: 1, digest: 0, length: 8)) == .contradiction)
    #expect(failure(accept(count: 1, digest: 1, length: 0)) == .contradiction)
    #expect(failure(accept(count: 9, digest: 1, length: 8)) == .contradiction)
  }

  @Test func malformedFieldsAreNamed() {
    func failure(_ change: (inout [UInt8]) -> Void) -> DecodeError? {
      var bytes = encode(
        Envelope(
          from: ReplicaID(1), to: ReplicaID(2), epoch: Epoch(1),
          message: .report(
            Report(
              ballot: Ballot(round: 1, proposer: ReplicaID(1)), slot: Slot(1),
              votedBallot: .zero, value: .noop, isChosen: true))), [])
      change(&bytes)
      if case .failure(let error) = decode(bytes) { return error }
      return nil
    }
    #expect(failure { _ in } == nil)
    #expect(failure { $0[0] = 0 } == DecodeError(.unknownTag, at: 0))
    #expect(failure { $0[0] = 20 } == DecodeError(.unknownTag, at: 0))
    #expect(failure { $0[2] = 1 } == DecodeError(.reservedNotZero, at: 2))
    // A tag without a payload (a heartbeat's), but with the length of one.
    #expect(
      failure {
        $0[0] = 7
        $0[4] = 8
      } == DecodeError(.length, at: 4))
    #expect(failure { $0[52] = 2 } == DecodeError(.notABoolean, at: 52))
    #expect(failure { $0[55] = 1 } == DecodeError(.reservedNotZero, at: 55))
    #expect(failure { $0.append(0) } == DecodeError(.trailing, at: 64))
    #expect(failure { $0.removeLast() } == DecodeError(.truncated, at: 16))
  }

  @Test func chunksOutsideTheirSnapshotAreRefused() {
    func isRefused(length: UInt64, offset: UInt64, chunk: Int) -> Bool {
      var bytes: [UInt8] = [16, 0, 0, 0]
      bytes.put(UInt32(chunk))
      for word in [1, 5, length, 9, offset] { bytes.put(UInt64(word)) }
      bytes.putZeroes((chunk + 7) & ~7)
      if case .failure(let error) = decode(bytes) { return error.what == .contradiction }
      return false
    }
    #expect(!isRefused(length: 10, offset: 0, chunk: 10))
    #expect(!isRefused(length: 10, offset: 10, chunk: 0))
    #expect(isRefused(length: 10, offset: 1, chunk: 10))
    #expect(isRefused(length: 10, offset: 11, chunk: 0))
    #expect(isRefused(length: .max, offset: .max, chunk: 1))
  }
}
