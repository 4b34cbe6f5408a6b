/// The follower's half of a leader lease: until when it must not promise anybody but the leader it heard.
///
/// A restarted replica does not know what it vowed, so it promises nobody anything for a whole lease, whoever it hears in
/// the meantime. The vow that counts is the one to the highest ballot heard: a deposed leader whose heartbeat comes late
/// must not take it over from its successor.
public struct LeaseGuard: Equatable, Sendable {
  private let options: LeaseOptions?
  /// The ballot of the leader the vow was made to; nil when this life has made none.
  public private(set) var ballot: Ballot?
  public private(set) var until = Instant.zero
  /// What a former life may have vowed ends here.
  private var silentUntil = Instant.zero

  public init(_ options: LeaseOptions?) {
    self.options = options
  }

  public mutating func started(now: Instant) {
    guard let options else { return }
    ballot = nil
    silentUntil = now + options.duration
    until = silentUntil
  }

  /// The leader of `ballot` was heard: the vow is renewed, to it.
  ///
  /// A vow to an earlier leader may still run: that one's lease is over, or this one could not have been elected.
  public mutating func renew(
    _ ballot: Ballot, now: Instant, _ contracts: inout ContractRecorder
  ) {
    guard let options else { return }
    let before = until
    self.ballot = max(self.ballot ?? .zero, ballot)
    until = max(until, now + options.duration)
    contracts.ensure(.leasePostVowIsNeverCutShort, until >= before)
    contracts.ensure(.leasePostVowLastsTheDuration, until >= now + options.duration)
  }

  /// Whether a promise of this ballot is forbidden now.
  public func forbids(_ candidate: Ballot, releasedLease: Ballot, now: Instant) -> Bool {
    guard options != nil, now < until else { return false }
    guard let ballot, now >= silentUntil else { return true }
    return candidate.proposer != ballot.proposer && ballot > releasedLease
  }
}

extension LeaseGuard {
  mutating func codeState(_ coder: inout some StateCoder) throws(DecodeError) {
    try coder.optional(&ballot, .zero) { coder, ballot throws(DecodeError) in
      try coder.ballot(&ballot)
    }
    try coder.word(&until)
    try coder.word(&silentUntil)
  }
}
