import Foundation
import Protocol
import Testing

@testable import Simulator

@Suite struct RunRecordTests {
  static let settings = RunSettings(commands: 30)

  @Test(arguments: [1, 2, 3] as [UInt64])
  func aRecordSurvivesTheWire(_ seed: UInt64) {
    var record = CampaignFixtures.run(seed)
    record.wallNanoseconds = 123
    record.cpuNanoseconds = 45
    let read = RunRecord(wireLine: record.wireLine, Self.settings)
    record.plan = ""  // Left out of a record that passed.
    #expect(read == record)
  }

  @Test(
    arguments: [
      "plain", "", "two words", "back\\slash", "line\nbreak\r\n", "'quoted'", "\\s \\n",
      "größer ≤ 5",
    ])
  func textSurvivesTheWire(_ sentence: String) {
    var record = CampaignFixtures.failed(4, sentence: sentence)
    record.excuse = LivenessExcuse(name: sentence, witness: sentence, nodes: [NodeIndex(63)])
    #expect(!record.wireLine.contains("\n"))
    #expect(RunRecord(wireLine: record.wireLine, Self.settings) == record)
  }

  @Test func aDamagedLineIsNoRecord() {
    let words = CampaignFixtures.failed(5).wireLine.split(separator: " ")
    for count in 0..<words.count {
      let cut = words.prefix(count).joined(separator: " ")
      #expect(RunRecord(wireLine: cut, Self.settings) == nil, "cut after \(count) words")
    }
    #expect(RunRecord(wireLine: words.joined(separator: " ") + " 1", Self.settings) == nil)
    for i in words.indices {
      var changed = words
      changed[i] = "x"
      let line = changed.joined(separator: " ")
      #expect(RunRecord(wireLine: line, Self.settings) == nil, "word \(i)")
    }
  }

  @Test func aHugeCountOnTheWireIsRefused() {
    var reader = WireReader("18446744073709551615 1")
    #expect(reader.numbers() == [])
    #expect(!reader.isIntact)
    var tooLarge = WireReader("18446744073709551616")
    #expect(tooLarge.number() == nil)
  }

  @Test func aCrashSaysWhatIsKnown() {
    let record = RunRecord(crashed: 9, Self.settings, sentence: "signal 4")
    #expect(record.outcome == .crash)
    #expect(record.violation?.checker == "process.crash")
    #expect(RunRecord(wireLine: record.wireLine, Self.settings) == record)
  }

  @Test func theJSONHoldsWhatIsPromised() throws {
    let record = CampaignFixtures.failed(6)
    let parsed = try JSONSerialization.jsonObject(with: Data(record.json.text.utf8))
    let json = try #require(parsed as? [String: Any])
    for key in [
      "seed", "digest", "outcome", "steps", "events", "simulatedSeconds", "wallSeconds",
      "commandsAcknowledged", "faults", "contracts", "replay", "marks", "violation", "plan",
      "excuse",
    ] {
      #expect(json[key] != nil, "\(key)")
    }
    #expect(json["digest"] as? String == record.digestText)
    #expect((json["contracts"] as? [String: Any])?.count == Contract.allCases.count)
    #expect((json["marks"] as? [String: Any])?.count == Mark.allCases.count)
    #expect((json["faults"] as? [String: Any])?.count == FaultKind.allCases.count)
    let violation = try #require(json["violation"] as? [String: Any])
    #expect(violation["checker"] as? String == "agreement.slot")
    #expect(violation["nodes"] as? [String] == ["n0", "n2"])
    #expect(violation["at"] != nil)
    #expect(json["replay"] as? String == "rsl-sim replay 6 --commands 30")
  }

  @Test func thePersonSeesOutcomeDigestAndReplay() {
    let text = CampaignFixtures.failed(6).lines.joined(separator: "\n")
    #expect(text.contains("safety"))
    #expect(text.contains("slot 4 has two values"))
    #expect(text.contains("rsl-sim replay 6"))
  }

  @Test func theReplayShowsTheLastEventsOfTheNodesInvolved() throws {
    var options = Self.settings.options
    options.profile = .swarm
    options.trace = TraceOptions(linesPerNode: 5)
    // No progress within a microsecond: a real violation without a bug.
    options.adjustPlan = { plan in
      plan.livenessBound = 1
      plan.safetyDuration = 100_000
    }
    options.commands = 10_000
    let result = PaxosSimulation.run(seed: 11, options)
    #expect(result.outcome == .liveness)
    let record = RunRecord(result, Self.settings)
    let text = ReplayText(result, record, hasEnded: true)
    let nodes = try #require(result.violation?.nodes)
    #expect(!text.lastEvents.isEmpty)
    #expect(text.lastEvents.count <= 5 * nodes.count)
    for line in text.lastEvents {
      #expect(nodes.contains { line.contains(" \($0) ") }, "\(line)")
    }
    let lines = text.lines.joined(separator: "\n")
    #expect(lines.contains("checker progress"))
    #expect(lines.contains(record.digestText))
  }

  @Test func aReplayStopsAtItsTime() {
    var simulation = PaxosSimulation.make(seed: 3, Self.settings.options)
    while simulation.advance(until: 50_000_000) {}
    #expect(simulation.outcome == nil)
    #expect(simulation.world.simulatedTime == .milliseconds(50))
    while simulation.advance(until: .max) {}
    #expect(simulation.result.digest.value == CampaignFixtures.run(3).digest)
  }
}
