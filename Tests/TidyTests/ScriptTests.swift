import Foundation
import Testing

/// The scripts whose verdict a build relies on, fed with input on which they must fail too.
@Suite struct ScriptTests {
  struct Result {
    let status: Int32
    let output: String
    let errors: String
  }

  /// Runs a script of the repository in a folder of its own that holds `files`; `@FOLDER@` in their text
  /// becomes its path. With `onPath`, that folder stands first on the PATH and its files are executable.
  func run(
    _ script: String, _ arguments: [String], files: [String: String], onPath: Bool = false
  )
    throws -> Result
  {
    var root = URL(fileURLWithPath: #filePath)
    for _ in 0..<3 { root.deleteLastPathComponent() }
    let folder = FileManager.default.temporaryDirectory.resolvingSymlinksInPath()
      .appendingPathComponent("rsl-script-test-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    for (path, text) in files {
      let file = folder.appendingPathComponent(path)
      try FileManager.default.createDirectory(
        at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
      try Data(text.replacingOccurrences(of: "@FOLDER@", with: folder.path).utf8).write(to: file)
      if onPath { try makeExecutable(file) }
    }
    // The output is short, so that neither pipe fills before the process ends.
    let (output, errors) = (Pipe(), Pipe())
    let process = Process()
    process.executableURL = root.appendingPathComponent("scripts").appendingPathComponent(script)
    process.arguments = arguments
    process.currentDirectoryURL = folder
    if onPath {
      var environment = ProcessInfo.processInfo.environment
      environment["PATH"] = folder.path + ":" + (environment["PATH"] ?? "/usr/bin:/bin")
      process.environment = environment
    }
    process.standardOutput = output
    process.standardError = errors
    try process.run()
    process.waitUntilExit()
    func text(_ pipe: Pipe) -> String {
      String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    }
    return Result(status: process.terminationStatus, output: text(output), errors: text(errors))
  }

  /// Copies the file over itself by a process of its own: a fork elsewhere in these tests may have inherited the descriptor
  /// it was written through, and until that is closed the file cannot be executed ("text file busy").
  private func makeExecutable(_ file: URL) throws {
    let copy = Process()
    copy.executableURL = URL(fileURLWithPath: "/usr/bin/install")
    copy.arguments = ["-m", "755", file.path, file.path + ".executable"]
    try copy.run()
    copy.waitUntilExit()
    try FileManager.default.removeItem(at: file)
    try FileManager.default.moveItem(atPath: file.path + ".executable", toPath: file.path)
  }

  static let log = """
    ✔ Test case passing 1 argument x → 1 (Swift.Int) to many(x:) passed after 0.001 seconds.
    ✔ Test many(x:) with 5 test cases passed after 0.001 seconds.
    noise without a newline ✔ Test "has a name" passed after 0.001 seconds.
    ✔ Test one() passed after 0.001 seconds with 1 known issue.
    ✘ Test pairs(x:y:) with 1 test case failed after 0.001 seconds with 1 issue.
    ➜ Test off() skipped: "elsewhere"
    ✔ Suite Some passed after 0.002 seconds.

    """
  static let closing = "✘ Test run with 5 tests in 1 suite failed after 0.003 seconds with 1 issue."

  @Test func countsFunctionsArgumentsAndScenarioBlocks() throws {
    let result = try run(
      "count-cases", ["log", "scenarios"],
      files: [
        "log": Self.log + Self.closing + "\n",
        "scenarios/a.txt": "run\n----\nok\n\nstop\n----\nok\n",
        "scenarios/deep/b.txt": "run\n----\nok ---- ok\n",
        "scenarios/README.md": "----\n",
      ])
    #expect(result.status == 0)
    #expect(result.errors.isEmpty)
    #expect(
      result.output == """
        Test cases: 11
               2  test functions without arguments
               6  arguments of 2 parameterised functions
               3  expectation blocks in 2 scenario files
               1  skipped, not counted
        \(Self.closing)

        """)
  }

  @Test func saysWhenTheLogIsIncomplete() throws {
    let lines = Self.log.split(separator: "\n").dropFirst(2).joined(separator: "\n")
    let result = try run(
      "count-cases", ["log", "none"], files: ["log": lines + "\n" + Self.closing + "\n"])
    #expect(result.errors == "count-cases: 4 of 5 test functions found in the log\n")
  }

  @Test func casesOfARunWithKnownIssuesCount() throws {
    let log = """
      ✔ Test a() passed after 0.001 seconds.
      ━ Test b() passed after 0.001 seconds with 1 known issue.
      ━ Test run with 2 tests in 1 suite passed after 0.002 seconds with 1 known issue.

      """
    let result = try run("count-cases", ["log", "none"], files: ["log": log])
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("Test cases: 2\n"))
    #expect(result.errors.isEmpty)
  }

  @Test(arguments: [["log", "none"], ["gone"], []])
  func refusesALogWithoutAFinishedRun(_ arguments: [String]) throws {
    let result = try run("count-cases", arguments, files: ["log": Self.log])
    #expect(result.status == 1)
    #expect(!result.errors.isEmpty)
  }

  /// Runs `scripts/coverage` on a report in llvm-cov's form.
  private func coverage(_ arguments: [String], covered: Int, of count: Int) throws -> Result {
    let report = """
      {"data": [{"files": [{"filename": "@FOLDER@/Sources/A/One.swift",
        "summary": {"lines": {"covered": \(covered), "count": \(count)}}}]}]}
      """
    return try run(
      "coverage", arguments, files: ["report.json": report, "Sources/A/One.swift": ""])
  }

  @Test(arguments: [(90, "90", 0), (89, "90", 1), (100, "100", 0), (0, "0", 0)])
  func coverageFailsBelowItsFloor(_ covered: Int, _ floor: String, _ status: Int32) throws {
    let result = try coverage(["report.json", floor, "Sources/A"], covered: covered, of: 100)
    #expect(result.status == status, "\(result.output)\(result.errors)")
    #expect(result.output.contains("\(covered).00 %"))
  }

  @Test(arguments: [
    ["report.json", "90", "Sources/Renamed"], ["report.json", "high", "Sources/A"],
    ["gone.json", "90", "Sources/A"], ["Sources/A/One.swift", "90", "Sources/A"], ["report.json"],
  ])
  func coverageRefusesUnusableInput(_ arguments: [String]) throws {
    let result = try coverage(arguments, covered: 100, of: 100)
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("coverage: "))
    #expect(!result.errors.contains("Traceback"))
  }

  @Test(arguments: [
    ("Swift version 6.1.2 (swift-6.1.2-RELEASE)", "Swift 6.1 is too old"),
    ("Swift version 5.10 (swift-5.10-RELEASE)", "Swift 5.10 is too old"),
    ("Apple Swift version 4.2", "Swift 4.2 is too old"),
    ("nothing of the kind", "does not name a version"),
  ])
  func bootstrapRefusesAnUnfitToolchain(_ version: String, _ message: String) throws {
    let compiler = "#!/bin/sh\necho '\(version)'\n"
    let result = try run("bootstrap", ["--check"], files: ["swiftc": compiler], onPath: true)
    #expect(result.status == 1)
    #expect(result.errors.contains(message) && result.errors.contains("swift.org/install"))
  }

  @Test(arguments: ["6.2", "6.2.1", "6.10", "7.0-dev"])
  func bootstrapAcceptsANewerToolchain(_ version: String) throws {
    let compiler = "#!/bin/sh\necho 'Swift version \(version) (swift-\(version)-RELEASE)'\n"
    let result = try run("bootstrap", ["--check"], files: ["swiftc": compiler], onPath: true)
    // Packages may be missing where the tests run; the toolchain must not be what is wrong.
    #expect(result.status == 0 || result.errors.hasPrefix("bootstrap: missing: "))
  }

  @Test(arguments: ["--nonsense", "check"])
  func bootstrapRefusesUnknownArguments(_ argument: String) throws {
    let result = try run("bootstrap", [argument], files: [:])
    #expect(result.status == 1)
    #expect(result.errors.contains("unknown argument '\(argument)'"))
  }

  private static let mutant = """
    # A comment.
    id: a
    title: An edit in two places
    source: nowhere
    story: Goes on
      over two lines.

    file: Package.swift
    <<<<
      name: "swift-rsl",
    ====
      name: "other",
    >>>>
    <<<<
    // swift-tools-version: 6.2
    ====
    // swift-tools-version: 6.1
    >>>>

    """

  @Test func mutantsAreChecked() throws {
    let result = try run(
      "mutants", ["--list", "--dir", "mutants"], files: ["mutants/a.mutant": Self.mutant])
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.hasPrefix("a ") && result.output.hasSuffix("An edit in two places\n"))
  }

  @Test(arguments: [
    ("name: \"swift-rsl\"", "name: \"gone\"", "the text does not occur in Package.swift"),
    ("  name: \"swift-rsl\",", "dependencies", "the text is not unique in Package.swift"),
    ("file: Package.swift", "file: Nowhere.swift", "there is no Nowhere.swift"),
    ("file: Package.swift", "file: ../Package.swift", "lies outside the package"),
    ("file: Package.swift\n", "", "before `file:`"),
    ("id: a\n", "", "no `id:` line"),
    ("title:", "id:", "`id:` twice"),
    ("====\n  name", "===\n  name", "has no `====`"),
    ("// swift-tools-version: 6.1\n>>>>", "", "has no `>>>>`"),
    ("  name: \"other\",", "  name: \"swift-rsl\",", "changes nothing"),
    ("  name: \"swift-rsl\",", "", "the text to find is empty"),
  ])
  func mutantsThatCannotBePlantedAreErrors(
    _ text: String, _ replacement: String, _ message: String
  ) throws {
    let broken = Self.mutant.replacingOccurrences(of: text, with: replacement)
    #expect(broken != Self.mutant)
    let result = try run(
      "mutants", ["--list", "--dir", "mutants"], files: ["mutants/a.mutant": broken])
    #expect(result.status == 1)
    #expect(result.errors.contains(message), "\(result.errors)")
    #expect(result.errors.contains("a.mutant"))
  }

  @Test(arguments: [
    ["--dir", "gone"], ["--dir", "."], ["--dir", "mutants", "b"], ["--seeds", "0"],
    ["--seeds", "many"], ["--jobs", "0"], ["--nonsense"],
  ])
  func mutantsRefusesUnusableArguments(_ arguments: [String]) throws {
    let result = try run(
      "mutants", ["--list"] + arguments, files: ["mutants/a.mutant": Self.mutant])
    #expect(result.status == 1)
    #expect(result.errors.hasPrefix("mutants: ") && !result.errors.contains("Traceback"))
  }

  // MARK: guest

  private static let guest = ["rsl": "", "tests": "", "id": "#!/bin/sh\necho 0\n"]

  @Test func guestSaysWhatItNeeds() throws {
    let result = try run("guest", [], files: [:])
    #expect(result.status == 1)
    #expect(result.errors.contains("make guest"))
  }

  @Test func guestIsSkippedOnAnotherProcessor() throws {
    let files = Self.guest.merging(["uname": "#!/bin/sh\necho riscv64\n"]) { $1 }
    let result = try run("guest", ["rsl", "tests"], files: files, onPath: true)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.hasPrefix("skipped: the guest is an x86_64 machine"), "\(result.output)")
  }

  @Test func guestIsSkippedWhereNothingCanBeInstalled() throws {
    let files = Self.guest.merging([
      "uname": "#!/bin/sh\necho x86_64\n", "ldconfig": "#!/bin/sh\n",
      "apt-get": "#!/bin/sh\nexit 100\n",
    ]) { $1 }
    let result = try run("guest", ["rsl", "tests"], files: files, onPath: true)
    #expect(result.status == 0, "\(result.errors)")
    #expect(result.output.hasPrefix("skipped: qemu-system-x86 "), "\(result.output)")
    #expect(result.output.contains("cannot be installed"))
  }
}
