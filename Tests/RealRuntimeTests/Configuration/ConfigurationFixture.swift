import Foundation
import Protocol

@testable import RealRuntime

/// Configurations for tests: the smallest one that loads, with changes.
enum ConfigurationFixture {
  static let lines = [
    "cluster: 8f2c51a07be34d19",
    "replica: 2",
    "members:",
    "  - 1=127.0.0.1:7101:7201",
    "  - 2=127.0.0.1:7102:7202",
    "  - 3=127.0.0.1:7103:7203",
    "data-directory: /var/lib/rsl",
    "tls:",
    "  enabled: false",
    "insecure.plaintext: true",
  ]
  static let text = lines.joined(separator: "\n") + "\n"

  static func load(
    _ yaml: String = text, environment: [String: String] = [:], flags: [String] = []
  ) throws(ConfigurationError) -> LoadedConfiguration {
    try NodeConfiguration.load([
      SettingSource(flags: flags), SettingSource(environment: environment),
      SettingSource(yaml: Array(yaml.utf8), name: "node.yaml"),
    ])
  }

  /// Everything that is wrong, one line each; empty when nothing is.
  static func complaints(
    _ yaml: String = text, environment: [String: String] = [:], flags: [String] = []
  ) -> [String] {
    do {
      _ = try load(yaml, environment: environment, flags: flags)
      return []
    } catch {
      return error.problems.map(\.description)
    }
  }
}

/// The root of the checkout.
let checkout = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .deletingLastPathComponent().deletingLastPathComponent()
