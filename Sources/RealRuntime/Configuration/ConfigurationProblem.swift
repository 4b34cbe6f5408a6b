/// One thing that is wrong with a configuration.
public struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
  /// The key it is about, or the nearest thing to one.
  public var key: String
  /// The value that was given, where one was.
  public var value: String?
  /// Where it was given: a line of the file, a variable, a flag.
  public var origin: String?
  /// What is expected instead.
  public var message: String

  init(_ key: String, value: String? = nil, origin: String? = nil, _ message: String) {
    self.key = key
    self.value = value
    self.origin = origin
    self.message = message
  }

  /// `election.timeout = "5 s" (node.yaml:12): expected a time …`
  public var description: String {
    let assigned = value.map { " = \"\($0)\"" } ?? ""
    let place = origin.map { " (\($0))" } ?? ""
    return "\(key)\(assigned)\(place): \(message)"
  }
}

/// A configuration that nobody should run: everything that is wrong with it, one line each.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  public var problems: [ConfigurationProblem]

  public var description: String { problems.map(\.description).joined(separator: "\n") }
}
