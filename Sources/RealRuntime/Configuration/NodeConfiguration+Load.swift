internal import Protocol

/// A configuration and where each of its values comes from.
public struct LoadedConfiguration: Sendable {
  public var configuration: NodeConfiguration
  /// What may be set: the table's keys, then the application's.
  public var keys: [ConfigurationKey]
  /// By key; keys that are not here have their default.
  public var origins: [String: String]
  /// What is allowed and still deserves a line in the log.
  public var warnings: [String]
}

extension NodeConfiguration {
  /// Loads a configuration: flags win over the environment, that over the file, that over the defaults.
  ///
  /// `file` is YAML or JSON; nil takes the path in `RSL_CONFIG`, if there is one. Throws everything that is wrong at
  /// once: unknown names, values that are not as expected, values that contradict each other.
  /// - Parameters:
  ///   - applicationKeys: what may be set beside the table (`ApplicationKey.row`).
  ///   - passesOverApplications: keys that can only be an application's are no error: for whoever reads the configuration of a
  ///     process that is not its own.
  public static func load(
    file: String?, environment: [String: String], flags: [String],
    applicationKeys: [ConfigurationKey] = [], passesOverApplications: Bool = false
  ) throws(ConfigurationError) -> LoadedConfiguration {
    let keys = ConfigurationKey.all + applicationKeys
    let isStrict = !passesOverApplications
    var sources = [
      SettingSource(flags: flags, keys),
      SettingSource(environment: environment, keys, isStrict: isStrict),
    ]
    if let path = file ?? environment["RSL_CONFIG"] {
      sources.append(try SettingSource(file: path, keys, isStrict: isStrict))
    }
    return try load(sources, keys)
  }

  static func load(
    _ sources: [SettingSource], _ keys: [ConfigurationKey] = ConfigurationKey.all
  ) throws(ConfigurationError) -> LoadedConfiguration {
    var configuration = NodeConfiguration()
    var origins: [String: String] = [:]
    var problems = sources.flatMap(\.problems)
    for key in keys {
      do throws(ConfigurationProblem.Thrown) {
        guard let setting = try firstSetting(of: key, in: sources) else {
          if key.isRequired {
            problems.append(
              ConfigurationProblem(key.name, "is not set; expected \(key.expected)"))
          }
          continue
        }
        origins[key.name] = setting.origin
        if !key.apply(setting.texts, &configuration) {
          problems.append(key.refusal(of: setting))
        }
      } catch {
        problems.append(error.problem)
      }
    }
    // Relations between values that are wrong by themselves would only confuse.
    guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    let isLeaseIdle =
      origins["lease.drift-bound-ppm"] != nil && configuration.leaseDuration == .zero
    configuration.complete(given: Set(origins.keys))
    problems = configuration.problems()
    guard problems.isEmpty else { throw ConfigurationError(problems: problems) }
    var warnings = configuration.warnings
    if isLeaseIdle {
      warnings.append("lease.drift-bound-ppm has no effect while lease.duration is 0")
    }
    return LoadedConfiguration(
      configuration: configuration, keys: keys, origins: origins, warnings: warnings)
  }

  private static func firstSetting(
    of key: ConfigurationKey, in sources: [SettingSource]
  )
    throws(ConfigurationProblem.Thrown) -> Setting?
  {
    for source in sources {
      if let setting = try source.setting(of: key) { return setting }
    }
    return nil
  }

  /// Fills in what follows from other values.
  mutating func complete(given: Set<String>) {
    dropEmptyLease()
    members.sort { $0.id < $1.id }
    if !given.contains("tls.clients"), !tls.isEnabled { tls.clients = .plaintext }
    guard let own = ownAddress else { return }
    let address = IPAddress(own.host) != nil ? own.host : "0.0.0.0"
    let usual = own.host == "localhost" ? "127.0.0.1" : address
    if !given.contains("listen.peer") {
      listen.peer = SocketEndpoint(address: usual, port: own.peerPort)
    }
    if !given.contains("listen.client") {
      listen.client = SocketEndpoint(address: usual, port: own.clientPort)
    }
  }
}

extension ConfigurationKey {
  fileprivate func refusal(of setting: Setting) -> ConfigurationProblem {
    let value = setting.texts.joined(separator: ",")
    if !isList && setting.texts.count != 1 {
      let count = setting.texts.isEmpty ? "nothing" : "\(setting.texts.count) values"
      return ConfigurationProblem(
        name, value: setting.texts.isEmpty ? nil : value, origin: setting.origin,
        "expected \(expected), not \(count)")
    }
    return ConfigurationProblem(
      name, value: value, origin: setting.origin, "expected \(expected)")
  }
}
