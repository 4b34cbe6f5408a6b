import Protocol
import Testing

@testable import Simulator

@Suite struct CoverageTests {
  static let contracts: [UInt64] = Contract.allCases.map {
    CoverageRules.reason($0) == nil ? 1 : 0
  }
  static let marks: [UInt64] = Mark.allCases.map { CoverageRules.reason($0) == nil ? 1 : 0 }

  /// Everything reached that can be.
  static var full: FaultTable {
    var table = FaultTable(phaseNames: PaxosSystem.phaseNames)
    for fault in FaultKind.allCases {
      for (i, phase) in table.phaseNames.enumerated()
      where CoverageRules.reason(fault, phase: phase) == nil {
        table.count(fault, phase: i)
      }
    }
    return table
  }

  @Test func everyRuleNamesPhasesThatExistAndAReason() {
    for rule in CoverageRules.cells {
      #expect(!rule.faults.isEmpty)
      #expect(!rule.reason.isEmpty)
      for phase in rule.phases { #expect(PaxosSystem.phaseNames.contains(phase), "\(phase)") }
    }
    for rule in CoverageRules.marks { #expect(!rule.reason.isEmpty) }
    for rule in CoverageRules.contracts { #expect(!rule.reason.isEmpty) }
  }

  @Test(arguments: FaultKind.allCases)
  func everyFaultCanHappenSomewhere(_ fault: FaultKind) {
    #expect(PaxosSystem.phaseNames.contains { CoverageRules.reason(fault, phase: $0) == nil })
  }

  @Test func everythingReachedIsComplete() {
    let coverage = Coverage(faults: Self.full, contracts: Self.contracts, marks: Self.marks)
    #expect(coverage.isComplete)
    #expect(!coverage.table.joined().contains("EMPTY"))
  }

  @Test func anEmptyCellThatCanBeReachedIsMissing() throws {
    let coverage = Coverage(
      faults: FaultTable(phaseNames: PaxosSystem.phaseNames), contracts: Self.contracts,
      marks: Self.marks)
    #expect(!coverage.isComplete)
    let cells = FaultKind.allCases.count * PaxosSystem.phaseNames.count
    let excused = coverage.cells.filter { $0.unreachable != nil }.count
    #expect(coverage.missingCells.count == cells - excused)
    #expect(coverage.table.joined().contains("EMPTY"))
    #expect(coverage.missingCells.contains { $0.name == "packet.lost × leading" })
  }

  @Test func aContractThatWasNotEvaluatedIsMissing() {
    var contracts = Self.contracts
    contracts[5] = 0
    var marks = Self.marks
    marks[2] = 0
    let coverage = Coverage(faults: Self.full, contracts: contracts, marks: marks)
    #expect(coverage.missingContracts == [String(Contract.allCases[5].id)])
    #expect(coverage.missingMarks == [String(Mark.allCases[2].id)])
    #expect(!coverage.isComplete)
  }

  @Test func aRuleThatTheCampaignContradictsIsNamed() throws {
    var table = Self.full
    let rule = try #require(CoverageRules.cells.first)
    let phase = try #require(PaxosSystem.phaseNames.firstIndex(of: rule.phases[0]))
    table.count(rule.faults[0], phase: phase)
    let coverage = Coverage(faults: table, contracts: Self.contracts, marks: Self.marks)
    #expect(coverage.contradictions == ["\(rule.faults[0].name) × \(rule.phases[0])"])
    #expect(!coverage.isComplete)
    #expect(coverage.table.contains { $0.contains("!") })
  }

  @Test func aRealCampaignContradictsNoRule() {
    let tally = CampaignFixtures.tally(
      (1...25).map { CampaignFixtures.run($0, RunSettings()) })
    #expect(tally.coverage.contradictions == [])
  }
}
