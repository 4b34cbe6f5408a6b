internal import Protocol

/// At most one leader per ballot: a ballot is led by its proposer, and in one life of it only.
struct LeaderChecker: Sendable {
  private struct Term: Sendable {
    var ballot: Ballot
    var node: NodeIndex
    var boot: UInt32
  }

  private var terms: [Term] = []
  /// How many ballots were led.
  var leaderships: Int { terms.count }

  /// `node`, in its life number `boot`, begins to lead `ballot`.
  mutating func led(_ ballot: Ballot, _ node: NodeIndex, boot: UInt32) -> String? {
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
