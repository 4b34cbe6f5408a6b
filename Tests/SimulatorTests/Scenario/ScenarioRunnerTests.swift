import Simulator
import Testing

/// The runner itself: what it reports, rewrites and refuses.
@Suite struct ScenarioRunnerTests {
  static let election = """
    # Prose.

    cluster 3
    wake r1
    ----
    r1 started
    r2 started
    r3 started
    r1 deadline reached at 500ms
      becomes pre-candidate at 1.1, no leader
      -> all pre-vote 1.1 chosen 0

    status r2
    ----
    r2 follower, no leader, promised 0.0, chosen 0, applied 0

    """

  @Test func matchingOutputPasses() throws {
    let result = try ScenarioRunner.run(Self.election)
    #expect(result.mismatches == [])
    #expect(result.blocks == 2)
    #expect(result.actual == Self.election)
  }

  @Test func mismatchNamesTheLine() throws {
    let changed = Self.election.replacing("promised 0.0", with: "promised 1.1")
    let result = try ScenarioRunner.run(changed)
    let mismatch = try #require(result.mismatches.first)
    #expect(result.mismatches.count == 1)
    #expect(mismatch.line == 15)
    #expect(mismatch.command == "status r2")
    #expect(mismatch.expected == "r2 follower, no leader, promised 1.1, chosen 0, applied 0")
    #expect(mismatch.actual == "r2 follower, no leader, promised 0.0, chosen 0, applied 0")
    #expect(result.actual == Self.election, "rewriting restores the output")
  }

  @Test func missingAndSurplusLinesAreMismatches() throws {
    let shorter = Self.election.replacing("r3 started\n", with: "")
    let first = try #require(try ScenarioRunner.run(shorter).mismatches.first)
    #expect(first.line == 8 && first.actual == "r3 started")

    let last = Self.election + "\nmore\n"
    #expect(throws: ScenarioError(line: 17, message: noSeparator("more"))) {
      try ScenarioRunner.run(last)
    }
    let surplus = Self.election.replacing("applied 0\n", with: "applied 0\nmore\n")
    let mismatch = try #require(try ScenarioRunner.run(surplus).mismatches.first)
    #expect(mismatch.line == 16 && mismatch.expected == "more" && mismatch.actual == nil)
  }

  private func noSeparator(_ text: String) -> String {
    "no line ---- follows \"\(text)\"; add it, or begin prose with #"
  }

  @Test func emptyExpectationsAreFilledIn() throws {
    let bare = "cluster 1\n----\n\nstatus\n----\n"
    let result = try ScenarioRunner.run(bare)
    #expect(result.mismatches.count == 2)
    #expect(
      result.actual
        == "cluster 1\n----\nr1 started\n\nstatus\n----\n"
        + "r1 follower, no leader, promised 0.0, chosen 0, applied 0\n")
    #expect(try ScenarioRunner.run(result.actual).mismatches == [])
  }

  @Test func carriageReturnsAreNoDifference() throws {
    let result = try ScenarioRunner.run(Self.election.replacing("\n", with: "\r\n"))
    #expect(result.mismatches == [])
  }

  @Test func quietSaysOkAndKeepsViolations() throws {
    let content = """
      quiet on
      cluster 3
      ----

      forge r1->r2 accept 1.1 value=x
      deliver
      forge r1->r2 accept 1.1 value=y
      deliver
      ----

      """
    let actual = try ScenarioRunner.run(content).actual
    #expect(actual.contains("cluster 3\n----\nok\n"))
    #expect(actual.contains("VIOLATION r2 process2a.post.noConflict") == true)
    #expect(!actual.contains("forged r1"))
  }

  @Test func twoApplicationsThatDifferAreAViolation() throws {
    // Two forged leaders have two values chosen in slot 1, which no quorum of honest replicas allows.
    let content = """
      cluster 3
      forge r1->r2 accept 1.1 value=x chosen=1
      forge r1->r3 accept 1.1 value=y chosen=1
      deliver
      ----

      """
    let actual = try ScenarioRunner.run(content).actual
    #expect(
      actual.contains("VIOLATION r3 scenario.agreement: slot 1 is [y] here and [x] at r2"))
  }

  @Test func aReadThatMissesAnAppliedSlotIsAViolation() throws {
    // r2 is told that a slot was chosen which the leader does not know: its quorum read comes too early.
    let content = """
      quiet on
      cluster 3
      wake r1
      stabilize
      forge r1->r2 accept 1.1 value=x chosen=1
      deliver
      read r1 quorum
      stabilize
      ----

      """
    let actual = try ScenarioRunner.run(content).actual
    #expect(
      actual.contains(
        "VIOLATION r1 scenario.freshRead: s9/1 is served at slot 0,"
          + " but slot 1 was applied before it came"))
  }

  @Test func sameContentSameOutput() throws {
    let content = "cluster 5 jitter=300ms\nadvance 3s\nstatus\n----\n"
    #expect(try ScenarioRunner.run(content) == ScenarioRunner.run(content))
  }

  /// Errors of a file, each in one line that says where and what to do.
  static let errors: [(content: String, line: Int, message: String)] = [
    ("cluster 3\n", 1, "no line ---- follows \"cluster 3\"; add it, or begin prose with #"),
    ("\ncluster 3\n\n----\n", 2, "no line ---- follows"),
    ("----\n", 1, "---- without a command above it"),
    ("cluster 3\n----\nok\ntick 1s\n----\n", 5, "a second ---- in one block"),
    ("status\n----\n", 1, "no cluster yet; begin with a line like: cluster 3"),
    ("cluster 3\nfly r1\n----\n", 2, "there is no command \"fly\""),
    ("cluster\n----\n", 1, "cluster needs a number of replicas"),
    ("cluster 0\n----\n", 1, "give a number of replicas from 1 to 9"),
    ("cluster 3 window=x\n----\n", 1, "window=x: give a whole number"),
    ("cluster 3 wheels=4\n----\n", 1, "cluster does not take wheels="),
    ("cluster 3 log=63\n----\n", 1, "logSlots is 63; it must be a power of two"),
    ("cluster 3 timeout=5\n----\n", 1, "timeout=5: give a time, as in timeout=500ms"),
    ("cluster 3 drift=5\n----\n", 1, "drift= means nothing without lease="),
    ("cluster 3 ranks=1\n----\n", 1, "ranks=1: give 3 numbers"),
    ("cluster 3\nflush r4\n----\n", 2, "there is no replica \"r4\"; the cluster has r1 to r3"),
    ("cluster 3\nflush\n----\n", 2, "flush needs a replica"),
    ("cluster 3\nflush r1 0\n----\n", 2, "flush at least 1 record"),
    ("cluster 3\nrestart r1\n----\n", 2, "r1 is running; crash it first"),
    ("cluster 3\ncrash r1\ncrash r1\n----\n", 3, "r1 is down already; restart it first"),
    ("cluster 3\ntick 5\n----\n", 2, "\"5\" is no time; write it like 500ms or 2s"),
    ("cluster 3\ndeliver accepts\n----\n", 2, "neither a route (r1->r2), nor a kind"),
    ("cluster 3\ndeliver r1->r7\n----\n", 2, "there is no replica \"r7\""),
    ("cluster 3\noneway r1->r1\n----\n", 2, "is not a route; name two replicas"),
    ("cluster 3\npartition r1\n----\n", 2, "needs groups with | between"),
    ("cluster 3\nread r1 fast\n----\n", 2, "write quorum, lease or local@5"),
    ("cluster 3\npermit r1 perhaps\n----\n", 2, "write permit r1 yes, or permit r1 no"),
    ("cluster 3\nsnapshot r1\n----\n", 2, "r1 was not asked for a snapshot"),
    ("cluster 3\nhide nothing\n----\n", 2, "\"nothing\" is no kind of message"),
    ("cluster 3\nforge r1->r2 learn 1.1\n----\n", 2, "\"learn\" cannot be forged"),
    ("cluster 3\nforge r1->r2 accept one\n----\n", 2, "\"one\" is no ballot"),
    ("cluster 3\ncommand r1 \"a\n----\n", 2, "a quote is not closed"),
    ("cluster 3\nstabilize r1 now=1\n----\n", 2, "stabilize does not take now="),
    ("quiet perhaps\n----\n", 1, "write quiet on, or quiet off"),
  ]

  @Test(arguments: errors)
  func errorsSayWhereAndWhatToDo(content: String, line: Int, message: String) throws {
    let error = try #require(throws: ScenarioError.self) { try ScenarioRunner.run(content) }
    #expect(error.line == line)
    #expect(error.message.contains(message), "\(error)")
    #expect(!error.description.contains("\n"))
  }
}
