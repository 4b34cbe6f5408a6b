import Testing

@testable import Simulator

@Suite struct RunSettingsTests {
  @Test(
    arguments: [
      ("1-2000", 1...2_000), ("17", 17...17), ("0-0", 0...0),
      ("18446744073709551615", UInt64.max...UInt64.max),
    ] as [(String, ClosedRange<UInt64>)])
  func seedRanges(_ text: String, _ range: ClosedRange<UInt64>) {
    #expect(SeedRange.parse(text) == range)
  }

  @Test(
    arguments: [
      "", "-", "1-", "-5", "5-1", "a-b", "1-2-3", "+1", "1..5", " 1", "0x10",
      "18446744073709551616", "0-18446744073709551615",
    ])
  func noSeedRanges(_ text: String) { #expect(SeedRange.parse(text) == nil) }

  @Test(
    arguments: [
      ("10m", 600_000_000_000), ("90s", 90_000_000_000), ("2h", 7_200_000_000_000),
      ("250ms", 250_000_000), ("7us", 7_000), ("12ns", 12), ("1.5", 1_500_000_000),
      ("0.001s", 1_000_000), ("3", 3_000_000_000), ("0", 0), ("1.25m", 75_000_000_000),
    ] as [(String, UInt64)])
  func durations(_ text: String, _ nanoseconds: UInt64) {
    #expect(DurationText.parse(text) == nanoseconds)
  }

  @Test(
    arguments: ["", "m", "ten", "-1s", "1.s", ".5s", "1.2.3", "1d", "99999999999999h", "1e3", "+1"])
  func noDurations(_ text: String) { #expect(DurationText.parse(text) == nil) }

  @Test(
    arguments: [
      (1_234_000_000, "1.234 s"), (12_340_000_000, "12.3 s"), (125_000_000_000, "2 min 05 s"),
      (12_000_000_000_000, "3 h 20 min"), (0, "0.000 s"),
    ] as [(UInt64, String)])
  func durationsForPeople(_ nanoseconds: UInt64, _ text: String) {
    #expect(DurationText.text(nanoseconds) == text)
  }

  @Test func theReplayCommandSaysWhatDiffersFromTheDefault() {
    #expect(RunSettings().replayCommand(seed: 7) == "rsl-sim replay 7")
    #expect(
      RunSettings(profile: .calm, replicas: 5, commands: 90).replayCommand(seed: 7)
        == "rsl-sim replay 7 --profile calm --replicas 5 --commands 90")
  }

  @Test func impossibleSettingsHaveAProblem() {
    #expect(RunSettings(replicas: 0).problem != nil)
    #expect(RunSettings(replicas: 16).problem != nil)
    #expect(RunSettings(commands: 0).problem != nil)
    #expect(RunSettings(commands: 1_000_001).problem != nil)
    #expect(RunSettings(replicas: 15, commands: 1).problem == nil)
  }

  @Test func settingsReachTheOptions() {
    let options = RunSettings(profile: .unlimited, replicas: 4, commands: 33).options
    #expect(options.profile == .unlimited)
    #expect(options.replicas == 4)
    #expect(options.commands == 33)
  }

  @Test(arguments: RunOutcome.allCases)
  func everyOutcomeHasItsStatus(_ outcome: RunOutcome) {
    let codes: [RunOutcome: Int32] = [.passed: 0, .safety: 2, .liveness: 3, .crash: 5]
    #expect(ExitClass(outcome).rawValue == codes[outcome])
  }

  @Test func theGravestStatusWins() {
    #expect(ExitClass.gravest([]) == .passed)
    #expect(ExitClass.gravest([.passed, .usage]) == .usage)
    #expect(ExitClass.gravest([.usage, .liveness]) == .liveness)
    #expect(ExitClass.gravest([.liveness, .determinism]) == .determinism)
    #expect(ExitClass.gravest([.determinism, .crash]) == .crash)
    #expect(ExitClass.gravest([.crash, .safety, .liveness]) == .safety)
  }
}
