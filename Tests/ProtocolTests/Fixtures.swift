@testable import Protocol

// Short names for what nearly every test of the core needs.

func ballot(_ round: UInt64, _ proposer: UInt32 = 1) -> Ballot {
  Ballot(round: round, proposer: ReplicaID(proposer))
}

/// A value of one command whose content is `n`; `at` moves its bytes without changing the content.
func value(_ n: UInt64, at position: UInt64? = nil) -> Value {
  Value(bytes: BytesRef(position: position ?? n * 64, length: 8), count: 1, digest: n * 2 + 1)
}

func accept(_ slot: UInt64, _ ballot: Ballot, _ value: Value, chosenUpTo: UInt64 = 0) -> Accept {
  Accept(ballot: ballot, slot: Slot(slot), value: value, chosenUpTo: Slot(chosenUpTo))
}

func position(_ n: UInt64) -> JournalPosition { JournalPosition(n) }

func at(_ milliseconds: UInt64) -> Instant { .zero + .milliseconds(milliseconds) }

func request(_ sequence: UInt64, session: UInt64 = 1) -> RequestID {
  RequestID(session: SessionID(session), sequence: SequenceNumber(sequence))
}

func command(_ n: UInt64, at position: UInt64? = nil, length: UInt32 = 32) -> CommandRef {
  CommandRef(
    session: SessionID(1), sequence: SequenceNumber(n),
    bytes: BytesRef(position: position ?? n * 64, length: length), checksum: UInt32(n))
}

func voterSet(_ indices: Int...) -> VoterSet {
  var set = VoterSet()
  for i in indices { set.insert(i) }
  return set
}

/// A window whose slots up to `chosen` are chosen and applied, and truncated up to `truncated`.
func window(capacity: Int = 16, chosen: UInt64 = 0, truncated: UInt64 = 0) -> SlotWindow {
  var window = SlotWindow(capacity: capacity, truncatedUpTo: Slot(truncated))
  for n in (truncated + 1)..<(max(chosen, truncated) + 1) {
    window.learn(Slot(n), value: value(n), position: .zero)
  }
  if window.advanceChosen() {
    while window.appliedUpTo < window.chosenUpTo { window.advanceApplied() }
  }
  return window
}

/// A record of the first configuration, which is what nearly every test has.
func record(_ fact: JournalFact) -> JournalRecord { JournalRecord(fact, epoch: Epoch(1)) }

extension DurableState {
  mutating func apply(_ fact: JournalFact) { apply(record(fact)) }
}

func configuration(_ voters: UInt32) -> Configuration {
  try! Configuration(voters: (1...voters).map { Member(id: ReplicaID($0)) })
}
