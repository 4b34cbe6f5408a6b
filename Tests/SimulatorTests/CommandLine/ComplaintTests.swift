import Foundation
import Testing

/// Whatever is wrong with a command line or a file: one clear line on standard error, exit status
/// 1, nothing else.
@Suite struct ComplaintTests {
  @Test(
    arguments: [
      (["run"], "--seed"),
      (["run", "--seed", "x"], "'x'"),
      (["run", "--seed", "-1"], "--seed"),
      (["run", "--seed", "1", "--profile", "wild"], "wild"),
      (["run", "--seed", "1", "--replicas", "0"], "1 to 15 replicas, not 0"),
      (["run", "--seed", "1", "--replicas", "99"], "1 to 15 replicas, not 99"),
      (["run", "--seed", "1", "--commands", "0"], "commands, not 0"),
      (["run", "--seed", "1", "--format", "yaml"], "yaml"),
      (["run", "--seed", "1", "--colour"], "--colour"),
      (["fuzz"], "one of --seeds, --count and --duration"),
      (["fuzz", "--seeds", "1-2", "--count", "3"], "one of --seeds, --count and --duration"),
      (["fuzz", "--seeds", "5-1"], "5-1"),
      (["fuzz", "--count", "0"], "--count must be at least 1"),
      (["fuzz", "--duration", "soon"], "soon"),
      (["fuzz", "--duration", "0"], "--duration must be above zero"),
      (["fuzz", "--count", "2", "--jobs", "0"], "--jobs must be 1 to 1024"),
      (["fuzz", "--seeds", "1-2", "--first", "3"], "--first goes with"),
      (["fuzz", "--count", "2", "--first", "18446744073709551615"], "beyond the largest seed"),
      (["fuzz", "--count", "1", "--seed-timeout", "0"], "--seed-timeout"),
      (["replay"], "seed-or-file"),
      (["replay", "no-such-file"], "no-such-file: no such file"),
      (["replay", "--rewrite", "17"], "needs seed files"),
      (["replay", "1", "--until", "later"], "later"),
      (["replay", "1", "--lines", "-1"], "--lines"),
      (["replay", "1", "2", "--trace", "t"], "--trace goes with one"),
      (["check"], "file"),
      (["check", "no-such-file"], "no-such-file: no such file"),
      (["check", "."], ".: is a directory"),
      (["check", "x", "--model", "queue"], "queue"),
      (["check", "x", "--budget", "0"], "--budget"),
      (["scenario"], "file"),
      (["scenario", "no-such-file"], "no-such-file: no such file"),
      (["contracts", "--jobs", "0"], "--jobs"),
      (["contracts", "--seeds", "all"], "all"),
      (["dance"], "dance"),
      (["--nonsense"], "--nonsense"),
    ] as [([String], String)])
  func oneLineAndStatusOne(_ arguments: [String], _ mention: String) throws {
    let result = try Executable.run(arguments)
    #expect(result.status == 1)
    #expect(result.output == "")
    #expect(result.complaints.count == 1, "\(result.errors)")
    #expect(result.errors.hasPrefix("rsl-sim: "))
    #expect(result.errors.contains(mention), "\(result.errors)")
  }

  @Test(
    arguments: [
      ("seed: 1\ncolour: red\n", "line 2: no key is called \"colour\""),
      ("", "no line \"seed: NUMBER\""),
      ("rsl-tape 1\nnetwork: 1 2 x\n", "line 2"),
      ("rsl-tape 1\nnetwork: 1*999999999999\n", "line 2"),
    ])
  func aDamagedSeedFileIsNamedWithItsLine(_ text: String, _ mention: String) throws {
    try Executable.withFolder { folder in
      let file = folder.appending(path: "damaged.txt")
      try file.write(text)
      let result = try Executable.run("replay", file.path)
      #expect(result.status == 1)
      #expect(result.complaints.count == 1, "\(result.errors)")
      #expect(result.errors.contains("damaged.txt: "))
      #expect(result.errors.contains(mention), "\(result.errors)")
    }
  }

  @Test func bytesThatAreNoTextAreRefused() throws {
    try Executable.withFolder { folder in
      let file = folder.appending(path: "noise")
      try Data([0xFF, 0xFE, 0x00, 0xC3]).write(to: file)
      for command in ["check", "replay", "scenario"] {
        let result = try Executable.run(command, file.path)
        #expect(result.status == 1)
        #expect(result.complaints.count == 1)
        #expect(result.errors.contains("noise: not a text in UTF-8"))
      }
    }
  }

  @Test func aReportThatCannotBeWrittenIsAnError() throws {
    let result = try Executable.run(
      "fuzz", "--seeds", "1-1", "--commands", "5", "--report", "/dev/null/report.json")
    #expect(result.status == 1)
    #expect(result.errors.contains("/dev/null/report.json: cannot be written"))
  }

  @Test(arguments: [
    ["--help"], ["run", "--help"], ["fuzz", "--help"], ["replay", "-h"], ["help"],
  ])
  func helpIsNoError(_ arguments: [String]) throws {
    let result = try Executable.run(arguments)
    #expect(result.status == 0)
    #expect(result.errors == "")
    #expect(result.output.contains("USAGE") || result.output.contains("OVERVIEW"))
  }
}
