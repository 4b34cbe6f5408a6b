import Foundation
import Testing

/// A small invented repository and the lines on which one rule must object to it: none, when it is sound.
struct RuleExample: Sendable, CustomTestStringConvertible {
  let rule: String
  let files: [String: String]
  let findings: [String]

  var testDescription: String {
    let text = files.values.sorted().joined(separator: " … ").split(separator: "\n")
      .joined(separator: " ")
    return "\(rule) \(findings.isEmpty ? "accepts" : "refuses") \(text.prefix(60))"
  }

  init(_ rule: String, _ files: [String: String], at findings: [String]) {
    self.rule = rule
    self.files = files
    self.findings = findings
  }

  /// One line of code in a pure module: refused, at line 2.
  static func refuses(
    _ rule: String, _ code: String, in path: String = "Sources/Protocol/A.swift"
  )
    -> RuleExample
  {
    RuleExample(rule, [path: "// first line\n" + code + "\n"], at: ["\(path):2"])
  }

  static func accepts(
    _ rule: String, _ code: String, in path: String = "Sources/Protocol/A.swift"
  )
    -> RuleExample
  {
    RuleExample(rule, [path: code + "\n"], at: [])
  }
}

extension RuleExample {
  static let purity: [RuleExample] = [
    .refuses("imports", "import Foundation"),
    .refuses("imports", "import Dispatch"),
    .refuses("imports", "import Glibc", in: "Sources/Simulator/A.swift"),
    .refuses("imports", "public import struct Synchronization.Mutex"),
    .refuses("imports", "@preconcurrency internal import Musl"),
    .refuses("imports", "import Simulator"),
    .refuses("imports", "import HashTreeCollections"),
    .accepts("imports", "import DequeModule\npublic import HeapModule"),
    .accepts("imports", "public import Protocol", in: "Sources/Simulator/A.swift"),
    .accepts("imports", "import Foundation", in: "Sources/rsl-sim/A.swift"),
    .accepts("imports", "// import Foundation\nlet a = \"\"\"\nimport Foundation\n\"\"\""),

    .refuses("dictionary", "var a = Dictionary<Slot, Value>()"),
    .accepts("dictionary", "/// Like a Dictionary, in slot order.\nvar a = \"Dictionary\""),
    .refuses("dictionary-literal-type", "var a: [Slot: Value]"),
    .refuses("dictionary-literal-type", "var a = [ReplicaID : [Slot]]()"),
    .refuses("dictionary-literal-type", "var a: [[UInt8]: Int] = [:]"),
    .refuses("dictionary-literal-type", "let a = \"\\([Slot: Int]())\""),
    .accepts("dictionary-literal-type", "let a = [Slot(1), b ? c : d]; e[slot: 3] = [1, 2]"),
    .accepts("dictionary-literal-type", "func f(_ a: [Slot], b: Int) { a.map { (x: Int) in x } }"),
    .refuses("set", "var a: Set<Slot> = []"),
    .refuses("set", "let a = Set(slots)"),
    .accepts("set", "struct Flags: OptionSet {}; a.set(3); struct SlotSet {}"),

    .refuses("unseeded-random", "let a = Int.random(in: 0..<3)"),
    .refuses("unseeded-random", "let a = Bool.random()"),
    .refuses("unseeded-random", "let a = Int.random(in: 0..<3, using: &generator)"),
    .refuses("unseeded-random", "let a = peers.shuffled()"),
    .refuses("unseeded-random", "let a = peers.randomElement(using: &generator)"),
    .accepts("unseeded-random", "random.next(below: 3); streams.network.shuffle(&peers)"),
    .refuses("system-random", "var g = SystemRandomNumberGenerator()"),
    .accepts("system-random", "var g = SeededRandom(seed: 1)"),
    .refuses("clock", "let a = ContinuousClock.now"),
    .refuses("clock", "let a = SuspendingClock()", in: "Sources/Simulator/World/A.swift"),
    .refuses("clock", "let a = Date()"),
    .accepts("clock", "struct Clock { var rate: Int }; let a = Update()"),
    .refuses("hash-value", "let a = slot.hashValue"),
    .refuses("hash-value", "var hasher = Hasher()"),
    .accepts("hash-value", "func hash(into hasher: inout Hasher) { hasher.combine(a) }"),
    .refuses("async", "func step() async {}"),
    .refuses("async", "await flush()"),
    .refuses("async", "Task { }"),
    .refuses("async", "public actor Host {}"),
    .accepts("async", "var asynchronous = 1; struct Task {}; let actor = awaited"),
    .refuses("unsafe-global", "nonisolated(unsafe) let a = pointer"),
    .accepts("unsafe-global", "let a = 1"),
    .refuses("print", "print(\"here\")"),
    .refuses("print", "  debugPrint(effects)"),
    .accepts("print", "report.print(to: 1); footprint(3)"),

    .refuses("stored-static-variable", "  public static var count = 0"),
    .refuses("stored-static-variable", "  static var last: Slot?"),
    .refuses("stored-static-variable", "  static var last: Slot? = nil { didSet {} }"),
    .accepts("stored-static-variable", "static let a = 1; static var b: Int { 3 }"),
    .refuses("global-variable", "var counter = 0"),
    .refuses("global-variable", "public var last: Slot?"),
    .refuses("global-variable", "private(set) var last = \"}\""),
    .accepts("global-variable", "struct A {\n  var a = 0\n}\nlet b = 1\nvar c: Int { 3 }"),
    .accepts("global-variable", "func f(\n  a: Int\n) {\n  var b = a\n}"),
  ]

  static let hygiene: [RuleExample] = [
    RuleExample(
      "file-size", ["Tests/A.swift": String(repeating: "a\n", count: 601)],
      at: ["Tests/A.swift:601"]),
    .accepts("file-size", String(repeating: "a\n", count: 599)),
    .refuses("whitespace", "let a = 1  "),
    .refuses("whitespace", "\tlet a = 1", in: "docs/a.md"),
    .refuses("whitespace", "a: ", in: ".ci/run"),
    .accepts("whitespace", "a:\n\techo", in: "Makefile"),
    .accepts("whitespace", "expected \t", in: "Tests/Scenarios/a.txt"),
    .refuses("unfinished", "// TO" + "DO: later"),
    .refuses("unfinished", "fatalError(\"not" + " implemented\")"),
    .refuses("unfinished", "Not" + " implemented yet.", in: "docs/a.md"),
    .refuses("unfinished", "# FIX" + "ME", in: "scripts/a"),
    .refuses("unfinished", "enum Place" + "holder {}"),
    .accepts("unfinished", "mktemp -d run.XXXXXX  # mastodons", in: "scripts/a"),
    .refuses("machine-path", "cd /ho" + "me/me/rsl", in: "docs/a.md"),
    .refuses("machine-path", "log=\"/wo" + "rk/log\"", in: "scripts/a"),
    .refuses("machine-path", "let a = \"/op" + "t/swift\""),
    .accepts("machine-path", "https://example.org/home/a ../work/b ~/work/b /tmp/c /usr/include"),
  ]

  static let documents: [RuleExample] = [
    .refuses("links", "See [a](missing.md).", in: "docs/a.md"),
    .refuses("links", "See [a](../b.md).", in: "docs/a.md"),
    .refuses("links", "[a]: missing.md", in: "README.md"),
    RuleExample(
      "links", ["A.md": "[b](docs/B.md#the-end)\n", "docs/B.md": "# The start\n"], at: ["A.md:1"]),
    RuleExample(
      "links",
      [
        "A.md": "[b](docs/B.md#the-start) [c](#here) [d](https://e.org/x) [e](docs/)\n\n# Here\n",
        "docs/B.md": "# The `start`\n[a](../A.md) `[no](link.md)`\n```\n[no](link.md)\n```\n",
      ], at: []),
    .refuses("specs", "- Test: nothing in backticks", in: "specs/a.md"),
    .refuses("specs", "- Test: `Gone.swift` `works`", in: "specs/a.md"),
    .refuses("specs", "- Test: `works`", in: "specs/a.md"),
    .refuses("specs", "- Test: `scripts/gone --all`", in: "specs/a.md"),
    .refuses("specs", "- Test: `make gone`", in: "specs/a.md"),
    .refuses("specs", "- Test: `rsl-sim gone`", in: "specs/a.md"),
    .refuses("specs", "- Test: `what is this`", in: "specs/a.md"),
    RuleExample("specs", ["specs/a.md": "# A page without tests\n"], at: ["specs/a.md:1"]),
    RuleExample(
      "specs",
      [
        "specs/a.md": "- Test: `B.swift` `works`, `fails`\n",
        "Tests/BTests/B.swift": "func works() {}\nfunc failsToo() {}\n",
      ], at: ["specs/a.md:1"]),
    RuleExample(
      "specs",
      [
        "specs/a.md": """
        - Test: `B.swift` `works`, `fails(x:)`
        - Test: `make bench` and `scripts/bench`
        - Test: `rsl-sim fuzz --seeds 1-2`

        """,
        "specs/README.md": "The format.\n",
        "Tests/BTests/B.swift": "@Test func works() {}\nfunc fails(x: Int) {}\n",
        "Makefile": "bench: build\n", "scripts/bench": "true\n",
        "Sources/rsl-sim/Fuzz.swift": "struct FuzzCommand {}\n",
      ], at: []),
    RuleExample("seeds", ["seeds/a.seed": "profile: swarm\n"], at: ["seeds/a.seed:1"]),
    RuleExample(
      "seeds", ["seeds/a.seed": "story: x\nseed: 42\n", "seeds/README.md": "Format.\n"], at: []),
    RuleExample("traces", ["traces/election.trace": "x\n"], at: ["traces/election.trace:1"]),
    RuleExample(
      "traces",
      ["traces/election.trace": "x\n", "Tests/A.swift": "compare(\"election\")\n"], at: []),
    RuleExample(
      "mutants", ["Tests/Mutants/a.mutant": mutant(find: "absent"), "Sources/A.swift": "a\nb\n"],
      at: ["Tests/Mutants/a.mutant:6"]),
    RuleExample(
      "mutants", ["Tests/Mutants/a.mutant": mutant(find: "a"), "Sources/A.swift": "a\na\n"],
      at: ["Tests/Mutants/a.mutant:6"]),
    RuleExample(
      "mutants", ["Tests/Mutants/a.mutant": mutant(find: "a")], at: ["Tests/Mutants/a.mutant:6"]),
    RuleExample(
      "mutants", ["Tests/Mutants/a.mutant": "id: a\ntitle: A\nsource: b\nstory: c\n"],
      at: ["Tests/Mutants/a.mutant:1"]),
    RuleExample(
      "mutants",
      [
        "Tests/Mutants/a.mutant": mutant(find: "a").replacingOccurrences(of: "title:", with: "t:"),
        "Sources/A.swift": "a\n",
      ], at: ["Tests/Mutants/a.mutant:1"]),
    RuleExample(
      "mutants", ["Tests/Mutants/b.mutant": mutant(find: "a"), "Sources/A.swift": "a\n"],
      at: ["Tests/Mutants/b.mutant:1"]),
    RuleExample(
      "mutants",
      [
        "Tests/Mutants/a.mutant": mutant(find: "a").replacingOccurrences(of: "story:", with: "t:"),
        "Sources/A.swift": "a\n",
      ], at: ["Tests/Mutants/a.mutant:1"]),
    RuleExample(
      "mutants", ["Tests/Mutants/a.mutant": mutant(find: "a\nb"), "Sources/A.swift": "a\nb\na\n"],
      at: []),
  ]

  private static func mutant(find: String) -> String {
    "id: a\ntitle: A\nsource: b\nstory: c\nfile: Sources/A.swift\n<<<<\n\(find)\n====\nnew\n>>>>\n"
  }
}

/// Every rule, shown to fire and shown to leave sound text alone.
@Suite struct RuleExamplesTests {
  static let all = RuleExample.purity + RuleExample.hygiene + RuleExample.documents

  @Test(arguments: all) func ruleFindsExactly(_ example: RuleExample) {
    let found = Rule.named(example.rule).check(SourceTree(example.files))
    #expect(found.map { "\($0.path):\($0.line)" } == example.findings, "\(found)")
  }

  @Test(arguments: Rule.all) func ruleHasBothKindsOfExample(_ rule: Rule) {
    let examples = Self.all.filter { $0.rule == rule.name }
    #expect(examples.contains { !$0.findings.isEmpty }, "no example on which the rule fires")
    #expect(examples.contains { $0.findings.isEmpty }, "no example that the rule accepts")
  }
}
