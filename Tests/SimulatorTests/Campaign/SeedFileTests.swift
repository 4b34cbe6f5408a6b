import Protocol
import Testing

@testable import Simulator

@Suite struct SeedFileTests {
  static let text = """
    # A comment, and an empty line

    seed: 4711
    profile: unlimited
    replicas: 5
    commands: 90
    expected: safety
    checker: agreement.slot
    digest: 0123456789abcdef
    reaches: gapFilledWithNoop, node.powerFailed
    commit: 3a4bbd2
    story: Two leaders: one ballot.
      And a second line.
    """

  @Test func everyKeyIsRead() throws {
    let file = try SeedFile(parsing: Self.text)
    #expect(file.seed == 4711)
    #expect(file.settings == RunSettings(profile: .unlimited, replicas: 5, commands: 90))
    #expect(file.expected == .safety)
    #expect(file.checker == "agreement.slot")
    #expect(file.digest == 0x0123_4567_89AB_CDEF)
    #expect(file.reaches == ["gapFilledWithNoop", "node.powerFailed"])
    #expect(file.commit == "3a4bbd2")
    #expect(file.story == "Two leaders: one ballot.\nAnd a second line.")
  }

  @Test func aFileIsWrittenAsItIsRead() throws {
    let file = try SeedFile(parsing: Self.text)
    #expect(try SeedFile(parsing: file.text) == file)
    let small = SeedFile(seed: 3)
    #expect(try SeedFile(parsing: small.text) == small)
    let windows = Self.text.split(separator: "\n", omittingEmptySubsequences: false)
      .joined(separator: "\r\n")
    #expect(try SeedFile(parsing: windows) == file)
  }

  @Test(
    arguments: [
      ("", 1, "no line \"seed: NUMBER\""),
      ("# nothing\n", 2, "no line \"seed: NUMBER\""),
      ("seed: x", 1, "\"x\" is not a seed"),
      ("seed: -1", 1, "\"-1\" is not a seed"),
      ("seed:", 1, "\"seed\" has no value"),
      ("seed: 1\nseed: 2", 2, "a second \"seed\""),
      ("seed: 1\nprofile: wild", 2, "no profile is called \"wild\": swarm, calm or unlimited"),
      ("seed: 1\nreplicas: many", 2, "\"many\" is not a number of replicas"),
      ("seed: 1\nreplicas: 0", 2, "a cluster has 1 to 15 replicas, not 0"),
      ("seed: 1\ncommands: 0", 2, "a run has 1 to 1000000 commands, not 0"),
      (
        "seed: 1\nexpected: maybe", 2,
        "no outcome is called \"maybe\": passed, safety, liveness or crash"
      ),
      ("seed: 1\ndigest: 12", 2, "\"12\" is not a digest of 16 hexadecimal digits"),
      ("seed: 1\nreaches: batchGrew, mars", 2, "no mark or fault is called \"mars\""),
      ("seed: 1\n\ncolour: red", 3, "no key is called \"colour\""),
      ("seed: 1\nnonsense", 2, "expected \"key: value\", found \"nonsense\""),
      ("seed: 1\n  indented", 2, "only a story goes on over several lines"),
      (
        "seed: 1\nchecker: agreement", 2,
        "a run that is expected to pass has no checker that finds something"
      ),
    ] as [(String, Int, String)])
  func whatIsWrongIsSaidWithItsLine(_ text: String, _ line: Int, _ reason: String) {
    #expect(throws: SeedFile.ParseError(line: line, reason: reason)) {
      try SeedFile(parsing: text)
    }
  }

  @Test func aKeptRunClaimsWhatHappened() throws {
    let run = CampaignFixtures.failed(12)
    let file = SeedFile(run, story: "slot 4 has two values", commit: "abc")
    #expect(file.differences(from: run) == [])
    #expect(try SeedFile(parsing: file.text).differences(from: run) == [])
  }

  @Test func everyDifferenceIsNamed() {
    let run = CampaignFixtures.failed(12)
    var file = SeedFile(run)
    file.digest = run.digest ^ 1
    #expect(file.differences(from: run).count == 1)
    file.checker = "durability"
    #expect(file.differences(from: run).count == 2)
    file.expected = .liveness
    #expect(file.differences(from: run).count == 3)
    #expect(file.rewritten(for: run).differences(from: run) == [])
  }

  @Test func whatARunShouldReachAndDoesNotIsNamed() {
    var run = CampaignFixtures.run(12)
    var file = SeedFile(run)
    file.reaches = ["batchGrew", "packet.lost"]
    run.report.marks = Mark.allCases.map { $0.id == "batchGrew" ? 0 : 1 }
    run.faults = FaultTable(phaseNames: PaxosSystem.phaseNames)
    #expect(
      file.differences(from: run) == ["did not reach batchGrew", "did not reach packet.lost"])
    run.report.marks = Mark.allCases.map { _ in 1 }
    run.faults.count(.packetLost, phase: 0)
    #expect(file.differences(from: run) == [])
    #expect(file.rewritten(for: run).reaches == file.reaches)
  }

  @Test func aRewrittenFileKeepsItsStory() throws {
    let file = try SeedFile(parsing: Self.text)
    let rewritten = file.rewritten(for: CampaignFixtures.run(12))
    #expect(rewritten.story == file.story)
    #expect(rewritten.expected == .passed)
    #expect(rewritten.checker == nil)
  }

  @Test func aCrashHasNoDigest() {
    let crash = RunRecord(crashed: 5, RunSettings(), sentence: "signal 4")
    let file = SeedFile(crash)
    #expect(file.digest == nil)
    #expect(file.expected == .crash)
    #expect(file.differences(from: crash) == [])
  }

  @Test func tapesAreToldFromSeedFiles() {
    #expect(SeedFile.isTape("# comment\nrsl-tape 1\nseed 4\n"))
    #expect(!SeedFile.isTape(Self.text))
    #expect(!SeedFile.isTape(""))
  }
}
