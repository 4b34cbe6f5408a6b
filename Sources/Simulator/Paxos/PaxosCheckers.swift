internal import Protocol

/// All checkers of a run; the first problem any of them finds is reported under its name.
struct PaxosCheckers: Sendable {
  var agreement: AgreementChecker
  var leaders = LeaderChecker()
  var durability: DurabilityChecker
  var digests = DigestChecker()
  var divergence: DivergenceChecker
  var exactlyOnce = ExactlyOnceChecker()
  var operations = OperationChecker()
  var linearizability: LinearizabilityChecker
  var reads: ReadChecker

  init(replicas: Int, clients: Int, keys: Int, digestPeriod: Int) {
    divergence = DivergenceChecker(replicas: replicas, period: digestPeriod)
    agreement = AgreementChecker(replicas: replicas)
    durability = DurabilityChecker(replicas: replicas)
    linearizability = LinearizabilityChecker(keys: keys)
    reads = ReadChecker(clients: clients)
  }
}

extension World {
  /// Reports a checker's finding, if it is one. `nodes` is only evaluated then: an array would be allocated for every
  /// check.
  @inline(__always)
  mutating func check(
    _ checker: String, _ problem: String?, _ nodes: @autoclosure () -> [NodeIndex] = []
  ) {
    guard let problem else { return }
    report(Violation(kind: .safety, checker: checker, sentence: problem, nodes: nodes()))
  }

  /// Reports a contract that did not hold, if there is one.
  @inline(__always)
  mutating func check(_ contract: Contract?, _ node: NodeIndex) {
    guard let contract else { return }
    check(String(contract.id), String(contract.sentence), [node])
  }
}
