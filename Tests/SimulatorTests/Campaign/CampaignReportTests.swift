import Foundation
import Protocol
import Testing

@testable import Simulator

@Suite struct CampaignReportTests {
  static let passing = (1...4).map { CampaignFixtures.run($0) }
  static let broken = DeterminismCheck(
    seed: 2, campaign: 1, fresh: 2, divergence: "it parts at event 17")

  @Test(
    arguments: [
      ([], [], .passed), ([.liveness], [], .liveness), ([.safety, .liveness], [], .safety),
      ([.crash, .liveness], [], .crash), ([], [broken], .determinism),
      ([.safety], [broken], .safety),
    ] as [([RunOutcome], [DeterminismCheck], ExitClass)])
  func theStatusIsTheGravest(
    _ outcomes: [RunOutcome], _ checks: [DeterminismCheck], _ status: ExitClass
  ) {
    let failed = outcomes.enumerated().map { CampaignFixtures.failed(UInt64($0) + 10, $1) }
    let report = CampaignFixtures.report(Self.passing + failed, checks: checks)
    #expect(report.status(requiringCoverage: false) == status)
  }

  @Test func coverageCountsOnlyWhenRequired() {
    let report = CampaignFixtures.report(Self.passing)
    #expect(!report.tally.coverage.isComplete, "four seeds do not reach everything")
    #expect(report.status(requiringCoverage: false) == .passed)
    #expect(report.status(requiringCoverage: true) == .usage)
  }

  @Test func figuresAreRatios() {
    var report = CampaignFixtures.report(Self.passing)
    #expect(report.seedsPerSecond == 2)
    let simulated = Self.passing.map { Double($0.simulatedNanoseconds) }.reduce(0, +)
    #expect(abs(report.timeFactor - simulated / 2e9) < 1e-9)
    #expect(abs(report.simulatedHours - simulated / 3.6e12) < 1e-12)
    report.wallNanoseconds = 0
    #expect(report.seedsPerSecond == 0)
    #expect(report.timeFactor == 0)
  }

  @Test func theJSONHoldsFiguresFailuresAndCoverage() throws {
    let failed = CampaignFixtures.failed(12)
    let report = CampaignFixtures.report(Self.passing + [failed], checks: [Self.broken])
    let data = Data(report.json.text.utf8)
    let json = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    #expect(json["runs"] as? Int == 5)
    #expect((json["outcomes"] as? [String: Int])?["safety"] == 1)
    for key in [
      "seedsPerSecond", "stepsPerSecondPerCore", "simulatedHours", "simulatedOverWall",
      "contractEvaluations", "contracts", "marks", "screened", "digest",
    ] {
      #expect(json[key] != nil, "\(key)")
    }
    let failures = try #require(json["failures"] as? [[String: Any]])
    #expect(failures.first?["seed"] as? Int == 12)
    #expect(failures.first?["replay"] as? String == failed.replayCommand)
    let coverage = try #require(json["coverage"] as? [String: Any])
    #expect(coverage["complete"] as? Bool == false)
    #expect((coverage["emptyCells"] as? [String])?.isEmpty == false)
    #expect((coverage["unreachableByDesign"] as? [[String: Any]])?.isEmpty == false)
    let table = try #require(json["faultsByPhase"] as? [String: [String: Int]])
    #expect(table.count == FaultKind.allCases.count)
    #expect(table["packet.lost"]?.count == PaxosSystem.phaseNames.count)
    let checks = try #require(json["determinism"] as? [[String: Any]])
    #expect(checks.first?["same"] as? Bool == false)
  }

  @Test func theSummaryNamesEveryFailureAndItsReplay() {
    let report = CampaignFixtures.report(
      Self.passing + [CampaignFixtures.failed(12), CampaignFixtures.failed(13, .liveness)],
      checks: [Self.broken])
    let text = report.lines.joined(separator: "\n")
    #expect(text.contains("FAIL seed 12: safety agreement.slot"))
    #expect(text.contains("rsl-sim replay 12 --commands 30"))
    #expect(text.contains("rsl-sim replay 13 --commands 30"))
    #expect(text.contains("NOT DETERMINISTIC seed 2"))
    #expect(text.contains("it parts at event 17"))
    #expect(text.contains("packet.lost"))
    #expect(text.contains("empty cells"))
  }

  @Test func aCampaignThatWasCutShortIsNotBlamedForWhatItDidNotReach() {
    var report = CampaignFixtures.report(Self.passing)
    report.isCutShort = true
    #expect(!report.lines.contains { $0.hasPrefix("empty cells") })
    report.isCutShort = false
    report.settings.profile = .calm
    #expect(!report.lines.contains { $0.hasPrefix("empty cells") })
  }

  @Test func aLongListOfFailuresIsCut() {
    let failed = (0..<60).map { i in
      var record = Self.passing[0]
      record.seed = UInt64(i + 100)
      record.outcome = .safety
      return record
    }
    let text = CampaignFixtures.report(failed).lines.joined(separator: "\n")
    #expect(text.contains("… and 10 more"))
    #expect(!text.contains("FAIL seed 155"))
  }

  @Test func jUnitCountsAndEscapes() throws {
    let report = CampaignFixtures.report(
      Self.passing + [
        CampaignFixtures.failed(12), CampaignFixtures.failed(13, .crash, checker: "process.crash"),
      ], checks: [Self.broken])
    let xml = JUnitReport(report).xml
    #expect(xml.contains("tests=\"4\" failures=\"2\" errors=\"1\""))
    #expect(xml.contains("&lt;a&gt; &amp; &quot;b&quot;&#10;really"))
    #expect(!xml.contains("<a>"))
    #expect(xml.components(separatedBy: "<testcase").count == 5)
    #expect(xml.components(separatedBy: "<failure").count == 3)
    #expect(xml.components(separatedBy: "<error").count == 2)
    #expect(JUnitReport.escaped("a\u{0}b\u{1B}") == "a?b?")
  }

  // MARK: Progress

  @Test func progressBySeeds() {
    var line = ProgressLine(
      done: 500, total: 2_000, limitNanoseconds: nil, failures: 1,
      elapsedNanoseconds: 5_000_000_000)
    #expect(line.fraction == 0.25)
    #expect(line.left == 15_000_000_000)
    #expect(line.text(width: 100).contains("25%  500/2000 seeds  100/s  1 failed  15.0 s left"))
    line.done = 0
    #expect(line.left == nil)
  }

  @Test func progressByTime() {
    let line = ProgressLine(
      done: 500, total: nil, limitNanoseconds: 10_000_000_000, failures: 0,
      elapsedNanoseconds: 4_000_000_000)
    #expect(line.fraction == 0.4)
    #expect(line.left == 6_000_000_000)
  }

  @Test(arguments: [0, 10, 40, 60, 80, 200])
  func theBarFitsTheTerminal(_ width: Int) {
    for done in [0, 1, 1_000, 2_000] as [UInt64] {
      let line = ProgressLine(
        done: done, total: 2_000, limitNanoseconds: nil, failures: 0,
        elapsedNanoseconds: 5_000_000_000)
      #expect(line.text(width: width).count <= width)
    }
  }

  @Test func theTableOfContractsHasAllOfThem() throws {
    let report = ContractReport(CampaignFixtures.tally(Self.passing), seeds: 1...4)
    #expect(report.lines.count == Contract.allCases.count + Mark.allCases.count + 5)
    let text = report.markdown.joined(separator: "\n")
    for contract in Contract.allCases { #expect(text.contains("`\(contract.id)`")) }
    let json = try JSONSerialization.jsonObject(with: Data(report.json.text.utf8))
    let object = try #require(json as? [String: Any])
    #expect((object["contracts"] as? [Any])?.count == Contract.allCases.count)
    #expect((object["marks"] as? [Any])?.count == Mark.allCases.count)
  }
}
