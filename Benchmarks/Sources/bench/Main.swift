import ArgumentParser
import Protocol
import Simulator

@main
struct Bench: ParsableCommand {
  static let configuration = CommandConfiguration(subcommands: [Digests.self])
}

/// The digest of every seed of a range, one line each: what an optimisation must not change.
struct Digests: ParsableCommand {
  @Argument var first: UInt64
  @Argument var last: UInt64

  mutating func run() {
    for seed in first...last {
      let result = PaxosSimulation.run(seed: seed)
      print(
        seed, String(result.digest.value, radix: 16), result.outcome.rawValue, result.steps,
        result.events)
    }
  }
}
