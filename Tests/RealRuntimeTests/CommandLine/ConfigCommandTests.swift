import Foundation
import Protocol
import Testing

@testable import RealRuntime

@Suite struct ConfigCommandTests {
  private func withFile(_ text: String, _ body: (String) async throws -> Void) async throws {
    try await withFolder { folder async throws in
      let file = folder.appending(path: "node.yaml")
      try text.write(to: file, atomically: true, encoding: .utf8)
      try await body(file.path)
    }
  }

  @Test func printShowsValuesAndOrigins() async throws {
    try await withFile(ConfigurationFixture.text) { file async throws in
      let arguments = ["config", "print", "--config", file, "--election-timeout", "2s"]
      let environment = ["RSL_LOG_WINDOW_SLOTS": "32"]
      let result = try await RslProcess.run(arguments, environment: environment)
      #expect(result.status == 0, "\(result.errors)")
      let squeezed = result.lines.map { $0.replacing(#/\ +\#/#, with: " #") }
      #expect(squeezed.contains("replica: 2 # node.yaml:2"))
      #expect(squeezed.contains("election.timeout: 2s # --election-timeout"))
      #expect(squeezed.contains("log.window-slots: 32 # RSL_LOG_WINDOW_SLOTS"))
      let json = try await RslProcess.run(
        arguments + ["--format", "json"], environment: environment)
      let entries = try JSONDecoder().decode(
        [LoadedConfiguration.Entry].self, from: Data(json.output.utf8))
      #expect(entries.count == ConfigurationKey.all.count)
    }
  }

  @Test func checkSaysEverythingThatIsWrong() async throws {
    try await withFile(ConfigurationFixture.text + "log.slot: 5\nlog.bytes: 1\n") {
      file async throws in
      let result = try await RslProcess.run("config", "check", "--config", file)
      #expect(result.status == 1)
      #expect(result.output.isEmpty)
      #expect(result.errors.contains("log.slot (node.yaml:11): unknown; did you mean log.slots?"))
      #expect(result.errors.contains("log.bytes = \"1\" (node.yaml:12): expected bytes"))
    }
    try await withFile(ConfigurationFixture.text) { file async throws in
      let result = try await RslProcess.run(
        "config", "check", "--config", file, "--journal-flush", "none")
      #expect(result.status == 0)
      #expect(
        result.output == """
          warning: journal.flush is none: acknowledged commands are lost in a crash
          replica 2: the configuration is fine

          """)
    }
  }

  @Test func certificatesAreMadeAndChecked() async throws {
    try await withFolder { folder async throws in
      let pki = folder.appending(path: "pki").path
      let made = try await RslProcess.run(
        "dev-ca", "--directory", pki, "--cluster", "8f2c51a07be34d19", "--replicas", "1,2",
        "--clients", "bench", "--admins", "ops")
      #expect(made.status == 0, "\(made.errors)")
      #expect(
        made.output == """
          \(pki)/ca.pem
          \(pki)/replica-1.pem  rsl://8f2c51a07be34d19/replica/1
          \(pki)/replica-2.pem  rsl://8f2c51a07be34d19/replica/2
          \(pki)/client-bench.pem  rsl://8f2c51a07be34d19/client/bench
          \(pki)/admin-ops.pem  rsl://8f2c51a07be34d19/admin/ops

          """)
      let file = folder.appending(path: "node.yaml")
      try ConfigurationFixture.text.write(to: file, atomically: true, encoding: .utf8)
      func check(_ name: String) async throws -> RslProcess.Result {
        try await RslProcess.run(
          "config", "check", "--config", file.path, "--tls-enabled", "--tls-ca", "\(pki)/ca.pem",
          "--tls-certificate", "\(pki)/\(name).pem", "--tls-key", "\(pki)/\(name).key")
      }
      #expect(try await check("replica-2").status == 0)
      let wrong = try await check("replica-1")
      #expect(wrong.status == 1)
      #expect(
        wrong.errors == """
          rsl: \(pki)/replica-1.pem: is of rsl://8f2c51a07be34d19/replica/1, \
          expected rsl://8f2c51a07be34d19/replica/2

          """)
    }
  }

  @Test(arguments: [
    (["--cluster", "xyz"], "--cluster xyz: expected a number in hexadecimal"),
    (["--cluster", "1", "--replicas", "0"], "--replicas 0: expected a member's number"),
    (["--cluster", "1", "--clients", "a/b"], "--clients a/b: expected letters"),
    (["--cluster", "1", "--days", "0"], "--days 0: expected 1 to 3650"),
  ]) func wrongNamesMakeNoCertificates(arguments: [String], complaint: String) async throws {
    try await withFolder { folder async throws in
      let pki = folder.appending(path: "pki").path
      let result = try await RslProcess.run(["dev-ca", "--directory", pki] + arguments)
      #expect(result.status == 1)
      #expect(result.errors.contains(complaint), "\(result.errors)")
      #expect(!FileManager.default.fileExists(atPath: pki))
    }
  }

  @Test func keysAreListed() async throws {
    let text = try await RslProcess.run("config", "keys")
    #expect(text.status == 0)
    for key in ConfigurationKey.all {
      #expect(text.output.contains("\(key.variable)  \(key.flag)\n"))
    }
    let markdown = try await RslProcess.run("config", "keys", "--format", "markdown")
    #expect(markdown.output == ConfigurationKey.markdown)
    let json = try await RslProcess.run("config", "keys", "--format", "json")
    let keys = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]]
    #expect(keys?.compactMap { $0["key"] as? String } == ConfigurationKey.all.map(\.name))
  }

  @Test func theVersionIsPrinted() async throws {
    let result = try await RslProcess.run("--version")
    #expect(result.status == 0)
    #expect(result.output == "\(RealRuntimeVersion.text)\n")
  }
}
