internal import Configuration
internal import Foundation
internal import Yams

/// What one source says about a key.
struct Setting {
  var texts: [String]
  /// Where exactly it was said.
  var origin: String
}

/// Flags, the environment or a file: values by key, and the names in it that nobody knows.
struct SettingSource {
  private var value: (ConfigurationKey) throws -> Setting?
  /// Names that are in the source and not in the table.
  var problems: [ConfigurationProblem]

  /// What the source says about the key; nil: nothing.
  func setting(of key: ConfigurationKey) throws(ConfigurationProblem.Thrown) -> Setting? {
    do {
      return try value(key)
    } catch {
      throw .init(ConfigurationProblem(key.name, "expected \(key.expected)"))
    }
  }
}

extension ConfigurationProblem {
  struct Thrown: Error {
    var problem: ConfigurationProblem
    init(_ problem: ConfigurationProblem) { self.problem = problem }
  }
}

// MARK: Flags

extension SettingSource {
  /// `--key value`, `--key=value`, several values separated by commas, and `--key` alone for true.
  init(flags: [String], _ keys: [ConfigurationKey] = ConfigurationKey.all) {
    let known = Set(keys.map(\.flag))
    problems = []
    var isValueDue = false
    for word in flags {
      guard word.hasPrefix("--") else {
        if !isValueDue { problems.append(ConfigurationProblem(word, "expected a flag in front")) }
        isValueDue = false
        continue
      }
      let name = String(word.prefix { $0 != "=" })
      isValueDue = !word.contains("=")
      if !known.contains(name) { problems.append(.unknown(name, among: Array(known))) }
    }
    let provider = CommandLineArgumentsProvider(arguments: ["rsl"] + flags)
    value = { key in
      let path = AbsoluteConfigKey(ConfigKey(key.name))
      guard let found = try provider.value(forKey: path, type: .stringArray).value,
        case .stringArray(let texts) = found.content
      else { return nil }
      return Setting(texts: texts.isEmpty && key.isFlag ? ["true"] : texts, origin: key.flag)
    }
  }
}

// MARK: Environment

extension SettingSource {
  static let prefix = "RSL_"
  /// Variables with our prefix that are not keys: the file to load.
  static let reserved: Set<String> = ["RSL_CONFIG"]

  /// Variables that begin with `RSL_`; several values separated by commas. Those of an application are no problem, unless
  /// `isStrict`.
  init(
    environment: [String: String], _ keys: [ConfigurationKey] = ConfigurationKey.all,
    isStrict: Bool = true
  ) {
    let known = Set(keys.map(\.variable)).union(Self.reserved)
    problems = environment.keys.sorted()
      .filter { $0.hasPrefix(Self.prefix) && !known.contains($0) }
      .filter { isStrict || !ConfigurationKey.isOfApplication(variable: $0) }
      .map { .unknown($0, among: Array(known)) }
    let provider = EnvironmentVariablesProvider(environmentVariables: environment)
    value = { key in
      let path = AbsoluteConfigKey(ConfigKey(key.name)).prepending("rsl")
      let type = key.isList ? ConfigType.stringArray : .string
      guard let found = try provider.value(forKey: path, type: type).value else { return nil }
      return found.content.texts.map { Setting(texts: $0, origin: key.variable) }
    }
  }
}

// MARK: Files

extension SettingSource {
  /// A YAML file, or a JSON one, which is YAML as well. Parts of a key nest, or stand in one line with dots. Keys of an
  /// application are no problem, unless `isStrict`.
  init(
    file path: String, _ keys: [ConfigurationKey], isStrict: Bool = true
  ) throws(ConfigurationError) {
    let bytes: [UInt8]
    do {
      bytes = Array(try Data(contentsOf: URL(filePath: path)))
    } catch {
      let reason = (error as NSError).localizedDescription
      throw ConfigurationError(problems: [ConfigurationProblem(path, "cannot be read: \(reason)")])
    }
    try self.init(
      yaml: bytes, name: (path as NSString).lastPathComponent, keys, isStrict: isStrict)
  }

  init(
    yaml bytes: [UInt8], name: String, _ keys: [ConfigurationKey] = ConfigurationKey.all,
    isStrict: Bool = true
  ) throws(ConfigurationError) {
    var outline = Outline(name: name, keys: keys, isStrict: isStrict)
    let snapshot: YAMLSnapshot
    do {
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw ConfigurationError(problems: [ConfigurationProblem(name, "is not text in UTF-8")])
      }
      guard let root = try Yams.compose(yaml: text) else {
        self.init(value: { _ in nil }, problems: [])
        return
      }
      outline.enter(root, path: [])
      guard outline.isUsable else { throw ConfigurationError(problems: outline.problems) }
      snapshot = try YAMLSnapshot(
        data: bytes.span.bytes, providerName: name, parsingOptions: .default)
    } catch let error as ConfigurationError {
      throw error
    } catch {
      let text = "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
      throw ConfigurationError(problems: [ConfigurationProblem(name, "is not YAML: \(text)")])
    }
    let places = outline.places
    self.init(
      value: { key in
        guard let place = places[key.name] else { return nil }
        let path = AbsoluteConfigKey(ConfigKey(key.name))
        let type = key.isList && place.isSequence ? ConfigType.stringArray : .string
        guard let content = try snapshot.value(forKey: path, type: type).value?.content,
          let texts = content.texts
        else { return nil }
        return Setting(texts: texts, origin: "\(name):\(place.line)")
      },
      problems: outline.problems)
  }
}

/// The keys of a file and their lines: what the configuration package does not tell.
private struct Outline {
  struct Place {
    var line: Int
    var isSequence: Bool
  }

  var name: String
  var keys: [ConfigurationKey]
  /// Keys that can only be an application's are refused.
  var isStrict: Bool
  var places: [String: Place] = [:]
  var problems: [ConfigurationProblem] = []
  /// False when the file has another shape than keys with values.
  var isUsable = true

  init(name: String, keys: [ConfigurationKey], isStrict: Bool) {
    self.name = name
    self.keys = keys
    self.isStrict = isStrict
  }

  mutating func enter(_ node: Node, path: [String]) {
    guard case .mapping(let mapping) = node else {
      refuse(path, node, "expected keys with values")
      return
    }
    for (key, value) in mapping {
      guard let word = key.string else {
        refuse(path, key, "expected a word as key")
        continue
      }
      let inner = path + [word]
      switch value {
      case .mapping: enter(value, path: inner)
      case .scalar: note(inner, key, isSequence: false)
      case .sequence(let items):
        if items.allSatisfy({ $0.scalar != nil }) {
          note(inner, key, isSequence: true)
        } else {
          refuse(inner, key, "expected plain values in a sequence")
        }
      case .alias: refuse(inner, key, "aliases are not supported")
      }
    }
  }

  private mutating func refuse(_ path: [String], _ node: Node, _ message: String) {
    isUsable = false
    problems.append(
      ConfigurationProblem(
        path.isEmpty ? name : path.joined(separator: "."), origin: origin(node), message))
  }

  private mutating func note(_ path: [String], _ node: Node, isSequence: Bool) {
    let key = path.joined(separator: ".")
    guard let known = keys.first(where: { $0.name == key }) else {
      guard isStrict || !ConfigurationKey.isOfApplication(key) else { return }
      problems.append(.unknown(key, origin: origin(node), among: keys.map(\.name)))
      return
    }
    let place = Place(line: node.mark?.line ?? 0, isSequence: isSequence)
    if isSequence && !known.isList {
      problems.append(
        ConfigurationProblem(key, origin: origin(node), "expected \(known.expected), not several"))
    } else if let first = places.updateValue(place, forKey: key) {
      problems.append(
        ConfigurationProblem(key, origin: origin(node), "already given in line \(first.line)"))
    }
  }

  private func origin(_ node: Node) -> String { "\(name):\(node.mark?.line ?? 1)" }
}

extension ConfigurationProblem {
  static func unknown(
    _ name: String, origin: String? = nil, among names: [String]
  )
    -> ConfigurationProblem
  {
    let hint = ConfigurationKey.nearest(to: name, among: names).map { "; did you mean \($0)?" }
    return ConfigurationProblem(name, origin: origin, "unknown" + (hint ?? ""))
  }
}

extension ConfigContent {
  fileprivate var texts: [String]? {
    switch self {
    case .string(let text): [text]
    case .stringArray(let texts): texts
    default: nil
    }
  }
}
