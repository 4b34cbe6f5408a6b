import Foundation
import Protocol
import Testing

@testable import RealRuntime

/// Keys of an application, loaded with the table's.
@Suite struct ApplicationKeyTests {
  private let port = ApplicationKey(
    "shop.listen", .endpoint, usually: SocketEndpoint(address: "127.0.0.1", port: 80), "Where.")
  private let patience = ApplicationKey(
    "shop.patience", .span(.milliseconds(1)...(.seconds(9))), usually: .seconds(1), "How long.")

  private func load(
    _ lines: String = "", environment: [String: String] = [:], flags: [String] = []
  ) async throws -> LoadedConfiguration {
    try await withFolder { folder in
      let file = folder.appending(path: "node.yaml")
      try (ConfigurationFixture.text + lines).write(to: file, atomically: true, encoding: .utf8)
      return try NodeConfiguration.load(
        file: file.path, environment: environment, flags: flags,
        applicationKeys: [port.row, patience.row])
    }
  }

  @Test func theyComeFromEverySource() async throws {
    var loaded = try await load()
    #expect(loaded.configuration[port] == port.usual)
    #expect(loaded.configuration[patience] == .seconds(1))
    let lines = "shop:\n  patience: 2s\n"
    loaded = try await load(lines)
    #expect(loaded.configuration[patience] == .seconds(2))
    #expect(loaded.origins["shop.patience"] == "node.yaml:12")
    loaded = try await load(lines, environment: ["RSL_SHOP_PATIENCE": "3s"])
    #expect(loaded.configuration[patience] == .seconds(3))
    loaded = try await load(
      lines, environment: ["RSL_SHOP_PATIENCE": "3s"],
      flags: ["--shop-patience", "4s", "--shop-listen=[::1]:81"])
    #expect(loaded.configuration[patience] == .seconds(4))
    #expect(loaded.configuration[port] == SocketEndpoint(address: "::1", port: 81))
    // What is printed loads again.
    #expect(loaded.yaml.contains("shop.patience: 4s"))
    #expect(loaded.entries.count == ConfigurationKey.all.count + 2)
  }

  @Test func whatIsWrongIsNamed() async throws {
    await #expect(throws: ConfigurationError.self) { try await load("shop.patience: 1h\n") }
    do {
      _ = try await load(
        "shop.patiense: 1s\n", environment: ["RSL_SHOP_LISTEN": "here"],
        flags: ["--shop-patience", "0"])
      Issue.record("it must not load")
    } catch let error as ConfigurationError {
      let lines = error.problems.map(\.description)
      #expect(lines.count == 3, "\(lines)")
      #expect(lines[0] == "shop.patiense (node.yaml:11): unknown; did you mean shop.patience?")
      #expect(lines[1].hasPrefix("shop.listen = \"here\" (RSL_SHOP_LISTEN): expected a numeric"))
      #expect(
        lines[2] == "shop.patience = \"0\" (--shop-patience): expected \(patience.row.expected)")
    }
    // Without the keys their names are unknown.
    #expect(ConfigurationFixture.complaints(flags: ["--shop-patience", "1s"]).count == 1)
  }

  @Test func whoeverReadsAnothersConfigurationPassesOverThem() throws {
    func problems(
      _ lines: String, _ environment: [String: String], isStrict: Bool
    ) throws -> [String] {
      let file = try SettingSource(
        yaml: Array((ConfigurationFixture.text + lines).utf8), name: "node.yaml", isStrict: isStrict
      )
      let variables = SettingSource(environment: environment, isStrict: isStrict)
      return (file.problems + variables.problems).map(\.key)
    }
    let lines = "shop:\n  patience: 2s\n"
    let environment = ["RSL_SHOP_LISTEN": "x", "RSL_JOURNALS": "x"]
    #expect(
      try problems(lines, environment, isStrict: true)
        == ["shop.patience", "RSL_JOURNALS", "RSL_SHOP_LISTEN"])
    #expect(try problems(lines, environment, isStrict: false) == [])
    // What begins like the table's own is not an application's.
    #expect(
      try problems(
        "journal.segments: 1\nlog.byte: 1\n",
        ["RSL_JOURNAL_SEGMENTS": "1", "RSL_DATA_DIRECTORY_X": "1"], isStrict: false)
        == ["journal.segments", "log.byte", "RSL_DATA_DIRECTORY_X", "RSL_JOURNAL_SEGMENTS"])
  }

  @Test func aReloadSaysThatTheyNeedARestart() async throws {
    let running = try await load()
    let changed = try await load("shop.patience: 5s\n")
    let outcome = NodeReload(
      running: running.configuration, log: LogOutput(level: .info, format: .text) { _ in },
      credentials: nil
    ) { () throws(ConfigurationError) in changed }.perform()
    #expect(outcome.problems == ["shop.patience takes effect with a restart"])
  }
}
