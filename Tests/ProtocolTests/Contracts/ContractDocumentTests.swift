import Foundation
import Testing

@testable import Protocol

/// `docs/contracts.md` against the code. `RSL_REWRITE=1 swift test --filter ContractDocumentTests` writes it anew.
@Suite struct ContractDocumentTests {
  static let root = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  static let document = root.appendingPathComponent("docs/contracts.md")

  static let preamble = """
    # Contracts

    Every contract of the core: its ID, what it says, the one file that evaluates it, and the test that is about it. IDs never
    change their meaning; reports, seeds and mutants refer to them.

    - `pre` is what a handler may rely on. Whatever comes from a peer passes the screen (`Replica+Messages.swift`) first, so a
      precondition that fails is a bug of ours, never of the network.
    - `post` is what a handler has brought about.
    - `inv` holds after every step of a replica.

    Contracts are evaluated in debug builds and in release builds with the package trait `Contracts`, and are compiled to
    nothing otherwise. The first violation of a replica is kept in `Replica.contracts.violation`; whoever drives the replica
    looks at it after every step. How often each one was evaluated, and each rare situation (`Mark`) was reached, is counted
    beside it: one that a campaign never evaluated is a finding.

    Where the test is `ContractViolationTests.isRecorded`, bad input or a deliberately broken state violates the contract there
    and must be recorded. The others cannot be violated by correct code: their tests are properties over generated input that
    satisfies the preconditions, compared with a naive model. `ReplicaContractTests` shows besides that a whole run evaluates
    each one.

    This page is checked against the code by `ContractDocumentTests`, and written anew by

        RSL_REWRITE=1 swift test --filter ContractDocumentTests

    """

  /// The core's files by name, with the contracts that each evaluates.
  static let evaluated: [(name: String, contracts: Set<Substring>)] = {
    let folder = root.appendingPathComponent("Sources/Protocol")
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)!
    return files.compactMap { $0 as? URL }
      .filter { $0.pathExtension == "swift" && $0.lastPathComponent != "Contract.swift" }
      .sorted { $0.path < $1.path }
      .map { file in
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        let calls = text.filter { !$0.isWhitespace }.split(separator: "contracts.").dropFirst()
        let names = calls.compactMap { call -> Substring? in
          for verb in ["require(.", "ensure(.", "invariant(."] where call.hasPrefix(verb) {
            return call.dropFirst(verb.count).prefix { $0.isLetter || $0.isNumber }
          }
          return nil
        }
        return (String(file.path.dropFirst(folder.path.count + 1)), Set(names))
      }
  }()

  /// The files that evaluate the contract.
  static func evaluators(of contract: Contract) -> [String] {
    evaluated.filter { $0.contracts.contains("\(contract)") }.map(\.name)
  }

  /// The test that is about a contract.
  static func test(of contract: Contract) -> String {
    if Violation.all.contains(where: { $0.contract == contract }) {
      return "ContractViolationTests.isRecorded"
    }
    switch contract {
    case .applyPostOneAnswerPerCommand, .applyPostAdvancesByOneSlot:
      return "SessionTablePropertyTests.agreesWithTheModel"
    case .preVotePostLeaderRefuses:
      return "ReplicaElectionTests.aReplicaBehindABrokenLinkDoesNotUnseatTheLeader"
    case .leaseReadPreShorterThanVow: return "OptionsTests.leaderDurationEndsBeforeTheVow"
    default: break
    }
    switch contract.handler {
    case "process1a", "process2a":
      return "AcceptorPropertyTests.process1aAndProcess2aAgreeWithTheModel"
    case "process1b", "lead": return "ProposerPropertyTests.process1bRecoversWhatWasChosen"
    case "propose", "process2b": return "ProposerPropertyTests.process2bAgreesWithCounting"
    case "learner": return "RolePropertyTests.learnerAgreesWithTheModel"
    case "batcher": return "RolePropertyTests.batcherAgreesWithTheModel"
    case "rounds", "preVote": return "RolePropertyTests.roundsAndPreVotesKeepTheirContracts"
    case "lease": return "RolePropertyTests.leasesHoldUnderDrift"
    case "reads": return "RolePropertyTests.readsAgreeWithTheModel"
    case "fetch", "transfer": return "RolePropertyTests.catchUpKeepsItsContracts"
    case "admit", "record", "register", "forget":
      return "SessionTablePropertyTests.agreesWithTheModel"
    case "client": return "ClientSessionPropertyTests.resultsAreTrueWhenSessionsAndDeadlinesFail"
    case "foldReport": return "DigestTablePropertyTests.agreesWithTheModel"
    case "reportDigest", "enterReport":
      return "DigestReporterTests.everyDigestIsReportedOnceAndAgreed"
    case "standing", "cure": return "SuspectTests.isCuredByItsPeers"
    case "install": return "ReplicaLearningTests.whatWasVotedForAboveASnapshotSurvivesItsInstall"
    default: return "ReplicaTests.agreesUnderFaults"
    }
  }

  static func page() -> String {
    var page = preamble
    var kind: Substring = ""
    for contract in Contract.allCases {
      if contract.handler != kind {
        kind = contract.handler
        page += "\n## \(kind)\n\n| ID | Statement | Evaluated in | Test |\n|---|---|---|---|\n"
      }
      let files = evaluators(of: contract).map { "`\($0)`" }.joined(separator: ", ")
      page += "| `\(contract.id)` | \(contract.sentence) | \(files) | `\(test(of: contract))` |\n"
    }
    return page
  }

  @Test func thePageIsWhatTheCodeSays() throws {
    let page = Self.page()
    if ProcessInfo.processInfo.environment["RSL_REWRITE"] == "1" {
      try page.write(to: Self.document, atomically: true, encoding: .utf8)
    }
    let text = try String(contentsOf: Self.document, encoding: .utf8)
    let (actual, expected) = (text.split(separator: "\n"), page.split(separator: "\n"))
    #expect(text == page, "run RSL_REWRITE=1 swift test --filter ContractDocumentTests")
    for (a, e) in zip(actual, expected) where a != e {
      Issue.record("says: \(a)\ncode: \(e)")
      break
    }
  }

  @Test(arguments: Contract.allCases) func isEvaluatedInExactlyOneFile(_ contract: Contract) throws
  {
    #expect(Self.evaluators(of: contract).count == 1)
  }

  @Test func theTestsThatAreNamedExist() throws {
    let folder = Self.root.appendingPathComponent("Tests/ProtocolTests")
    let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)!
    let texts = try files.compactMap { $0 as? URL }.filter { $0.pathExtension == "swift" }
      .map { try String(contentsOf: $0, encoding: .utf8) }
    for name in Set(Contract.allCases.map(Self.test(of:))) {
      let parts = name.split(separator: ".")
      let suite = try #require(
        texts.first { $0.contains("@Suite struct \(parts[0]) {") }, "\(name)")
      #expect(suite.contains("func \(parts[1])("), "\(name)")
    }
  }
}
