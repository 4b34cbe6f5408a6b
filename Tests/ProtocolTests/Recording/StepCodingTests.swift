import Testing

@testable import Protocol

/// Steps as bytes and back.
@Suite struct StepCodingTests {
  typealias Step = (event: Event, now: Instant, effects: EffectBuffer)

  static func encode(_ steps: [Step]) -> [UInt8] {
    var encoder = StepEncoder(own: ReplicaID(1), epoch: Epoch(1))
    var bytes: [UInt8] = []
    for step in steps { encoder.encode(step.event, now: step.now, step.effects, into: &bytes) }
    return bytes
  }

  static func decode(_ bytes: [UInt8]) throws(DecodeError) -> [Step] {
    try bytes.span.bytes.withUnsafeBytes { buffer throws(DecodeError) in
      var decoder = StepDecoder(own: ReplicaID(1), epoch: Epoch(1))
      var reader = ByteReader(buffer)
      var steps: [Step] = []
      while !reader.isAtEnd {
        var effects = EffectBuffer()
        let (event, now) = try decoder.decode(&reader, into: &effects)
        steps.append((event, now, effects))
      }
      return steps
    }
  }

  static func isSame(_ a: [Step], _ b: [Step]) -> Bool {
    a.count == b.count
      && zip(a, b).allSatisfy {
        $0.event == $1.event && $0.now == $1.now && $0.effects.all == $1.effects.all
      }
  }

  private func buffer(_ effects: Effect...) -> EffectBuffer {
    var buffer = EffectBuffer()
    for effect in effects { buffer.append(effect) }
    return buffer
  }

  @Test(arguments: 0..<UInt64(60)) func everyKindComesBack(seed: UInt64) throws {
    var generator = Generator(seed: seed)
    var steps: [Step] = []
    for kind in 0..<Generator.eventKinds {
      steps.append((generator.event(kind: kind), Instant(nanoseconds: generator.u64()), buffer()))
    }
    for kind in 0..<Generator.messageKinds {
      let event = generator.event(kind: 1, messageKind: kind)
      let message = generator.anyMessage(kind: kind)
      steps.append(
        (
          event, Instant(nanoseconds: generator.u64()),
          buffer(.send(to: ReplicaID(generator.u32()), message), .broadcast(message))
        ))
    }
    for kind in 0..<Generator.effectKinds {
      steps.append((.deadlineReached, .zero, buffer(generator.effect(kind: kind))))
    }
    for count in [0, 1, 6, 7, 8, 15, 16, 17, 40, 300] {
      steps.append(generator.step(effects: count))
    }
    #expect(Self.isSame(try Self.decode(Self.encode(steps)), steps))
  }

  @Test func extremesStayWithinTheRoomThatIsMade() {
    // The longest distance is the one half around.
    let most = Ballot(round: .max >> 1, proposer: ReplicaID(.max))
    let other = Ballot(round: 0, proposer: ReplicaID(.max))
    let value = Value(
      bytes: BytesRef(position: .max >> 1, length: .max), count: .max, digest: .max)
    let report = Message.report(
      Report(
        ballot: most, slot: Slot(.max >> 1), votedBallot: other, value: value, isChosen: true))
    let envelope = Envelope(
      from: ReplicaID(.max), to: ReplicaID(.max), epoch: Epoch(.max), message: report)
    let now = Instant(nanoseconds: .max >> 1)
    let bare = Self.encode([(.messageReceived(envelope), now, buffer())])
    #expect(bare.count > 90)
    #expect(bare.count + 8 <= StepEncoder.eventBytesMax)
    let effect = Self.encode([(.started, .zero, buffer(.send(to: ReplicaID(.max), report)))])
    #expect(effect.count > 70)
    #expect(effect.count + 8 <= StepEncoder.effectBytesMax)
  }

  @Test func theUsualStepsAreShort() {
    let now = Instant(nanoseconds: 1 << 50)
    func command(_ n: UInt64, session: UInt64, at place: UInt64 = 1) -> Event {
      .commandReceived(
        CommandRef(
          session: SessionID(session), sequence: SequenceNumber(n),
          bytes: BytesRef(position: 1 << 40 + place * 64, length: 64), checksum: 0xABCD_EF01))
    }
    let before: [Step] = [(command(1, session: 1_000, at: 0), now, buffer())]
    func added(_ event: Event, after time: UInt64, _ effects: EffectBuffer) -> Int {
      let step = (event, Instant(nanoseconds: now.rawValue + time), effects)
      return Self.encode(before + [step]).count - Self.encode(before).count
    }
    #expect(added(command(2, session: 1_000), after: 0, buffer()) == 6)
    #expect(added(command(2, session: 1_000), after: 9_000, buffer()) == 9)
    #expect(added(command(900, session: 7_000), after: 9_000, buffer()) <= 13)

    let ballot = ballot(3)
    let value = Value(
      bytes: BytesRef(position: 1 << 40, length: 2_048), count: 32, digest: .max / 3)
    let accept = Accept(ballot: ballot, slot: Slot(70_000), value: value, chosenUpTo: Slot(69_990))
    let first: [Step] = [
      (.started, now, buffer(.broadcast(.accept(accept)))),
      (.started, now, buffer(.apply(Slot(69_999), .noop))),
    ]
    let again =
      first + [
        (
          .started, now,
          buffer(
            .persist(JournalRecord(.accepted(Slot(70_000), ballot, value), epoch: Epoch(1))),
            .apply(Slot(70_000), value))
        )
      ]
    #expect(Self.encode(again).count - Self.encode(first).count <= 6, "a value is written once")
  }

  @Test func everyTruncationIsRefused() {
    var generator = Generator(seed: 7)
    let steps = (0..<6).map { _ in generator.step(effects: 3) }
    let ends = (0...steps.count).map { Self.encode(Array(steps[..<$0])).count }
    let bytes = Self.encode(steps)
    for count in 0..<bytes.count where !ends.contains(count) {
      #expect(throws: DecodeError.self, "cut at \(count)") {
        try Self.decode(Array(bytes[..<count]))
      }
    }
  }

  @Test(arguments: 0..<UInt64(40)) func damagedBytesGiveStepsOrAnError(seed: UInt64) {
    var generator = Generator(seed: seed)
    let bytes = Self.encode((0..<20).map { _ in generator.step(effects: generator.below(9)) })
    for _ in 0..<200 {
      var damaged = bytes
      for _ in 0...generator.below(3) {
        damaged[generator.below(damaged.count)] ^= UInt8(1 << generator.below(8))
      }
      // What can be read can be written, and is the same again.
      guard let steps = try? Self.decode(damaged) else { continue }
      #expect(Self.isSame((try? Self.decode(Self.encode(steps))) ?? [], steps))
    }
    for count in 0..<200 { _ = try? Self.decode(generator.bytes(count)) }
  }

  @Test func malformedBytesAreNamed() {
    func expect(_ bytes: [UInt8], _ what: DecodeError.What, at offset: Int) {
      #expect(throws: DecodeError(what, at: offset)) { try Self.decode(bytes) }
    }
    expect([0x0F], .unknownTag, at: 0)
    expect([0x01, 0x05, 0x1F], .unknownTag, at: 2)
    expect([0x01, 0x05, MessageCodec.Tag.fetch.rawValue | 0x20], .reservedNotZero, at: 2)
    expect([0x01, 0x05, MessageCodec.Tag.heartbeat.rawValue | 0x60], .reservedNotZero, at: 2)
    expect([0x04, 0x1F], .reservedNotZero, at: 1)
    expect([0x09, 2], .notABoolean, at: 1)
    // Seven effects and 2⁶⁴-1 more.
    expect([0xE0, 0] + [UInt8](repeating: 0xFF, count: 8), .truncated, at: 0)
    // An effect of no kind, a send with flags, a role of no kind.
    expect([0x20, 0x1F], .unknownTag, at: 1)
    expect([0x20, StepTag.Effect.send.rawValue | 0x40], .reservedNotZero, at: 1)
    expect([0x20, StepTag.Effect.roleChanged.rawValue | 0x20, 10], .unknownTag, at: 2)
    // A value that is said to be known, of a slot that was never named.
    expect([0x20, StepTag.Effect.apply.rawValue | 0x40, 0x05], .contradiction, at: 3)
    // A value in a form that does not exist.
    expect([0x20, StepTag.Effect.apply.rawValue | 0xC0, 0x05], .unknownTag, at: 3)
  }
}
