import Foundation
import Testing

@testable import Simulator

@Suite struct ReplayCommandTests {
  static let settings = RunSettings(commands: 20)

  private func withFile<T>(_ file: SeedFile, _ body: (URL) throws -> T) throws -> T {
    try Executable.withFolder { folder in
      let url = folder.appending(path: "kept.txt")
      try url.write(file.text)
      return try body(url)
    }
  }

  @Test func aSeedGivesItsDigest() throws {
    let result = try Executable.run("replay", "4", "--commands", "20")
    #expect(result.status == 0)
    #expect(result.output.contains(CampaignFixtures.run(4, Self.settings).digestText))
    #expect(result.output.contains("outcome passed"))
  }

  @Test func aFileThatIsRightPasses() throws {
    try withFile(SeedFile(CampaignFixtures.run(4, Self.settings), story: "all fine")) { url in
      let result = try Executable.run("replay", url.path)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.errors == "")
    }
  }

  @Test func anotherDigestIsStatusFour() throws {
    var file = SeedFile(CampaignFixtures.run(4, Self.settings))
    file.digest = 1
    try withFile(file) { url in
      let result = try Executable.run("replay", url.path)
      #expect(result.status == 4)
      #expect(result.complaints.count == 1)
      #expect(result.errors.contains("expected digest 0000000000000001"))
      // Other settings than the file's: its claims are about another run.
      #expect(try Executable.run("replay", url.path, "--commands", "21").status == 0)
    }
  }

  @Test func aFailureThatDoesNotComeBackIsStatusFour() throws {
    var file = SeedFile(seed: 4)
    file.settings = Self.settings
    file.expected = .safety
    file.checker = "agreement.slot"
    try withFile(file) { url in
      for more in [[], ["--as-expected"]] {
        let result = try Executable.run(["replay", url.path] + more)
        #expect(result.status == 4)
        #expect(result.errors.contains("expected safety, got passed"))
      }
    }
  }

  @Test func rewritingTakesOverWhatHappened() throws {
    var file = SeedFile(CampaignFixtures.run(4, Self.settings), story: "kept\nfor good")
    file.digest = 1
    try withFile(file) { url in
      let first = try Executable.run("replay", "--rewrite", url.path)
      #expect(first.status == 0)
      #expect(first.output.hasPrefix("rewritten "))
      let rewritten = try SeedFile(parsing: try url.text)
      #expect(rewritten.digest == CampaignFixtures.run(4, Self.settings).digest)
      #expect(rewritten.story == "kept\nfor good")
      #expect(try Executable.run("replay", "--rewrite", url.path).output.hasPrefix("unchanged "))
      #expect(try Executable.run("replay", url.path).status == 0)
    }
  }

  @Test func aCrashThatIsExpectedIsToldAndIsStatusFive() throws {
    var file = SeedFile(seed: 1)
    file.settings.commands = 1_000_000
    file.expected = .crash
    try withFile(file) { url in
      let limit = "ulimit -t 1; \"$0\" \"$@\""
      let result = try Executable.shell(limit, "replay", url.path)
      #expect(result.status == 5)
      #expect(result.output.contains("CRASH seed 1"))
      #expect(result.output.contains("last events\n  "), "the trace up to the death")
      #expect(result.output.contains("rsl-sim replay 1 --commands 1000000"))
      #expect(try Executable.shell(limit, "replay", "-q", "--as-expected", url.path).status == 0)
    }
  }

  @Test func aReplayStopsWhereItIsTold() throws {
    let result = try Executable.run("replay", "4", "--until", "300ms", "--lines", "2")
    #expect(result.status == 0)
    #expect(result.output.contains("stopped at 0.300 s"))
    #expect(result.output.contains("last events of n0"))
    #expect(!result.output.contains("outcome"))
  }

  @Test func severalTargetsGiveALineEach() throws {
    try withFile(SeedFile(CampaignFixtures.run(4, Self.settings))) { url in
      let result = try Executable.run("replay", url.path, "6", "no-such-file")
      #expect(result.status == 1)
      let lines = result.output.split(separator: "\n")
      #expect(lines.count == 2)
      #expect(lines.first?.contains("\tpassed\t") == true)
      #expect(result.errors.contains("no-such-file: no such file"))
    }
  }

  @Test func theTraceFileHoldsTheWholeRun() throws {
    try Executable.withFolder { folder in
      let trace = folder.appending(path: "trace")
      let result = try Executable.run(
        "replay", "4", "--commands", "20", "--trace", trace.path, "--format", "json")
      let json = try Executable.object(result.output)
      #expect(json["ended"] as? Bool == true)
      var options = Self.settings.options
      options.trace = TraceOptions(full: true)
      let here = PaxosSimulation.run(seed: 4, options)
      #expect(try trace.text == here.trace.lines.joined(separator: "\n") + "\n")
    }
  }
}
