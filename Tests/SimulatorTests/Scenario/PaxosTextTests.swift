import Protocol
import Simulator
import Testing

/// The one-line text of messages, effects and events.
@Suite struct PaxosTextTests {
  static let ballot = Ballot(round: 2, proposer: ReplicaID(1))
  static let commands = ["c1", "c2"].enumerated().map { i, name in
    CommandRef(
      session: SessionID(1), sequence: SequenceNumber(UInt64(i) + 1),
      bytes: BytesRef(position: UInt64(i) * 10, length: 10), checksum: UInt32(77 + i))
  }

  /// The batch of both commands.
  static let value = Value(
    bytes: BytesRef(position: 0, length: 20), count: 2,
    digest: commands.reduce(0) { Value.digest($0, adding: $1.checksum, length: $1.bytes.length) })

  static let named: PaxosText = {
    var text = PaxosText()
    text.name(commands[0], "c1")
    text.name(commands[1], "c2")
    return text
  }()

  @Test func valuesAreNamedOnlyByTheirContent() {
    #expect(Self.named.describe(Value.noop) == "[no-op]")
    #expect(Self.named.describe(Self.value) == "[c1 c2]")
    var other = Self.value
    other.digest ^= 2
    #expect(Self.named.describe(other).hasPrefix("[2 commands "))
    #expect(
      PaxosText().describe(Self.value) == Self.named.describe(other).dropLast(9) + tail(Self.value))
  }

  private func tail(_ value: Value) -> String {
    let digits = String(value.digest & 0xFFFF_FFFF, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits + "]"
  }

  static let messages: [(Message, String)] = [
    (
      .prepare(Prepare(ballot: ballot, firstSlot: Slot(3))), "prepare 2.1 from slot 3"
    ),
    (
      .accept(Accept(ballot: ballot, slot: Slot(3), value: .noop, chosenUpTo: Slot(2))),
      "accept 2.1 slot 3 [no-op] chosen 2"
    ),
    (
      .accepted(Accepted(ballot: ballot, firstSlot: Slot(3), lastSlot: Slot(5))),
      "accepted 2.1 slots 3-5"
    ),
    (
      .accepted(Accepted(ballot: ballot, firstSlot: Slot(3), lastSlot: Slot(3))),
      "accepted 2.1 slot 3"
    ),
    (
      .report(
        Report(ballot: ballot, slot: Slot(1), votedBallot: .zero, value: .noop, isChosen: false)),
      "report 2.1 slot 1 no vote"
    ),
    (
      .report(
        Report(ballot: ballot, slot: Slot(1), votedBallot: .zero, value: .noop, isChosen: true)),
      "report 2.1 slot 1 chosen [no-op]"
    ),
    (.fetch(Fetch(firstSlot: Slot(4), limit: 2)), "fetch slots 4-5"),
    (.fetch(Fetch(firstSlot: Slot(4), limit: 1)), "fetch slot 4"),
  ]

  @Test(arguments: messages)
  func messagesReadShortly(_ message: Message, _ expected: String) {
    #expect(describe(message) == expected)
    #expect(PaxosText.kinds.contains(PaxosText.kind(of: message)))
  }

  @Test func timesAreExactMilliseconds() {
    #expect(PaxosText().describe(Instant(nanoseconds: 500_000_000)) == "500ms")
    #expect(PaxosText().describe(Instant(nanoseconds: 1_250_000)) == "1.25ms")
    #expect(PaxosText().describe(Instant(nanoseconds: 1)) == "0.000001ms")
    #expect(PaxosText().describe(Instant.never) == "never")
  }

  @Test func effectsAndEventsReadShortly() {
    #expect(
      describe(Effect.roleChanged(.leader, Self.ballot, leader: ReplicaID(1)))
        == "becomes leader at 2.1, leader r1")
    #expect(
      describe(
        Effect.persist(JournalRecord(.accepted(Slot(1), Self.ballot, .noop), epoch: Epoch(1))))
        == "persist accepted 2.1 slot 1 [no-op]")
    #expect(describe(Event.persisted(upTo: JournalPosition(4))) == "persisted up to 4")
    #expect(Self.named.describe(Event.commandReceived(Self.commands[1])) == "command s1/2 [c2]")
  }
}
