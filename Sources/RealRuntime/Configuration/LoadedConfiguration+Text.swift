internal import Foundation

extension LoadedConfiguration {
  /// One value as it is in effect.
  public struct Entry: Codable, Hashable, Sendable {
    public var key: String
    /// Empty: not set.
    public var values: [String]
    /// `default`, or where it was set.
    public var origin: String
  }

  /// Every key in the order of the table.
  public var entries: [Entry] {
    keys.map { key in
      Entry(
        key: key.name, values: key.show(configuration), origin: origins[key.name] ?? "default")
    }
  }

  /// A configuration file with the same effect, each line with its origin.
  public var yaml: String {
    let lines = zip(keys, entries).map { key, entry -> (text: String, origin: String) in
      guard !entry.values.isEmpty else { return ("# \(entry.key):", "not set") }
      let values = entry.values.map { Self.quoted($0) }
      let value = key.isList ? "[\(values.joined(separator: ", "))]" : values[0]
      return ("\(entry.key): \(value)", entry.origin)
    }
    let width = lines.map(\.text.count).filter { $0 <= 60 }.max() ?? 0
    return lines.map { line in
      let space = String(repeating: " ", count: max(0, width - line.text.count))
      return "\(line.text)\(space)  # \(line.origin)\n"
    }.joined()
  }

  public var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    // Strings and arrays of strings: nothing in it can fail to encode.
    return (try? encoder.encode(entries)).map { String(decoding: $0, as: UTF8.self) } ?? "[]"
  }

  /// A scalar that YAML takes for text, whatever is in it.
  private static func quoted(_ text: String) -> String {
    let isPlain = text.utf8.allSatisfy {
      (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
        || [45, 46, 47, 95].contains($0)
    }
    if isPlain && text.utf8.first != 45 { return text }
    let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
    return "\"\(escaped)\""
  }
}

extension ConfigurationKey {
  /// The table as Markdown, as it stands in `docs/configuration.md`.
  public static var markdown: String {
    sections.map { section in
      let rows = section.keys.map { key in
        let value = key.defaultText.map { "`\($0)`" } ?? (key.isRequired ? "required" : "not set")
        let usual = key.defaultText?.contains(" ") == true ? key.defaultText! : value
        let shared = key.isShared ? " Same on all replicas." : ""
        return "| `\(key.name)` | \(usual) | \(key.summary)\(shared) | \(key.expected) |\n"
      }
      return "## \(section.title)\n\n| Key | Default | Meaning | Values |\n|---|---|---|---|\n"
        + rows.joined()
    }.joined(separator: "\n")
  }
}
