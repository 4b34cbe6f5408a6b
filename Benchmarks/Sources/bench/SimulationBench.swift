import Protocol
import Simulator

/// What a number of runs did together.
private struct Totals {
  var steps: UInt64 = 0
  var inputs: UInt64 = 0
  var events: UInt64 = 0
  var simulated: UInt64 = 0
  var runs: UInt64 = 0

  init(seeds: ClosedRange<UInt64>, _ options: PaxosOptions) {
    for seed in seeds {
      let result = PaxosSimulation.run(seed: seed, options)
      precondition(result.outcome == .passed, "seed \(seed) did not pass: measure what works")
      steps += result.report.protocolSteps
      inputs += result.steps
      events += result.events
      simulated += result.simulatedNanoseconds
      runs += 1
    }
  }
}

private func measure(
  seeds: UInt64, passes: Int, _ options: PaxosOptions
) -> (totals: Totals, seconds: Double) {
  var totals = Totals(seeds: 1...1, options)
  let seconds = least(passes) { totals = Totals(seeds: 1...seeds, options) }
  return (totals, seconds)
}

/// Whole runs with every checker under the default swarm, as a campaign makes them.
func measureSwarm(seeds: UInt64) -> [Figure] {
  let (totals, seconds) = measure(seeds: seeds, passes: 5, PaxosOptions())
  func rate(_ count: UInt64) -> Double { Double(count) / seconds }
  return [
    Figure(.swarm, "protocol steps (Replica.step)", rate(totals.steps), "/s core"),
    Figure(.swarm, "inputs, clients' included", rate(totals.inputs), "/s core"),
    Figure(.swarm, "events", rate(totals.events), "/s core"),
    Figure(.swarm, "seeds", rate(totals.runs), "/s core"),
    Figure(.swarm, "simulated over CPU time", rate(totals.simulated) / 1e9, "x"),
  ]
}

/// The same for clusters of one size, without faults and with the swarm's.
func measureScaling() -> [Figure] {
  var figures: [Figure] = []
  for profile in [FaultProfile.calm, .swarm] {
    for replicas in [3, 5, 7, 9] {
      var options = PaxosOptions()
      options.profile = profile
      options.replicas = replicas
      let (totals, seconds) = measure(seeds: 60, passes: 3, options)
      let name = "\(profile.rawValue), \(replicas) replicas"
      figures.append(
        Figure(.scaling, "\(name): steps", Double(totals.steps) / seconds, "/s core"))
      figures.append(
        Figure(
          .scaling, "\(name): simulated", Double(totals.simulated) / 1e9 / seconds, "x CPU time"))
    }
  }
  return figures
}
