import Foundation
import Logging
import Protocol
import Testing

@testable import RealRuntime

@Suite struct NodeReloadTests {
  private func reload(
    _ running: NodeConfiguration, _ log: LogOutput, credentials: TLSCredentials? = nil,
    flags: [String]
  ) -> NodeReload.Outcome {
    NodeReload(running: running, log: log, credentials: credentials) {
      () throws(ConfigurationError) in try ConfigurationFixture.load(flags: flags)
    }.perform()
  }

  private let log = LogOutput(level: .info, format: .text) { _ in }

  @Test func theLogLevelTakesEffectAndOtherKeysDoNot() throws {
    let running = try ConfigurationFixture.load().configuration
    let outcome = reload(running, log, flags: ["--logging-level", "debug", "--log-slots", "8192"])
    #expect(log.level == .debug)
    #expect(outcome.done == ["the log level is debug"])
    #expect(outcome.problems == ["log.slots takes effect with a restart"])
  }

  @Test func aBrokenConfigurationChangesNothing() throws {
    let running = try ConfigurationFixture.load().configuration
    let outcome = reload(running, log, flags: ["--logging-level", "debug", "--log-slots", "x"])
    #expect(log.level == .info)
    #expect(outcome.done.isEmpty)
    #expect(
      outcome.problems == [
        "the configuration stays: log.slots = \"x\" (--log-slots): "
          + "expected a whole number from 1 to 16777216"
      ])
  }

  @Test func certificatesAreReadAnewOrStay() async throws {
    try await withFolder { folder async throws in
      let running = try ConfigurationFixture.load().configuration
      let authority = try DevCA(folder: folder.path, cluster: running.cluster)
      let issued = try authority.issue(.replica(running.replica), validity: 0..<10)
      let credentials = try TLSCredentials(
        files: .init(ca: authority.caFile, certificate: issued.certificate, key: issued.key))
      let before = credentials.expiry
      try authority.issue(.replica(running.replica), validity: 0..<20)
      var outcome = reload(running, log, credentials: credentials, flags: [])
      #expect(credentials.expiry > before)
      #expect(outcome.done.count == 2 && outcome.problems.isEmpty)
      try FileManager.default.removeItem(atPath: issued.key)
      outcome = reload(running, log, credentials: credentials, flags: [])
      #expect(
        outcome.problems == [
          "the certificate stays: \(issued.key): there is no such file, or it may not be read"
        ])
    }
  }
}
