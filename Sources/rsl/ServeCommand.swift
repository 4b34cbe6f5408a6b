import ArgumentParser
import CoreMetrics
import Foundation
import RealRuntime

/// Which configuration a command works with.
struct ConfigurationArguments: ParsableArguments {
  @Option(name: .long, help: "The configuration's file, YAML or JSON; else RSL_CONFIG names it.")
  var config: String?

  @Argument(
    parsing: .allUnrecognized,
    help: ArgumentHelp(
      "Any key of docs/configuration.md with its value, over file and environment.",
      valueName: "--key value"))
  var settings: [String] = []

  func loaded() throws(ConfigurationError) -> LoadedConfiguration {
    try NodeConfiguration.load(
      file: config, environment: ProcessInfo.processInfo.environment, flags: settings)
  }

  func load() throws -> LoadedConfiguration {
    do throws(ConfigurationError) {
      return try loaded()
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }
}

struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run one replica until it is stopped.",
    discussion: "SIGTERM and SIGINT hand leadership over, make durable what was written, and end.")

  @OptionGroup var arguments: ConfigurationArguments

  func run() async throws {
    let metrics = PrometheusRegistry()
    MetricsSystem.bootstrap(metrics)
    do throws(ReplicaProcess.Failure) {
      try await ReplicaProcess.run(machine: ByteStore(), metrics: metrics) {
        [arguments] () throws(ConfigurationError) in try arguments.loaded()
      }
    } catch {
      throw CommandFailure(error.kind == .crash ? .crash : .usage, "\(error)")
    }
  }
}

struct Format: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Make a replica's data directory, once, before its first start.")

  @OptionGroup var arguments: ConfigurationArguments

  func run() throws {
    let configuration = try arguments.load().configuration
    do {
      try DataDirectory.format(
        configuration.dataDirectory, cluster: configuration.cluster,
        replica: configuration.replica)
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }
}
