import ArgumentParser
import CoreMetrics
import Foundation
import Protocol
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
    abstract: "Make a replica's data directory, once, before its first start.",
    discussion: """
      The replica may vote from its first start on. So never a second time for the same member: a lost directory is made anew by \
      `rsl recover --wiped`. And for a member of a cluster that `rsl recover --last-survivor` has founded only with \
      --founded-up-to: without it a majority of such members could begin the log anew.
      """)

  @Option(
    help: ArgumentHelp(
      "In a cluster founded on a last survivor, the slot that `rsl recover` has printed: the replica has no vote before it "
        + "holds the log up to there.", valueName: "slot"))
  var foundedUpTo: UInt64?
  @OptionGroup var arguments: ConfigurationArguments

  func validate() throws {
    if foundedUpTo == 0 { throw ValidationError("--founded-up-to must be above zero") }
  }

  func run() throws {
    let configuration = try arguments.load().configuration
    let (path, cluster) = (configuration.dataDirectory, configuration.cluster)
    do {
      if let foundedUpTo {
        try DataDirectory.formatJoining(
          path, cluster: cluster, replica: configuration.replica,
          membership: configuration.membership, foundedUpTo: Slot(foundedUpTo))
      } else {
        try DataDirectory.format(path, cluster: cluster, replica: configuration.replica)
      }
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
  }
}
