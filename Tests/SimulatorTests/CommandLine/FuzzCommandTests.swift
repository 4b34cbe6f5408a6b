import Foundation
import Testing

@testable import Simulator

@Suite struct FuzzCommandTests {
  @Test func digestsDoNotDependOnJobsProcessesOrChunks() throws {
    try Executable.withFolder { folder in
      var texts: [String] = []
      for (i, options) in [
        ["--jobs", "1"], ["--jobs", "2"], ["--jobs", "3"], ["--jobs", "1", "--no-isolate"],
        ["--jobs", "2", "--no-isolate"],
      ].enumerated() {
        let file = folder.appending(path: "digests-\(i)")
        let result = try Executable.run(
          ["fuzz", "--seeds", "1-12", "--commands", "20", "--digests", file.path] + options)
        #expect(result.status == 0, "\(result.errors)")
        texts.append(try file.text)
      }
      // And in this process, backwards.
      let here = CampaignFixtures.tally(
        (1...12).reversed().map { CampaignFixtures.run($0, RunSettings(commands: 20)) })
      for text in texts { #expect(text == here.digestLines) }
    }
  }

  @Test func theReportsAreWritten() throws {
    try Executable.withFolder { folder in
      let report = folder.appending(path: "report.json")
      let junit = folder.appending(path: "junit.xml")
      let result = try Executable.run(
        "fuzz", "--count", "3", "--first", "10", "--commands", "20", "--jobs", "2", "--report",
        report.path, "--junit", junit.path)
      #expect(result.status == 0)
      #expect(result.errors == "", "no progress bar where there is no terminal")
      #expect(result.output.contains("3 passed"))
      #expect(result.output.contains("determinism: 2 seeds run again in fresh processes"))
      let json = try Executable.object(try report.text)
      #expect(json["runs"] as? Int == 3)
      #expect(json["seeds"] as? String == "10-12")
      #expect(((json["determinism"] as? [Any])?.count ?? 0) >= 2)
      #expect(try junit.text.contains("3 of 3 seeds passed (10-12)"))
    }
  }

  @Test func jsonIsAllThatJSONPrints() throws {
    let result = try Executable.run(
      "fuzz", "--seeds", "1-2", "--commands", "10", "--format", "json")
    #expect(try Executable.object(result.output)["runs"] as? Int == 2)
  }

  @Test func aDurationEnds() throws {
    let start = Date.now
    let result = try Executable.run(
      "fuzz", "--duration", "1s", "--first", "5", "--commands", "10", "--jobs", "2", "--format",
      "json")
    #expect(result.status == 0)
    let json = try Executable.object(result.output)
    #expect((json["runs"] as? Int ?? 0) > 0)
    #expect(Date.now.timeIntervalSince(start) < 60)
    #expect(json["seeds"] as? String == "5 and on for 1.000 s")
  }

  @Test func requiredCoverageThatIsMissingFails() throws {
    let arguments = ["fuzz", "--seeds", "1-2", "--commands", "5"]
    #expect(try Executable.run(arguments).status == 0)
    let result = try Executable.run(arguments + ["--require-coverage"])
    #expect(result.status == 1)
    #expect(result.complaints.count == 1)
    #expect(result.output.contains("EMPTY"))
  }

  @Test func aSeedThatHangsIsACrashWithItsSeedFile() throws {
    try Executable.withFolder { folder in
      // No seed says anything within a millisecond.
      let result = try Executable.run(
        "fuzz", "--seeds", "1-2", "--commands", "100000", "--jobs", "1", "--seed-timeout", "1ms",
        "--keep", folder.path)
      #expect(result.status == 5)
      #expect(result.output.contains("FAIL seed 1: crash process.crash"))
      #expect(result.output.contains("rsl-sim replay 2 --commands 100000"))
      let file = try SeedFile(parsing: try folder.appending(path: "seed-1.txt").text)
      #expect(file.expected == .crash)
      #expect(file.settings.commands == 100_000)
    }
  }

  @Test func aSeedThatKillsItsProcessDoesNotStopTheOthers() throws {
    try Executable.withFolder { folder in
      let digests = folder.appending(path: "digests")
      // Each child gets one second of processor time: enough for none of these.
      let result = try Executable.shell(
        "ulimit -t 1; \"$0\" \"$@\"", "fuzz", "--seeds", "1-2", "--commands", "1000000", "--jobs",
        "2", "--digests", digests.path)
      #expect(result.status == 5)
      #expect(
        try digests.text == "1 0000000000000000 crash\n2 0000000000000000 crash\n")
      #expect(result.output.contains("signal"))
    }
  }

  @Test func failFastEndsAtTheLowestFailure() throws {
    let result = try Executable.run(
      "fuzz", "--seeds", "1-500", "--commands", "100000", "--jobs", "2", "--seed-timeout", "1ms",
      "--fail-fast", "--format", "json")
    #expect(result.status == 5)
    let json = try Executable.object(result.output)
    #expect(json["cutShort"] as? Bool == true)
    let failures = try #require(json["failures"] as? [[String: Any]])
    #expect(failures.first?["seed"] as? Int == 1)
    #expect(failures.count < 10)
  }

  @Test func theTableOfContractsIsPrinted() throws {
    let result = try Executable.run(
      "contracts", "--seeds", "1-2", "--commands", "10", "--format", "markdown")
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("| Contract | Evaluations | sentence |"))
  }
}
