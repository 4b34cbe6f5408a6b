import Foundation
import Testing

@testable import Simulator

@Suite struct RunCommandTests {
  private func json(_ arguments: String...) throws -> [String: Any] {
    let result = try Executable.run(arguments + ["--format", "json"])
    return try Executable.object(result.output)
  }

  @Test func theDigestIsThatOfThisProcess() throws {
    for seed in [2, 5] as [UInt64] {
      let settings = RunSettings(profile: .unlimited, replicas: 3, commands: 25)
      let json = try json(
        "run", "--seed", "\(seed)", "--profile", "unlimited", "--replicas", "3", "--commands", "25")
      let here = CampaignFixtures.run(seed, settings)
      #expect(json["digest"] as? String == here.digestText)
      #expect(json["steps"] as? UInt64 == here.report.protocolSteps)
      #expect(json["outcome"] as? String == "passed")
      #expect(
        json["replay"] as? String
          == "rsl-sim replay \(seed) --profile unlimited --replicas 3 --commands 25")
    }
  }

  @Test func traceAndTapeAreWrittenAndChangeNothing() throws {
    try Executable.withFolder { folder in
      let trace = folder.appending(path: "deep/trace.txt")
      let tape = folder.appending(path: "tape.txt")
      let plain = try json("run", "--seed", "4", "--commands", "20")
      let watched = try json(
        "run", "--seed", "4", "--commands", "20", "--trace", trace.path, "--tape", tape.path)
      #expect(plain["digest"] as? String == watched["digest"] as? String)
      #expect(try trace.text.contains("<-"))
      let again = try json("replay", tape.path, "--commands", "20")
      #expect(plain["digest"] as? String == again["digest"] as? String)
    }
  }

  @Test func theTableIsForPeople() throws {
    let result = try Executable.run("run", "--seed", "4", "--commands", "20")
    #expect(result.status == 0)
    #expect(result.output.contains("outcome    passed"))
    #expect(result.output.contains("rsl-sim replay 4 --commands 20"))
    #expect(result.errors == "")
  }

  @Test func aDeathIsAnOutcome() throws {
    // A second of processor time is over long before a million commands are; the signal kills the
    // child.
    let result = try Executable.shell(
      "ulimit -t 1; \"$0\" \"$@\"", "run", "--seed", "1", "--commands", "1000000", "--format",
      "json")
    #expect(result.status == 5)
    let json = try Executable.object(result.output)
    #expect(json["outcome"] as? String == "crash")
    let violation = try #require(json["violation"] as? [String: Any])
    #expect(violation["checker"] as? String == "process.crash")
    #expect((violation["sentence"] as? String)?.contains("signal") == true)
  }
}
