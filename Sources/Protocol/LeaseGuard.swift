/// The follower's half of a leader lease: until when it must not promise anybody but the leader it heard.
///
/// A restarted replica does not know what it vowed, so it promises nobody anything for a whole lease.
public struct LeaseGuard: Equatable, Sendable {
  private let options: LeaseOptions?
  /// The ballot of the leader the vow was made to; nil when it is not known any more.
  public private(set) var ballot: Ballot?
  public private(set) var until = Instant.zero

  public init(_ options: LeaseOptions?) {
    self.options = options
  }

  public mutating func started(now: Instant) {
    guard let options else { return }
    ballot = nil
    until = now + options.duration
  }

  /// The leader of `ballot` was heard: the vow is renewed, to it.
  ///
  /// A vow to an earlier leader may still run: that one is gone, or it could not have been followed.
  public mutating func renew(
    _ ballot: Ballot, now: Instant, _ contracts: inout ContractRecorder
  ) {
    guard let options else { return }
    let before = until
    self.ballot = ballot
    until = max(until, now + options.duration)
    contracts.ensure(.leasePostVowIsNeverCutShort, until >= before)
    contracts.ensure(.leasePostVowLastsTheDuration, until >= now + options.duration)
  }

  /// Whether a promise of this ballot is forbidden now.
  public func forbids(_ candidate: Ballot, releasedLease: Ballot, now: Instant) -> Bool {
    guard options != nil, now < until else { return false }
    guard let ballot else { return true }
    return candidate.proposer != ballot.proposer && ballot > releasedLease
  }
}
