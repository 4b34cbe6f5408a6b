internal import Protocol

/// At most one leader per ballot: a ballot is led by its proposer, and in one life of it only.
struct LeaderChecker: Sendable {
  private struct Term: Sendable {
    var ballot: Ballot
    var node: NodeIndex
    var boot: UInt32
  }

  private var terms: [Term] = []
  /// The highest ballot that anybody has led.
  private(set) var highestLed = Ballot.zero
  /// How many ballots were led.
  var leaderships: Int { terms.count }
  /// How many of them began after a core was healed.
  var leadershipsHealed: Int { healedAt < 0 ? 0 : terms.count - healedAt }
  private var healedAt = -1

  /// The liveness phase begins.
  mutating func healed() { healedAt = terms.count }

  /// At the end: with pre-vote and check-quorum a healed core keeps the leader it finds. A few changes are the price of
  /// what was under way when it was healed.
  func finish() -> String? {
    leadershipsHealed > Self.leadershipsHealedMax
      ? "the healed core changed its leader \(leadershipsHealed) times" : nil
  }

  private static var leadershipsHealedMax: Int { 6 }

  /// `node`, in its life number `boot`, begins to lead `ballot`.
  mutating func led(_ ballot: Ballot, _ node: NodeIndex, boot: UInt32) -> String? {
    highestLed = max(highestLed, ballot)
    guard ballot.proposer == PaxosNames.replica(node) else {
      return "\(node) leads ballot \(ballot), which belongs to another proposer"
    }
    for term in terms where term.ballot == ballot && (term.node != node || term.boot != boot) {
      return "ballot \(ballot) was led by \(term.node) in its life \(term.boot) and by \(node) in"
        + " its life \(boot)"
    }
    if terms.last?.ballot != ballot { terms.append(Term(ballot: ballot, node: node, boot: boot)) }
    return nil
  }
}
