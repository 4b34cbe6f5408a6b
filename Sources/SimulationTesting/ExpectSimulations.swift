import Foundation
public import Simulator
public import Testing

/// Runs a simulation for each seed of a range and records an issue for each seed that fails.
///
///     @Test(.simulated(seeds: 1...200)) func survivesCrashes() {
///       expectSimulations { seed, trace in
///         Simulation(seed: seed, SimulationConfiguration(nodes: 3, trace: trace)) { world in
///           MySystem(&world)
///         }
///       }
///     }
///
/// An issue says what was violated, shows the last events of the nodes involved, and gives the
/// command that runs this seed alone: `SIMULATION_SEED=17 swift test --filter …`. Seeds that fail
/// are run twice, the second time with a trace; the first seed is run twice in any case. Two runs
/// with different digests are an issue too.
///
/// - Parameters:
///   - seeds: nil takes those of the trait `.simulated(seeds:)`, or 1 to 100 without one. The environment variables
///     `SIMULATION_SEED` (one seed) and `SIMULATION_SEEDS` (`first-last`) override both.
///   - replay: the command that runs a seed alone, where it is another one.
///   - failuresMax: how many failing seeds are reported before the rest is left out.
///   - make: prepares the run of a seed. It must pass `trace` on, and depend on nothing else.
public func expectSimulations<System: SimulatedSystem>(
  seeds: ClosedRange<UInt64>? = nil, replay: ((UInt64) -> String)? = nil, failuresMax: Int = 3,
  sourceLocation: SourceLocation = #_sourceLocation,
  _ make: (_ seed: UInt64, _ trace: TraceOptions) -> Simulation<System>
) {
  let chosen: ClosedRange<UInt64>
  do {
    chosen = try SeedSelection.choose(
      asked: seeds, trait: SeedSelection.ofTrait, environment: ProcessInfo.processInfo.environment)
  } catch {
    Issue.record("\(error)", sourceLocation: sourceLocation)
    return
  }
  let command = replay ?? SimulationIssue.testCommand
  var failures = 0
  for seed in chosen {
    var first = make(seed, .off)
    let result = first.run()
    guard result.outcome != .passed || seed == chosen.lowerBound else { continue }
    var second = make(seed, TraceOptions(linesPerNode: SimulationIssue.linesPerNode))
    let again = second.run()
    let issue = SimulationIssue(
      seed: seed, result, again, seeds: chosen, replay: command(seed))
    guard let issue else { continue }
    Issue.record("\(issue)", sourceLocation: sourceLocation)
    failures += 1
    if failures == failuresMax && seed < chosen.upperBound {
      let count = chosen.upperBound - seed
      Issue.record(
        "\(failures) seeds failed; the other \(count) were not run", sourceLocation: sourceLocation)
      return
    }
  }
}

/// Which seeds a test runs.
enum SeedSelection {
  @TaskLocal static var ofTrait: ClosedRange<UInt64>?

  /// Without anything else.
  static let standard: ClosedRange<UInt64> = 1...100

  struct EnvironmentError: Error, CustomStringConvertible {
    var variable: String
    var value: String
    var expected: String

    var description: String { "\(variable)=\(value): expected \(expected)" }
  }

  static func choose(
    asked: ClosedRange<UInt64>?, trait: ClosedRange<UInt64>?, environment: [String: String]
  ) throws -> ClosedRange<UInt64> {
    if let text = environment["SIMULATION_SEED"] {
      guard let seed = UInt64(text) else {
        throw EnvironmentError(variable: "SIMULATION_SEED", value: text, expected: "a number")
      }
      return seed...seed
    }
    if let text = environment["SIMULATION_SEEDS"] {
      guard let range = SeedRange.parse(text) else {
        throw EnvironmentError(
          variable: "SIMULATION_SEEDS", value: text, expected: "first-last, for instance 1-2000")
      }
      return range
    }
    return asked ?? trait ?? standard
  }
}
