/// What a suspect must learn before it votes again, and what it was told: docs/protocol.md, "Suspects".
///
/// Shape: the rule of Alagappan et al. (FAST 2018) that damage must never count as "I have not voted", in its simplest form:
/// no voice at all until no lost vote and no lost promise can matter.
public struct Suspicion: Equatable, Sendable {
  /// The highest promise and the highest slot of several answers.
  struct Reach: Equatable, Sendable {
    var promised = Ballot.zero
    var lastSlot = Slot.zero
  }

  public private(set) var doubt: JournalDoubt
  /// Of this life's present question; 0 until it is asked.
  public internal(set) var nonce: UInt64 = 0
  /// The position of the record that ends the suspicion; `.zero` until it is written.
  public internal(set) var curePosition = JournalPosition.zero
  /// To the present question, by the voter's index; nil until it has answered.
  private(set) var answers: [Standing?]
  /// What the sound ones answered to the first question; nil until it is asked again, because all others have answered.
  private(set) var first: Reach?
  private let own: Int

  init(_ doubt: JournalDoubt, voters: Int, own: Int) {
    self.doubt = doubt
    self.own = own
    answers = Array(repeating: nil, count: voters)
  }

  /// One to decode into.
  init(voters: Int, own: Int) {
    self.init(JournalDoubt(isPromiseLost: false, slotsUpTo: nil), voters: voters, own: own)
  }

  /// A voter says where it stands. The first sound answer stays, unless the voter leads meanwhile, or leads a later ballot: what
  /// is chased would else move on with every slot.
  mutating func take(_ standing: Standing, from voter: Int) {
    guard standing.nonce == nonce, nonce != 0, voter != own else { return }
    if let before = answers[voter], before.isSound,
      !standing.isSound || standing.leading <= before.leading
    {
      return
    }
    answers[voter] = standing
  }

  /// All others have answered the first question, so whoever died before its answer counts nothing from now on: what it had
  /// counted until then, the answers to a second question know.
  var isTimeToAskAgain: Bool {
    first == nil && answers.indices.allSatisfy { $0 == own || answers[$0] != nil }
  }

  mutating func askAgain(nonce: UInt64) {
    first = reach
    answers = Array(repeating: nil, count: answers.count)
    self.nonce = nonce
  }

  private var reach: Reach {
    var reach = Reach()
    for case .some(let answer) in answers where answer.isSound {
      reach.promised = max(reach.promised, answer.promised)
      reach.lastSlot = max(reach.lastSlot, answer.lastSlot)
    }
    return reach
  }

  /// So many others that every quorum holds one of them.
  var soundNeeded: Int { Quorum(voters: answers.count).overlap }

  /// What covers whatever this replica may have promised and voted for in earlier lives; nil while that is not known.
  private var everything: Reach? {
    guard let first, answers.count(where: { $0?.isSound ?? false }) >= soundNeeded else {
      return nil
    }
    let second = reach
    return Reach(
      promised: max(first.promised, second.promised),
      lastSlot: max(first.lastSlot, second.lastSlot))
  }

  /// What a leader has answered that leads at or above every promise that matters: the lowest slot; nil without such a leader.
  func leadersSlot(promised: Ballot) -> Slot? {
    guard let floor = floor(promised: promised) else { return nil }
    var slot: Slot?
    for case .some(let answer) in answers where answer.isSound {
      guard answer.leading > .zero, answer.leading >= floor else { continue }
      slot = min(slot ?? answer.lastSlot, answer.lastSlot)
    }
    return slot
  }

  /// The slot above which no vote of this replica that it does not know of matters; nil while that is not known.
  ///
  /// Three ways to know it, and the lowest counts. Whoever leads a ballot at or above every promise of this replica proposed
  /// everything at its ballot that will ever be counted, and heard in phase 1 of everything below. All others together know
  /// of every vote that was counted or will be. And the journal may say it.
  func bound(promised: Ballot) -> Slot? {
    [doubt.slotsUpTo, leadersSlot(promised: promised), everything?.lastSlot].compactMap { $0 }.min()
  }

  /// A ballot at or above every one that this replica promised and that was or will be led; nil while that is not known.
  func floor(promised: Ballot) -> Ballot? {
    guard doubt.isPromiseLost else { return promised }
    return everything.map { max(promised, $0.promised) }
  }

  /// Who has not answered, or only that it is a suspect itself.
  public func unanswered() -> (silent: [Int], suspects: [Int]) {
    var (silent, suspects): ([Int], [Int]) = ([], [])
    for i in answers.indices where i != own {
      switch answers[i]?.isSound {
      case nil: silent.append(i)
      case false: suspects.append(i)
      default: break
      }
    }
    return (silent, suspects)
  }
}

// A suspect's way back.
extension Replica {
  /// What a suspect waits for, in words; nil for a sound replica.
  public var suspicionText: String? {
    guard let suspicion else { return nil }
    guard suspicion.curePosition == .zero else { return "its cure is being made durable" }
    let promised = acceptor.promised
    if let bound = suspicion.bound(promised: promised), suspicion.floor(promised: promised) != nil {
      return window.chosenUpTo < bound
        ? "waits for slots up to \(bound); it has \(window.chosenUpTo)"
        : "waits for an own snapshot of slot \(bound)"
    }
    let (silent, suspects) = suspicion.unanswered()
    func names(_ indices: [Int]) -> String {
      indices.map { "\(configuration.voters[$0].id)" }.joined(separator: ", ")
    }
    let others =
      suspicion.first == nil ? "all other members" : "\(suspicion.soundNeeded) sound members"
    let leader = suspicion.doubt.isPromiseLost ? "" : "a leader, or for "
    return "waits for \(leader)\(others) to say where they stand"
      + (silent.isEmpty ? "" : "; no answer from \(names(silent))")
      + (suspects.isEmpty ? "" : "; suspects themselves: \(names(suspects))")
  }

  /// Asks those others that have not answered, until what they say is enough.
  mutating func inquire(now: Instant, _ effects: inout EffectBuffer) {
    guard var suspicion, suspicion.curePosition == .zero else { return }
    let promised = acceptor.promised
    let (bound, floor) = (
      suspicion.bound(promised: promised), suspicion.floor(promised: promised)
    )
    // A slot that is out of reach may be one that nobody ever fills, known from a vote that came to nothing: a leader, the
    // present one or the next, knows whether it is.
    let isOutOfReach =
      bound.map { window.chosenUpTo < $0 && suspicion.leadersSlot(promised: promised) == nil }
      ?? true
    guard isOutOfReach || floor == nil else { return }
    if suspicion.nonce == 0 {
      suspicion.nonce = random.next() | 1
    } else if suspicion.isTimeToAskAgain {
      suspicion.askAgain(nonce: random.next() | 1)
    }
    self.suspicion = suspicion
    effects.append(.broadcast(.inquiry(Inquiry(nonce: suspicion.nonce))))
    deadlines[.inquiry] = now + options.catchUpRetry
  }

  mutating func receive(
    _ inquiry: Inquiry, from: ReplicaID, _ effects: inout EffectBuffer
  ) {
    var last = max(window.highestUsed, window.chosenUpTo)
    if leads { last = max(last, max(proposer.recoveredUpTo, proposer.nextSlot.previous)) }
    let (leads, highest) = (leads, window.highestUsed)
    contracts.ensure(.standingPostCoversEveryVote, last >= highest)
    effects.append(
      .send(
        to: from,
        .standing(
          Standing(
            nonce: inquiry.nonce, isSound: !isSuspect, promised: acceptor.promised,
            leading: leads ? proposer.ballot : .zero, lastSlot: last))))
  }

  mutating func receive(
    _ standing: Standing, from voter: Int, now: Instant, _ effects: inout EffectBuffer
  ) {
    suspicion?.take(standing, from: voter)
    if suspicion?.isTimeToAskAgain ?? false { inquire(now: now, &effects) }
  }

  /// Goes on towards the cure as far as it can: everything that may hide a lost vote into a snapshot, then the record,
  /// then, when that is durable, a voter.
  mutating func continueCure(now: Instant, _ effects: inout EffectBuffer) {
    guard let suspicion else { return }
    if suspicion.curePosition > .zero {
      guard persistedUpTo >= suspicion.curePosition else { return }
      contracts.mark(.suspectCured)
      self.suspicion = nil
      return
    }
    let promised = acceptor.promised
    guard let bound = suspicion.bound(promised: promised),
      let floor = suspicion.floor(promised: promised), window.chosenUpTo >= bound
    else { return }
    guard snapshot.slot >= bound else { return takeSnapshot(&effects) }
    let position = persist(.cured(floor, snapshot.slot), now: now, &effects)
    acceptor.cure(floor, at: position)
    election.saw(floor)
    self.suspicion?.curePosition = position
    deadlines.clear(.inquiry)
    let (covered, after) = (snapshot.slot, acceptor.promised)
    contracts.ensure(.curePostSnapshotCoversTheDoubt, covered >= bound)
    contracts.ensure(.curePostPromiseIsTheFloor, after == floor && floor >= promised)
  }
}

extension Suspicion {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.bool(&doubt.isPromiseLost)
    try coder.optional(&doubt.slotsUpTo, .zero) { coder, slot throws(DecodeError) in
      try coder.word(&slot)
    }
    try coder.raw(&nonce)
    try coder.word(&curePosition)
    let none = Standing(nonce: 0, isSound: false, promised: .zero, leading: .zero, lastSlot: .zero)
    try coder.each(&answers) { coder, answer throws(DecodeError) in
      try coder.optional(&answer, none) { coder, answer throws(DecodeError) in
        try coder.raw(&answer.nonce)
        try coder.bool(&answer.isSound)
        try coder.ballot(&answer.promised)
        try coder.ballot(&answer.leading)
        try coder.word(&answer.lastSlot)
      }
    }
    try coder.optional(&first, Reach()) { coder, first throws(DecodeError) in
      try coder.ballot(&first.promised)
      try coder.word(&first.lastSlot)
    }
  }
}
