import ArgumentParser
import Simulator

@main
struct RslSim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rsl-sim", abstract: "Simulate a cluster from a seed.")
  @Option var from: UInt64 = 1
  @Option var to: UInt64 = 20
  @Option var profile: String = "swarm"
  @Option var limit: UInt64 = 1_000_000
  @Flag var trace = false

  func run() {
    var steps: UInt64 = 0
    var failures: [String: Int] = [:]
    for seed in from...to {
      var options = PaxosOptions()
      options.profile = FaultProfile(rawValue: profile)!
      if trace { options.trace = TraceOptions(full: true) }
      var sim = PaxosSimulation.make(seed: seed, options)
      while sim.events < limit, sim.advance() {}
      let result = sim.result
      steps += result.report.protocolSteps
      if result.outcome != .passed {
        failures[result.violation?.checker ?? "?", default: 0] += 1
        print(seed, result.outcome, result.violation!.checker, result.violation!.sentence)
      }
      if trace { for line in result.trace.lines { print(line) } }
      if from == to { print(result.digest.value, result.report, result.events, result.simulatedNanoseconds / 1_000_000) }
    }
    print("steps", steps, failures)
  }
}
