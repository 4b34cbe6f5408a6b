/// The leader's confirmation rounds: which followers answered which heartbeat, and when it was sent.
///
/// One mechanism serves three purposes: check-quorum (is a quorum still answering), quorum-confirmed reads (did a quorum
/// answer a round sent after the read came), and leases (how long ago was the last confirmed round sent).
public struct HeartbeatRounds: Equatable, Sendable {
  private static let remembered = 64

  private let quorum: Quorum
  private let own: Int
  /// The last round sent; 0 before the first.
  public private(set) var lastSent: UInt64 = 0
  /// The highest round that a quorum has answered.
  public private(set) var confirmed: UInt64 = 0
  private var answered: [UInt64]
  private var answeredAt: [Instant]
  /// When each of the last rounds was sent, by round modulo `remembered`.
  private var sentAt: [Instant]

  /// - Parameter own: the leader's own index among the voters; it answers itself.
  public init(quorum: Quorum, own: Int) {
    self.quorum = quorum
    self.own = own
    answered = Array(repeating: 0, count: quorum.voters)
    answeredAt = Array(repeating: .zero, count: quorum.voters)
    sentAt = Array(repeating: .zero, count: Self.remembered)
  }

  /// Forgets everything: a new ballot begins. Followers count as heard from now.
  public mutating func begin(now: Instant) {
    lastSent = 0
    confirmed = 0
    for i in answered.indices {
      answered[i] = 0
      answeredAt[i] = now
    }
  }

  /// Opens the next round and returns its number.
  public mutating func open(now: Instant) -> UInt64 {
    lastSent += 1
    sentAt[Int(lastSent % UInt64(Self.remembered))] = now
    answered[own] = lastSent
    answeredAt[own] = now
    updateConfirmed()
    return lastSent
  }

  /// A follower answered a round. True when that confirms a round that was not confirmed before.
  public mutating func process(
    _ reply: HeartbeatReply, from voter: Int, now: Instant, _ contracts: inout ContractRecorder
  ) -> Bool {
    contracts.require(.roundsPreRoundWasSent, reply.round <= lastSent)
    let before = confirmed
    answeredAt[voter] = now
    answered[voter] = max(answered[voter], reply.round)
    updateConfirmed()
    contracts.ensure(.roundsPostConfirmedNeverRegresses, confirmed >= before)
    contracts.ensure(.roundsPostConfirmedWasSent, confirmed <= lastSent)
    contracts.ensure(
      .roundsPostConfirmedByQuorum,
      answered.reduce(0) { $0 + ($1 >= confirmed ? 1 : 0) } >= quorum.size)
    return confirmed > before
  }

  /// Whether a quorum has answered anything since `since`.
  public func hasQuorum(since: Instant) -> Bool {
    var count = 0
    for i in answeredAt.indices where i == own || answeredAt[i] >= since { count += 1 }
    return count >= quorum.size
  }

  /// When the highest confirmed round was sent; nil when none was confirmed or it is too long ago to be remembered.
  public var confirmedSentAt: Instant? {
    guard confirmed > 0, lastSent - confirmed < UInt64(Self.remembered) else { return nil }
    return sentAt[Int(confirmed % UInt64(Self.remembered))]
  }

  /// The highest round that at least a quorum has answered. Quadratic in the voters, without an allocation.
  private mutating func updateConfirmed() {
    for i in answered.indices where answered[i] > confirmed {
      var count = 0
      for j in answered.indices where answered[j] >= answered[i] { count += 1 }
      if count >= quorum.size { confirmed = answered[i] }
    }
  }
}

extension HeartbeatRounds {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.word(&lastSent)
    try coder.word(&confirmed)
    try coder.check(confirmed <= lastSent)
    try coder.each(&answered) { coder, round throws(DecodeError) in try coder.word(&round) }
    var last = Instant.zero
    try coder.each(&answeredAt) { coder, time throws(DecodeError) in
      try coder.word(&time, from: last)
      last = time
    }
    try coder.each(&sentAt) { coder, time throws(DecodeError) in
      try coder.word(&time, from: last)
      last = time
    }
  }
}
