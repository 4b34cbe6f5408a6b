/// One row of the table of everything that may be set.
public struct ConfigurationKey: Sendable {
  /// As it stands in a file: words with hyphens, parts with dots.
  public var name: String
  public var summary: String
  /// What a value looks like.
  public var expected: String
  /// The value where nothing is set; nil: there is none, and a value is required or the key unset.
  public var defaultText: String?
  public var isRequired = false
  /// The cluster only works when all replicas have the same value.
  public var isShared = false
  /// Several values: a sequence in a file, separated by commas elsewhere.
  public var isList = false
  /// `--name` alone means true.
  public var isFlag = false
  /// The property of `ReplicaOptions`, whose complaints name it.
  var option: String?

  /// Takes the values over; false: they are not as expected.
  var apply: @Sendable ([String], inout NodeConfiguration) -> Bool
  /// The values as text; none when the key is unset.
  var show: @Sendable (NodeConfiguration) -> [String]

  /// `RSL_ELECTION_TIMEOUT` for `election.timeout`.
  public var variable: String {
    "RSL_" + name.uppercased().map { $0.isLetter ? "\($0)" : "_" }.joined()
  }
  /// `--election-timeout` for `election.timeout`.
  public var flag: String { "--" + name.map { $0 == "." ? "-" : "\($0)" }.joined() }

  /// A key with one value.
  static func one<Value>(
    _ name: String, _ form: SettingForm<Value>,
    _ path: any WritableKeyPath<NodeConfiguration, Value> & Sendable, _ summary: String
  ) -> ConfigurationKey {
    let usual = form.show(NodeConfiguration()[keyPath: path])
    return ConfigurationKey(
      name: name, summary: summary, expected: form.expected,
      defaultText: usual.isEmpty ? nil : usual, isFlag: Value.self == Bool.self,
      apply: { texts, configuration in
        guard texts.count == 1, let value = form.parse(texts[0]) else { return false }
        configuration[keyPath: path] = value
        return true
      },
      show: { configuration in
        let text = form.show(configuration[keyPath: path])
        return text.isEmpty ? [] : [text]
      })
  }

  /// A bound of the replica; its property in `ReplicaOptions`.
  static func bound<Value>(
    _ name: String, _ form: SettingForm<Value>, option: String,
    _ path: any WritableKeyPath<NodeConfiguration, Value> & Sendable, _ summary: String
  ) -> ConfigurationKey {
    var key = one(name, form, path, summary).shared
    key.option = option
    return key
  }

  /// A key with any number of values.
  static func list<Value>(
    _ name: String, _ form: SettingForm<Value>,
    _ path: any WritableKeyPath<NodeConfiguration, [Value]> & Sendable, _ summary: String
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, summary: summary, expected: form.expected, isList: true,
      apply: { texts, configuration in
        let values = texts.compactMap { form.parse($0) }
        guard values.count == texts.count, !values.isEmpty else { return false }
        configuration[keyPath: path] = values
        return true
      },
      show: { $0[keyPath: path].map { form.show($0) } })
  }

  var shared: ConfigurationKey {
    var key = self
    key.isShared = true
    return key
  }

  var required: ConfigurationKey {
    var key = self
    key.isRequired = true
    key.defaultText = nil
    return key
  }

  func usually(_ text: String) -> ConfigurationKey {
    var key = self
    key.defaultText = text
    return key
  }
}

extension ConfigurationKey {
  /// A topic of the table.
  public struct Section: Sendable {
    public var title: String
    public var keys: [ConfigurationKey]
  }

  public static let sections: [Section] =
    [identity, network, security, storage] + replica + [observation]

  /// Every key, in the order of the table.
  public static let all: [ConfigurationKey] = sections.flatMap(\.keys)

  public static func named(_ name: String) -> ConfigurationKey? { all.first { $0.name == name } }

  /// The name that a reader most likely meant, if any is near.
  static func nearest(to name: String, among names: [String]) -> String? {
    let best = names.map { (name: $0, distance: editDistance(name, $0)) }
      .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
    guard let best, best.distance <= max(2, name.count / 3) else { return nil }
    return best.name
  }
}

/// How many characters must be inserted, removed or replaced (Levenshtein).
func editDistance(_ a: String, _ b: String) -> Int {
  let b = Array(b)
  var row = Array(0...b.count)
  for (i, character) in a.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for j in b.indices {
      let above = row[j + 1]
      row[j + 1] = min(above + 1, row[j] + 1, diagonal + (character == b[j] ? 0 : 1))
      diagonal = above
    }
  }
  return row[b.count]
}
