import Testing

/// The rules, applied to this repository.
@Suite struct TidyTests {
  @Test(arguments: Rule.all) func repositoryKeeps(_ rule: Rule) {
    let findings = rule.check(.repository)
    let list = findings.map(\.description).joined(separator: "\n")
    #expect(findings.isEmpty, "\(findings.count) findings:\n\(list)")
  }

  /// A rule that reads nothing passes; so the tree must hold what the rules are about.
  @Test(arguments: [
    "Package.swift", "Makefile", "README.md", ".ci/run", "scripts/bootstrap",
    "Sources/Protocol/Identifiers.swift", "Tests/TidyTests/TidyTests.swift",
  ])
  func treeHolds(_ path: String) throws {
    let text = try #require(SourceTree.repository[path])
    #expect(!text.isEmpty)
  }

  @Test func treeLeavesOutBuildProducts() {
    #expect(!SourceTree.repository.paths.contains { $0.contains(".build") })
    #expect(SourceTree.isIgnored(".build-contracts"))
    #expect(!SourceTree.isIgnored(".ci"))
  }

  @Test func ruleNamesAreUnique() {
    let names = Rule.all.map(\.name)
    #expect(names.sorted() == Array(Set(names)).sorted())
  }
}
