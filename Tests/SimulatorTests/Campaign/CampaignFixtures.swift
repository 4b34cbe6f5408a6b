import Protocol

@testable import Simulator

/// Records for tests of the books and reports.
enum CampaignFixtures {
  /// A real run of a small cluster.
  static func run(_ seed: UInt64, _ settings: RunSettings = RunSettings(commands: 30)) -> RunRecord
  {
    RunRecord(PaxosSimulation.run(seed: seed, settings.options), settings)
  }

  /// A real run, made to look as if it had failed.
  static func failed(
    _ seed: UInt64, _ outcome: RunOutcome = .safety, checker: String = "agreement.slot",
    sentence: String = "slot 4 has two values: <a> & \"b\"\nreally"
  ) -> RunRecord {
    var record = run(seed)
    record.outcome = outcome
    record.violation = Violation(
      kind: outcome == .liveness ? .liveness : .safety, checker: checker, sentence: sentence,
      nodes: [NodeIndex(0), NodeIndex(2)])
    return record
  }

  static func tally(_ records: [RunRecord]) -> CampaignTally {
    var tally = CampaignTally()
    for record in records { tally.add(record) }
    return tally
  }

  static func report(
    _ records: [RunRecord], checks: [DeterminismCheck] = []
  ) -> CampaignReport {
    CampaignReport(
      tally: tally(records), settings: RunSettings(commands: 30), selection: "1-\(records.count)",
      jobs: 2, isIsolated: true, wallNanoseconds: 2_000_000_000, checks: checks)
  }
}
