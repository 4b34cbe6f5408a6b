/// A key of an application's own, set where the table's keys are set: by the same file, environment and flags.
///
///     let listen = ApplicationKey("resp.listen", .endpoint, usually: endpoint, "Where Redis clients connect.")
///     let loaded = try NodeConfiguration.load(
///       file: "node.yaml", environment: [:], flags: [], applicationKeys: [listen.row])
///     loaded.configuration[listen]
///
/// Its first part must not be one of the table's (`ConfigurationKey.all`).
public struct ApplicationKey<Value: Sendable>: Sendable {
  /// As `ConfigurationKey.name`.
  public let name: String
  /// The value where nothing is set.
  public let usual: Value
  /// For the table that a configuration is loaded by.
  public let row: ConfigurationKey
  let form: SettingForm<Value>

  public init(_ name: String, _ form: SettingForm<Value>, usually usual: Value, _ summary: String) {
    self.name = name
    self.usual = usual
    self.form = form
    row = ConfigurationKey(
      name: name, summary: summary, expected: form.expected, defaultText: form.show(usual),
      apply: { texts, configuration in
        guard texts.count == 1, let value = form.parse(texts[0]) else { return false }
        configuration.application[name] = form.show(value)
        return true
      },
      show: { [$0.application[name] ?? form.show(usual)] })
  }
}

extension NodeConfiguration {
  public subscript<Value>(key: ApplicationKey<Value>) -> Value {
    application[key.name].flatMap(key.form.parse) ?? key.usual
  }
}

extension ConfigurationKey {
  /// Whether a key can only be an application's: its first part is none of the table's.
  static func isOfApplication(_ name: String) -> Bool {
    !all.contains { $0.section == section(of: name) }
  }

  /// The same by the name of an environment variable.
  static func isOfApplication(variable: String) -> Bool {
    !all.contains {
      let section = $0.variable.prefix(SettingSource.prefix.count + $0.section.count)
      return variable == section || variable.hasPrefix(section + "_")
    }
  }

  private var section: Substring { Self.section(of: name) }

  private static func section(of name: String) -> Substring { name.prefix { $0 != "." } }
}
