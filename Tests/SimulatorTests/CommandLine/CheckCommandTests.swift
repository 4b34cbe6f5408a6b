import Foundation
import Testing

/// `rsl-sim check` and `rsl-sim scenario`.
@Suite struct CheckCommandTests {
  static let good = """
    { :process 0, :type :invoke, :f :put, :key "x", :value "1" }
    { :process 0, :type :ok, :f :put, :key "x", :value "1" }
    { :process 1, :type :invoke, :f :get, :key "x", :value nil }
    { :process 1, :type :ok, :f :get, :key "x", :value "1" }

    """
  static let bad = good.replacingOccurrences(
    of: ":f :get, :key \"x\", :value \"1\"", with: ":f :get, :key \"x\", :value \"\"")

  @Test func oneLinePerFileAndStatusTwo() throws {
    try Executable.withFolder { folder in
      let good = folder.appending(path: "good.txt")
      let bad = folder.appending(path: "bad.txt")
      try good.write(Self.good)
      try bad.write(Self.bad)
      var result = try Executable.run("check", good.path)
      #expect(result.status == 0, "\(result.errors)")
      #expect(result.output == "\(good.path)\tlinearizable\n")
      result = try Executable.run("check", "--model", "kv", good.path, bad.path)
      #expect(result.status == 2)
      #expect(
        result.output == "\(good.path)\tlinearizable\n\(bad.path)\tnot-linearizable\n")
      result = try Executable.run("check", "--explain", bad.path)
      #expect(result.errors.contains("cannot be placed"))
      result = try Executable.run("check", "--format", "json", good.path, bad.path)
      let json = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
      let rows = try #require(json as? [[String: Any]])
      #expect(rows.map { $0["verdict"] as? String } == ["linearizable", "not-linearizable"])
      #expect(rows[1]["explanation"] is String)
    }
  }

  @Test func aHistoryForAnotherModelIsRefused() throws {
    try Executable.withFolder { folder in
      let file = folder.appending(path: "history.txt")
      try file.write(Self.good)
      let result = try Executable.run("check", "--model", "register", file.path)
      #expect(result.status == 1)
      #expect(result.complaints.count == 1)
    }
  }

  @Test func theOthersAreCheckedAlthoughOneCannotBeRead() throws {
    try Executable.withFolder { folder in
      let bad = folder.appending(path: "bad.txt")
      try bad.write(Self.bad)
      let result = try Executable.run("check", "no-such-file", bad.path)
      #expect(result.status == 2, "a wrong history outweighs a missing one")
      #expect(result.output == "\(bad.path)\tnot-linearizable\n")
      #expect(result.complaints.count == 1)
    }
  }

  @Test func aBudgetThatIsTooSmallIsUndecided() throws {
    try Executable.withFolder { folder in
      let file = folder.appending(path: "history.txt")
      let calls = (0..<6).map {
        ":process \($0), :type :invoke, :f :append, :key \"x\", :value \"\($0)\""
      }
      let returns = calls.map { $0.replacingOccurrences(of: ":invoke", with: ":ok") }
      let read = [
        ":process 7, :type :invoke, :f :get, :key \"x\", :value nil",
        ":process 7, :type :ok, :f :get, :key \"x\", :value \"543210\"",
      ]
      try file.write((calls + returns + read).map { "{\($0)}\n" }.joined())
      #expect(try Executable.run("check", file.path).status == 0)
      let result = try Executable.run("check", "--budget", "3", file.path)
      #expect(result.status == 1)
      #expect(result.output.hasSuffix("\tundecided\n"))
    }
  }

  // MARK: Scenarios

  private var scenario: URL {
    Executable.package.appending(path: "Tests/Scenarios/election-fresh.txt")
  }

  @Test func aScenarioThatIsRightPasses() throws {
    let result = try Executable.run("scenario", scenario.path)
    #expect(result.status == 0)
    #expect(result.output.hasPrefix("ok "))
  }

  @Test func anotherOutputIsStatusFourAndCanBeRewritten() throws {
    try Executable.withFolder { folder in
      let original = try scenario.text
      let file = folder.appending(path: "changed.txt")
      let separator = try #require(original.range(of: "----\n"))
      try file.write(
        original.replacingCharacters(in: separator, with: "----\nwhat never happens\n"))
      let result = try Executable.run("scenario", file.path)
      #expect(result.status == 4)
      #expect(result.output.contains("expected \"what never happens\""))
      #expect(try Executable.run("scenario", "--rewrite", file.path).status == 0)
      #expect(try file.text == original)
    }
  }

  @Test func aDamagedScenarioIsNamedWithItsLine() throws {
    try Executable.withFolder { folder in
      let file = folder.appending(path: "damaged.txt")
      try file.write("fly to the moon\n----\n")
      let result = try Executable.run("scenario", file.path)
      #expect(result.status == 1)
      #expect(result.complaints.count == 1)
      #expect(result.errors.contains("damaged.txt: line 1: "))
    }
  }
}
