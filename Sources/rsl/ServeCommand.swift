import ArgumentParser
import Foundation
import Logging
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
    let loaded = try arguments.load()
    let configuration = loaded.configuration
    let output = LogOutput(configuration.logging)
    var logger = output.logger("rsl")
    logger[metadataKey: "replica"] = "\(configuration.replica)"
    for warning in loaded.warnings { logger.warning("\(warning)") }
    let node: ReplicaNode
    let credentials: TLSCredentials?
    do {
      let tls = configuration.tls
      let isUsed = tls.isEnabled || tls.clients != .plaintext || tls.admin != .plaintext
      credentials = isUsed ? try TLSCredentials(configuration) : nil
      node = try ReplicaNode.start(
        configuration: configuration, machine: ByteStore(), logger: logger,
        credentials: credentials, log: output)
    } catch {
      throw CommandFailure(.usage, "\(error)")
    }
    var admin: AdminServer?
    if let endpoint = configuration.listen.admin {
      do {
        admin = try await AdminServer.start(
          at: endpoint, backend: node,
          credentials: configuration.tls.admin == .mutual ? credentials : nil)
      } catch {
        throw CommandFailure(.usage, "listen.admin \(endpoint): \(error)")
      }
    }
    let stop = SignalHandler([SIGTERM, SIGINT]) { node.stop() }
    let reload = NodeReload(running: configuration, log: output, credentials: credentials) {
      [arguments] () throws(ConfigurationError) in try arguments.loaded()
    }
    let hangUp = SignalHandler([SIGHUP]) { [logger] in
      let outcome = reload.perform()
      for line in outcome.done { logger.info("reloaded", metadata: ["what": "\(line)"]) }
      for line in outcome.problems { logger.warning("not reloaded", metadata: ["what": "\(line)"]) }
    }
    defer { withExtendedLifetime((stop, hangUp)) {} }
    do {
      try await node.ended()
    } catch {
      throw CommandFailure(.crash, "\(error)")
    }
    await admin?.stop()
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
