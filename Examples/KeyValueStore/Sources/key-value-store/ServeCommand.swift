import ArgumentParser
import Foundation
import KeyValueNode
import RealRuntime

/// Which configuration a command works with.
struct ConfigurationArguments: ParsableArguments {
  @Option(name: .long, help: "The configuration's file, YAML or JSON; else RSL_CONFIG names it.")
  var config: String?

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp(
      "Any key of docs/configuration.md or resp.* with its value, over file and environment.",
      valueName: "--key value"))
  var settings: [String] = []

  func load() throws(ConfigurationError) -> LoadedConfiguration {
    try NodeSettings.load(
      file: config, environment: ProcessInfo.processInfo.environment, flags: settings)
  }
}

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run one node of a durable cluster until it is stopped.",
    discussion: """
      A replica, configured as for `rsl serve`, and a gateway for Redis clients at resp.listen. SIGTERM and SIGINT answer \
      what clients have under way, hand leadership over, make durable what was written, and end.
      """)

  @OptionGroup var arguments: ConfigurationArguments

  func run() async throws {
    try await KeyValueNode.run { [arguments] () throws(ConfigurationError) in try arguments.load() }
  }
}

struct Format: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a node's data directory, once, before its first start.")

  @OptionGroup var arguments: ConfigurationArguments

  func run() throws {
    do {
      let configuration = try arguments.load().configuration
      try DataDirectory.format(
        configuration.dataDirectory, cluster: configuration.cluster,
        replica: configuration.replica)
    } catch {
      throw CommandFailure("\(error)")
    }
  }
}
