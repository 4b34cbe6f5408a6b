import ArgumentParser
import Foundation
import Simulator

/// Runs seeds for a campaign in another process. Writes `start SEED` before each, then its record
/// in one line; both reach the pipe at once, so that the parent knows which seed killed us.
struct WorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "worker", abstract: "Runs seeds for a campaign.", shouldDisplay: false)

  @Option var seeds: SeedsArgument
  @OptionGroup var settings: SettingsArguments
  /// Checkpoints of the last seed are printed: one every so many events.
  @Option var checkpointEvery: UInt64?
  @Option var checkpointRange: SeedsArgument?

  func run() throws {
    for seed in seeds.range {
      var runner = SeedRunner(seed: seed, settings: settings.settings)
      if let checkpointEvery, seed == seeds.range.upperBound {
        runner.checkpoints = .every(
          checkpointEvery, in: checkpointRange?.range ?? 1...UInt64.max)
      }
      Terminal.write("start \(seed)\n", to: STDOUT_FILENO)
      let (result, record, _) = try runner.run()
      let checkpoints = result.digest.checkpoints.map { "checkpoint \($0.event) \($0.digest)\n" }
      Terminal.write(checkpoints.joined() + record.wireLine + "\n", to: STDOUT_FILENO)
    }
  }

  /// The arguments of a worker.
  static func arguments(
    _ seeds: ClosedRange<UInt64>, _ settings: RunSettings
  ) -> [String] {
    ["worker", "--seeds", "\(seeds.lowerBound)-\(seeds.upperBound)"] + settings.arguments
  }
}
