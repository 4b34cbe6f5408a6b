import Simulator
import Testing

@Suite struct DecisionTapeTests {
  private func run(
    _ seed: UInt64, _ tape: TapeMode
  )
    -> RunResult<Chatter.Report>
  {
    var simulation = Chatter.simulation(
      seed: seed, SimulationConfiguration(nodes: 3, clients: 1, tape: tape)
    ) { $0.goal = 20 }
    return simulation.run()
  }

  @Test(arguments: UInt64(0)..<15)
  func aReplayedTapeGivesTheSameDigest(_ seed: UInt64) throws {
    let plain = run(seed, .off)
    let recorded = run(seed, .record)
    #expect(plain.tape == nil && recorded.digest == plain.digest)
    let tape = try #require(recorded.tape)
    #expect(tape.count > 100)
    let parsed = try DecisionTape(text: tape.text)
    #expect(parsed == tape)
    // Under another seed, so that every decision really comes from the tape.
    let replayed = run(seed + 1_000, .replay(parsed, beyondEnd: .quiet))
    #expect(replayed.digest == plain.digest && replayed.report == plain.report)
    #expect(replayed.faults == plain.faults)
  }

  @Test func aShortTapeGoesOnFreshOrQuiet() throws {
    let recorded = run(3, .record)
    var tape = try #require(recorded.tape)
    for stream in RandomStream.allCases {
      tape[stream].removeLast(tape[stream].count / 2)
    }
    // Fresh draws continue as the seed would have.
    #expect(run(3, .replay(tape, beyondEnd: .fresh)).digest == recorded.digest)
    let quiet = run(3, .replay(tape, beyondEnd: .quiet))
    #expect(quiet.digest != recorded.digest && quiet.outcome == .passed)
  }

  @Test func aTapeOfZerosIsARunWithoutFaults() {
    let quiet = run(7, .replay(DecisionTape(seed: 7), beyondEnd: .quiet))
    #expect(quiet.outcome == .passed)
    for kind in FaultKind.allCases { #expect(quiet.faults[kind] == 0, "\(kind.name)") }
  }

  @Test func valuesADecisionDoesNotHaveAreReduced() {
    var tape = DecisionTape(seed: 1)
    tape[.workload] = [7, 12, 0, 99]
    var streams = RandomStreams(seed: 1, tape: .replay(tape, beyondEnd: .quiet))
    let drawn = (0..<5).map { _ in streams.draw(.workload, below: 10) }
    #expect(drawn == [7, 2, 0, 9, 0])
    #expect(streams.tape?[.workload] == drawn)
  }

  @Test(arguments: [
    ("", 1, "expected \"rsl-tape 1\""),
    ("rsl-tape 2\nseed 1", 1, "expected \"rsl-tape 1\""),
    ("rsl-tape 1\n", 2, "no seed"),
    ("rsl-tape 1\nseed x", 2, "expected \"seed\" and a number"),
    ("rsl-tape 1\nseed -1", 2, "expected \"seed\" and a number"),
    ("rsl-tape 1\nseed 1\nseed 2", 3, "a second seed"),
    ("rsl-tape 1\n# note\nseed 1\nwind: 1", 4, "no stream is called \"wind:\""),
    ("rsl-tape 1\nseed 1\nnetwork 1", 3, "no stream is called \"network\""),
    ("rsl-tape 1\nseed 1\nnetwork: 1 two", 3, "\"two\" is not a decision"),
    ("rsl-tape 1\nseed 1\nnetwork: 1*0", 3, "\"1*0\" is not a decision"),
    ("rsl-tape 1\nseed 1\nnetwork: 1*2*3", 3, "\"1*2*3\" is not a decision"),
    ("rsl-tape 1\nseed 1\nnetwork: 1*", 3, "\"1*\" is not a decision"),
    ("rsl-tape 1\nseed 1\nnetwork: 0*99999999999", 3, "\"0*99999999999\" is not a decision"),
    (
      "rsl-tape 1\nseed 1\ndisk: 1\nnetwork: 18446744073709551616", 4,
      "\"18446744073709551616\" is not a decision"
    ),
  ])
  func damagedTextIsRefusedWithItsLine(_ text: String, _ line: Int, _ reason: String) {
    #expect(throws: TapeParseError(line: line, reason: reason)) { try DecisionTape(text: text) }
  }

  @Test func textIsForgivingAboutSpaceAndComments() throws {
    let tape = try DecisionTape(
      text: "# saved\r\n\r\nrsl-tape 1\r\n  seed  5 \n\ndisk:\t1 0*3\n#\ndisk: 2\nnetwork:\n")
    #expect(tape.seed == 5 && tape[.disk] == [1, 0, 0, 0, 2] && tape[.network].isEmpty)
  }
}
