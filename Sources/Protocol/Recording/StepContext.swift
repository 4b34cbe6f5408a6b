/// What both ends of a recording remember of the steps before in the same chunk, so that a step is written as what is new
/// in it: numbers as distances, and a value that was written for its slot before as one bit.
struct StepContext {
  /// The value last written for a slot. `.zero` is no slot's: nothing is remembered there.
  private struct Known {
    var slot = Slot.zero
    var value = Value.noop
  }

  /// How a value is written, in the two highest bits of its message's or effect's tag.
  enum ValueForm: UInt8 {
    case noop = 0
    /// The value last written for this slot.
    case known = 0x40
    /// Position, length, count and digest follow.
    case full = 0x80
  }

  /// How many slots' values are remembered; more than are usually between a vote and its application. A power of two.
  private static let slots = 128

  var now: UInt64 = 0
  var ballot = Ballot.zero
  /// The last of the ballots that are named beside the one a message belongs to.
  var otherBallot = Ballot.zero
  var slot: UInt64 = 0
  var chosenUpTo: UInt64 = 0
  var appliedUpTo: UInt64 = 0
  var persistedUpTo: UInt64 = 0
  var round: UInt64 = 0
  var request = RequestID(session: SessionID(0), sequence: SequenceNumber(0))
  /// Where the last command's bytes end, which is where the next ones usually begin.
  var commandEnd: UInt64 = 0
  var commandLength: UInt32 = 0
  /// Where the last value's bytes end.
  var valueEnd: UInt64 = 0
  var snapshot = SnapshotInfo.none
  private var known = [Known](repeating: Known(), count: slots)

  /// Forgets everything: a new chunk begins.
  mutating func reset() {
    var known = known
    self.known = []
    for i in known.indices { known[i].slot = .zero }
    self = StepContext(known: known)
  }

  init() {}
  private init(known: [Known]) { self.known = known }

  @inline(__always)
  func form(of value: Value, in slot: Slot) -> ValueForm {
    let last = known[Self.index(slot)]
    if last.slot == slot && slot != .zero && last.value == value { return .known }
    return value == .noop ? .noop : .full
  }

  @inline(__always)
  mutating func remember(_ value: Value, in slot: Slot) {
    valueEnd = value.bytes.end
    known[Self.index(slot)] = Known(slot: slot, value: value)
  }

  /// The value last written for a slot, nil when it is not remembered.
  func value(of slot: Slot) -> Value? {
    let last = known[Self.index(slot)]
    return last.slot == slot && slot != .zero ? last.value : nil
  }

  private static func index(_ slot: Slot) -> Int {
    Int(truncatingIfNeeded: slot.rawValue & UInt64(slots - 1))
  }
}

/// Tags of a step's parts. A tag keeps its meaning for ever; messages have the tags of the wire.
enum StepTag {
  /// The first byte of a step: the event's tag, whether the time differs from the last step's, and the number of effects.
  enum Head {
    static let eventMask: UInt8 = 0x0F
    static let hasTime: UInt8 = 0x10
    static let effectsShift: UInt8 = 5
    /// From here on the rest of the number of effects follows.
    static let effectsMany = 7
  }

  enum Event: UInt8 {
    case started
    case messageReceived
    case persisted
    case deadlineReached
    case commandReceived
    case readReceived
    case snapshotTaken
    case snapshotStored
    case transferRequested
    case leadershipPermitted
    case snapshotRequested
    case digestsChanged
    case reportEntered
  }

  /// In the lowest five bits of an effect's first byte.
  enum Effect: UInt8 {
    case persistPromised
    case persistAccepted
    case persistLearned
    case persistChosenUpTo
    case persistSnapshot
    case send
    case broadcast
    case apply
    case serveRead
    case reject
    case setDeadline
    case takeSnapshot
    case sendSnapshotChunk
    case storeSnapshotChunk
    case restoreSnapshot
    case truncate
    case roleChanged
    /// In front of a record whose epoch is not the replica's.
    case epoch
    case persistCured
    case enterReport

    static let mask: UInt8 = 0x1F
  }

  /// In the lowest five bits of a message's first byte: the wire's tags.
  static let messageMask: UInt8 = 0x1F
  /// The ballot is the last one written; otherwise it follows.
  static let sameBallot: UInt8 = 0x20
  static let formMask: UInt8 = 0xC0

  /// What is as it was at the command before, or follows from it.
  enum Command {
    static let samePosition: UInt8 = 0x01
    static let sameLength: UInt8 = 0x02
    static let sameSession: UInt8 = 0x04
    static let nextSequence: UInt8 = 0x08
    static let all: UInt8 = 0x0F
  }

  /// One of the ballots a message names besides its own.
  enum OtherBallot: UInt8 {
    case zero, own, last, follows
  }

  enum ReadMode: UInt8 {
    case quorum, lease, local
  }

  enum Rejection: UInt8 {
    case notLeader, notLeaderUnknown, overloaded, transferring, tooLarge, notApplied,
      leasesDisabled,
      noRoom
  }
}

extension Role {
  /// A role as a number, the same for ever.
  var tag: UInt8 {
    switch self {
    case .follower: 0
    case .preCandidate: 1
    case .candidate: 2
    case .recoveringLeader: 3
    case .leader: 4
    }
  }

  init?(tag: UInt8) {
    switch tag {
    case 0: self = .follower
    case 1: self = .preCandidate
    case 2: self = .candidate
    case 3: self = .recoveringLeader
    case 4: self = .leader
    default: return nil
    }
  }
}
