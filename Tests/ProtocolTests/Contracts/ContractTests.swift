import Testing

@testable import Protocol

extension Contract {
  /// "process2a", "pre", "ballotIsProposed".
  var parts: [Substring] { id.split(separator: ".", omittingEmptySubsequences: false) }
  var handler: Substring { parts[0] }
}

/// Every contract of these handlers was evaluated, and none violated. `except`: those evaluated elsewhere.
func expectKept(
  _ contracts: ContractRecorder, handlers: Set<Substring>, except: Set<Contract> = [],
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(contracts.violation == nil, sourceLocation: sourceLocation)
  let all = Contract.allCases.filter { handlers.contains($0.handler) }
  #expect(Set(all.map(\.handler)) == handlers, sourceLocation: sourceLocation)
  for contract in all where !except.contains(contract) {
    #expect(
      contracts.evaluations(of: contract) > 0, "\(contract.id) was never evaluated",
      sourceLocation: sourceLocation)
  }
}

@Suite struct ContractTests {
  @Test func ordinalsAreThePlacesInAllCases() {
    for (i, contract) in Contract.allCases.enumerated() { #expect(contract.ordinal == i) }
    for (i, mark) in Mark.allCases.enumerated() { #expect(mark.ordinal == i) }
  }

  @Test func theRecorderHasRoomForAll() {
    #expect(Contract.allCases.count < 256)
    #expect(Mark.allCases.count < 64)
  }

  @Test(arguments: Contract.allCases) func idsHaveTheirForm(_ contract: Contract) throws {
    #expect(contract.parts.count == 3, "handler.kind.property")
    try #require(contract.parts.count == 3)
    #expect(["pre", "post", "inv"].contains(contract.parts[1]))
    for part in [contract.parts[0], contract.parts[2]] {
      #expect(part.first?.isLowercase == true && part.allSatisfy { $0.isLetter || $0.isNumber })
    }
    // The case is named like the ID, so that one finds the other.
    let name = contract.parts.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    #expect("\(contract)" == name.prefix(1).lowercased() + name.dropFirst())
    #expect(
      contract.sentence.first?.isUppercase == true || contract.sentence.hasPrefix("truncated"))
    #expect(contract.sentence.hasSuffix("."))
  }

  @Test func idsAreUnique() {
    #expect(Set(Contract.allCases.map(\.id)).count == Contract.allCases.count)
    #expect(Set(Contract.allCases.map(\.sentence)).count >= Contract.allCases.count - 8)
    #expect(Set(Mark.allCases.map(\.id)).count == Mark.allCases.count)
  }

  @Test func phase2aHasAtLeastSixteenPostconditions() {
    let all = Contract.allCases.filter { $0.handler == "process2a" }
    #expect(all.count >= 16)
    #expect(all.filter { $0.parts[1] == "post" }.count >= 16)
  }

  @Test func theFirstViolationIsRemembered() {
    var contracts = ContractRecorder()
    #expect(ContractRecorder.isEnabled)
    contracts.require(.applyPreIsChosen, true)
    #expect(contracts.violation == nil)
    contracts.ensure(.batcherPostContiguous, false)
    contracts.invariant(.replicaInvBallotIsOwn, false)
    #expect(contracts.violation == .batcherPostContiguous)
    #expect(contracts.evaluations(of: .replicaInvBallotIsOwn) == 1)
    #expect(contracts.evaluations(of: .applyPreIsChosen) == 1)
    #expect(contracts.evaluations(of: .releasePreWasPromised) == 0)
    contracts.mark(.overloaded)
    contracts.mark(.overloaded)
    #expect(contracts.count(of: .overloaded) == 2 && contracts.count(of: .batchGrew) == 0)
  }
}
