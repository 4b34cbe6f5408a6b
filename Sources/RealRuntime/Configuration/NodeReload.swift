internal import Foundation

/// Reads a running node's configuration anew: its log level and its certificates take effect at once, everything else
/// with the next start.
public struct NodeReload: Sendable {
  /// What came of it, as lines for the log.
  public struct Outcome: Hashable, Sendable {
    public var done: [String] = []
    /// What does not take effect, and why.
    public var problems: [String] = []
  }

  private let load: @Sendable () throws(ConfigurationError) -> LoadedConfiguration
  private let running: NodeConfiguration
  private let log: LogOutput
  private let credentials: TLSCredentials?

  /// - Parameter load: loads the configuration as it was loaded at the start, from the same file and flags.
  public init(
    running: NodeConfiguration, log: LogOutput, credentials: TLSCredentials?,
    load: @escaping @Sendable () throws(ConfigurationError) -> LoadedConfiguration
  ) {
    self.running = running
    self.log = log
    self.credentials = credentials
    self.load = load
  }

  /// Called for each SIGHUP. Reads files: not for the loop's thread.
  public func perform() -> Outcome {
    var outcome = Outcome()
    do throws(ConfigurationError) {
      let loaded = try load()
      let fresh = loaded.configuration
      log.level = fresh.logging.level
      outcome.done.append("the log level is \(fresh.logging.level.rawValue)")
      for key in loaded.keys
      where key.name != "logging.level" && key.show(fresh) != key.show(running) {
        outcome.problems.append("\(key.name) takes effect with a restart")
      }
    } catch {
      outcome.problems += error.problems.map { "the configuration stays: \($0)" }
    }
    guard let credentials else { return outcome }
    do throws(TLSCredentials.Problem) {
      try credentials.reload()
      let date = Date(timeIntervalSince1970: Double(credentials.expiry)).ISO8601Format()
      outcome.done.append("the certificate is read anew and expires on \(date)")
    } catch {
      outcome.problems.append("the certificate stays: \(error)")
    }
    return outcome
  }
}
