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
