import Foundation
import Testing

@testable import RealRuntime

/// `docs/configuration.md` against the table. `RSL_REWRITE=1 swift test --filter ConfigurationDocumentTests` writes it
/// anew.
@Suite struct ConfigurationDocumentTests {
  static let document = checkout.appending(path: "docs/configuration.md")
  static let mark = "<!-- From here on: made from the table in the code. -->\n\n"

  @Test func theDocumentIsTheTable() throws {
    let text = try String(contentsOf: Self.document, encoding: .utf8)
    let parts = text.split(separator: Self.mark, maxSplits: 1)
    try #require(parts.count == 2)
    if ProcessInfo.processInfo.environment["RSL_REWRITE"] != nil {
      try (parts[0] + Self.mark + ConfigurationKey.markdown)
        .write(to: Self.document, atomically: true, encoding: .utf8)
      return
    }
    #expect(parts[1] == ConfigurationKey.markdown)
  }

  @Test func theExampleLoads() throws {
    let file = checkout.appending(path: "packaging/node.yaml")
    let loaded = try NodeConfiguration.load(file: file.path, environment: [:], flags: [])
    #expect(loaded.warnings.isEmpty)
    #expect(loaded.configuration.tls.isEnabled)
  }
}
